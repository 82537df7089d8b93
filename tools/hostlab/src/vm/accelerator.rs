//! Who runs the machine's instructions.

use std::io::Write;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Chooses by itself: `1` for KVM, anything else for emulation.
const VARIABLE: &str = "VISCO_KVM";
/// How long KVM may take for two instructions. Where it works they take a tenth of a second with the firmware.
const LIMIT: Duration = Duration::from_secs(5);
/// Exit status of QEMU when the guest writes 0x10 to the port of `isa-debug-exit`: the value, doubled, plus one.
const RAN: i32 = 33;

/// Who runs the machine's instructions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Accelerator {
    /// QEMU translates them. It works everywhere and takes ten times as long.
    #[default]
    Emulation,
    /// The processor itself.
    Kvm,
}

impl Accelerator {
    /// It and the processor that the guest sees, as options of QEMU.
    pub(super) fn options(self) -> [(&'static str, &'static str); 2] {
        let (accelerator, cpu) = match self {
            // Room for the translation of a whole boot: the default is flushed several times on the way.
            Self::Emulation => ("tcg,thread=multi,tb-size=512", "max"),
            Self::Kvm => ("kvm", "host"),
        };
        [("accel", accelerator), ("cpu", cpu)]
    }
}

/// KVM where it works, unless the environment says otherwise.
pub fn choose() -> Accelerator {
    let is_usable = match std::env::var(VARIABLE) {
        Ok(said) => said == "1",
        Err(_) => {
            std::fs::File::options().read(true).write(true).open("/dev/kvm").is_ok() && runs(Accelerator::Kvm)
        }
    };
    if is_usable { Accelerator::Kvm } else { Accelerator::Emulation }
}

/// Whether an accelerator runs a guest: there are machines where KVM is there and hangs, and others where it runs a
/// guest as long as that does not ask for the processor as it is. So it is asked for what machines are started with.
fn runs(accelerator: Accelerator) -> bool {
    probe(&accelerator.options()).unwrap_or(false)
}

fn probe(options: &[(&str, &str)]) -> std::io::Result<bool> {
    let mut sector = tempfile::NamedTempFile::new()?;
    sector.write_all(&boot_sector())?;
    let mut guest = start(options, sector.path())?;
    let started = Instant::now();
    while started.elapsed() < LIMIT {
        if let Some(status) = guest.try_wait()? {
            return Ok(status.code() == Some(RAN));
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    // It is not waited for: a process that hangs in the kernel does not end.
    guest.kill()?;
    Ok(false)
}

fn start(options: &[(&str, &str)], disk: &Path) -> std::io::Result<Child> {
    Command::new(super::machine::QEMU)
        .args(options.iter().flat_map(|(option, value)| [format!("-{option}"), (*value).to_owned()]))
        .args(["-nodefaults", "-no-user-config", "-display", "none"])
        .args(["-device", "isa-debug-exit,iobase=0xf4,iosize=4", "-drive"])
        .arg(format!("format=raw,snapshot=on,file={}", disk.display()))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
}

/// `mov al, 0x10; out 0xf4, al; jmp $`, and what makes a sector bootable.
fn boot_sector() -> [u8; 512] {
    let mut sector = [0; 512];
    sector[..6].copy_from_slice(&[0xb0, 0x10, 0xe6, 0xf4, 0xeb, 0xfe]);
    sector[510..].copy_from_slice(&[0x55, 0xaa]);
    sector
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[ignore = "needs QEMU"]
    fn emulation_runs_the_probe_and_nonsense_does_not() {
        assert!(probe(&Accelerator::Emulation.options()).unwrap());
        assert!(!probe(&[("accel", "no-such-accelerator")]).unwrap());
        assert!(!probe(&[("accel", "tcg"), ("cpu", "no-such-processor")]).unwrap());
    }
}
