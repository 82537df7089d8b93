//! `./make vm`: an image in a machine, in the foreground.

use super::check::check;
use super::console::{STAGES, says_configured, trouble};
use super::machine::{
    DiskSnafu, FailedUnitsSnafu, InterruptedSnafu, LateSnafu, QuietSnafu, ReadSnafu, ShowSnafu, TroubleSnafu,
    api_answers,
};
use super::update::{client_program, update};
use super::{
    Accelerator, Firmware, Machine, NET_TOML, Record, Seen, Spec, VmError, failed_units, find_image,
};
use snafu::{ResultExt, ensure};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};

/// How long the guest may take to power itself off before it is switched off.
const POWER_DOWN_LIMIT: Duration = Duration::from_secs(90);
/// How often somebody who waits looks for what no line of the console announces.
const LOOK_AGAIN: Duration = Duration::from_millis(500);
/// How many lines of the console a failure shows.
const SHOWN_LINES: usize = 30;

/// What to boot, and how.
#[derive(clap::Args, Clone, Debug)]
#[allow(clippy::struct_excessive_bools, reason = "flags of a command line")]
pub struct VmArgs {
    /// Disk image, plain or `.lz4`; the newest of the variant where none is given
    #[arg(long, value_name = "FILE")]
    image: Option<PathBuf>,
    /// Variant whose newest image to boot
    #[arg(long, default_value = "metal-dev", conflicts_with = "image")]
    variant: String,
    /// Where built images are
    #[arg(long, value_name = "DIR", default_value = "build/images")]
    images: PathBuf,
    /// Folder of the machine; what its host wrote there is kept as long as the image is the same
    #[arg(long, default_value = "build/vm")]
    dir: PathBuf,
    /// Boot with a BIOS instead of UEFI
    #[arg(long)]
    bios: bool,
    /// User data, given to the host on a CD-ROM
    #[arg(long, value_name = "FILE")]
    user_data: Option<PathBuf>,
    /// OVF environment, given to the host on a CD-ROM
    #[arg(long, value_name = "FILE")]
    ovf: Option<PathBuf>,
    /// Memory
    #[arg(long, value_name = "MIB", default_value_t = 2048)]
    memory: u32,
    /// Processors
    #[arg(long, value_name = "N", default_value_t = 2)]
    cpus: u32,
    /// Grow the disk (the data disk where there is one) to this size
    #[arg(long, value_name = "GIB")]
    disk_size: Option<u64>,
    /// Begin with the image again
    #[arg(long)]
    fresh: bool,
    /// Forget what the host writes when it is powered off
    #[arg(long)]
    snapshot: bool,
    /// Show the serial console on the terminal
    #[arg(long)]
    console: bool,
    /// Longest boot, in seconds
    #[arg(long, value_name = "S", default_value_t = 600)]
    timeout: u64,
    /// Longest silence of the console during the boot, in seconds
    #[arg(long, value_name = "S", default_value_t = 300)]
    silence: u64,
    /// Boot, set a setting, reboot, read it again, power off, and tell whether all of it worked
    #[arg(long)]
    check: bool,
    /// Boot, take an update from this repository, boot into it, show it, power off
    #[arg(long, value_name = "REPOSITORY", conflicts_with_all = ["check", "snapshot"])]
    update: Option<PathBuf>,
}

/// How long a boot may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// As a whole.
    pub(crate) boot: Duration,
    /// Without a word on the console.
    pub(crate) silence: Duration,
}

