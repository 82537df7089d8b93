//! A machine that runs.

use super::console::Line;
use super::disk::{self, DiskError};
use super::monitor::Monitor;
use super::plan::{Files, Firmware, Plan, Spec};
use super::record::{Record, Seen};
use super::{channel, iso};
use crate::http::{Answer, Connection};
use rustix::fs::{FlockOperation, Mode, flock};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use rustix::rand::{GetRandomFlags, getrandom};
use snafu::{OptionExt, ResultExt, Snafu, ensure};
use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// The program.
pub(crate) const QEMU: &str = "qemu-system-x86_64";

/// Where distributions put the UEFI firmware: code, and variables to begin with.
const OVMF: [(&str, &str); 4] = [
    ("/usr/share/OVMF/OVMF_CODE_4M.fd", "/usr/share/OVMF/OVMF_VARS_4M.fd"),
    ("/usr/share/OVMF/OVMF_CODE.fd", "/usr/share/OVMF/OVMF_VARS.fd"),
    ("/usr/share/edk2/x64/OVMF_CODE.4m.fd", "/usr/share/edk2/x64/OVMF_VARS.4m.fd"),
    ("/usr/share/edk2/ovmf/OVMF_CODE.fd", "/usr/share/edk2/ovmf/OVMF_VARS.fd"),
];
/// How long QEMU may take until it connects to its sockets.
const START_LIMIT: Duration = Duration::from_mins(1);
/// How long QEMU may take to die.
const KILL_LIMIT: Duration = Duration::from_secs(20);
/// How long one request to the guest may take.
const REQUEST_LIMIT: Duration = Duration::from_mins(1);
/// How long to wait before a guest that does not answer is asked again.
const ASK_AGAIN: Duration = Duration::from_millis(500);
/// Longest path of a Unix socket (`sun_path` in unix(7), less its final NUL).
const LONGEST_SOCKET: usize = 107;

/// A machine that could not be started, or did not do what was waited for.
#[derive(Debug, Snafu)]
#[snafu(visibility(pub(crate)))]
#[allow(missing_docs)]
pub enum VmError {
    #[snafu(display(
        "{QEMU} is not installed; install the packages qemu-system-x86 and ovmf (names of Debian and Ubuntu)"
    ))]
    NoQemu,
    #[snafu(display(
        "there is no UEFI firmware ({}); install the package ovmf (its name in Debian and Ubuntu), or boot with --bios",
        OVMF[0].0
    ))]
    NoFirmware,
    #[snafu(display("a machine runs in {} already; end it first, or name another folder with --dir", path.display()))]
    RunsAlready { path: PathBuf },
    #[snafu(display("{} is not empty and not the folder of a machine; choose another", path.display()))]
    NotAMachine { path: PathBuf },
    #[snafu(display(
        "the socket {} would have a path of {} bytes; at most {LONGEST_SOCKET} are possible, so choose a shorter folder",
        path.display(),
        path.as_os_str().len()
    ))]
    LongPath { path: PathBuf },
    #[snafu(display("the user data do not fit onto a CD-ROM of ours"))]
    Cdrom,
    #[snafu(display("make {}", path.display()))]
    Make { path: PathBuf, source: std::io::Error },
    #[snafu(display("read {}", path.display()))]
    Read { path: PathBuf, source: std::io::Error },
    #[snafu(display("prepare the disk"))]
    Disk { source: DiskError },
    #[snafu(display("start {QEMU}"))]
    Start { source: std::io::Error },
    #[snafu(display("{QEMU} ended with {status} before it ran the machine: {said}"))]
    StartEnded { status: ExitStatus, said: String },
    #[snafu(display("{QEMU} did not connect to {} within {} s", path.display(), START_LIMIT.as_secs()))]
    StartSilent { path: PathBuf },
    #[snafu(display("talk to the monitor of {QEMU}"))]
    Monitor { source: std::io::Error },
    #[snafu(display("wait for {what}: the machine ended ({reason})"))]
    Ended { what: String, reason: String },
    #[snafu(display("wait for {what}: not within {} s", limit.as_secs()))]
    Late { what: String, limit: Duration },
    #[snafu(display("wait for {what}: the console has said nothing for {} s", limit.as_secs()))]
    Quiet { what: String, limit: Duration },
    #[snafu(display("wait for {what}: interrupted"))]
    Interrupted { what: String },
    #[snafu(display("the boot went wrong: {said}"))]
    Trouble { said: String },
    #[snafu(display("units have failed: {}", units.join(", ")))]
    FailedUnits { units: Vec<String> },
    #[snafu(display("{what}"))]
    Request { what: String, source: std::io::Error },
    #[snafu(display("{what} answered {status}: {said}"))]
    Refused { what: String, status: u16, said: String },
    #[snafu(display("the host says {found}, not {expected}"))]
    Differs { found: String, expected: String },
    #[snafu(display("serve {} to the guest", path.display()))]
    Serve { path: PathBuf, source: std::io::Error },
    #[snafu(display("there is no repository of this host's updates, {}", path.display()))]
    NoRepository { path: PathBuf },
    #[snafu(display("run {what}"))]
    Client { what: String, source: std::io::Error },
    #[snafu(display("{what} ended with {status}"))]
    ClientFailed { what: String, status: ExitStatus },
    #[snafu(display("read the partition table of {}", path.display()))]
    Table { path: PathBuf, source: std::io::Error },
    #[snafu(display("the set that boots next is not known to be good"))]
    Mark,
    #[snafu(display("write to the terminal"))]
    Show { source: std::io::Error },
}

