//! What machine to run, and the arguments of QEMU for it; pure.

use super::Accelerator;
use api_bridge::PORT;
use std::path::{Path, PathBuf};

/// How the machine finds its boot loader.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Firmware {
    /// OVMF.
    #[default]
    Uefi,
    /// `SeaBIOS`.
    Bios,
}

/// The `net.toml` of a host whose one interface is that of [`Plan::arguments`].
pub const NET_TOML: &str = "version = 1\n\n[enp0s16]\ndhcp4 = true\n";

/// A kernel that QEMU starts itself, in place of the boot loader on the disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kernel {
    /// The kernel.
    pub image: PathBuf,
    /// Its initial file system.
    pub initrd: PathBuf,
    /// Its command line.
    pub command_line: String,
}

/// A machine.
#[derive(Clone, Debug)]
pub struct Spec {
    /// Its folder: working copies, sockets, the console's log.
    pub dir: PathBuf,
    /// The image of its disk, plain or compressed with LZ4.
    pub image: PathBuf,
    /// How it finds its boot loader.
    pub firmware: Firmware,
    /// What it starts instead of the boot loader on its disk.
    pub kernel: Option<Kernel>,
    /// Who runs its instructions.
    pub accelerator: Accelerator,
    /// Memory, in MiB.
    pub memory_mib: u32,
    /// Processors.
    pub cpus: u32,
    /// User data, for the file `user-data` of a CD-ROM.
    pub user_data: Option<Vec<u8>>,
    /// An OVF environment, for the file `ovf-env.xml` of the same CD-ROM.
    pub ovf: Option<Vec<u8>>,
    /// The host's `net.toml`, written to the private partition of a new working copy. Without it a host whose kernel
    /// command line names no interface has no network.
    pub net_toml: Option<String>,
    /// Smallest size of the disk, in GiB; a working copy is grown to it.
    pub disk_gib: Option<u64>,
    /// Throw the working copies away and begin with the image.
    pub is_fresh: bool,
    /// Forget what the machine writes when it is powered off.
    pub is_snapshot: bool,
    /// Keep every write to the disk, in order, in [`Files::write_log`].
    pub is_recorded: bool,
}

impl Spec {
    /// A machine with an image in a folder, and the usual for the rest.
    pub fn new(dir: impl Into<PathBuf>, image: impl Into<PathBuf>) -> Self {
        Self {
            dir: dir.into(),
            image: image.into(),
            firmware: Firmware::default(),
            kernel: None,
            accelerator: Accelerator::default(),
            memory_mib: 2048,
            cpus: 2,
            user_data: None,
            ovf: None,
            net_toml: None,
            disk_gib: None,
            is_fresh: false,
            is_snapshot: false,
            is_recorded: false,
        }
    }
}

/// The files of a machine, in its folder.
#[derive(Clone, Debug)]
pub struct Files {
    dir: PathBuf,
}

impl Files {
    /// Those in a folder.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self { dir: dir.into() }
    }

    /// The folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The working copy of the disk.
    pub fn disk(&self) -> PathBuf {
        self.dir.join("disk.img")
    }

    /// The working copy of the data disk, where the image has one.
    pub fn data_disk(&self) -> PathBuf {
        self.dir.join("data.img")
    }

    /// What the machine wrote to its disk since power-on, in the order of time, where that is recorded.
    pub fn write_log(&self) -> PathBuf {
        self.dir.join("disk.writes")
    }

    /// The CD-ROM.
    pub fn cdrom(&self) -> PathBuf {
        self.dir.join("user-data.iso")
    }

    /// The firmware's variables.
    pub fn variables(&self) -> PathBuf {
        self.dir.join("uefi-vars.fd")
    }

    /// What the console said since power-on.
    pub fn console_log(&self) -> PathBuf {
        self.dir.join("console.log")
    }

    /// What QEMU itself said.
    pub fn qemu_log(&self) -> PathBuf {
        self.dir.join("qemu.log")
    }

    /// The guest's API.
    pub fn api(&self) -> PathBuf {
        self.dir.join("api.sock")
    }

    /// QEMU's end of the port.
    pub fn port(&self) -> PathBuf {
        self.dir.join("port.sock")
    }

    /// QEMU's monitor.
    pub fn monitor(&self) -> PathBuf {
        self.dir.join("monitor.sock")
    }

    /// Held by the one who runs the machine.
    pub fn lock(&self) -> PathBuf {
        self.dir.join("lock")
    }
}