/// Boots an image in a machine and keeps it running until it is interrupted, or checks it.
pub fn vm(args: &VmArgs, out: &mut impl Write) -> Result<ExitCode, Box<dyn std::error::Error>> {
    let spec = args.spec()?;
    show(out, format_args!("{} in {}", spec.image.display(), spec.dir.display()))?;
    let echo: Box<dyn Write + Send> =
        if args.console { Box::new(std::io::stdout()) } else { Box::new(std::io::sink()) };
    let mut machine = Machine::start_with(&spec, echo)?;
    interrupt_on_signals(machine.record().clone())?;
    let speed = match spec.accelerator {
        Accelerator::Emulation => "emulated, which is slow: KVM is not there or does not work",
        Accelerator::Kvm => "with KVM",
    };
    say(&machine, "power on", speed, out)?;
    let limits =
        Limits { boot: Duration::from_secs(args.timeout), silence: Duration::from_secs(args.silence) };
    let ran = if args.check {
        check(&mut machine, limits, out)
    } else if let Some(repository) = &args.update {
        update(&mut machine, repository, limits, out)
    } else {
        follow(&machine, 0, limits, out).and_then(|()| stay(&machine, out))
    };
    match ran {
        Ok(()) => Ok(ExitCode::SUCCESS),
        Err(VmError::Interrupted { .. }) => {
            power_off(&mut machine, out)?;
            Ok(if args.check || args.update.is_some() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
        }
        Err(error) => {
            let log = machine.files().console_log();
            writeln!(out, "\nthe last lines of the console ({}):", log.display())?;
            writeln!(out, "{}\n", machine.tail(SHOWN_LINES))?;
            Err(error.into())
        }
    }
}

impl VmArgs {
    fn spec(&self) -> Result<Spec, VmError> {
        let latest = || self.images.join(format!("x86_64-{}", self.variant)).join("latest");
        let image = self.image.clone().map_or_else(|| find_image(&latest()).context(DiskSnafu), Ok)?;
        let read = |path: &Option<PathBuf>| {
            path.as_ref().map(|path| std::fs::read(path).context(ReadSnafu { path })).transpose()
        };
        Ok(Spec {
            firmware: if self.bios { Firmware::Bios } else { Firmware::Uefi },
            accelerator: super::choose_accelerator(),
            memory_mib: self.memory,
            cpus: self.cpus,
            user_data: read(&self.user_data)?,
            ovf: read(&self.ovf)?,
            net_toml: self.update.is_some().then(|| NET_TOML.to_owned()),
            disk_gib: self.disk_size,
            is_fresh: self.fresh || self.update.is_some(),
            is_snapshot: self.snapshot,
            ..Spec::new(&self.dir, image)
        })
    }
}

/// Tells each stage of a boot whose console begins at line `place`, until the host is configured and its API answers.
pub(crate) fn follow(
    machine: &Machine,
    place: usize,
    limits: Limits,
    out: &mut impl Write,
) -> Result<(), VmError> {
    let done = AtomicBool::new(false);
    let answered = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| ask_api(machine, &done, &answered));
        let followed = Boot::new(machine, place).follow(limits, &answered, out);
        done.store(true, Ordering::Relaxed);
        followed
    })
}

/// Asks the API until it answers, or nobody wants to know any more.
fn ask_api(machine: &Machine, done: &AtomicBool, answered: &AtomicBool) {
    let is_over = |seen: &Seen| seen.ended.is_some() || done.load(Ordering::Relaxed);
    while !machine.record().look(is_over) {
        let is_open = machine.record().wait(LOOK_AGAIN, |seen| seen.is_port_open.then_some(())).is_some();
        if is_open && api_answers(&machine.files().api()) {
            answered.store(true, Ordering::Relaxed);
            return machine.record().note(|_| ());
        }
        // Whoever listens too early would ask again at once.
        machine.record().wait(LOOK_AGAIN, |seen| is_over(seen).then_some(()));
    }
}

/// A boot that is being watched.
struct Boot<'a> {
    machine: &'a Machine,
    /// The next line to look at.
    place: usize,
    begun: Duration,
    reached: Vec<&'static str>,
    is_configured: bool,
}

impl<'a> Boot<'a> {
    fn new(machine: &'a Machine, place: usize) -> Self {
        let begun = machine.record().now();
        Self { machine, place, begun, reached: Vec::new(), is_configured: false }
    }

    fn follow(&mut self, limits: Limits, answered: &AtomicBool, out: &mut impl Write) -> Result<(), VmError> {
        const WHAT: &str = "the host to be configured";
        let mut api_told = false;
        loop {
            let lines = self.machine.record().look(|seen| seen.console.lines()[self.place..].to_vec());
            self.place += lines.len();
            for line in &lines {
                self.look_at(line.at, &line.text, out)?;
            }
            if !api_told && answered.load(Ordering::Relaxed) {
                api_told = true;
                say(self.machine, "API answers", "", out)?;
            }
            if self.is_configured && api_told {
                return Ok(());
            }
            let (now, last) =
                self.machine.record().look(|seen| (self.machine.record().now(), seen.last_word));
            let taken = now.saturating_sub(self.begun);
            ensure!(taken < limits.boot, LateSnafu { what: WHAT, limit: limits.boot });
            let silence = now.saturating_sub(last.max(self.begun));
            ensure!(silence < limits.silence, QuietSnafu { what: WHAT, limit: limits.silence });
            let more = self.machine.wait_until(WHAT, LOOK_AGAIN, |seen| {
                let is_news = seen.console.lines().len() > self.place
                    || (!api_told && answered.load(Ordering::Relaxed));
                is_news.then_some(())
            });
            match more {
                Err(VmError::Late { .. }) | Ok(()) => {}
                Err(error) => return Err(error),
            }
        }
    }

    fn look_at(&mut self, at: Duration, text: &str, out: &mut impl Write) -> Result<(), VmError> {
        if let Some(said) = trouble(text) {
            return TroubleSnafu { said }.fail();
        }
        if says_configured(text) && !self.is_configured {
            self.is_configured = true;
            self.reached.push("configured");
            say_at(at, "configured", "", out)?;
        }
        for stage in STAGES {
            if stage.is_reached_by(text) && !self.reached.contains(&stage.name) {
                self.reached.push(stage.name);
                say_at(at, stage.name, "", out)?;
            }
        }
        Ok(())
    }
}

