//! What the boots since the last healthy one came to: written at every boot, read after a fallback to say why.

use crate::{BootState, Command, SetName};
use host::{FileError, Host};
use serde::{Deserialize, Serialize};
use snafu::{ResultExt, Snafu};
use std::fmt;

/// Where the record is, on the partition that outlives updates.
pub const ATTEMPT: &str = "/var/lib/bottlerocket/updates/boot-attempt.json";

/// How many failed boots are remembered: all tries of a set, and as many of what came before.
const REMEMBERED: usize = 8;
/// How many boots in a row may fail before a set that was good once stays up as it is.
const MOST_IN_A_ROW: u32 = 3;

/// How far a boot came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stage {
    /// systemd runs and the partition that holds the record is mounted.
    Started,
    /// The datastore has the form of the running version.
    Migrated,
    /// The settings are applied.
    Configured,
    /// All checks passed; the set is marked.
    Healthy,
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Started => "started",
            Self::Migrated => "migrated",
            Self::Configured => "configured",
            Self::Healthy => "healthy",
        })
    }
}

/// One boot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// Version of the image that booted.
    pub version: String,
    /// Variant of the image that booted.
    pub variant: String,
    /// The set that booted.
    pub set: SetName,
    /// How many tries the set had left once this one was paid.
    #[serde(default)]
    pub tries_left: u8,
    /// Whether the set had proved itself in an earlier boot.
    #[serde(default)]
    pub proven: bool,
    /// When, by the clock of that moment (RFC 3339).
    pub begun: String,
    /// The kernel's name for the boot, by which a record of an earlier one is told from this one's.
    #[serde(default)]
    pub boot_id: String,
    /// How far it came.
    pub stage: Stage,
    /// Why it came no further, where somebody lived to say so: a panic, a hang and a power cut say nothing.
    #[serde(default)]
    pub reason: Option<String>,
    /// Whether the other set got its turn because of it.
    #[serde(default)]
    pub switched: bool,
}

/// The boot that runs, and those before it that failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// The boot that runs.
    #[serde(flatten)]
    pub current: Attempt,
    /// How many boots failed in a row just before this one.
    #[serde(default)]
    pub failures: u32,
    /// Boots that did not become healthy, newest first; older ones than the last healthy boot too.
    #[serde(default)]
    pub failed: Vec<Attempt>,
}

/// What is to be done about a boot that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remedy {
    /// Restart; the boot loader counts the tries of a new set and goes back by itself.
    Restart,
    /// Make the other set the next to boot, then restart.
    SwitchSets,
    /// Neither set gets anywhere: stay as it is, for somebody to look.
    StayUp,
}

/// A record that cannot be kept.
#[derive(Debug, Snafu)]
#[allow(missing_docs)]
pub enum RecordError {
    #[snafu(display("read the record of boots"))]
    ReadRecord { source: FileError },
    #[snafu(display("understand the record of boots {ATTEMPT}"))]
    ParseRecord { source: serde_json::Error },
    #[snafu(display("write the record of boots"))]
    WriteRecord { source: FileError },
}

impl Record {
    /// A boot begins, after what is known of the one before.
    pub fn begin(current: Attempt, before: Option<Self>) -> Self {
        let Some(before) = before else { return Self { current, failures: 0, failed: Vec::new() } };
        let mut failed = before.failed;
        let mut failures = 0;
        if before.current.stage != Stage::Healthy {
            failures = before.failures.saturating_add(1);
            failed.insert(0, before.current);
            failed.truncate(REMEMBERED);
        }
        Self { current, failures, failed }
    }

    /// The boot has come further; it never goes back.
    pub fn reach(&mut self, stage: Stage) {
        self.current.stage = self.current.stage.max(stage);
    }

    /// The first reason is the one that counts: others follow from it.
    pub fn because(&mut self, reason: &str) {
        self.current.reason.get_or_insert_with(|| reason.to_owned());
    }

    /// What is to be done when something that every boot needs has failed. A set that has not proved itself restarts:
    /// its tries are counted. One that has is never given up by the boot loader, so this counts: the other set gets its
    /// turn if it was good once, and after a few boots in a row the host stays as it is.
    pub fn remedy(&self, state: &BootState) -> Remedy {
        if !state.is_proven() {
            return Remedy::Restart;
        }
        if self.failures + 1 >= MOST_IN_A_ROW {
            return Remedy::StayUp;
        }
        let in_a_row = self.failed.iter().take(self.failures as usize);
        let other_failed = in_a_row.map(|attempt| attempt.set).any(|set| set != self.current.set);
        let other_was_good = state.apply(Command::RollbackToInactive).is_ok();
        if other_was_good && !other_failed { Remedy::SwitchSets } else { Remedy::Restart }
    }

    /// The record of the host; none before the first boot.
    pub fn load(host: &Host) -> Result<Option<Self>, RecordError> {
        let Some(content) = host.read(ATTEMPT).context(ReadRecordSnafu)? else { return Ok(None) };
        serde_json::from_slice(&content).map(Some).context(ParseRecordSnafu)
    }

