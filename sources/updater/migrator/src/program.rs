//! Migrations that are programs (update.md 8.4).

use crate::error::{ExportSnafu, FailedSnafu, LoadSnafu, ProgramError, StartSnafu};
use crate::files::{export, import};
use host::{Command, Host};
use migrations::{Direction, Leaves};
use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};
use rustix::io::Errno;
use snafu::{ResultExt, ensure};
use std::fs::File;
use std::io::Write;
use std::os::fd::AsRawFd;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::time::Duration;

/// How long one run of a program may take. The boot waits for it, and its deadline goes on.
const TIME_LIMIT: Duration = Duration::from_mins(1);

/// How much of what a failed program says is repeated, in bytes.
const STDERR_TAIL: usize = 2000;

/// Runs a program on settings. They are laid out in the folder `scratch`, which must not exist and is removed.
pub(crate) fn run(
    program: &[u8],
    direction: Direction,
    leaves: &Leaves,
    scratch: &Path,
) -> Result<Leaves, ProgramError> {
    let folder = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(scratch);
    let result = folder
        .context(ExportSnafu { path: scratch })
        .and_then(|()| run_in(program, direction, leaves, scratch));
    if let Err(e) = std::fs::remove_dir_all(scratch) {
        // It lies in memory and is gone at the next boot.
        tracing::warn!(folder = %scratch.display(), error = %e, "remove the files of a migration");
    }
    result
}

fn run_in(
    program: &[u8],
    direction: Direction,
    leaves: &Leaves,
    scratch: &Path,
) -> Result<Leaves, ProgramError> {
    let [source, target] = ["source", "target"].map(|name| scratch.join(name));
    export(&source, leaves)?;
    std::fs::create_dir(&target).context(ExportSnafu { path: &target })?;
    let memory = sealed(program).context(LoadSnafu)?;
    let mut command = Command::new([
        // The child's own name for the file: nothing can change what was checked before it runs.
        format!("/proc/self/fd/{}", memory.as_raw_fd()),
        format!("--{direction}"),
        "--source-datastore".to_owned(),
        source.display().to_string(),
        "--target-datastore".to_owned(),
        target.display().to_string(),
    ]);
    command.timeout = TIME_LIMIT;
    // The program is in memory, and its folders are named as this process sees them: no root is in between.
    let output = Host::new("/").run(&command).context(StartSnafu)?;
    let stderr = output.stderr.trim();
    tracing::debug!(stdout = %String::from_utf8_lossy(&output.stdout).trim(), stderr, "a migration ran");
    let from = stderr.ceil_char_boundary(stderr.len().saturating_sub(STDERR_TAIL));
    ensure!(output.status.success(), FailedSnafu { status: output.status, stderr: &stderr[from..] });
    import(&target)
}

/// A file in memory that nobody can change any more.
fn sealed(content: &[u8]) -> std::io::Result<File> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let memory = match memfd_create("migration", flags | MemfdFlags::EXEC) {
        // Kernels before 6.3 do not know that flag, and let everything be run.
        Err(Errno::INVAL) => memfd_create("migration", flags),
        other => other,
    };
    let mut file = File::from(memory?);
    file.write_all(content)?;
    fcntl_add_seals(&file, SealFlags::WRITE | SealFlags::GROW | SealFlags::SHRINK | SealFlags::SEAL)?;
    Ok(file)
}
