//! The steps of the boot, in order. What they need is decided elsewhere; this is the part that touches the machine.

use crate::command_line::CommandLine;
use crate::console::{Level, say};
use crate::disks::{self, BootDisk, SYS_BLOCK};
use crate::machine_id::{self, MachineId};
use crate::plan::{self, Plan};
use crate::{device_mapper, factory, modules};
use partitions::{Locator, kind};
use rustix::mount::{MountFlags, UnmountFlags};
use rustix::rand::GetRandomFlags;
use snafu::{ErrorCompat, ResultExt, Snafu};
use std::convert::Infallible;
use std::ffi::CStr;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Why the host could not be started.
#[derive(Debug, Snafu)]
#[allow(missing_docs)]
pub enum Error {
    #[snafu(display("make the folder {}", path.display()))]
    MakeFolder { path: PathBuf, source: std::io::Error },

    #[snafu(display("mount {source_name} on {}", target.display()))]
    Mount { source_name: String, target: PathBuf, source: std::io::Error },

    #[snafu(display("unmount {}", target.display()))]
    Unmount { target: PathBuf, source: std::io::Error },

    #[snafu(display("load the kernel's modules"))]
    Modules { source: modules::Error },

    #[snafu(display("read {}", path.display()))]
    Read { path: PathBuf, source: std::io::Error },

    #[snafu(display("plan the boot"))]
    Plan { source: plan::Error },

    #[snafu(display("look for the boot disk"))]
    Look { source: disks::Error },

    #[snafu(display(
        "no disk has the partition PARTUUID={} after {} seconds; disks seen: {disks}",
        anchor.id,
        PATIENCE.as_secs()
    ))]
    NoBootDisk { anchor: Locator, disks: String },

    #[snafu(display("find the device of {what} within {} seconds", PATIENCE.as_secs()))]
    FindDevice { what: String, source: disks::Error },

    #[snafu(display("set up the root file system"))]
    Root { source: device_mapper::Error },

    #[snafu(display("fill /etc"))]
    Etc { source: factory::Error },

    #[snafu(display("take random bytes"))]
    Random { source: std::io::Error },

    #[snafu(display("use the machine's identifier"))]
    Identifier { source: machine_id::Error },

    #[snafu(display("write {}", path.display()))]
    Write { path: PathBuf, source: std::io::Error },

    #[snafu(display("change to the root file system"))]
    SwitchRoot { source: std::io::Error },

    #[snafu(display("start {SYSTEMD}"))]
    Start { source: std::io::Error },
}

/// How long devices may take to appear. Disks of clouds are there in a second, those of big storage controllers in
/// ten.
const PATIENCE: Duration = Duration::from_secs(30);
/// Between two looks.
const PAUSE: Duration = Duration::from_millis(50);
/// How long the reason of a failure stays on the screen.
const TIME_TO_READ: Duration = Duration::from_secs(5);

const MODULES: &str = "/modules";
const PRIVATE: &str = "/private";
const ROOT: &str = "/sysroot";
const FACTORY_ETC: &str = "/sysroot/usr/share/factory/etc";
const ETC: &str = "/sysroot/etc";
/// The real init, in the root file system.
const SYSTEMD: &str = "/usr/lib/systemd/systemd";

/// The kernel's own file systems; they move to the root file system with us.
const KERNEL_FILE_SYSTEMS: [(&str, &str); 3] = [("/dev", "devtmpfs"), ("/proc", "proc"), ("/sys", "sysfs")];

/// Boots the host. When that fails, says why and restarts the machine, which costs this set of partitions one try.
pub fn run() {
    let Err(error) = start();
    let reason: Vec<_> = error.iter_chain().map(ToString::to_string).collect();
    say(
        Level::Error,
        &format!("cannot start: {}; restarting in {} seconds", reason.join(": "), TIME_TO_READ.as_secs()),
    );
    sleep(TIME_TO_READ);
    if let Err(errno) = rustix::system::reboot(rustix::system::RebootCommand::Restart) {
        // The end of the first process makes the kernel panic, which restarts the machine too.
        say(Level::Error, &format!("restart the machine: {errno}"));
    }
}

