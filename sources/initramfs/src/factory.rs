//! `/etc`, made anew at every boot from what the image holds.

use snafu::{ResultExt, Snafu};
use std::fs::{self, DirEntry, Metadata};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, lchown, symlink};
use std::path::{Path, PathBuf};

/// Why the files could not be copied.
#[derive(Debug, Snafu)]
#[allow(missing_docs)]
pub enum Error {
    #[snafu(display("list {}", path.display()))]
    List { path: PathBuf, source: std::io::Error },

    #[snafu(display("read {}", path.display()))]
    Read { path: PathBuf, source: std::io::Error },

    #[snafu(display("make {}", path.display()))]
    Make { path: PathBuf, source: std::io::Error },

    #[snafu(display("{} is neither a file, a folder nor a link", path.display()))]
    Kind { path: PathBuf },
}

/// Copies what is in the folder `source` into the folder `target`: files, folders and links with their modes and
/// owners.
pub fn copy(source: &Path, target: &Path) -> Result<(), Error> {
    for entry in fs::read_dir(source).context(ListSnafu { path: source })? {
        let entry = entry.context(ListSnafu { path: source })?;
        copy_entry(&entry, &target.join(entry.file_name()))?;
    }
    Ok(())
}

fn copy_entry(entry: &DirEntry, target: &Path) -> Result<(), Error> {
    let source = entry.path();
    let metadata = entry.metadata().context(ReadSnafu { path: &source })?;
    if metadata.is_dir() {
        fs::create_dir(target).context(MakeSnafu { path: target })?;
        copy(&source, target)?;
        own(target, &metadata)
    } else if metadata.is_file() {
        fs::copy(&source, target).context(MakeSnafu { path: target })?;
        own(target, &metadata)
    } else if metadata.is_symlink() {
        let destination = fs::read_link(&source).context(ReadSnafu { path: &source })?;
        symlink(destination, target).context(MakeSnafu { path: target })?;
        lchown(target, Some(metadata.uid()), Some(metadata.gid())).context(MakeSnafu { path: target })
    } else {
        KindSnafu { path: source }.fail()
    }
}

/// Owner, then mode: a change of owner clears the set-user and set-group bits.
fn own(target: &Path, metadata: &Metadata) -> Result<(), Error> {
    chown(target, Some(metadata.uid()), Some(metadata.gid()))
        .and_then(|()| fs::set_permissions(target, fs::Permissions::from_mode(metadata.mode())))
        .context(MakeSnafu { path: target })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixListener;

    fn mode(path: &Path) -> u32 {
        fs::symlink_metadata(path).unwrap().mode() & 0o7777
    }

    fn set_mode(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn files_folders_links_and_modes_arrive() {
        let (source, target) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (from, to) = (source.path(), target.path());
        fs::create_dir_all(from.join("systemd/network")).unwrap();
        set_mode(&from.join("systemd"), 0o750);
        fs::write(from.join("systemd/network/10.network"), "[Match]\n").unwrap();
        fs::write(from.join("shadow"), "root:*\n").unwrap();
        set_mode(&from.join("shadow"), 0o600);
        fs::write(from.join("read-only"), "").unwrap();
        set_mode(&from.join("read-only"), 0o444);
        symlink("../run/resolv.conf", from.join("resolv.conf")).unwrap();

        copy(from, to).expect("a tree that can be copied");

        assert_eq!(fs::read_to_string(to.join("systemd/network/10.network")).unwrap(), "[Match]\n");
        assert_eq!(fs::read_to_string(to.join("shadow")).unwrap(), "root:*\n");
        assert_eq!(fs::read_link(to.join("resolv.conf")).unwrap(), Path::new("../run/resolv.conf"));
        for (name, expected) in [("systemd", 0o750), ("shadow", 0o600), ("read-only", 0o444)] {
            assert_eq!(mode(&to.join(name)), expected, "{name}");
        }
    }

    #[test]
    fn failures_name_the_file() {
        let (source, target) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let missing = source.path().join("missing");
        let error = copy(&missing, target.path()).expect_err("no source");
        assert_eq!(error.to_string(), format!("list {}", missing.display()));

        let socket = source.path().join("socket");
        let _listener = UnixListener::bind(&socket).unwrap();
        let error = copy(source.path(), target.path()).expect_err("a socket");
        assert_eq!(error.to_string(), format!("{} is neither a file, a folder nor a link", socket.display()));
    }
}
