//! Filling the lookaside.

use crate::Tree;
use crate::apt::{Apt, AptError};
use crate::crates::{self, CratesError};
use crate::digest::{self, DigestError};
use crate::external::{self, ExternalError};
use crate::lock::{Lock, LockError, Pin, SourcePin};
use crate::stanza::Stanza;
use crate::wants::{Wants, WantsError};
use snafu::{ResultExt, Snafu, ensure};
use std::io::Write;
use std::path::{Path, PathBuf};

/// Packages asked of `apt-get` at a time: a command line has a limit, and progress is shown between.
const BATCH: usize = 60;

/// Inputs that could not be had.
#[derive(Debug, Snafu)]
#[allow(missing_docs)]
pub enum FetchError {
    #[snafu(transparent)]
    Lock { source: LockError },
    #[snafu(transparent)]
    Wants { source: WantsError },
    #[snafu(transparent)]
    Apt { source: AptError },
    #[snafu(transparent)]
    Digest { source: DigestError },
    #[snafu(transparent)]
    Crates { source: CratesError },
    #[snafu(transparent)]
    External { source: ExternalError },
    #[snafu(display("prepare {}", path.display()))]
    Prepare { path: PathBuf, source: std::io::Error },
    #[snafu(display("{} asked for and not in Debian.lock: {}: run './make update-lock'", count(names.len(), "package is", "packages are"), names.join(", ")))]
    Unpinned { names: Vec<String> },
    #[snafu(display(
        "{} pinned in Debian.lock and gone from the archive, most likely replaced by an update: {}: run \
         './make update-lock' to pin the newer ones, and look at what changed",
        count(names.len(), "package is", "packages are"), names.join(", ")
    ))]
    Gone { names: Vec<String> },
    #[snafu(display("{file} is not what Debian.lock pins: its SHA-256 should be {wanted} and is {found}"))]
    Mismatch { file: String, wanted: String, found: String },
}

fn count(n: usize, one: &str, many: &str) -> String {
    if n == 1 { format!("1 {one}") } else { format!("{n} {many}") }
}

/// Brings every input of the checkout into the lookaside, and tells about each step on `progress`.
pub fn fetch(tree: &Tree, progress: &mut dyn Write) -> Result<(), FetchError> {
    let wants = Wants::load(tree)?;
    let lock = Lock::load(&tree.lock_file())?;
    let unpinned = unpinned(&wants, &lock);
    ensure!(unpinned.is_empty(), UnpinnedSnafu { names: unpinned });
    debian(tree, &lock, progress)?;
    for file in &wants.external {
        external::fetch(tree, file, progress)?;
    }
    if wants.crates {
        crates::fetch(tree, progress)?;
    }
    Ok(())
}

fn unpinned(wants: &Wants, lock: &Lock) -> Vec<String> {
    let packages = wants.packages.iter().chain(&wants.sdk).filter(|name| lock.package(name).is_none());
    packages.chain(wants.sources.iter().filter(|name| lock.source(name).is_none())).cloned().collect()
}

fn debian(tree: &Tree, lock: &Lock, progress: &mut dyn Write) -> Result<(), FetchError> {
    let folder = tree.debian();
    std::fs::create_dir_all(&folder).context(PrepareSnafu { path: &folder })?;
    let mut packages = Vec::new();
    for pin in &lock.packages {
        if !present(&folder, &pin.file, &pin.sha256)? {
            packages.push(pin);
        }
    }
    let mut sources = Vec::new();
    for pin in &lock.sources {
        for file in &pin.files {
            if !present(&folder, &file.file, &file.sha256)? {
                sources.push(pin);
                break;
            }
        }
    }
    if packages.is_empty() && sources.is_empty() {
        return Ok(());
    }
    say(progress, "reading the lists of Debian's archives");
    let apt = Apt::open(tree)?;
    apt.update()?;
    let gone = gone(&apt, &packages, &sources)?;
    ensure!(gone.is_empty(), GoneSnafu { names: gone });
    let arriving = folder.join(".arriving");
    std::fs::create_dir_all(&arriving).context(PrepareSnafu { path: &arriving })?;
    let total = packages.len();
    for (n, batch) in packages.chunks(BATCH).enumerate() {
        let bytes: u64 = batch.iter().map(|pin| pin.size).sum();
        let (from, to) = (n * BATCH + 1, n * BATCH + batch.len());
        say(
            progress,
            &format!("fetching Debian packages {from} to {to} of {total}, {} MB", bytes / 1_000_000),
        );
        apt.download(&batch.iter().map(|pin| exact(&pin.name, &pin.version)).collect::<Vec<_>>(), &arriving)?;
        for pin in batch {
            let name = format!("{}_{}_{}.deb", pin.name, pin.version.replace(':', "%3a"), pin.architecture);
            accept(&arriving.join(name), &folder, &pin.file, &pin.sha256)?;
        }
    }
    for pin in sources {
        say(progress, &format!("fetching Debian source package {} {}", pin.name, pin.version));
        apt.download_source(&exact(&pin.name, &pin.version), &arriving)?;
        for file in &pin.files {
            accept(&arriving.join(&file.file), &folder, &file.file, &file.sha256)?;
        }
    }
    std::fs::remove_dir_all(&arriving).context(PrepareSnafu { path: arriving })
}