/// A machine that runs; dropping it is a power cut.
#[derive(Debug)]
pub struct Machine {
    files: Files,
    record: Record,
    monitor: Monitor,
    process: OwnedFd,
    /// The last thing to go: nobody else may take the folder before.
    _lock: File,
}

/// What a machine needs from its folder before it can be started.
struct Prepared {
    plan: Plan,
    monitor: UnixListener,
    port: UnixListener,
    clients: UnixListener,
    lock: File,
}

impl Machine {
    /// Prepares the folder and switches the machine on. What a machine in the same folder wrote before is kept, unless
    /// its image has changed.
    pub fn start(spec: &Spec) -> Result<Self, VmError> {
        Self::start_with(spec, std::io::sink())
    }

    /// As [`Machine::start`]; writes what the console says to `echo` too, as it comes.
    pub fn start_with(spec: &Spec, echo: impl Write + Send + 'static) -> Result<Self, VmError> {
        let files = folder(spec)?;
        let prepared = prepare(spec, &files)?;
        let mut child = spawn(&prepared.plan.arguments(spec, &files), &files)?;
        let record = Record::new();
        let connected = connect(&prepared, &files, &mut child);
        let (monitor, port) = connected.inspect_err(|_| {
            // It may have ended by itself.
            drop(child.kill());
            drop(child.wait());
        })?;
        let pid = Pid::from_child(&child);
        let process = pidfd_open(pid, PidfdFlags::empty()).map_err(Into::into).context(StartSnafu)?;
        watch(child, &files, &record, echo)?;
        // From here on a failure ends QEMU; until it talks to us, it may also have ended by itself.
        let begun = Monitor::new(monitor, record.clone()).context(MonitorSnafu);
        let monitor = begun.map_err(|error| {
            kill(&process);
            let status = record.wait(KILL_LIMIT, |seen| seen.ended);
            status.filter(|status| status.code().is_some()).map_or(error, |status| refused(status, &files))
        })?;
        let machine = Self { files, record, monitor, process, _lock: prepared.lock };
        let life = life().context(StartSnafu)?;
        channel::serve(port, prepared.clients, machine.record.clone(), life).context(StartSnafu)?;
        Ok(machine)
    }

    /// Prepares the folder as [`Machine::start`] does and leaves the machine off, so that its disk can be edited.
    pub fn prepare(spec: &Spec) -> Result<Files, VmError> {
        let files = folder(spec)?;
        prepare(spec, &files)?;
        Ok(files)
    }

    /// Its files; the disk may be edited while it is off.
    pub fn files(&self) -> &Files {
        &self.files
    }

