//! Laying out what an image holds.

use crate::Lab;
use defaults::{Catalog, VARIANT_FILE};
use host::{FileError, Host};
use include_dir::{Dir, File, include_dir};
use snafu::{ResultExt, Snafu, ensure};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

/// The programs of a host, each with the command names that are links to it.
pub const PROGRAMS: [(&str, &[&str]); 4] =
    [("apiserver", &[]), ("apiclient", &[]), ("bootstrap", bootstrap::LINKS), ("updater", updater::LINKS)];

/// Longest path of a Unix socket (`sun_path` in unix(7), less its final NUL).
const LONGEST_SOCKET: usize = 107;

static TEMPLATES: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../../sources/templates");

/// A directory that could not be made a host.
#[derive(Debug, Snafu)]
#[snafu(visibility(pub(crate)))]
#[allow(missing_docs)]
pub enum LabError {
    #[snafu(display("choose the variant"))]
    Variant { source: defaults::CatalogError },
    #[snafu(display("find the program {}; build it first", path.display()))]
    NoProgram { path: PathBuf },
    #[snafu(display("make {}", path.display()))]
    Make { path: PathBuf, source: std::io::Error },
    #[snafu(display("write the image"))]
    Write { source: FileError },
    #[snafu(display("{} is not empty and not a host; choose another directory", path.display()))]
    NotAHost { path: PathBuf },
    #[snafu(display("read the user data {}", path.display()))]
    UserData { path: PathBuf, source: std::io::Error },
    #[snafu(display(
        "the socket {} would have a path of {} bytes; at most {LONGEST_SOCKET} are possible, so choose a shorter \
         directory",
        path.display(),
        path.as_os_str().len()
    ))]
    LongPath { path: PathBuf },
}

impl Lab {
    /// Lays out a host of a variant in `dir`; what the host itself wrote there before is kept. A folder that holds
    /// something else is left alone: a boot clears `/etc` and `/run` of its host.
    pub fn prepare(dir: &Path, programs: &Path, variant: &str) -> Result<Self, LabError> {
        let variant = Catalog::embedded().variant(variant).context(VariantSnafu)?;
        ensure!(is_ours(dir).context(MakeSnafu { path: dir })?, NotAHostSnafu { path: dir });
        std::fs::create_dir_all(dir).context(MakeSnafu { path: dir })?;
        let dir = dir.canonicalize().context(MakeSnafu { path: dir })?;
        let programs = programs.canonicalize().context(MakeSnafu { path: programs })?;
        let lab = Self { host: Host::new(dir), programs };
        let socket = lab.socket();
        ensure!(socket.as_os_str().len() <= LONGEST_SOCKET, LongPathSnafu { path: socket });
        let write = |path: &str, content: &[u8]| lab.host.replace(path, content, 0o644).context(WriteSnafu);
        write(VARIANT_FILE, variant.to_toml().as_bytes())?;
        lab.link_programs()?;
        write("/usr/lib/os-release", os_release(&variant.name).as_bytes())?;
        for file in files(&TEMPLATES) {
            write(&format!("/usr/share/templates/{}", file.path().display()), file.contents())?;
        }
        Ok(lab)
    }

    /// Gives the host user data to read at its first boot.
    pub fn give_user_data(&self, text: &[u8]) -> Result<(), LabError> {
        self.host.replace("/var/lib/bottlerocket/user-data.toml", text, 0o600).map(drop).context(WriteSnafu)
    }

    /// The API socket.
    pub fn socket(&self) -> PathBuf {
        self.host.path(wire::routes::SOCKET)
    }

    fn link_programs(&self) -> Result<(), LabError> {
        let bin = self.host.path("/usr/bin");
        std::fs::create_dir_all(&bin).context(MakeSnafu { path: &bin })?;
        for (program, links) in PROGRAMS {
            let target = self.programs.join(program);
            ensure!(target.is_file(), NoProgramSnafu { path: target });
            link(&target, &bin.join(program))?;
            for name in links {
                link(Path::new(program), &bin.join(name))?;
            }
        }
        Ok(())
    }
}

/// Whether a folder is a host of ours, or free to become one.
fn is_ours(dir: &Path) -> std::io::Result<bool> {
    match std::fs::read_dir(dir) {
        Ok(mut entries) => Ok(entries.next().is_none() || Host::new(dir).path(VARIANT_FILE).is_file()),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(true),
        Err(e) => Err(e),
    }
}

/// All files of a folder and of the folders in it.
fn files<'a>(folder: &'a Dir<'a>) -> Vec<&'a File<'a>> {
    folder.files().chain(folder.dirs().flat_map(files)).collect()
}

fn link(target: &Path, path: &Path) -> Result<(), LabError> {
    if std::fs::read_link(path).is_ok_and(|old| old == target) {
        return Ok(());
    }
    match std::fs::remove_file(path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(e).context(MakeSnafu { path }),
        _ => symlink(target, path).context(MakeSnafu { path }),
    }
}

fn os_release(variant: &str) -> String {
    let version = env!("CARGO_PKG_VERSION");
    format!(
        "NAME=Visco\nID=visco\nPRETTY_NAME=\"Visco {version} ({variant}) in a directory\"\nVARIANT_ID={variant}\n\
         VERSION_ID={version}\nBUILD_ID=directory\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_is_no_host_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("etc")).unwrap();
        std::fs::write(dir.path().join("etc/precious"), "mine").unwrap();
        let error = Lab::prepare(dir.path(), dir.path(), "metal-dev").unwrap_err();
        assert!(matches!(error, LabError::NotAHost { .. }), "{error}");
        assert_eq!(std::fs::read(dir.path().join("etc/precious")).unwrap(), b"mine");
    }

    #[test]
    fn an_unknown_variant_is_told_with_the_nearest() {
        let dir = tempfile::tempdir().unwrap();
        let error = Lab::prepare(dir.path(), dir.path(), "metal-dve").unwrap_err();
        assert!(host::program::chain(&error).contains("metal-dev"), "{error}");
    }
}