fn start() -> Result<Infallible, Error> {
    mount_kernel_file_systems()?;
    let loaded = modules::load_all(Path::new(MODULES)).context(ModulesSnafu)?;
    say(Level::Notice, &format!("{loaded} kernel modules are loaded"));

    let plan = plan::plan(&command_line()?).context(PlanSnafu)?;
    let disk = wait_for_disk(plan.data)?;
    mount_root(&plan, &disk)?;
    fill_etc()?;
    keep_machine_id(&disk)?;

    say(Level::Notice, &format!("starting {SYSTEMD}"));
    switch_root()?;
    let error = Command::new(SYSTEMD).args(std::env::args_os().skip(1)).exec();
    Err(error).context(StartSnafu)
}

fn mount_kernel_file_systems() -> Result<(), Error> {
    for (target, kind) in KERNEL_FILE_SYSTEMS {
        let flags = match kind {
            "devtmpfs" => MountFlags::NOSUID,
            _ => MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC,
        };
        mount(kind, Path::new(target), kind, flags, None)?;
    }
    Ok(())
}

/// Mounts `source` on the folder `target`, which is made if it can be.
fn mount(
    source: &str,
    target: &Path,
    kind: &str,
    flags: MountFlags,
    data: Option<&CStr>,
) -> Result<(), Error> {
    if !target.exists() {
        fs::create_dir(target).context(MakeFolderSnafu { path: target })?;
    }
    rustix::mount::mount(source, target, kind, flags, data)
        .map_err(std::io::Error::from)
        .with_context(|_| MountSnafu { source_name: format!("{source} ({kind})"), target })
}

fn command_line() -> Result<CommandLine, Error> {
    let path = Path::new("/proc/cmdline");
    let text = fs::read_to_string(path).context(ReadSnafu { path })?;
    Ok(CommandLine::parse(&text))
}

/// Waits for the disk that the host was started from.
fn wait_for_disk(anchor: Locator) -> Result<BootDisk, Error> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let sighting = disks::look(Path::new(SYS_BLOCK), anchor).context(LookSnafu)?;
        let mut matching = sighting.matching.into_iter();
        if let Some(disk) = matching.next() {
            for other in matching {
                // A copy of the disk, such as a snapshot attached to the machine it was taken from.
                let (disk, other) = (&disk.name, &other.name);
                say(
                    Level::Warning,
                    &format!("the disks {disk} and {other} have the same partitions; using {disk}"),
                );
            }
            return Ok(disk);
        }
        if Instant::now() > deadline {
            let disks = if sighting.disks.is_empty() { "none".to_owned() } else { sighting.disks.join(", ") };
            return NoBootDiskSnafu { anchor, disks }.fail();
        }
        sleep(PAUSE);
    }
}

/// Waits until the kernel shows the device that `find` looks for.
fn wait_for_device(what: &str, find: impl Fn() -> Result<PathBuf, disks::Error>) -> Result<PathBuf, Error> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match find() {
            Err(disks::Error::NoDevice { .. }) if Instant::now() < deadline => sleep(PAUSE),
            found => return found.context(FindDeviceSnafu { what }),
        }
    }
}

/// Makes the verified device and mounts it.
fn mount_root(plan: &Plan, disk: &BootDisk) -> Result<(), Error> {
    let mut mapping = plan.root.clone();
    mapping.target.data_device = partition(disk, plan.data)?;
    mapping.target.hash_device = partition(disk, plan.hashes)?;
    let node = device_mapper::create(&mapping).context(RootSnafu)?;
    mount(&node.to_string_lossy(), Path::new(ROOT), &plan.root_type, MountFlags::RDONLY, None)?;
    let (kind, data) = (&plan.root_type, &mapping.target.data_device);
    say(Level::Notice, &format!("the root file system is {kind} on {data}, verified as it is read"));
    Ok(())
}