/// Fails when the console says since line `place` that units have failed.
pub(crate) fn ensure_no_failed_units(machine: &Machine, place: usize) -> Result<(), VmError> {
    let units: Vec<String> = machine
        .record()
        .look(|seen| failed_units(&seen.console.lines()[place..]).into_iter().map(str::to_owned).collect());
    ensure!(units.is_empty(), FailedUnitsSnafu { units });
    Ok(())
}

/// Tells what the user can do, and waits until the machine ends or the user wants it to.
fn stay(machine: &Machine, out: &mut impl Write) -> Result<(), VmError> {
    let files = machine.files();
    let units = machine.record().look(|seen| failed_units(seen.console.lines()).join(", "));
    if !units.is_empty() {
        show(out, format_args!("\nUnits have failed: {units}"))?;
    }
    let call =
        format!("{} --socket-path {}", shell_path(&client_program()), shell_path(&short(&files.api())));
    show(out, format_args!("\nThe host is configured. In another terminal, try:"))?;
    for words in ["get settings.motd", "set motd='Hello from outside'", "history"] {
        show(out, format_args!("  {call} {words}"))?;
    }
    let log = short(&files.console_log());
    show(out, format_args!("\nIts console: tail -f {}", shell_path(&log)))?;
    show(out, format_args!("Ctrl-C powers it off; what it wrote stays for the next start."))?;
    let mut resets = machine.record().look(|seen| seen.resets);
    loop {
        let event = machine.record().wait(Duration::MAX, |seen| {
            (seen.is_interrupted || seen.ended.is_some() || seen.resets > resets)
                .then(|| (seen.is_interrupted, seen.shutdown.clone(), seen.ended.is_some(), seen.resets))
        });
        match event {
            Some((_, reason, true, _)) => {
                return say(machine, "off", &reason.unwrap_or_default(), out);
            }
            Some((true, ..)) => return InterruptedSnafu { what: "the machine to end" }.fail(),
            Some((.., now)) => {
                resets = now;
                say(machine, "reset", "the machine starts again", out)?;
            }
            None => {}
        }
    }
}

/// Lets the guest power itself off; switches it off when it does not, or the user has no patience.
fn power_off(machine: &mut Machine, out: &mut impl Write) -> Result<(), VmError> {
    say(machine, "powering off", "Ctrl-C again cuts the power", out)?;
    machine.record().note(|seen| seen.is_interrupted = false);
    machine.press_power_button()?;
    let is_off = machine.record().wait(POWER_DOWN_LIMIT, |seen| match seen.ended {
        Some(_) => Some(true),
        None => seen.is_interrupted.then_some(false),
    });
    match is_off {
        Some(true) => say(machine, "off", "", out),
        // It comes with the end of the machine's value.
        Some(false) => say(machine, "power cut", "", out),
        None => say(machine, "power cut", "the guest did not power itself off", out),
    }
}

/// Notes SIGINT and SIGTERM in the record, from a thread of its own.
fn interrupt_on_signals(record: Record) -> std::io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut signals = runtime.block_on(async {
        std::io::Result::Ok((signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?))
    })?;
    std::thread::spawn(move || {
        runtime.block_on(async {
            loop {
                tokio::select! {
                    _ = signals.0.recv() => {}
                    _ = signals.1.recv() => {}
                }
                record.note(|seen| seen.is_interrupted = true);
            }
        });
    });
    Ok(())
}

/// Tells that something happened now.
pub(crate) fn say(machine: &Machine, what: &str, more: &str, out: &mut impl Write) -> Result<(), VmError> {
    say_at(machine.record().now(), what, more, out)
}

fn say_at(at: Duration, what: &str, more: &str, out: &mut impl Write) -> Result<(), VmError> {
    let line = format!("{:7.1} s  {what:<14}  {more}", at.as_secs_f64());
    show(out, format_args!("{}", line.trim_end()))
}

pub(crate) fn show(out: &mut impl Write, line: std::fmt::Arguments<'_>) -> Result<(), VmError> {
    writeln!(out, "{line}").and_then(|()| out.flush()).context(ShowSnafu)
}

/// A path from the current folder, where it is below it.
fn short(path: &Path) -> PathBuf {
    let current = std::env::current_dir().and_then(|folder| folder.canonicalize()).unwrap_or_default();
    path.strip_prefix(current).unwrap_or(path).to_owned()
}

/// A path as a shell takes it.
fn shell_path(path: &Path) -> String {
    shell_words::quote(&path.to_string_lossy()).into_owned()
}
