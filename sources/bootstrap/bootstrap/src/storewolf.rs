//! Makes the folder of the datastore. The server fills it: defaults are read from the image at every start.

use host::{FileError, Host};
use snafu::{OptionExt, ResultExt, Snafu, ensure};
use std::error::Error;
use std::hash::{BuildHasher, Hasher};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, symlink};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Where the version of the image stands.
const OS_RELEASE: &str = "/usr/lib/os-release";
/// Length of the random end of a store's name.
const RANDOM_LENGTH: usize = 16;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Folder of all datastores
    #[arg(long, value_name = "DIR", default_value = "/var/lib/bottlerocket/datastore")]
    data_store_base_path: PathBuf,

    /// Where a link to the list of installed packages is to be
    #[arg(long, value_name = "FILE")]
    inventory_file_symlink_path: Option<PathBuf>,

    /// The list of installed packages
    #[arg(long, value_name = "FILE", default_value = "/usr/share/bottlerocket/application-inventory.json")]
    inventory_file_path: PathBuf,

    /// Version of a new datastore; that of the image when absent
    #[arg(long, value_name = "X.Y.Z")]
    version: Option<String>,
}

/// A datastore folder that could not be made.
#[derive(Debug, Snafu)]
enum StoreFolderError {
    #[snafu(display("read the version of the image"))]
    ReadVersion { source: FileError },
    #[snafu(display("{OS_RELEASE} has no VERSION_ID; give --version"))]
    NoVersion,
    #[snafu(display("'{version}' is not a version; one is three numbers, like 1.2.3"))]
    BadVersion { version: String },
    #[snafu(display("create {}", path.display()))]
    Create { path: PathBuf, source: std::io::Error },
    #[snafu(display("list {}", path.display()))]
    List { path: PathBuf, source: std::io::Error },
    #[snafu(display("link {} to {}", path.display(), target.display()))]
    Link { path: PathBuf, target: PathBuf, source: std::io::Error },
}

