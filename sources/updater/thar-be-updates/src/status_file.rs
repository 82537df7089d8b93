//! The status on the disk.

use crate::error::{Error, ReadStatusSnafu, WriteStatusSnafu};
use host::Host;
use snafu::ResultExt;
use update_status::{STATUS_FILE, Status};

/// Where a document goes that cannot be understood.
const DAMAGED_FILE: &str = "/var/lib/bottlerocket/updates/status.json.damaged";
/// It holds nothing secret; only root gets into its folder.
const MODE: u32 = 0o644;

/// Reads the status. Without a file it is empty; one that cannot be understood is set aside, since what matters most of
/// it is on the disk as well.
pub fn load(host: &Host) -> Result<Status, Error> {
    let Some(text) = host.read(STATUS_FILE).context(ReadStatusSnafu)? else { return Ok(Status::default()) };
    match serde_json::from_slice(&text) {
        Ok(status) => Ok(status),
        Err(error) => {
            tracing::warn!(%error, aside = DAMAGED_FILE, "the status of updates is damaged; starting with an empty one");
            host.replace(DAMAGED_FILE, &text, MODE).context(WriteStatusSnafu)?;
            Ok(Status::default())
        }
    }
}

/// Writes the status so that it is there after a power cut, or the one before it.
pub(crate) fn save(host: &Host, status: &Status) -> Result<(), Error> {
    let mut text = serde_json::to_vec_pretty(status).expect("the status is JSON");
    text.push(b'\n');
    host.replace(STATUS_FILE, &text, MODE).context(WriteStatusSnafu).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use update_status::State;

    #[test]
    fn a_status_is_there_again_and_a_damaged_one_is_set_aside() {
        let root = tempfile::tempdir().unwrap();
        let host = Host::new(root.path());
        assert_eq!(load(&host).unwrap(), Status::default());
        let status = Status { update_state: State::Available, ..Status::default() };
        save(&host, &status).unwrap();
        assert_eq!(load(&host).unwrap(), status);
        host.replace(STATUS_FILE, b"{\"update_state\":", MODE).unwrap();
        assert_eq!(load(&host).unwrap(), Status::default());
        assert_eq!(host.read(DAMAGED_FILE).unwrap().unwrap(), b"{\"update_state\":");
    }

    #[test]
    fn the_lock_is_the_one_that_everybody_takes() {
        assert_eq!(update_status::LOCK_FILE, signpost::LOCK);
    }
}
