//! Where a host keeps what this crate describes.

use crate::{Progress, Status};

/// The document. It lasts over reboots and updates.
pub const STATUS_FILE: &str = "/var/lib/bottlerocket/updates/status.json";

/// How far the command is that runs, written once a second; in memory, since nobody needs it after a reboot.
pub const PROGRESS_FILE: &str = "/run/thar-be-updates/progress.json";

/// The file that is locked while something changes the update.
pub const LOCK_FILE: &str = "/run/lock/thar-be-updates.lock";

impl Status {
    /// Takes over how far the command is, if that is about the command the document says runs.
    pub fn with_progress(&mut self, newest: Progress) {
        if let Some(progress) = &mut self.progress
            && (progress.command, progress.started) == (newest.command, newest.started)
        {
            *progress = newest;
        }
    }
}