pub(crate) fn run(args: &Args, host: &Host) -> Result<ExitCode, Box<dyn Error>> {
    let base = host.path(&args.data_store_base_path);
    if !base.join("current").is_dir() {
        let version = match &args.version {
            Some(version) => version.clone(),
            None => image_version(host)?,
        };
        make_store(&base, &version)?;
        tracing::info!(version, "made the folder of the datastore");
    }
    if let Some(link) = &args.inventory_file_symlink_path {
        let link = host.path(link);
        create_folder(link.parent().unwrap_or(Path::new("/")), 0o755)?;
        replace_link(&link, &args.inventory_file_path)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn image_version(host: &Host) -> Result<String, StoreFolderError> {
    let text = host.read(OS_RELEASE).context(ReadVersionSnafu)?.context(NoVersionSnafu)?;
    let text = String::from_utf8_lossy(&text);
    let line = text.lines().find_map(|line| line.trim().strip_prefix("VERSION_ID="));
    line.map(|value| value.trim_matches(['"', '\'']).to_owned()).context(NoVersionSnafu)
}

/// Makes a store and the links to it, from the store up to `current`:
/// `current`, `vX`, `vX.Y`, `vX.Y.Z`, and the folder `vX.Y.Z_RANDOM`. What a run that was cut short left is kept and
/// completed, since `current` comes last: a store that is not reached through it was never used.
fn make_store(base: &Path, version: &str) -> Result<(), StoreFolderError> {
    let version = version.strip_prefix('v').unwrap_or(version);
    let parts: Vec<&str> = version.split(['-', '+']).next().unwrap_or_default().split('.').collect();
    let number = |part: &&str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    ensure!(parts.len() == 3 && parts.iter().all(number), BadVersionSnafu { version });
    let exact = format!("v{}", parts.join("."));
    create_folder(base, 0o755)?;
    let links = [
        (exact.clone(), None),
        (format!("v{}.{}", parts[0], parts[1]), Some(exact.clone())),
        (format!("v{}", parts[0]), Some(format!("v{}.{}", parts[0], parts[1]))),
        ("current".to_owned(), Some(format!("v{}", parts[0]))),
    ];
    for (name, target) in links {
        let link = base.join(name);
        if link.is_dir() {
            continue;
        }
        let target = match target {
            Some(target) => target,
            None => store_folder(base, &exact)?,
        };
        replace_link(&link, Path::new(&target))?;
    }
    Ok(())
}

/// The name of the store of a version: the one that is there, else a new one.
fn store_folder(base: &Path, exact: &str) -> Result<String, StoreFolderError> {
    let entries = std::fs::read_dir(base).context(ListSnafu { path: base })?;
    let mut names: Vec<String> = Vec::new();
    for entry in entries {
        let entry = entry.context(ListSnafu { path: base })?;
        names.extend(entry.file_name().into_string().ok().filter(|name| is_store(name, exact)));
    }
    if let Some(name) = names.into_iter().min() {
        return Ok(name);
    }
    let name = format!("{exact}_{}", random_name());
    create_folder(&base.join(&name), 0o700)?;
    Ok(name)
}

fn is_store(name: &str, exact: &str) -> bool {
    let random = name.strip_prefix(exact).and_then(|rest| rest.strip_prefix('_'));
    random.is_some_and(|r| r.len() == RANDOM_LENGTH && r.bytes().all(|byte| byte.is_ascii_alphanumeric()))
}

fn random_name() -> String {
    // The name only has to differ from those of other stores of this host, of which there are a few.
    let random = std::collections::hash_map::RandomState::new().build_hasher().finish();
    format!("{random:0RANDOM_LENGTH$x}")
}

fn create_folder(path: &Path, mode: u32) -> Result<(), StoreFolderError> {
    let created = std::fs::DirBuilder::new().recursive(true).mode(mode).create(path);
    created.and_then(|()| sync_folder_of(path)).context(CreateSnafu { path })
}

/// Makes or replaces a link as one step.
fn replace_link(path: &Path, target: &Path) -> Result<(), StoreFolderError> {
    if std::fs::read_link(path).is_ok_and(|old| old == target) {
        return Ok(());
    }
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let temporary = path.with_file_name(format!(".{name}.new"));
    let place = || {
        match std::fs::remove_file(&temporary) {
            Err(e) if e.kind() != ErrorKind::NotFound => return Err(e),
            _ => symlink(target, &temporary)?,
        }
        std::fs::rename(&temporary, path)?;
        sync_folder_of(path)
    };
    place().context(LinkSnafu { path, target })
}

fn sync_folder_of(path: &Path) -> std::io::Result<()> {
    std::fs::File::open(path.parent().unwrap_or(Path::new("/")))?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chain(base: &Path) -> Vec<(String, String)> {
        let link = |name: &str| std::fs::read_link(base.join(name)).unwrap().display().to_string();
        ["current", "v1", "v1.2", "v1.2.3"].map(|name| (name.to_owned(), link(name))).to_vec()
    }

    #[test]
    fn a_run_that_was_cut_short_anywhere_is_completed() {
        let dir = tempfile::tempdir().unwrap();
        let base = dir.path().join("datastore");
        make_store(&base, "1.2.3").unwrap();
        let whole = chain(&base);
        assert_eq!(whole[..3].iter().map(|(_, t)| t.as_str()).collect::<Vec<_>>(), ["v1", "v1.2", "v1.2.3"]);
        assert!(is_store(&whole[3].1, "v1.2.3"), "{whole:?}");
        std::fs::write(base.join("current/settings.db"), "x").unwrap();
        // Links come into being from the last to the first.
        for missing in 1..=4 {
            for (name, _) in &whole[..missing] {
                std::fs::remove_file(base.join(name)).unwrap();
            }
            std::fs::write(base.join(".current.new"), "left over").unwrap();
            make_store(&base, "1.2.3").unwrap();
            assert_eq!(chain(&base), whole, "after {missing} links were missing");
        }
        for (name, _) in &whole {
            std::fs::remove_file(base.join(name)).unwrap();
            make_store(&base, "1.2.3").unwrap();
            assert_eq!(chain(&base), whole, "after {name} was missing");
        }
        assert_eq!(std::fs::read(base.join("current/settings.db")).unwrap(), b"x");
        assert_eq!(std::fs::read_dir(&base).unwrap().count(), 5, "nothing else is left");
    }

    #[test]
    fn what_is_not_a_version_makes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let base = dir.path().join("datastore");
        for version in ["", "1", "1.2", "1.2.x", "1.2.3.4", "../1.2.3", "1..3"] {
            assert!(make_store(&base, version).is_err(), "{version:?}");
            assert!(!base.exists(), "{version:?}");
        }
        make_store(&base, "v1.2.3-rc1+build").unwrap();
        assert!(base.join("v1.2.3").is_dir());
    }
}
