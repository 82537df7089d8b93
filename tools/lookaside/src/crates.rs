//! The crates of first-party programs, as one archive.

use crate::Tree;
use crate::digest::{self, DigestError};
use crate::fetch::say;
use host::{Command, CommandError, Host};
use snafu::{ResultExt, Snafu, ensure};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Some hundred crates over a slow line.
const LIMIT: Duration = Duration::from_hours(1);

/// Crates that could not be had.
#[derive(Debug, Snafu)]
#[allow(missing_docs)]
pub enum CratesError {
    #[snafu(transparent)]
    Digest { source: DigestError },
    #[snafu(display("prepare {}", path.display()))]
    Prepare { path: PathBuf, source: std::io::Error },
    #[snafu(display("remove {}, which no lock names any more", path.display()))]
    Remove { path: PathBuf, source: std::io::Error },
    #[snafu(display("run {program}"))]
    Run { program: String, source: CommandError },
    #[snafu(display("{program} ended with {status}:\n{stderr}"))]
    Failed { program: String, status: std::process::ExitStatus, stderr: String },
}

/// Brings every crate of `Cargo.lock` into one archive, and into Cargo's own store, unless it is there. The archive is
/// named by the digest of the lock, which names every crate by digest; its bytes are the same wherever it is made.
pub(crate) fn fetch(tree: &Tree, progress: &mut dyn Write) -> Result<(), CratesError> {
    let lock = tree.root().join("Cargo.lock");
    let folder = tree.crates();
    let archive = folder.join(format!("{}.tar", digest::sha256_of_file(&lock)?));
    if archive.is_file() {
        // The archive may come from another machine; what is linked into an image is asked of Cargo on this one.
        let manifest = tree.root().join("Cargo.toml").display().to_string();
        run(&["cargo", "fetch", "--quiet", "--locked", "--manifest-path", &manifest])?;
    } else {
        say(progress, "fetching crates");
        make(tree, &archive)?;
    }
    remove_others(&archive)
}

/// Removes the archives of earlier locks: each is as large as all crates, and `Cargo.lock` changes often.
fn remove_others(archive: &Path) -> Result<(), CratesError> {
    let folder = archive.parent().unwrap_or(Path::new("."));
    for entry in std::fs::read_dir(folder).context(PrepareSnafu { path: folder })? {
        let path = entry.context(PrepareSnafu { path: folder })?.path();
        if path != archive && path.extension().is_some_and(|extension| extension == "tar") {
            std::fs::remove_file(&path).context(RemoveSnafu { path })?;
        }
    }
    Ok(())
}

fn make(tree: &Tree, archive: &Path) -> Result<(), CratesError> {
    let folder = tree.crates();
    let arriving = folder.join(".arriving");
    if arriving.exists() {
        std::fs::remove_dir_all(&arriving).context(PrepareSnafu { path: &arriving })?;
    }
    std::fs::create_dir_all(&arriving).context(PrepareSnafu { path: &arriving })?;
    let manifest = tree.root().join("Cargo.toml").display().to_string();
    let vendor = arriving.join("vendor").display().to_string();
    run(&[
        "cargo",
        "vendor",
        "--quiet",
        "--locked",
        "--versioned-dirs",
        "--manifest-path",
        &manifest,
        &vendor,
    ])?;
    let packed = arriving.join("packed.tar").display().to_string();
    let from = arriving.display().to_string();
    run(&[
        "tar",
        "--create",
        "--file",
        &packed,
        "--directory",
        &from,
        "--sort=name",
        "--mtime=@0",
        "--owner=0",
        "--group=0",
        "--numeric-owner",
        "--mode=u=rwX,go=rX",
        "--format=gnu",
        "vendor",
    ])?;
    std::fs::rename(&packed, archive).context(PrepareSnafu { path: archive })?;
    std::fs::remove_dir_all(&arriving).context(PrepareSnafu { path: arriving })
}

fn run(argv: &[&str]) -> Result<(), CratesError> {
    let program = argv[0];
    let command = Command {
        argv: argv.iter().map(ToString::to_string).collect(),
        env: Vec::new(),
        stdin: Vec::new(),
        timeout: LIMIT,
    };
    let output = Host::new("/").run(&command).context(RunSnafu { program })?;
    ensure!(output.status.success(), FailedSnafu { program, status: output.status, stderr: output.stderr });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_archive_of_the_current_lock_stays() {
        let root = tempfile::tempdir().unwrap();
        let tree = Tree::new(root.path(), None);
        std::fs::create_dir_all(tree.crates().join(".arriving")).unwrap();
        // A workspace without a dependency, so that nothing is fetched.
        std::fs::create_dir(root.path().join("src")).unwrap();
        std::fs::write(root.path().join("src/lib.rs"), "").unwrap();
        let manifest = "package = { name = 'x', version = '1.0.0', edition = '2024' }";
        std::fs::write(root.path().join("Cargo.toml"), manifest).unwrap();
        std::fs::write(
            root.path().join("Cargo.lock"),
            "version = 4\n[[package]]\nname = 'x'\nversion = '1.0.0'\n",
        )
        .unwrap();
        let current = format!("{}.tar", digest::sha256_of_file(&root.path().join("Cargo.lock")).unwrap());
        for name in [current.as_str(), "earlier.tar", "note"] {
            std::fs::write(tree.crates().join(name), "").unwrap();
        }
        fetch(&tree, &mut Vec::new()).unwrap();
        let mut left: Vec<_> = std::fs::read_dir(tree.crates())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        left.sort();
        let mut right = [".arriving", &current, "note"];
        right.sort_unstable();
        assert_eq!(left, right);
    }
}