    /// Writes the record; it is on the disk when this returns.
    pub fn store(&self, host: &Host) -> Result<(), RecordError> {
        let mut text = serde_json::to_string_pretty(self).expect("a record is plain data");
        text.push('\n');
        host.replace(ATTEMPT, text.as_bytes(), 0o644).context(WriteRecordSnafu)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use partitions::Attributes;

    fn attempt(set: SetName, stage: Stage) -> Attempt {
        let (version, variant, begun) = ("1.2.3".into(), "metal-dev".into(), "2026-11-21T11:00:00Z".into());
        let boot_id = String::new();
        Attempt {
            version,
            variant,
            set,
            tries_left: 2,
            proven: false,
            begun,
            boot_id,
            stage,
            reason: None,
            switched: false,
        }
    }

    #[test]
    fn failed_boots_are_remembered_until_there_are_too_many() {
        let mut record = Record::begin(attempt(SetName::A, Stage::Started), None);
        assert_eq!((record.failures, record.failed.len()), (0, 0));
        record.reach(Stage::Healthy);
        record.reach(Stage::Configured);
        assert_eq!(record.current.stage, Stage::Healthy);
        record = Record::begin(attempt(SetName::B, Stage::Started), Some(record));
        assert_eq!((record.failures, record.failed.len()), (0, 0), "a healthy boot is no failure");
        record.because("the first");
        record.because("the second");
        for failures in 1..20 {
            record = Record::begin(attempt(SetName::B, Stage::Migrated), Some(record));
            assert_eq!(record.failures, failures);
            assert_eq!(record.failed.len(), 8.min(failures as usize));
        }
        assert_eq!(record.failed[0].reason, None, "a power cut says nothing");
        let after = Record::begin(
            attempt(SetName::B, Stage::Started),
            Some(Record {
                current: Attempt { reason: Some("the first".into()), ..attempt(SetName::B, Stage::Started) },
                ..record
            }),
        );
        assert_eq!(after.failed[0].reason.as_deref(), Some("the first"));
    }

    #[test]
    fn a_record_is_kept_on_the_host_as_others_read_it() {
        let dir = tempfile::tempdir().unwrap();
        let host = Host::new(dir.path());
        assert_eq!(Record::load(&host).unwrap(), None);
        let first = Record::begin(attempt(SetName::B, Stage::Started), None);
        let mut record = Record::begin(attempt(SetName::A, Stage::Migrated), Some(first));
        record.because("no \"reason\"");
        record.store(&host).unwrap();
        assert_eq!(Record::load(&host).unwrap().as_ref(), Some(&record));
        let json: serde_json::Value = serde_json::from_slice(&host.read(ATTEMPT).unwrap().unwrap()).unwrap();
        for (key, value) in
            [("set", "A"), ("stage", "migrated"), ("version", "1.2.3"), ("reason", "no \"reason\"")]
        {
            assert_eq!(json[key], value);
        }
        assert_eq!(json["failed"][0]["set"], "B");
        host.replace(ATTEMPT, b"{", 0o644).unwrap();
        assert!(Record::load(&host).is_err());
        // What an early version wrote, without the counts.
        let least = br#"{"version":"1","variant":"v","set":"A","begun":"x","stage":"healthy","reason":null}"#;
        host.replace(ATTEMPT, least, 0o644).unwrap();
        assert_eq!(Record::load(&host).unwrap().unwrap().failures, 0);
    }

    #[test]
    fn a_proven_set_neither_gives_up_at_once_nor_restarts_for_ever() {
        const GOOD: Attributes = Attributes::NONE.with_priority(1).with_successful(true);
        const NEW: Attributes = Attributes::NONE.with_priority(2).with_tries_left(1);
        use SetName::{A, B};
        for (what, running, other, failed, expected) in [
            ("a new set", NEW, GOOD, &[][..], Remedy::Restart),
            ("a new set, its last try", NEW, GOOD, &[A, A], Remedy::Restart),
            ("a good set, the other was never good", GOOD, NEW, &[], Remedy::Restart),
            ("a good set, the other was good", GOOD, GOOD, &[], Remedy::SwitchSets),
            ("both were good, the other has just failed", GOOD, GOOD, &[B], Remedy::Restart),
            ("both were good, this one has just failed", GOOD, GOOD, &[A], Remedy::SwitchSets),
            ("both failed", GOOD, GOOD, &[B, A], Remedy::StayUp),
            ("a good set fails the third time", GOOD, NEW, &[A, A], Remedy::StayUp),
            ("and ever after", GOOD, GOOD, &[A, A, A, A], Remedy::StayUp),
        ] {
            let record = Record {
                current: attempt(A, Stage::Started),
                failures: u32::try_from(failed.len()).unwrap(),
                // An older failure, before the last healthy boot, counts no more.
                failed: failed.iter().chain(&[B]).map(|set| attempt(*set, Stage::Started)).collect(),
            };
            let state = BootState { active: A, running, other: Some(other), private: Attributes::NONE };
            assert_eq!(record.remedy(&state), expected, "{what}");
        }
    }
}
