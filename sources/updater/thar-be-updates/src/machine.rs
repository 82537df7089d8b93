//! What runs, what is on the other set, and what boots next.

use crate::error::{BootStateSnafu, Error, FindSetsSnafu};
use host::Host;
use signpost::{BootState, Sets};
use snafu::ResultExt;
use update_status::{Disk, Image, Inactive, Slot, Time};
use updog::{Staged, StagedState};

/// The machine, as far as updates are concerned.
#[derive(Debug)]
pub(crate) struct Machine {
    /// Its sets and what they hold.
    pub(crate) disk: Disk,
    /// How it boots.
    pub(crate) boot: BootState,
    /// What was last written to a set, completely.
    pub(crate) written: Option<Image>,
    /// When its writing began.
    pub(crate) begun: Option<Time>,
    /// Whether that is the set which runs.
    pub(crate) written_runs: bool,
}

/// Looks at the machine.
pub(crate) fn look(host: &Host) -> Result<Machine, Error> {
    let running = updog::Machine::load(host)?;
    let running = Image {
        arch: running.arch.to_owned(),
        version: running.version.to_string(),
        variant: running.variant,
    };
    let boot = Sets::find(host).context(FindSetsSnafu)?.state().context(BootStateSnafu)?;
    let complete = Staged::load(host)?.filter(|staged| staged.state == StagedState::Complete);
    let written_runs = complete.as_ref().is_some_and(|staged| staged.is_in(boot.active));
    let begun = complete.as_ref().map(|staged| staged.begun.into());
    let written = complete.map(|staged| Image {
        arch: staged.arch,
        version: staged.version.to_string(),
        variant: staged.variant,
    });
    let holds = written.clone().filter(|_| !written_runs);
    let inactive = slot(&boot).map(|slot| Inactive { slot, holds });
    let written_runs = written_runs && written.as_ref() == Some(&running);
    Ok(Machine { disk: Disk { running, inactive }, boot, written, begun, written_runs })
}

/// What the bits of the set that does not run say; nothing on a disk with one set.
fn slot(boot: &BootState) -> Option<Slot> {
    let bits = boot.other?;
    let next = boot.next() == Some(boot.active.other());
    let slot = match (bits.is_successful(), bits.priority(), bits.tries_left()) {
        (true, _, _) => Slot::Good { next },
        (false, 0, 0) => Slot::Clear,
        (false, 0, _) => Slot::Valid,
        (false, _, 0) => Slot::Spent,
        (false, _, _) if next => Slot::OnTrial,
        // Somebody went back from it while it was on trial: nobody vouches for it any more.
        (false, _, _) => Slot::Clear,
    };
    Some(slot)
}

#[cfg(test)]
mod tests {
    use super::*;
    use partitions::Attributes;
    use signpost::SetName;

    fn bits(priority: u8, tries: u8, successful: bool) -> Attributes {
        Attributes::default().with_priority(priority).with_tries_left(tries).with_successful(successful)
    }

    #[test]
    fn the_bits_of_a_set_say_what_is_with_it() {
        let good = bits(1, 0, true);
        for (running, other, expected) in [
            (good, bits(0, 0, false), Slot::Clear),
            (good, bits(0, 3, false), Slot::Valid),
            (good, bits(2, 3, false), Slot::OnTrial),
            (good, bits(2, 1, false), Slot::OnTrial),
            (good, bits(2, 0, false), Slot::Spent),
            (bits(2, 0, true), bits(1, 0, true), Slot::Good { next: false }),
            (bits(1, 0, true), bits(2, 0, true), Slot::Good { next: true }),
            // The running set is on trial; the other is what the host falls back to.
            (bits(2, 2, false), bits(1, 0, true), Slot::Good { next: false }),
            (bits(2, 0, true), bits(1, 2, false), Slot::Clear),
        ] {
            let boot =
                BootState { active: SetName::A, running, other: Some(other), private: bits(0, 0, false) };
            assert_eq!(slot(&boot), Some(expected), "{running:?} {other:?}");
        }
        let one = BootState { active: SetName::A, running: good, other: None, private: bits(0, 0, false) };
        assert_eq!(slot(&one), None);
    }
}