/// The device of a partition, as text.
fn partition(disk: &BootDisk, locator: Locator) -> Result<String, Error> {
    let node = wait_for_device(&locator.to_string(), || disk.device(Path::new(SYS_BLOCK), locator))?;
    Ok(node.to_string_lossy().into_owned())
}

fn fill_etc() -> Result<(), Error> {
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    mount("tmpfs", Path::new(ETC), "tmpfs", flags, Some(c"mode=755"))?;
    factory::copy(Path::new(FACTORY_ETC), Path::new(ETC)).context(EtcSnafu)
}

/// Puts the machine's identifier where systemd looks. Without one the boot goes on: systemd then makes one up for
/// this boot.
fn keep_machine_id(disk: &BootDisk) -> Result<(), Error> {
    let line = match lasting_machine_id(disk) {
        Ok(id) => id.to_line(),
        Err(error) => {
            let reason: Vec<_> = error.iter_chain().map(ToString::to_string).collect();
            say(Level::Warning, &format!("the machine's identifier will not last: {}", reason.join(": ")));
            String::new()
        }
    };
    let path = Path::new(ETC).join("machine-id");
    fs::write(&path, line)
        .and_then(|()| fs::set_permissions(&path, Permissions::from_mode(0o444)))
        .context(WriteSnafu { path })
}

/// The identifier on the private partition, made when there is none.
fn lasting_machine_id(disk: &BootDisk) -> Result<MachineId, Error> {
    let node = wait_for_device("the private partition", || {
        disk.device_of_kind(Path::new(SYS_BLOCK), kind::PRIVATE)
    })?;
    // Read-only first: an ordinary boot has nothing to write.
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    let folder = Path::new(PRIVATE);
    mount(&node.to_string_lossy(), folder, "ext4", flags | MountFlags::RDONLY, None)?;
    let id = read_or_make_machine_id(folder, flags);
    // systemd checks the file system and mounts it where it belongs.
    rustix::mount::unmount(folder, UnmountFlags::empty())
        .map_err(std::io::Error::from)
        .context(UnmountSnafu { target: folder })?;
    id
}

fn read_or_make_machine_id(folder: &Path, flags: MountFlags) -> Result<MachineId, Error> {
    if let Some(id) = machine_id::read(folder).context(IdentifierSnafu)? {
        return Ok(id);
    }
    let mut bytes = [0; 16];
    rustix::rand::getrandom(&mut bytes, GetRandomFlags::empty())
        .map_err(std::io::Error::from)
        .context(RandomSnafu)?;
    let id = MachineId::from_random(bytes);
    rustix::mount::mount_remount(folder, flags, c"")
        .map_err(std::io::Error::from)
        .with_context(|_| MountSnafu { source_name: "the private partition for writing", target: folder })?;
    machine_id::keep(folder, &id).context(IdentifierSnafu)?;
    Ok(id)
}

/// Makes the root file system the root folder of this process and of all that follow.
fn switch_root() -> Result<(), Error> {
    free_initramfs();
    let root = Path::new(ROOT);
    for (target, _) in KERNEL_FILE_SYSTEMS {
        let new_target = root.join(&target[1..]);
        rustix::mount::mount_move(target, &new_target)
            .map_err(std::io::Error::from)
            .with_context(|_| MountSnafu { source_name: target, target: new_target })?;
    }
    rustix::process::chdir(root)
        .and_then(|()| rustix::mount::mount_move(".", "/"))
        .and_then(|()| rustix::process::chroot("."))
        .and_then(|()| rustix::process::chdir("/"))
        .map_err(std::io::Error::from)
        .context(SwitchRootSnafu)
}

/// Gives back the memory of the initramfs: nobody can reach its files after the change of root. What cannot be
/// removed stays until the machine goes off, as all of it would.
fn free_initramfs() {
    let removed = fs::remove_dir_all(MODULES).and_then(|()| fs::remove_file("/init"));
    if let Err(error) = removed {
        say(Level::Warning, &format!("free the memory of the initramfs: {error}"));
    }
}
