//! What earlier runs saw, so that a repository cannot go back.

use crate::error::{Error, OpenTrustSnafu, WriteTrustSnafu};
use host::Host;
use jiff::Timestamp;
use serde::de::DeserializeOwned;
use snafu::ResultExt;
use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use tough::schema::{Root, Signed, Snapshot};
use tracing::warn;

/// The file with the latest time at which a repository was found in order, as RFC 3339 in a JSON string.
const KNOWN_TIME: &str = "latest_known_time.json";
const TIMESTAMP: &str = "timestamp.json";
const SNAPSHOT: &str = "snapshot.json";
/// Roots that are kept at most, those of `tough`'s own limit.
const MOST_ROOTS: u64 = 1024;

/// The folder in which is kept what was seen.
pub(crate) struct Trust {
    folder: PathBuf,
    /// Files that were damaged and are out of the way now.
    pub(crate) set_aside: Vec<PathBuf>,
}

/// The roots from that of the image to the last one known.
pub(crate) struct Chain {
    /// Each root by its version, as it came.
    pub(crate) roots: BTreeMap<u64, Vec<u8>>,
    /// The last.
    pub(crate) last: Signed<Root>,
}

impl Trust {
    pub(crate) fn open(folder: &Path) -> Result<Self, Error> {
        // Absolute, since the host is the whole machine for what is written here.
        let made = std::fs::create_dir_all(folder).and_then(|()| folder.canonicalize());
        Ok(Self { folder: made.context(OpenTrustSnafu { path: folder })?, set_aside: Vec::new() })
    }

    /// Goes from the image's root over the stored ones, each signed by the one before it. A stored root that is not
    /// is damaged, and it and those above it are set aside: they are fetched again.
    pub(crate) fn chain(&mut self, image: Signed<Root>, bytes: Vec<u8>) -> Result<Chain, Error> {
        let mut roots = BTreeMap::from([(image.signed.version.get(), bytes)]);
        let mut last = image;
        for version in last.signed.version.get() + 1..last.signed.version.get() + MOST_ROOTS {
            let name = root_name(version);
            let Some(bytes) = self.read(&name)? else { break };
            let Some(next) = successor(&last, &bytes) else {
                self.put_aside(&name)?;
                break;
            };
            roots.insert(version, bytes);
            last = next;
        }
        Ok(Chain { roots, last })
    }

    /// Copies timestamp and snapshot to where `tough` looks for them.
    pub(crate) fn lay_out(&mut self, scratch: &Path) -> Result<(), Error> {
        self.lay_out_one::<tough::schema::Timestamp>(TIMESTAMP, scratch)?;
        self.lay_out_one::<Snapshot>(SNAPSHOT, scratch)
    }

    fn lay_out_one<T: DeserializeOwned>(&mut self, name: &str, scratch: &Path) -> Result<(), Error> {
        let Some(bytes) = self.read(name)? else { return Ok(()) };
        if serde_json::from_slice::<Signed<T>>(&bytes).is_err() {
            return self.put_aside(name);
        }
        std::fs::write(scratch.join(name), bytes).context(OpenTrustSnafu { path: scratch })
    }

    /// The latest time at which a repository was found in order.
    pub(crate) fn known_time(&mut self) -> Result<Option<Timestamp>, Error> {
        let Some(bytes) = self.read(KNOWN_TIME)? else { return Ok(None) };
        let known = serde_json::from_slice(&bytes).ok();
        if known.is_none() {
            self.put_aside(KNOWN_TIME)?;
        }
        Ok(known)
    }

    /// Keeps what `tough` verified, whether or not the rest of the repository was in order: a timestamp once seen must
    /// not be followed by an older one.
    pub(crate) fn keep(&self, scratch: &Path, roots: &BTreeMap<u64, Vec<u8>>) -> Result<(), Error> {
        for (version, bytes) in roots {
            self.replace(&root_name(*version), bytes)?;
        }
        for name in [TIMESTAMP, SNAPSHOT] {
            match std::fs::read(scratch.join(name)) {
                Ok(bytes) => self.replace(name, &bytes)?,
                // The keys of the role were replaced: an attacker with the old ones may have counted far ahead.
                Err(e) if e.kind() == ErrorKind::NotFound => {
                    Host::new("/").remove(self.folder.join(name)).context(WriteTrustSnafu)?;
                }
                Err(source) => return Err(Error::Prepare { source }),
            }
        }
        Ok(())
    }

    /// Keeps the time of a load at which all was in order.
    pub(crate) fn keep_time(&self, now: Timestamp) -> Result<(), Error> {
        let text = serde_json::to_vec(&now).expect("a time is a string");
        self.replace(KNOWN_TIME, &text)
    }

    fn replace(&self, name: &str, bytes: &[u8]) -> Result<(), Error> {
        Host::new("/").replace(self.folder.join(name), bytes, 0o600).map(drop).context(WriteTrustSnafu)
    }

    fn read(&self, name: &str) -> Result<Option<Vec<u8>>, Error> {
        let path = self.folder.join(name);
        match std::fs::read(&path) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
            Err(source) => Err(Error::OpenTrust { path, source }),
        }
    }

    fn put_aside(&mut self, name: &str) -> Result<(), Error> {
        let (from, to) = (self.folder.join(name), self.folder.join(format!("{name}.damaged")));
        std::fs::rename(&from, &to).context(OpenTrustSnafu { path: &from })?;
        warn!(file = %from.display(), kept = %to.display(), "a file of the trust store is damaged, and was set aside");
        self.set_aside.push(to);
        Ok(())
    }
}

/// The name of a root's file.
pub(crate) fn root_name(version: u64) -> String {
    format!("{version}.root.json")
}

/// The root in `bytes`, if it is the next after `last`: one version on, signed by the keys of both (TUF 5.3.4, 5.3.5).
pub(crate) fn successor(last: &Signed<Root>, bytes: &[u8]) -> Option<Signed<Root>> {
    let next: Signed<Root> = serde_json::from_slice(bytes).ok()?;
    let follows = next.signed.version.get() == last.signed.version.get() + 1
        && last.signed.verify_role(&next).is_ok()
        && next.signed.verify_role(&next).is_ok();
    follows.then_some(next)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_damaged_file_is_set_aside_and_said() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("trust");
        let scratch = tempfile::tempdir().unwrap();
        for name in [TIMESTAMP, SNAPSHOT, KNOWN_TIME] {
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::write(folder.join(name), "{\"signed\":").unwrap();
        }
        let mut trust = Trust::open(&folder).unwrap();
        trust.lay_out(scratch.path()).unwrap();
        assert_eq!(trust.known_time().unwrap(), None);
        assert_eq!(trust.set_aside.len(), 3);
        assert!(std::fs::read_dir(scratch.path()).unwrap().next().is_none());
        // The next time there is nothing to say.
        let mut trust = Trust::open(&folder).unwrap();
        trust.lay_out(scratch.path()).unwrap();
        assert!(trust.set_aside.is_empty());
        let now = Timestamp::now();
        trust.keep_time(now).unwrap();
        assert_eq!(trust.known_time().unwrap(), Some(now));
    }
}