    /// What is known about it.
    pub fn record(&self) -> &Record {
        &self.record
    }

    /// How many lines the console has written: the place from which a later wait looks.
    pub fn place(&self) -> usize {
        self.record.look(|seen| seen.console.lines().len())
    }

    /// The last lines of the console.
    pub fn tail(&self, count: usize) -> String {
        self.record.look(|seen| seen.console.tail(count))
    }

    /// Waits until `question` has an answer; fails when the machine ends before, or the user wants it to.
    pub fn wait_until<T>(
        &self,
        what: &str,
        limit: Duration,
        mut question: impl FnMut(&Seen) -> Option<T>,
    ) -> Result<T, VmError> {
        let answer = self.record.wait(limit, |seen| {
            if let Some(answer) = question(seen) {
                return Some(Ok(answer));
            }
            if let Some(status) = seen.ended {
                let reason = seen.shutdown.clone().unwrap_or_else(|| status.to_string());
                return Some(EndedSnafu { what, reason }.fail());
            }
            seen.is_interrupted.then(|| InterruptedSnafu { what }.fail())
        });
        answer.unwrap_or_else(|| LateSnafu { what, limit }.fail())
    }

    /// Waits until the console says `marker` in a line from `place` on; gives the line.
    pub fn wait_for(&self, marker: &str, place: usize, limit: Duration) -> Result<Line, VmError> {
        let what = format!("'{marker}' on the console");
        self.wait_until(&what, limit, |seen| {
            seen.console.from(place).find(|line| line.text.contains(marker)).cloned()
        })
    }

    /// Waits until the guest has been reset more often than `before`.
    pub fn wait_for_reset(&self, before: u64, limit: Duration) -> Result<(), VmError> {
        self.wait_until("a reset", limit, |seen| (seen.resets > before).then_some(()))
    }