fn exact(name: &str, version: &str) -> String {
    format!("{name}={version}")
}

/// Whether the lookaside has a file. One that is damaged is fetched again.
fn present(folder: &Path, file: &str, sha256: &str) -> Result<bool, FetchError> {
    let path = folder.join(file);
    Ok(path.is_file() && digest::sha256_of_file(&path)? == sha256)
}

/// What the archives do not have any more, or not with the pinned bytes.
fn gone(apt: &Apt, packages: &[&Pin], sources: &[&SourcePin]) -> Result<Vec<String>, FetchError> {
    let shown = apt.show(&packages.iter().map(|pin| exact(&pin.name, &pin.version)).collect::<Vec<_>>())?;
    let holds = |stanzas: &[Stanza], name: &str, version: &str| {
        let is = |stanza: &Stanza, field: &str, value: &str| stanza.get(field).is_some_and(|v| v == value);
        stanzas.iter().any(|stanza| is(stanza, "package", name) && is(stanza, "version", version))
    };
    let shown_sources = apt.show_source(&sources.iter().map(|pin| pin.name.clone()).collect::<Vec<_>>())?;
    let has = |pin: &Pin| holds(&shown, &pin.name, &pin.version);
    let has_source = |pin: &SourcePin| holds(&shown_sources, &pin.name, &pin.version);
    let packages = packages.iter().filter(|pin| !has(pin)).map(|pin| exact(&pin.name, &pin.version));
    let sources = sources.iter().filter(|pin| !has_source(pin)).map(|pin| exact(&pin.name, &pin.version));
    Ok(packages.chain(sources).collect())
}

/// Takes a file that arrived into the lookaside, if it is the one that is pinned.
fn accept(from: &Path, folder: &Path, file: &str, wanted: &str) -> Result<(), FetchError> {
    let found = digest::sha256_of_file(from)?;
    ensure!(found == wanted, MismatchSnafu { file, wanted, found });
    let path = folder.join(file);
    std::fs::rename(from, &path).context(PrepareSnafu { path })
}

/// Progress that nobody reads is not worth failing for.
pub(crate) fn say(progress: &mut dyn Write, line: &str) {
    drop(writeln!(progress, "{line}"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_accepted_only_with_its_bytes() {
        let dir = tempfile::tempdir().unwrap();
        let from = dir.path().join("a%3a1.deb");
        std::fs::write(&from, "abc").unwrap();
        let right = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        let wrong = "0".repeat(64);
        let error = accept(&from, dir.path(), "a.deb", &wrong).unwrap_err().to_string();
        assert_eq!(
            error,
            format!("a.deb is not what Debian.lock pins: its SHA-256 should be {wrong} and is {right}")
        );
        assert!(!present(dir.path(), "a.deb", right).unwrap());
        accept(&from, dir.path(), "a.deb", right).unwrap();
        assert!(present(dir.path(), "a.deb", right).unwrap());
        std::fs::write(dir.path().join("a.deb"), "damaged").unwrap();
        assert!(!present(dir.path(), "a.deb", right).unwrap());
    }

    #[test]
    fn what_is_not_pinned_or_gone_is_named_with_the_way_out() {
        let wants = Wants { packages: ["x".to_owned()].into(), ..Wants::default() };
        let names = unpinned(&wants, &Lock::default());
        assert_eq!(
            UnpinnedSnafu { names }.build().to_string(),
            "1 package is asked for and not in Debian.lock: x: run './make update-lock'"
        );
        let gone = GoneSnafu { names: vec!["a=1".to_owned(), "b=2".to_owned()] }.build().to_string();
        assert!(
            gone.starts_with("2 packages are pinned in Debian.lock and gone") && gone.contains("a=1, b=2"),
            "{gone}"
        );
    }
}