/// Which parts of a machine are there.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// The UEFI firmware's code; none for a BIOS.
    pub uefi_code: Option<PathBuf>,
    /// Whether there is a data disk.
    pub has_data_disk: bool,
    /// Whether there is a CD-ROM.
    pub has_cdrom: bool,
}

impl Plan {
    /// The arguments of QEMU.
    pub fn arguments(&self, spec: &Spec, files: &Files) -> Vec<String> {
        let mut list = Vec::new();
        let mut add = |option: &str, value: String| list.extend([format!("-{option}"), value]);
        add("name", "visco".into());
        add("machine", "q35".into());
        for (option, value) in spec.accelerator.options() {
            add(option, value.into());
        }
        add("smp", spec.cpus.to_string());
        add("m", spec.memory_mib.to_string());
        add("display", "none".into());
        add("chardev", "stdio,id=console,signal=off".into());
        add("serial", "chardev:console".into());
        add("chardev", format!("socket,id=monitor,path={}", quoted(&files.monitor())));
        add("mon", "chardev=monitor,mode=control".into());
        add("device", "virtio-rng-pci".into());
        add("device", "virtio-serial-pci".into());
        add("chardev", format!("socket,id=port,path={}", quoted(&files.port())));
        add("device", format!("virtserialport,id=port,chardev=port,name={PORT}"));
        add("netdev", "user,id=network".into());
        // The address makes the interface `enp0s16`, as the documents' examples of `net.toml` name it.
        add("device", "virtio-net-pci,netdev=network,addr=0x10,romfile=".into());
        if let Some(code) = &self.uefi_code {
            let flash = "if=pflash,format=raw";
            add("drive", format!("{flash},readonly=on,file={}", quoted(code)));
            add("drive", format!("{flash},file={}", quoted(&files.variables())));
        }
        if let Some(kernel) = &spec.kernel {
            add("kernel", kernel.image.to_string_lossy().into_owned());
            add("initrd", kernel.initrd.to_string_lossy().into_owned());
            add("append", kernel.command_line.clone());
        }
        let snapshot = if spec.is_snapshot { ",snapshot=on" } else { "" };
        // A crash of the developer's machine may cost the copy of a disk; waiting for its disk costs every boot.
        let disk = |id: &str, path: &Path| {
            format!("if=none,id={id},format=raw,cache=unsafe,discard=unmap{snapshot},file={}", quoted(path))
        };
        if spec.is_recorded {
            for node in recorded(&files.disk(), &files.write_log()) {
                add("blockdev", node);
            }
        } else {
            add("drive", disk("disk", &files.disk()));
        }
        // A kernel that QEMU starts itself comes before it.
        add("device", "virtio-blk-pci,drive=disk,bootindex=1".into());
        if self.has_data_disk {
            add("drive", disk("data", &files.data_disk()));
            add("device", "virtio-blk-pci,drive=data".into());
        }
        if self.has_cdrom {
            // The cloud kernel knows no AHCI.
            add("device", "virtio-scsi-pci,id=scsi".into());
            let file = quoted(&files.cdrom());
            add("drive", format!("if=none,id=cdrom,format=raw,media=cdrom,readonly=on,file={file}"));
            add("device", "scsi-cd,drive=cdrom,bus=scsi.0".into());
        }
        list.extend(["-nodefaults".into(), "-no-user-config".into()]);
        list
    }
}

