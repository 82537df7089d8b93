//! Reading and replacing files.

use crate::Host;
use rustix::fs::{Mode, OFlags};
use snafu::{ResultExt, Snafu};
use std::fs::File;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// A file operation that did not happen.
#[derive(Debug, Snafu)]
#[snafu(visibility(pub(crate)))]
#[allow(missing_docs)]
pub enum FileError {
    #[snafu(display("read {}", path.display()))]
    Read { path: PathBuf, source: std::io::Error },
    #[snafu(display("create the folder {}", path.display()))]
    CreateFolder { path: PathBuf, source: std::io::Error },
    #[snafu(display("write {}", path.display()))]
    Write { path: PathBuf, source: std::io::Error },
    #[snafu(display("append to {}", path.display()))]
    Append { path: PathBuf, source: std::io::Error },
    #[snafu(display("remove {}", path.display()))]
    Remove { path: PathBuf, source: std::io::Error },
}

/// What [`Host::replace`] found to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replaced {
    /// The file already had this content and mode.
    Unchanged,
    /// The file was created or replaced.
    Written,
}

impl Host {
    /// Reads a file; a missing one is `None`.
    pub fn read(&self, path: impl AsRef<Path>) -> Result<Option<Vec<u8>>, FileError> {
        let path = self.path(path);
        match std::fs::read(&path) {
            Ok(content) => Ok(Some(content)),
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
            Err(source) => Err(FileError::Read { path, source }),
        }
    }

    /// Replaces a file as one step: readers see the old content or the new, whole, with its mode from the first
    /// byte, and so does the disk after a power cut. Creates missing folders.
    pub fn replace(&self, path: impl AsRef<Path>, content: &[u8], mode: u32) -> Result<Replaced, FileError> {
        let path = self.path(path);
        if already(&path, content, mode) {
            return Ok(Replaced::Unchanged);
        }
        let folder = path.parent().unwrap_or(Path::new("/"));
        std::fs::create_dir_all(folder).context(CreateFolderSnafu { path: folder })?;
        write_beside(&path, folder, content, mode).context(WriteSnafu { path: &path })?;
        Ok(Replaced::Written)
    }

    /// Whether a file already has this content and mode.
    pub fn holds(&self, path: impl AsRef<Path>, content: &[u8], mode: u32) -> bool {
        already(&self.path(path), content, mode)
    }

    /// Writes to a file through which the kernel is told something, as those below `/proc/sys` are: in place and in
    /// one write. On the machine the kernel makes such a file; in a directory it is made, as a record.
    pub fn tell_kernel(&self, path: impl AsRef<Path>, text: &str) -> Result<(), FileError> {
        let path = self.path(path);
        let mut options = std::fs::OpenOptions::new();
        options.write(true);
        if !self.is_machine() {
            let folder = path.parent().unwrap_or(Path::new("/"));
            std::fs::create_dir_all(folder).context(CreateFolderSnafu { path: folder })?;
            options.create(true).truncate(true);
        }
        options
            .open(&path)
            .and_then(|mut file| file.write_all(text.as_bytes()))
            .context(WriteSnafu { path: &path })
    }

    /// Makes a folder and those above it, and gives it exactly this mode.
    pub fn make_folder(&self, path: impl AsRef<Path>, mode: u32) -> Result<(), FileError> {
        use std::os::unix::fs::PermissionsExt;
        let path = self.path(path);
        std::fs::create_dir_all(&path)
            .and_then(|()| std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)))
            .context(CreateFolderSnafu { path: &path })
    }

    /// Removes a file, if there is one.
    pub fn remove(&self, path: impl AsRef<Path>) -> Result<(), FileError> {
        let path = self.path(path);
        match std::fs::remove_file(&path) {
            Err(source) if source.kind() != ErrorKind::NotFound => Err(FileError::Remove { path, source }),
            _ => Ok(()),
        }
    }

    /// Appends one line to a file, creating it and its folders.
    pub fn append_line(&self, path: impl AsRef<Path>, line: &str) -> Result<(), FileError> {
        let path = self.path(path);
        let folder = path.parent().unwrap_or(Path::new("/"));
        std::fs::create_dir_all(folder).context(CreateFolderSnafu { path: folder })?;
        let open = std::fs::OpenOptions::new().create(true).append(true).open(&path);
        open.and_then(|mut file| file.write_all(format!("{line}\n").as_bytes()))
            .context(AppendSnafu { path: &path })
    }
}