    /// Waits until the API answers through the port.
    pub fn wait_for_api(&self, limit: Duration) -> Result<(), VmError> {
        let what = "the API to answer";
        let started = Instant::now();
        loop {
            let left = limit.checked_sub(started.elapsed()).context(LateSnafu { what, limit })?;
            self.wait_until(what, left, |seen| seen.is_port_open.then_some(()))?;
            if api_answers(&self.files.api()) {
                return Ok(());
            }
            match self.wait_until(what, ASK_AGAIN, |_| None::<()>) {
                Err(VmError::Late { .. }) | Ok(()) => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Sends a request to the guest's API; a status that is not a success is an error.
    pub fn request(&self, method: &str, uri: &str, body: &str) -> Result<Answer, VmError> {
        let what = format!("{method} {uri}");
        let exchange = || {
            let mut connection = Connection::open(&self.files.api())?;
            connection.limit(REQUEST_LIMIT)?;
            connection.exchange(method, uri, body)
        };
        let answer = exchange().context(RequestSnafu { what: &what })?;
        let (status, said) = (answer.status, String::from_utf8_lossy(&answer.body));
        ensure!((200..300).contains(&status), RefusedSnafu { what, status, said });
        Ok(answer)
    }

    /// Presses the power button, as a person would.
    pub fn press_power_button(&mut self) -> Result<(), VmError> {
        self.monitor.execute("system_powerdown").context(MonitorSnafu)
    }

    /// Waits until the machine is off; gives QEMU's reason, `guest-shutdown` where the guest did it.
    pub fn wait_until_off(&self, limit: Duration) -> Result<String, VmError> {
        let ended =
            self.record.wait(limit, |seen| seen.ended.map(|_| seen.shutdown.clone().unwrap_or_default()));
        ended.context(LateSnafu { what: "the machine to power off", limit })
    }

    /// Resets the machine, as its button would.
    pub fn reset(&mut self) -> Result<(), VmError> {
        self.monitor.execute("system_reset").context(MonitorSnafu)
    }

    /// Cuts the power: QEMU is killed in the middle of whatever it does.
    pub fn power_cut(self) {
        drop(self);
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        kill(&self.process);
        self.record.wait(KILL_LIMIT, |seen| seen.ended);
    }
}

/// QEMU ended before it ran the machine; its log says why.
fn refused(status: ExitStatus, files: &Files) -> VmError {
    let said = std::fs::read_to_string(files.qemu_log()).unwrap_or_default();
    VmError::StartEnded { status, said: said.trim().to_owned() }
}

fn kill(process: &OwnedFd) {
    // It may have ended already.
    pidfd_send_signal(process, Signal::KILL).ok();
}

/// Whether the API on a socket answers.
pub(crate) fn api_answers(socket: &Path) -> bool {
    let ask = || {
        let mut connection = Connection::open(socket)?;
        connection.limit(REQUEST_LIMIT)?;
        connection.succeed("GET", wire::routes::OS, "")
    };
    ask().is_ok()
}

/// The folder of a machine, made if it is not there.
fn folder(spec: &Spec) -> Result<Files, VmError> {
    make_folder(&spec.dir)?;
    let dir = spec.dir.canonicalize().context(MakeSnafu { path: &spec.dir })?;
    Ok(Files::new(dir))
}

fn make_folder(dir: &Path) -> Result<(), VmError> {
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir).context(MakeSnafu { path: dir })?;
    let mut entries = std::fs::read_dir(dir).context(ReadSnafu { path: dir })?;
    let is_ours = entries.next().is_none() || Files::new(dir).lock().is_file();
    ensure!(is_ours, NotAMachineSnafu { path: dir });
    // Whoever can reach the sockets in it is root in the guest.
    let mode = Mode::from_raw_mode(0o700);
    rustix::fs::chmod(dir, mode).map_err(Into::into).context(MakeSnafu { path: dir })
}

fn prepare(spec: &Spec, files: &Files) -> Result<Prepared, VmError> {
    ensure!(is_installed(QEMU), NoQemuSnafu);
    let path = files.lock();
    let lock = File::create(&path).context(MakeSnafu { path })?;
    let is_free = flock(&lock, FlockOperation::NonBlockingLockExclusive).is_ok();
    ensure!(is_free, RunsAlreadySnafu { path: files.dir() });
    let mut plan = Plan::default();
    let is_new = disk::prepare(&spec.image, &files.disk(), spec.is_fresh).context(DiskSnafu)?;
    if let Some(text) = spec.net_toml.as_deref().filter(|_| is_new) {
        disk::write_private(&files.disk(), "net.toml", text).context(DiskSnafu)?;
    }
    if let Some(data) = disk::data_image(&spec.image) {
        disk::prepare(&data, &files.data_disk(), spec.is_fresh || is_new).context(DiskSnafu)?;
        plan.has_data_disk = true;
    }
    if let Some(gib) = spec.disk_gib {
        let grown = if plan.has_data_disk { files.data_disk() } else { files.disk() };
        disk::grow(&grown, gib).context(DiskSnafu)?;
    }
    if spec.firmware == Firmware::Uefi {
        plan.uefi_code = Some(prepare_uefi(&files.variables(), spec.is_fresh || is_new)?);
    }
    plan.has_cdrom = write_cdrom(spec, &files.cdrom())?;
    if spec.is_recorded {
        // A log goes over the disk as it is at power-on.
        File::create(files.write_log()).context(MakeSnafu { path: files.write_log() })?;
    }
    Ok(Prepared {
        plan,
        monitor: listen(files.monitor())?,
        port: listen(files.port())?,
        clients: listen(files.api())?,
        lock,
    })
}

fn is_installed(program: &str) -> bool {
    let folders = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&folders).any(|folder| folder.join(program).is_file())
}

/// Gives the machine variables of its own; gives the firmware's code.
fn prepare_uefi(variables: &Path, is_fresh: bool) -> Result<PathBuf, VmError> {
    let found = OVMF.iter().find(|(code, vars)| Path::new(code).is_file() && Path::new(vars).is_file());
    let (code, first) = found.context(NoFirmwareSnafu)?;
    if is_fresh || !variables.is_file() {
        // The copy must be writable, whatever the original is.
        let content = std::fs::read(first).context(ReadSnafu { path: *first })?;
        std::fs::write(variables, content).context(MakeSnafu { path: variables })?;
    }
    Ok(PathBuf::from(code))
}

fn write_cdrom(spec: &Spec, path: &Path) -> Result<bool, VmError> {
    let files = [("user-data", &spec.user_data), ("ovf-env.xml", &spec.ovf)];
    let given = files
        .iter()
        .filter_map(|(name, content)| content.as_deref().map(|content| iso::File { name, content }));
    let given: Vec<iso::File<'_>> = given.collect();
    if given.is_empty() {
        return Ok(false);
    }
    let image = iso::write("USERDATA", &given).context(CdromSnafu)?;
    std::fs::write(path, image).context(MakeSnafu { path })?;
    Ok(true)
}

/// Listens on a socket that only its owner can open; what a dead machine left is replaced.
fn listen(path: PathBuf) -> Result<UnixListener, VmError> {
    ensure!(path.as_os_str().len() <= LONGEST_SOCKET, LongPathSnafu { path });
    match std::fs::remove_file(&path) {
        Err(source) if source.kind() != ErrorKind::NotFound => return Err(VmError::Make { path, source }),
        _ => {}
    }
    let listener = UnixListener::bind(&path).context(MakeSnafu { path: &path })?;
    rustix::fs::chmod(&path, Mode::from_raw_mode(0o600)).map_err(Into::into).context(MakeSnafu { path })?;
    Ok(listener)
}

fn spawn(arguments: &[String], files: &Files) -> Result<Child, VmError> {
    let log = files.qemu_log();
    let log = File::create(&log).context(MakeSnafu { path: log })?;
    let mut command = Command::new(QEMU);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log);
    // Ctrl-C is for us: we power the guest off.
    command.process_group(0).spawn().context(StartSnafu)
}

