//! The programs that the image builder runs, all through one door.

use host::{Command, CommandError, Host, Output};
use snafu::{ResultExt, Snafu, ensure};
use std::ffi::OsStr;
use std::fmt::Write;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::Duration;

/// Longest run of one program. A compressed root file system of 2 GiB takes about two minutes on one slow core.
const TIMEOUT: Duration = Duration::from_mins(30);

/// How much of what a failed program wrote is told.
const TAIL_LINES: usize = 10;

/// Where a program comes from, by the names of Debian.
const PACKAGES: &[(&str, &[&str])] = &[
    ("dosfstools", &["mkfs.fat"]),
    ("e2fsprogs", &["mke2fs", "debugfs", "resize2fs"]),
    ("erofs-utils", &["mkfs.erofs"]),
    ("lz4", &["lz4"]),
    ("mtools", &["mcopy", "mdir", "mmd"]),
    ("qemu-utils", &["qemu-img"]),
];

/// What ext4 file systems have. Said here, so that no file of the build machine says it; no more than GRUB 2.06
/// and every kernel since 4.4 can read.
const MKE2FS_CONF: &str = "\
[defaults]
base_features = sparse_super,large_file,filetype,resize_inode,dir_index,ext_attr
default_mntopts = acl,user_xattr
enable_periodic_fsck = 0
blocksize = 4096
inode_size = 256
inode_ratio = 16384

[fs_types]
ext4 = {
    features = has_journal,extent,huge_file,flex_bg,metadata_csum,64bit,dir_nlink,extra_isize
}
";

/// A program that did not do what it was run for.
#[derive(Debug, Snafu)]
#[allow(missing_docs)]
pub enum Error {
    #[snafu(display("write {}", path.display()))]
    WriteConfiguration { path: PathBuf, source: std::io::Error },
    #[snafu(display("{} is no UTF-8, which the names of files have to be", path.display()))]
    NotUtf8 { path: PathBuf },
    #[snafu(display("{program} is not installed; Debian has it in the package {package}"))]
    Missing { program: String, package: &'static str },
    #[snafu(display("run {line}"))]
    Run { line: String, source: CommandError },
    #[snafu(display("{line} ended with {status}, having written: {tail}"))]
    Exit { line: String, status: ExitStatus, tail: String },
}

/// Runs programs in an environment that depends on nothing but the image.
#[derive(Debug)]
pub(crate) struct Toolbox {
    host: Host,
    env: Vec<(String, String)>,
}

impl Toolbox {
    /// For programs that write `epoch` wherever they would write the time. `folder` holds what configures them.
    pub(crate) fn new(folder: &Path, epoch: u32) -> Result<Self, Error> {
        let path = folder.join("mke2fs.conf");
        std::fs::write(&path, MKE2FS_CONF).context(WriteConfigurationSnafu { path: &path })?;
        let mut search = std::env::var("PATH").unwrap_or_default();
        // Where Debian keeps most of them, but not on the search path of ordinary users.
        search.push_str(":/usr/sbin:/sbin");
        let epoch = epoch.to_string();
        let env = [
            ("PATH", search.as_str()),
            ("LC_ALL", "C.UTF-8"),
            ("TZ", "UTC"),
            ("SOURCE_DATE_EPOCH", &epoch),
            ("E2FSPROGS_FAKE_TIME", &epoch),
            ("MKE2FS_CONFIG", text(&path)?),
            // Whatever the user has in his ~/.mtoolsrc.
            ("MTOOLSRC", "/dev/null"),
        ];
        let env = env.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
        Ok(Self { host: Host::new("/"), env })
    }

    /// Runs a program that succeeds.
    pub(crate) fn run(&self, argv: &[impl AsRef<OsStr>]) -> Result<Output, Error> {
        let argv: Vec<&str> = argv.iter().map(|word| text(Path::new(word))).collect::<Result<_, _>>()?;
        let line = argv.join(" ");
        let mut command = Command::new(argv.iter().copied());
        command.env.clone_from(&self.env);
        command.timeout = TIMEOUT;
        let output = match self.host.run(&command) {
            Err(CommandError::Start { program, source }) if source.kind() == ErrorKind::NotFound => {
                let package = package_of(&program);
                return MissingSnafu { program, package }.fail();
            }
            other => other.context(RunSnafu { line: &line })?,
        };
        let Output { status, .. } = output;
        ensure!(status.success(), ExitSnafu { line, status, tail: tail(&output) });
        Ok(output)
    }
}

fn text(path: &Path) -> Result<&str, Error> {
    match path.to_str() {
        Some(text) => Ok(text),
        None => NotUtf8Snafu { path }.fail(),
    }
}

fn package_of(program: &str) -> &'static str {
    let found = PACKAGES.iter().find(|(_, programs)| programs.contains(&program));
    found.map_or("of the same name", |(package, _)| package)
}

/// The last lines of what a program said; some say what is wrong on their standard output.
fn tail(output: &Output) -> String {
    let mut said = String::from_utf8_lossy(&output.stdout).into_owned();
    let _ = write!(said, "\n{}", output.stderr);
    let lines: Vec<&str> = said.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    if lines.is_empty() {
        "nothing".into()
    } else {
        lines[lines.len().saturating_sub(TAIL_LINES)..].join("; ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn toolbox() -> (tempfile::TempDir, Toolbox) {
        let dir = tempfile::tempdir().unwrap();
        let toolbox = Toolbox::new(dir.path(), 1000).unwrap();
        (dir, toolbox)
    }

    #[test]
    fn a_failure_tells_the_command_line_how_it_ended_and_what_it_said() {
        let (_dir, toolbox) = toolbox();
        let error = toolbox.run(&["sh", "-c", "echo out; echo err >&2; exit 3"]).unwrap_err().to_string();
        assert!(error.starts_with("sh -c echo out"), "{error}");
        assert!(error.ends_with("ended with exit status: 3, having written: out; err"), "{error}");
    }

    #[test]
    fn a_missing_program_is_told_with_its_package() {
        let (_dir, mut toolbox) = toolbox();
        toolbox.host = Host::new("/nonexistent");
        let error = toolbox.run(&["mmd"]).unwrap_err().to_string();
        assert_eq!(error, "mmd is not installed; Debian has it in the package mtools");
    }

    #[test]
    fn programs_see_the_time_of_the_image() {
        let (_dir, toolbox) = toolbox();
        let output = toolbox.run(&["sh", "-c", "echo $SOURCE_DATE_EPOCH $TZ"]).unwrap();
        assert_eq!(output.stdout, b"1000 UTC\n");
    }
}
