//! Makes the folder of the datastore. The server fills it: defaults are read from the image at every start.

use host::{FileError, Host, OS_RELEASE};
use snafu::{OptionExt, ResultExt, Snafu};
use std::error::Error;
use std::hash::{BuildHasher, Hasher};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, symlink};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

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
    #[snafu(display("'{version}' is not a semantic version; one is like 1.2.3 or 1.2.3-rc.1"))]
    BadVersion { version: String, source: semver::Error },
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
    let release = host.os_release().context(ReadVersionSnafu)?.context(NoVersionSnafu)?;
    release.field("VERSION_ID").map(str::to_owned).context(NoVersionSnafu)
}

/// Makes a store, `v<version>_<random>`, and the link `current` to it. The version is a full one: 1.2.3-rc.1 is
/// another than 1.2.3. What a run that was cut short left is kept and completed, since `current` comes last: a store
/// that is not reached through it was never used. Stores that were reached through links `vX`, `vX.Y` and `vX.Y.Z`
/// still are; the migrator replaces those with the one link when it has something to do.
fn make_store(base: &Path, version: &str) -> Result<(), StoreFolderError> {
    let version = version.strip_prefix('v').unwrap_or(version);
    let parsed = semver::Version::parse(version).context(BadVersionSnafu { version })?;
    create_folder(base, 0o755)?;
    let store = store_folder(base, &format!("v{parsed}"))?;
    replace_link(&base.join("current"), Path::new(&store))
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

    #[test]
    fn a_run_that_was_cut_short_anywhere_is_completed() {
        let dir = tempfile::tempdir().unwrap();
        let base = dir.path().join("datastore");
        let link = || std::fs::read_link(base.join("current")).unwrap().display().to_string();
        make_store(&base, "1.2.3").unwrap();
        let store = link();
        assert!(is_store(&store, "v1.2.3"), "{store}");
        std::fs::write(base.join("current/settings.db"), "x").unwrap();
        // Before the link was there, and in the middle of its making.
        for left in [None, Some(".current.new")] {
            std::fs::remove_file(base.join("current")).unwrap();
            if let Some(name) = left {
                std::fs::write(base.join(name), "left over").unwrap();
            }
            make_store(&base, "1.2.3").unwrap();
            assert_eq!(link(), store, "{left:?}");
        }
        assert_eq!(std::fs::read(base.join("current/settings.db")).unwrap(), b"x");
        assert_eq!(std::fs::read_dir(&base).unwrap().count(), 2, "nothing else is left");
        // Before the folder was there, too.
        std::fs::remove_dir_all(&base).unwrap();
        make_store(&base, "1.2.3").unwrap();
        assert!(is_store(&link(), "v1.2.3"));
    }

    #[test]
    fn a_store_that_is_reached_through_more_links_stays() {
        let dir = tempfile::tempdir().unwrap();
        let host = Host::new(dir.path());
        let base = host.path("/d");
        std::fs::create_dir_all(base.join("v1.2.3_0123456789abcdef")).unwrap();
        for (name, target) in
            [("current", "v1"), ("v1", "v1.2"), ("v1.2", "v1.2.3"), ("v1.2.3", "v1.2.3_0123456789abcdef")]
        {
            symlink(target, base.join(name)).unwrap();
        }
        let args = Args {
            data_store_base_path: "/d".into(),
            inventory_file_symlink_path: None,
            inventory_file_path: PathBuf::new(),
            version: Some("2.0.0".into()),
        };
        run(&args, &host).unwrap();
        assert_eq!(std::fs::read_dir(&base).unwrap().count(), 5, "nothing was made");
    }

    #[test]
    fn what_is_not_a_version_makes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let base = dir.path().join("datastore");
        for version in ["", "1", "1.2", "1.2.x", "1.2.3.4", "../1.2.3", "1..3", "1.2.3-", "1.2.3-a/b"] {
            assert!(make_store(&base, version).is_err(), "{version:?}");
            assert!(!base.exists(), "{version:?}");
        }
        make_store(&base, "v1.2.3-rc.1+build").unwrap();
        let store = std::fs::read_link(base.join("current")).unwrap().display().to_string();
        assert!(is_store(&store, "v1.2.3-rc.1+build"), "{store}");
    }
}
