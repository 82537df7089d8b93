//! `./make host`: a booted host in the foreground.

use crate::{CrashReport, Lab, LabError, StepResult};
use host::COMMAND_LOG;
use std::error::Error;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use tokio::signal::unix::{SignalKind, signal};

/// User data for those who bring none.
const SAMPLE: &[u8] = include_bytes!("../user-data.toml");

/// What to run.
#[derive(clap::Args, Clone, Debug)]
pub struct HostArgs {
    /// Directory of the host; what it holds from an earlier start is kept
    #[arg(long)]
    pub dir: PathBuf,
    /// Variant of the host
    #[arg(long)]
    pub variant: String,
    /// User data for the first boot; a small sample where none is given
    #[arg(long, value_name = "FILE")]
    pub user_data: Option<PathBuf>,
    /// Where the built programs are
    #[arg(long, value_name = "DIR")]
    pub programs: PathBuf,
    /// End once the host is configured
    #[arg(long)]
    pub check: bool,
}

/// Lays out a host, boots it, and keeps its server running until it is interrupted.
pub fn host(args: &HostArgs, out: &mut impl Write) -> Result<ExitCode, Box<dyn Error>> {
    let user_data = match &args.user_data {
        Some(path) => {
            std::fs::read(path).map_err(|source| LabError::UserData { path: path.clone(), source })?
        }
        None => SAMPLE.to_vec(),
    };
    let lab = Lab::prepare(&args.dir, &args.programs, &args.variant)?;
    lab.give_user_data(&user_data)?;
    writeln!(out, "{} in {}", args.variant, lab.host.root().display())?;
    let mut failed = Vec::new();
    let mut lines = Ok(());
    let running = lab.boot(|result| {
        if !result.succeeded() {
            failed.push(result.step.program);
        }
        lines = std::mem::replace(&mut lines, Ok(())).and_then(|()| show(result, out));
    })?;
    lines?;
    let commands = lab.host.read(COMMAND_LOG)?.unwrap_or_default();
    let recorded = String::from_utf8_lossy(&commands).lines().count();
    writeln!(
        out,
        "\nA host in a directory runs no units: {recorded} commands to services are recorded in\n  {}",
        lab.host.path(COMMAND_LOG).display()
    )?;
    if failed.is_empty() {
        writeln!(out, "configured")?;
    } else {
        writeln!(out, "configured, except for: {}", failed.join(", "))?;
    }
    if !args.check {
        try_these(&lab, out)?;
        wait_for_interrupt()?;
        writeln!(out, "stopping")?;
    }
    drop(running);
    Ok(if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Writes what a run of kills found.
pub fn show_crashes(report: CrashReport, out: &mut impl Write) -> std::io::Result<()> {
    let CrashReport { kills, answered, kept, dropped } = report;
    writeln!(
        out,
        "{kills} kills during commits: 0 torn, 0 lost, 0 unreadable ({answered} had been answered; of the others \
         {kept} were kept whole and {dropped} dropped whole)"
    )
}

fn show(result: &StepResult, out: &mut impl Write) -> std::io::Result<()> {
    let mark = if result.succeeded() { "ok" } else { "FAILED" };
    let ms = result.took.as_secs_f64() * 1e3;
    writeln!(out, "{mark:>6}  {:<18} {:<26} {ms:7.1} ms", result.step.program, result.step.about)
}

fn try_these(lab: &Lab, out: &mut impl Write) -> std::io::Result<()> {
    let client = lab.host.path("/usr/bin/apiclient");
    let client = shell_path(&client);
    writeln!(out, "\nThe API server listens on {}. In another terminal, try:", lab.socket().display())?;
    let socket = shell_path(&lab.socket());
    for arguments in ["get settings.motd", "set motd='Hello again'", "history"] {
        writeln!(out, "  {client} -s {socket} {arguments}")?;
    }
    writeln!(out, "Ctrl-C ends the host; its settings stay for the next start.")
}

/// A path as a shell takes it.
fn shell_path(path: &Path) -> String {
    shell_words::quote(&path.to_string_lossy()).into_owned()
}

fn wait_for_interrupt() -> std::io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        Ok(())
    })
}