/// The connections that QEMU makes when it starts: monitor and port.
fn connect(
    prepared: &Prepared,
    files: &Files,
    child: &mut Child,
) -> Result<(UnixStream, UnixStream), VmError> {
    let monitor = accept(&prepared.monitor, files.monitor(), files, child)?;
    let port = accept(&prepared.port, files.port(), files, child)?;
    Ok((monitor, port))
}

fn accept(
    listener: &UnixListener,
    path: PathBuf,
    files: &Files,
    child: &mut Child,
) -> Result<UnixStream, VmError> {
    listener.set_nonblocking(true).context(MakeSnafu { path: &path })?;
    let started = Instant::now();
    loop {
        match listener.accept() {
            Ok((stream, _)) => {
                stream.set_nonblocking(false).context(MakeSnafu { path })?;
                return Ok(stream);
            }
            Err(e) if e.kind() == ErrorKind::WouldBlock => {}
            Err(source) => return Err(VmError::Make { path, source }),
        }
        if let Some(status) = child.try_wait().context(StartSnafu)? {
            return Err(refused(status, files));
        }
        ensure!(started.elapsed() < START_LIMIT, StartSilentSnafu { path });
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Writes the console and the end of QEMU into the record, in threads of their own.
fn watch(
    mut child: Child,
    files: &Files,
    record: &Record,
    mut echo: impl Write + Send + 'static,
) -> Result<(), VmError> {
    let path = files.console_log();
    let mut log = File::create(&path).context(MakeSnafu { path })?;
    let mut console = child.stdout.take().expect("stdout was piped");
    let record = record.clone();
    std::thread::spawn(move || {
        let mut chunk = [0; 4096];
        while let Ok(count @ 1..) = console.read(&mut chunk) {
            let at = record.now();
            // A full disk or a closed terminal is no reason to stop looking.
            drop(log.write_all(&chunk[..count]));
            drop(echo.write_all(&chunk[..count]).and_then(|()| echo.flush()));
            record.note(|seen| {
                seen.console.feed(at, &chunk[..count]);
                seen.last_word = at;
            });
        }
        let status = child.wait();
        record.note(|seen| seen.ended = Some(status.unwrap_or_default()));
    });
    Ok(())
}

/// A random number for this end of the port.
fn life() -> std::io::Result<u32> {
    let mut number = [0; 4];
    getrandom(&mut number, GetRandomFlags::empty())?;
    Ok(u32::from_le_bytes(number))
}
