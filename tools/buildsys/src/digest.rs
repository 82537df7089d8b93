//! Hashes of files, computed once.

use lookaside::{DigestError, sha256_of_file, sha512_of_file};
use serde::{Deserialize, Serialize};
use snafu::{ResultExt, Snafu, ensure};
use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Why a file could not be hashed, or is not what it should be.
#[derive(Debug, Snafu)]
#[allow(missing_docs)]
pub enum Error {
    #[snafu(display("read {}", path.display()))]
    Read { path: PathBuf, source: std::io::Error },
    #[snafu(transparent)]
    Hash { source: DigestError },
    #[snafu(display("write the cache of hashes {}", path.display()))]
    WriteCache { path: PathBuf, source: std::io::Error },
    #[snafu(display(
        "{} is not the file that was asked for: its {algorithm} should be {wanted} and is {got}; remove it and run \
         './make fetch'",
        path.display()
    ))]
    Mismatch { path: PathBuf, algorithm: Algorithm, wanted: String, got: String },
}

/// How a file is hashed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Algorithm {
    /// SHA-256.
    Sha256,
    /// SHA-512.
    Sha512,
}

impl std::fmt::Display for Algorithm {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::Sha256 => "sha256",
            Self::Sha512 => "sha512",
        })
    }
}

/// Hashes of files that were hashed before, for as long as a file looks untouched: same place, inode, size and
/// time of change to the nanosecond. (Not the time of change of the inode: linking a file changes that.) Content
/// decides what is built; the cache only saves reading it again.
#[derive(Debug, Default)]
pub struct Digests {
    old: BTreeMap<String, Entry>,
    used: BTreeMap<String, Entry>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Entry {
    look: (u64, u64, i64, i64),
    hash: String,
}

impl Digests {
    /// Reads a cache; one that is not there or not understood is an empty one.
    pub fn load(path: &Path) -> Self {
        let text = std::fs::read(path).unwrap_or_default();
        Self { old: serde_json::from_slice(&text).unwrap_or_default(), used: BTreeMap::new() }
    }

    /// Writes what was used since [`Digests::load`], if anything was hashed anew.
    pub fn save(&self, path: &Path) -> Result<(), Error> {
        if self.used == self.old {
            return Ok(());
        }
        let text = serde_json::to_vec(&self.used).expect("texts and numbers are JSON");
        std::fs::write(path, text).context(WriteCacheSnafu { path })
    }

    /// The hash of a file, in lower-case hex digits.
    pub fn hash(&mut self, algorithm: Algorithm, path: &Path) -> Result<String, Error> {
        let metadata = path.metadata().context(ReadSnafu { path })?;
        let look = (metadata.ino(), metadata.size(), metadata.mtime(), metadata.mtime_nsec());
        let name = format!("{algorithm} {}", path.display());
        let known = self.used.get(&name).or_else(|| self.old.get(&name));
        let entry = match known.filter(|entry| entry.look == look) {
            Some(entry) => entry.clone(),
            None => Entry { look, hash: hash_file(algorithm, path)? },
        };
        let hash = entry.hash.clone();
        self.used.insert(name, entry);
        Ok(hash)
    }

    /// Refuses a file that does not have the hash.
    pub fn check(&mut self, algorithm: Algorithm, path: &Path, wanted: &str) -> Result<(), Error> {
        let got = self.hash(algorithm, path)?;
        ensure!(got == wanted, MismatchSnafu { path, algorithm, wanted, got });
        Ok(())
    }
}

fn hash_file(algorithm: Algorithm, path: &Path) -> Result<String, DigestError> {
    match algorithm {
        Algorithm::Sha256 => sha256_of_file(path),
        Algorithm::Sha512 => sha512_of_file(path),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;

    #[test]
    fn hashes_are_those_of_the_standard() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("abc");
        std::fs::write(&file, "abc").unwrap();
        let mut digests = Digests::default();
        // FIPS 180-2, appendices B.1 and C.1.
        let sha256 = digests.hash(Algorithm::Sha256, &file).unwrap();
        assert_eq!(sha256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        let sha512 = digests.hash(Algorithm::Sha512, &file).unwrap();
        assert!(sha512.starts_with("ddaf35a193617abacc417349ae204131") && sha512.len() == 128, "{sha512}");
    }

    #[test]
    fn a_changed_file_is_hashed_again_and_an_unchanged_one_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let (file, cache) = (folder.path().join("a"), folder.path().join("cache"));
        std::fs::write(&file, "one").unwrap();
        let mut digests = Digests::load(&cache);
        let one = digests.hash(Algorithm::Sha256, &file).unwrap();
        digests.save(&cache).unwrap();

        // A cache that lies shows that it is asked.
        let text = std::fs::read_to_string(&cache).unwrap().replace(&one, "from the cache");
        std::fs::write(&cache, text).unwrap();
        let mut digests = Digests::load(&cache);
        assert_eq!(digests.hash(Algorithm::Sha256, &file).unwrap(), "from the cache");

        std::fs::hard_link(&file, folder.path().join("link")).unwrap();
        assert_eq!(digests.hash(Algorithm::Sha256, &file).unwrap(), "from the cache", "a link is no change");

        let before = file.metadata().unwrap().modified().unwrap();
        for (text, time) in [("longer", before), ("six..!", before + std::time::Duration::from_nanos(1))] {
            std::fs::write(&file, text).unwrap();
            File::open(&file).unwrap().set_modified(time).unwrap();
            let new = digests.hash(Algorithm::Sha256, &file).unwrap();
            assert_eq!(new, hash_file(Algorithm::Sha256, &file).unwrap(), "{text}");
        }
    }

    #[test]
    fn a_mismatch_names_file_and_both_hashes() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.deb");
        std::fs::write(&file, "abc").unwrap();
        let why = Digests::default().check(Algorithm::Sha256, &file, "00ff").unwrap_err().to_string();
        for part in ["a.deb is not the file", "should be 00ff and is ba7816bf", "./make fetch"] {
            assert!(why.contains(part), "{why}");
        }
    }
}
