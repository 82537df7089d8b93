//! Changes of a disk, in an order that a power cut cannot harm.

use crate::table::PRIMARY_HEADER;
use crate::{BOOT_CODE_LEN, Disk, Health, Reading, Table};
use snafu::{ResultExt, Snafu};
use std::fmt;
use std::io;

/// What is to be written, in order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Plan {
    /// The steps; none if the disk is as it should be.
    pub steps: Vec<Step>,
}

/// One thing to do.
#[derive(Clone, PartialEq, Eq)]
pub enum Step {
    /// Writes bytes.
    Write {
        /// What they are.
        structure: Structure,
        /// Where they go.
        offset: u64,
        /// The bytes.
        bytes: Vec<u8>,
    },
    /// Waits until all that was written would outlive a power cut.
    Sync,
}

/// A part of a table on the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Structure {
    ProtectiveMbr,
    PrimaryHeader,
    PrimaryEntries,
    BackupHeader,
    BackupEntries,
}

/// A plan that was not performed to its end.
#[derive(Debug, Snafu)]
#[allow(missing_docs)]
pub enum ExecuteError {
    #[snafu(display("write the {structure} of the partition table at byte {offset}"))]
    Write { structure: Structure, offset: u64, source: io::Error },
    #[snafu(display("make what was written of the partition table durable"))]
    Sync { source: io::Error },
}

impl Plan {
    /// Makes the table of a disk that has none. Nothing protects what was there before.
    pub fn create(table: &Table, boot_code: &[u8; BOOT_CODE_LEN]) -> Self {
        let bytes = table.protective_mbr(boot_code).to_vec();
        let mbr = Step::Write { structure: Structure::ProtectiveMbr, offset: 0, bytes };
        let steps = [mbr].into_iter().chain(backup(table)).chain(primary(table));
        Self { steps: steps.collect() }
    }

    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// Performs the steps in order and stops at the first that fails.
    pub fn execute(&self, disk: &mut impl Disk) -> Result<(), ExecuteError> {
        for step in &self.steps {
            match step {
                Step::Write { structure, offset, bytes } => disk
                    .write_at(*offset, bytes)
                    .context(WriteSnafu { structure: *structure, offset: *offset })?,
                Step::Sync => disk.sync().context(SyncSnafu)?,
            }
        }
        Ok(())
    }
}

impl Reading {
    /// Replaces the table by a changed one, in both copies. A copy that already says so is not written.
    ///
    /// The primary is made whole first if it is not: otherwise the backup would be the only good copy while it is
    /// being written. Then the backup changes while the primary is whole, then the primary while the backup is.
    pub fn plan(&self, table: &Table) -> Plan {
        let changed = *table != self.table;
        let mut steps = Vec::new();
        if self.primary != Health::Good {
            steps.extend(primary(&self.table));
        }
        if changed || self.backup != Health::Good {
            steps.extend(backup(table));
        }
        if changed {
            steps.extend(primary(table));
        }
        Plan { steps }
    }

    /// Makes both copies whole and equal. If the disk has grown, the backup moves to its end, and the usable part
    /// of the disk grows with it.
    pub fn heal(&self) -> Plan {
        self.plan(&self.table.grown_to(self.sectors))
    }
}

fn primary(table: &Table) -> [Step; 3] {
    let array = table.array();
    let header = table.header(PRIMARY_HEADER, table.last, table.primary_entries, &array);
    let at = |sector| sector * table.sector_size.bytes();
    [
        Step::Write { structure: Structure::PrimaryEntries, offset: at(table.primary_entries), bytes: array },
        Step::Write { structure: Structure::PrimaryHeader, offset: at(PRIMARY_HEADER), bytes: header },
        Step::Sync,
    ]
}

fn backup(table: &Table) -> [Step; 3] {
    let array = table.array();
    let header = table.header(table.last, PRIMARY_HEADER, table.backup_entries(), &array);
    let at = |sector| sector * table.sector_size.bytes();
    [
        Step::Write { structure: Structure::BackupEntries, offset: at(table.backup_entries()), bytes: array },
        Step::Write { structure: Structure::BackupHeader, offset: at(table.last), bytes: header },
        Step::Sync,
    ]
}

impl fmt::Display for Structure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ProtectiveMbr => "protective master boot record",
            Self::PrimaryHeader => "primary header",
            Self::PrimaryEntries => "primary entries",
            Self::BackupHeader => "backup header",
            Self::BackupEntries => "backup entries",
        })
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Write { structure, offset, bytes } => {
                write!(f, "write the {structure}: {} bytes at {offset}", bytes.len())
            }
            Self::Sync => f.write_str("sync"),
        }
    }
}

impl fmt::Debug for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.steps.iter().try_for_each(|step| writeln!(f, "{step}"))
    }
}
