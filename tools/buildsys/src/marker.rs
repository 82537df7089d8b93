//! What the last build made of what.

use crate::context::list;
use crate::digest::{Algorithm, Digests};
use serde::{Deserialize, Serialize};
use snafu::{ResultExt, Snafu};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Why outputs could not be kept.
#[derive(Debug, Snafu)]
#[allow(missing_docs)]
pub enum Error {
    #[snafu(display("write {}", path.display()))]
    Write { path: PathBuf, source: std::io::Error },
    #[snafu(transparent)]
    Hash { source: crate::digest::Error },
    #[snafu(transparent)]
    List { source: crate::context::Error },
}

/// The record of a build: its key, and the hash of every file that it made, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Marker {
    /// The key of its context.
    pub key: String,
    /// The value by which it was forced.
    #[serde(default)]
    pub force: Option<String>,
    /// SHA-256 of its outputs.
    pub outputs: BTreeMap<String, String>,
}

impl Marker {
    /// The record of a build whose outputs are in a folder.
    pub fn of(
        key: &str,
        force: &Option<String>,
        folder: &Path,
        digests: &mut Digests,
    ) -> Result<Self, Error> {
        let names = list(folder, &|_| true)?.into_iter();
        let outputs = names.map(|name| {
            let hash = digests.hash(Algorithm::Sha256, &folder.join(&name))?;
            Ok((name, hash))
        });
        let outputs = outputs.collect::<Result<_, Error>>()?;
        Ok(Self { key: key.to_owned(), force: force.clone(), outputs })
    }

    /// Reads a record; one that is not there or not understood is none.
    pub fn load(path: &Path) -> Option<Self> {
        serde_json::from_slice(&std::fs::read(path).ok()?).ok()
    }

    /// Writes the record. Its time is one of long ago: Cargo watches it, and would otherwise take it for a change
    /// that came during the build.
    pub fn save(&self, path: &Path) -> Result<(), Error> {
        let text = serde_json::to_vec_pretty(self).expect("texts are JSON");
        let new = path.with_extension("new");
        let write = || {
            std::fs::write(&new, text)?;
            std::fs::File::options()
                .write(true)
                .open(&new)?
                .set_modified(std::time::SystemTime::UNIX_EPOCH)?;
            std::fs::rename(&new, path)
        };
        write().context(WriteSnafu { path })
    }

    /// Whether this is the record of a build with the key, forced if one has to be by the same value, and all that it
    /// made is still there, as it was.
    pub fn holds(&self, key: &str, force: &Option<String>, folder: &Path, digests: &mut Digests) -> bool {
        let mut intact = |(name, hash): (&String, &String)| {
            digests.hash(Algorithm::Sha256, &folder.join(name)).is_ok_and(|found| found == *hash)
        };
        let wanted = self.key == key && (force.is_none() || self.force == *force);
        wanted && !self.outputs.is_empty() && self.outputs.iter().all(&mut intact)
    }
}

/// Puts the folder `new` in place of the folder `target`, with all that is in it.
pub fn swap_in(new: &Path, target: &Path) -> Result<(), Error> {
    let parent = target.parent().unwrap_or(Path::new("."));
    let swap = || {
        std::fs::create_dir_all(parent)?;
        let name = target.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let old = parent.join(format!(".old-{name}"));
        crate::context::remove(&old)?;
        if target.exists() {
            std::fs::rename(target, &old)?;
        }
        std::fs::rename(new, target)?;
        crate::context::remove(&old)
    };
    swap().context(WriteSnafu { path: target })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_holds_while_key_and_outputs_are_the_same() {
        let root = tempfile::tempdir().unwrap();
        let (out, path) = (root.path().join("out"), root.path().join("marker.json"));
        std::fs::create_dir(&out).unwrap();
        std::fs::write(out.join("a.rpm"), "a").unwrap();
        std::fs::write(out.join("b.rpm"), "b").unwrap();
        let mut digests = Digests::default();
        Marker::of("key", &Some("1".into()), &out, &mut digests).unwrap().save(&path).unwrap();
        let marker = Marker::load(&path).unwrap();
        assert_eq!(path.metadata().unwrap().modified().unwrap(), std::time::SystemTime::UNIX_EPOCH);
        assert!(marker.holds("key", &None, &out, &mut digests));
        assert!(!marker.holds("other", &None, &out, &mut digests));
        assert!(marker.holds("key", &Some("1".into()), &out, &mut digests), "forced by it already");
        assert!(!marker.holds("key", &Some("2".into()), &out, &mut digests));
        std::fs::write(out.join("b.rpm"), "changed").unwrap();
        assert!(!marker.holds("key", &None, &out, &mut digests));
        std::fs::write(out.join("b.rpm"), "b").unwrap();
        assert!(marker.holds("key", &None, &out, &mut digests));
        std::fs::remove_file(out.join("a.rpm")).unwrap();
        assert!(!marker.holds("key", &None, &out, &mut digests));
        assert!(!Marker { key: "key".into(), ..Marker::default() }.holds("key", &None, &out, &mut digests));
        std::fs::write(&path, "{").unwrap();
        assert_eq!(Marker::load(&path), None);
    }

    #[test]
    fn a_folder_takes_the_place_of_the_old_one_and_of_its_stale_files() {
        let root = tempfile::tempdir().unwrap();
        let target = root.path().join("rpms/a");
        for version in ["a-1.rpm", "a-2.rpm"] {
            let new = root.path().join("new");
            std::fs::create_dir(&new).unwrap();
            std::fs::write(new.join(version), "").unwrap();
            swap_in(&new, &target).unwrap();
            assert_eq!(list(&root.path().join("rpms"), &|_| true).unwrap(), [format!("a/{version}")]);
        }
    }
}
