//! What the disk says.

use crate::{Image, Partition, State, Status};

/// The sets of partitions, as far as an update is concerned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Disk {
    /// The running system.
    pub running: Image,
    /// The other set; nothing on a disk that has one.
    pub inactive: Option<Inactive>,
}

/// The set that does not run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inactive {
    /// What its boot bits say.
    pub slot: Slot,
    /// What was written to it, and completely. Nothing while it is being written, or where nobody knows.
    pub holds: Option<Image>,
}

/// What the boot bits of a set say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Slot {
    /// It cannot be booted and nobody vouches for it.
    Clear,
    /// It was written completely and does not boot next.
    Valid,
    /// It boots next, on trial.
    OnTrial,
    /// It was tried until no try was left, and has not proved itself.
    Spent,
    /// It has proved itself before.
    Good {
        /// Whether it boots next: somebody goes back to it.
        next: bool,
    },
}

impl Status {
    /// Takes over what the disk says: it knows better than the document whenever the two differ.
    pub fn observe(&mut self, disk: &Disk) {
        let slot = disk.inactive.as_ref().map_or(Slot::Clear, |inactive| inactive.slot);
        let next_is_inactive = matches!(slot, Slot::OnTrial | Slot::Good { next: true });
        self.active_partition =
            Some(Partition { image: disk.running.clone(), next_to_boot: !next_is_inactive });
        let staged = match slot {
            Slot::Valid | Slot::OnTrial => disk.inactive.as_ref().and_then(|inactive| inactive.holds.clone()),
            Slot::Clear | Slot::Spent | Slot::Good { .. } => None,
        };
        if self.chosen_update.as_ref().is_some_and(|chosen| *chosen == disk.running) {
            self.chosen_update = None;
            self.chosen_update_manifest = None;
        }
        self.update_state = match (slot, &staged) {
            (Slot::OnTrial, _) => State::Ready,
            (Slot::Valid, Some(_)) => State::Staged,
            _ if self.update_state >= State::Staged => self.waiting(),
            // A refresh that failed leaves a choice behind in the state Idle.
            _ if self.chosen_update.is_none() => State::Idle,
            _ => self.update_state,
        };
        if self.update_state >= State::Staged && self.chosen_update.is_none() {
            // A host that finds an update on its disk and has not looked since would otherwise not know it.
            self.chosen_update.clone_from(&staged);
        }
        self.staging_partition = staged.map(|image| Partition { image, next_to_boot: next_is_inactive });
    }
}
