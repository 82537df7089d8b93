//! What a boot tells of the update before it.

use crate::{Concluded, Disk, Image, LastUpdate, Slot, Status, Time, UpdateResult};
use std::fmt;

/// What the boot of a set wrote down about itself, and which ended before it had proved itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// Version of the system that booted.
    pub version: String,
    /// How far it came.
    pub stage: AttemptStage,
    /// The kernel's name for the boot.
    pub boot_id: String,
    /// Why it ended, if it could say so.
    pub reason: Option<String>,
}

/// How far a boot came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttemptStage {
    /// The first programs ran.
    Started,
    /// The settings were migrated.
    Migrated,
    /// The host was configured.
    Configured,
    /// It proved itself.
    Healthy,
}

impl fmt::Display for AttemptStage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Started => "before its settings were migrated",
            Self::Migrated => "after its settings were migrated and before it was configured",
            Self::Configured => "after it was configured and before it had proved itself",
            Self::Healthy => "after it had proved itself",
        })
    }
}

/// What a boot finds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Booted<'a> {
    /// The sets.
    pub disk: &'a Disk,
    /// Whether the running set has proved itself.
    pub proven: bool,
    /// The update that was last written, to whichever set, if it is complete.
    pub written: Option<&'a Image>,
    /// When its writing began.
    pub begun: Option<Time>,
    /// Whether that was written to the set that runs.
    pub written_runs: bool,
    /// The boot of the other set, directly before this one, that failed and says most; nothing where none of them came
    /// far enough to write down anything, where this set ran before as well, and where the other set had proved itself
    /// before and was not given up by the host: then somebody went back from it.
    pub attempt: Option<&'a Attempt>,
    /// How many tries a set has.
    pub tries: u8,
}

impl Status {
    /// Tells whether the update before this boot succeeded or fell back, and remembers it. Finding the same again
    /// changes nothing.
    pub fn conclude_boot(&mut self, booted: &Booted<'_>, now: Time) {
        self.abandoned(now);
        let slot = booted.disk.inactive.as_ref().map(|inactive| inactive.slot);
        if booted.written_runs && booted.proven {
            let version = &booted.disk.running.version;
            self.forget(version);
            let concluded = Concluded { result: UpdateResult::Succeeded, update: booted.begun, boot: None };
            if self.concluded.as_ref() != Some(&concluded) {
                self.conclude(concluded, version, None, now);
            }
        } else if !booted.written_runs && (slot == Some(Slot::Spent) || booted.attempt.is_some()) {
            self.fell_back(booted, now);
        }
        self.observe(booted.disk);
    }

    fn fell_back(&mut self, booted: &Booted<'_>, now: Time) {
        let written = booted.written.map(|image| image.version.as_str());
        let Some(version) = written.or(booted.attempt.map(|attempt| attempt.version.as_str())) else {
            return;
        };
        let attempt = booted.attempt.filter(|attempt| attempt.version == version);
        let boot = attempt.map(|attempt| attempt.boot_id.clone());
        let concluded = Concluded { result: UpdateResult::FellBack, update: booted.begun, boot };
        if self.concluded.as_ref().is_some_and(|known| concluded.is_known(known)) {
            return;
        }
        let reason = why(attempt, booted.tries);
        self.remember(version, &reason, now);
        self.conclude(concluded, version, Some(reason), now);
        if self.chosen_update.as_ref().is_some_and(|chosen| chosen.version == version) {
            self.chosen_update = None;
            self.chosen_update_manifest = None;
        }
    }

    fn conclude(&mut self, concluded: Concluded, version: &str, reason: Option<String>, now: Time) {
        let (version, result) = (version.to_owned(), concluded.result);
        self.last_update = Some(LastUpdate { version, result, reason, time: now });
        self.concluded = Some(concluded);
    }
}

impl Concluded {
    /// Whether this says no more than what is known. The next update is being written once nothing is known of when the
    /// last was; the failed boot is forgotten by the record of boots once another was healthy.
    fn is_known(&self, known: &Self) -> bool {
        self.result == known.result
            && (self.update.is_none() || self.update == known.update)
            && (self.boot.is_none() || self.boot == known.boot)
    }
}

fn why(attempt: Option<&Attempt>, tries: u8) -> String {
    match attempt {
        Some(Attempt { reason: Some(reason), .. }) => reason.clone(),
        Some(Attempt { stage, .. }) => {
            format!("it ended {stage}, in the last of {tries} tries, without writing down why")
        }
        None => format!(
            "it ended before user space could say why, for instance by a kernel panic or a damaged root file system, \
             in each of {tries} tries"
        ),
    }
}