fn already(path: &Path, content: &[u8], mode: u32) -> bool {
    use std::os::unix::fs::PermissionsExt;
    let same_mode = std::fs::symlink_metadata(path).is_ok_and(|m| {
        m.is_file() && m.len() == content.len() as u64 && m.permissions().mode() & 0o7777 == mode
    });
    same_mode && std::fs::read(path).is_ok_and(|old| old == content)
}

fn write_beside(path: &Path, folder: &Path, content: &[u8], mode: u32) -> std::io::Result<()> {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let name = path.file_name().ok_or(ErrorKind::InvalidInput)?.to_string_lossy();
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let temporary = folder.join(format!(".{name}.{}.{count}", std::process::id()));
    let written = fill(&temporary, content, mode).and_then(|()| std::fs::rename(&temporary, path));
    if written.is_err() {
        // The temporary is of no use to anybody; that it could not be removed changes nothing.
        drop(std::fs::remove_file(&temporary));
    }
    written?;
    File::open(folder)?.sync_all()
}

fn fill(temporary: &Path, content: &[u8], mode: u32) -> std::io::Result<()> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
    let mut file = File::from(rustix::fs::open(temporary, flags, Mode::from_raw_mode(0o600))?);
    // Against the umask: the mode is exactly what was asked for.
    rustix::fs::fchmod(&file, Mode::from_raw_mode(mode))?;
    file.write_all(content)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_file_is_replaced_whole_with_its_mode() {
        let dir = tempfile::tempdir().unwrap();
        let host = Host::new(dir.path());
        assert_eq!(host.read("/etc/motd").unwrap(), None);
        assert_eq!(host.replace("/etc/motd", b"one\n", 0o600).unwrap(), Replaced::Written);
        assert_eq!(host.replace("/etc/motd", b"one\n", 0o600).unwrap(), Replaced::Unchanged);
        assert_eq!(host.replace("/etc/motd", b"one\n", 0o644).unwrap(), Replaced::Written);
        let path = dir.path().join("etc/motd");
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o644);
        assert_eq!(host.read("/etc/motd").unwrap().unwrap(), b"one\n");
        assert_eq!(std::fs::read_dir(dir.path().join("etc")).unwrap().count(), 1, "no temporary is left");
    }

    #[test]
    fn a_failed_replacement_names_the_path_and_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("etc/motd")).unwrap();
        let host = Host::new(dir.path());
        let error = host.replace("/etc/motd", b"x", 0o644).unwrap_err();
        assert!(error.to_string().ends_with("/etc/motd"), "{error}");
        assert_eq!(std::fs::read_dir(dir.path().join("etc")).unwrap().count(), 1);
    }

    #[test]
    fn what_the_kernel_is_told_is_recorded_in_a_directory() {
        let dir = tempfile::tempdir().unwrap();
        let host = Host::new(dir.path());
        for text in ["more than", "less"] {
            host.tell_kernel("/proc/sys/vm/x", text).unwrap();
        }
        assert_eq!(host.read("/proc/sys/vm/x").unwrap().unwrap(), b"less");
        // On the machine nothing is made.
        let path = dir.path().join("proc/sys/vm/y");
        assert!(Host::new("/").tell_kernel(&path, "1").is_err());
        assert!(!path.exists());
    }

    #[test]
    fn folders_get_their_mode_and_files_go() {
        let dir = tempfile::tempdir().unwrap();
        let host = Host::new(dir.path());
        host.make_folder("/local/a", 0o755).unwrap();
        host.make_folder("/local/a", 0o700).unwrap();
        let mode = std::fs::metadata(dir.path().join("local/a")).unwrap().permissions().mode();
        assert_eq!(mode & 0o7777, 0o700);
        host.replace("/local/a/b", b"", 0o600).unwrap();
        host.remove("/local/a/b").unwrap();
        host.remove("/local/a/b").unwrap();
        assert!(host.remove("/local/a").is_err());
    }
}
