//! The virtual machine.

use crate::Disk;
use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

/// How long a machine may run. A case takes a third of a second with BIOS and four with UEFI on an idle machine of
/// two cores; a busy one takes ten times as long.
const LIMIT: Duration = Duration::from_mins(2);

/// What starts the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Firmware {
    /// `SeaBIOS`.
    Bios,
    /// OVMF.
    Uefi,
}

/// How a disk is started.
#[derive(Debug, Clone, Copy)]
pub struct Machine {
    /// By what.
    pub firmware: Firmware,
    /// Whether the disk refuses writes.
    pub read_only: bool,
    /// A text that ends the run when it is printed; otherwise it ends with the machine's restart.
    pub until: Option<&'static str>,
}

impl Default for Machine {
    fn default() -> Self {
        Self { firmware: Firmware::Bios, read_only: false, until: None }
    }
}

/// What a run printed.
#[derive(Debug)]
pub struct Output {
    /// The lines, without control characters.
    pub lines: Vec<String>,
    /// Whether the machine restarted by itself.
    pub restarted: bool,
}

impl Output {
    /// The lines that contain a text.
    pub fn with<'a>(&'a self, text: &'a str) -> impl Iterator<Item = &'a str> {
        self.lines.iter().map(String::as_str).filter(move |line| line.contains(text))
    }
}

impl Machine {
    /// Starts the disk and waits for the end of the run.
    pub fn start(&self, disk: &Disk) -> Output {
        watch(self.command(disk), self.until)
    }

    fn command(&self, disk: &Disk) -> Command {
        let mut command = qemu();
        let path = disk.path();
        let read_only = if self.read_only { "on" } else { "off" };
        let drive =
            format!("if=none,id=d,format=raw,file={},cache=unsafe,readonly={read_only}", path.display());
        let bytes = disk.sector_bytes();
        let device = format!("virtio-blk-pci,drive=d,logical_block_size={bytes},physical_block_size={bytes}");
        command.args(["-drive", &drive, "-device", &device]);
        if self.firmware == Firmware::Uefi {
            let variables = disk.folder().join("variables.fd");
            fs::copy("/usr/share/OVMF/OVMF_VARS_4M.fd", &variables).expect("copy the firmware's variables");
            let flash = "if=pflash,format=raw";
            command.args(["-drive", &format!("{flash},readonly=on,file=/usr/share/OVMF/OVMF_CODE_4M.fd")]);
            command.args(["-drive", &format!("{flash},file={}", variables.display())]);
        }
        command
    }
}

/// A machine without a disk, whose first serial port is its console, and which ends where it would restart.
pub(crate) fn qemu() -> Command {
    let mut command = Command::new("qemu-system-x86_64");
    command.args(["-machine", "q35", "-accel", "tcg", "-cpu", "max", "-m", "256", "-nodefaults"]);
    command.args(["-no-user-config", "-display", "none", "-no-reboot", "-serial", "stdio"]);
    command
}

/// Runs a machine until it restarts or prints the text that ends the run.
pub(crate) fn watch(mut command: Command, until: Option<&str>) -> Output {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("start {command:?}: {error}"));
    let console = child.stdout.take().expect("the console is a pipe");
    let (sender, receiver) = channel();
    let reader = thread::spawn(move || {
        for line in BufReader::new(console).split(b'\n') {
            let Ok(line) = line else { break };
            if sender.send(printable(&line)).is_err() {
                break;
            }
        }
    });

    let deadline = Instant::now() + LIMIT;
    let mut lines: Vec<String> = Vec::new();
    let restarted = loop {
        match receiver.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(line) => {
                let is_end = until.is_some_and(|text| line.contains(text));
                lines.push(line);
                if is_end {
                    break false;
                }
            }
            Err(RecvTimeoutError::Disconnected) => break true,
            Err(RecvTimeoutError::Timeout) => {
                child.kill().expect("stop the machine");
                panic!("the machine did not end within {} seconds:\n{}", LIMIT.as_secs(), lines.join("\n"));
            }
        }
    };
    if !restarted {
        child.kill().expect("stop the machine");
    }
    let status = child.wait().expect("wait for the machine");
    drop(receiver);
    reader.join().expect("the reader of the console ends");
    assert!(!restarted || status.success(), "{command:?} ended with {status}");
    Output { lines, restarted }
}

/// A line of the console without what moves the cursor and sets colours.
fn printable(line: &[u8]) -> String {
    let text = String::from_utf8_lossy(line);
    let mut plain = String::new();
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        if character == '\u{1b}' {
            // A sequence ends with its first letter.
            characters.find(char::is_ascii_alphabetic);
        } else if !character.is_control() {
            plain.push(character);
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_sequences_are_no_text() {
        for (line, expected) in [
            ("BOOTED A\r", "BOOTED A"),
            ("\u{1b}[2J\u{1b}[01;01HBOOTED\u{1b}[0m A", "BOOTED A"),
            ("\u{1b}", ""),
        ] {
            assert_eq!(printable(line.as_bytes()), expected, "{line:?}");
        }
    }
}