/// A disk whose writes and flushes go to a log before they are done.
fn recorded(disk: &Path, log: &Path) -> [String; 3] {
    let file = |name: &str, path: &Path| {
        format!("driver=file,node-name={name},discard=unmap,cache.no-flush=on,filename={}", quoted(path))
    };
    [
        file("disk-file", disk),
        file("disk-log", log),
        // The units of a disk's promises, whatever the size of the file system's blocks.
        "driver=blklogwrites,node-name=disk,discard=unmap,file=disk-file,log=disk-log,log-sector-size=512"
            .into(),
    ]
}

/// A path in an option of QEMU, where a comma ends a value and two are one.
fn quoted(path: &Path) -> String {
    path.to_string_lossy().replace(',', ",,")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(change: impl FnOnce(&mut Spec, &mut Plan)) -> String {
        let mut spec = Spec::new("/d", "/i/visco.img.lz4");
        let mut plan = Plan::default();
        change(&mut spec, &mut plan);
        plan.arguments(&spec, &Files::new(&spec.dir)).join(" ")
    }

    #[test]
    fn the_plain_machine_is_this() {
        let expected = "-name visco -machine q35 -accel tcg,thread=multi,tb-size=512 -cpu max -smp 2 -m 2048 \
            -display none -chardev stdio,id=console,signal=off -serial chardev:console \
            -chardev socket,id=monitor,path=/d/monitor.sock -mon chardev=monitor,mode=control \
            -device virtio-rng-pci -device virtio-serial-pci -chardev socket,id=port,path=/d/port.sock \
            -device virtserialport,id=port,chardev=port,name=visco.api -netdev user,id=network \
            -device virtio-net-pci,netdev=network,addr=0x10,romfile= \
            -drive if=none,id=disk,format=raw,cache=unsafe,discard=unmap,file=/d/disk.img \
            -device virtio-blk-pci,drive=disk,bootindex=1 -nodefaults -no-user-config";
        assert_eq!(line(|_, _| ()), expected);
    }

    #[test]
    fn parts_and_choices_add_their_options() {
        type Change = fn(&mut Spec, &mut Plan);
        let rows: [(Change, &str); 9] = [
            (
                |spec, _| spec.is_recorded = true,
                "-blockdev driver=file,node-name=disk-log,discard=unmap,cache.no-flush=on,filename=/d/disk.writes \
                 -blockdev driver=blklogwrites,node-name=disk,",
            ),
            (|_, plan| plan.uefi_code = Some("/o/code.fd".into()), "readonly=on,file=/o/code.fd"),
            (|_, plan| plan.uefi_code = Some("/o/code.fd".into()), "format=raw,file=/d/uefi-vars.fd"),
            (|_, plan| plan.has_data_disk = true, "file=/d/data.img -device virtio-blk-pci,drive=data"),
            (|_, plan| plan.has_cdrom = true, "-device scsi-cd,drive=cdrom,bus=scsi.0"),
            (|spec, _| spec.accelerator = Accelerator::Kvm, "-accel kvm -cpu host"),
            (|spec, _| spec.is_snapshot = true, "discard=unmap,snapshot=on,file=/d/disk.img"),
            (
                |spec, _| {
                    let (image, initrd) = ("/k/vmlinuz".into(), "/k/initrd".into());
                    spec.kernel = Some(Kernel { image, initrd, command_line: "ro quiet".into() });
                },
                "-kernel /k/vmlinuz -initrd /k/initrd -append ro quiet",
            ),
            (|spec, _| spec.dir = "/a,b".into(), "file=/a,,b/disk.img"),
        ];
        for (change, option) in rows {
            let with = line(change);
            assert!(with.contains(option), "{option} is not in: {with}");
            assert!(!line(|_, _| ()).contains(option), "{option} is always there");
        }
    }
}
