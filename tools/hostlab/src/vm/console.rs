//! What the serial console says; pure.

use std::time::Duration;

/// A line of the console.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// When its first byte came, since power-on.
    pub at: Duration,
    /// Its text, without colours.
    pub text: String,
}

/// The console as lines.
#[derive(Clone, Debug, Default)]
pub struct Console {
    lines: Vec<Line>,
    /// The line that is still being written.
    partial: Option<(Duration, Vec<u8>)>,
    /// What was shown of it last, to search in.
    shown: Option<Line>,
}

/// A stage of the boot, and what the console says when it is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stage {
    /// Its name for people.
    pub name: &'static str,
    /// Text of the line.
    marker: &'static str,
    /// More that must be in the line.
    and: &'static str,
}

/// The stages in their order. A console that leaves one out says nothing wrong.
pub const STAGES: &[Stage] = &[
    Stage { name: "GRUB", marker: "GRUB", and: "" },
    Stage { name: "kernel", marker: "Linux version ", and: "" },
    Stage { name: "systemd", marker: "systemd[1]: ", and: "systemd " },
    Stage { name: "preconfigured", marker: "Reached target", and: " preconfigured.target" },
    Stage { name: "configured", marker: "Reached target", and: " configured.target" },
    Stage { name: "multi-user", marker: "Reached target", and: " multi-user.target" },
];

/// The line that a host writes when its settings are applied.
const CONFIGURED: &str = "visco: configured";

/// What a console says when the boot will not end well.
const TROUBLE: &[&str] = &[
    "Kernel panic - not syncing",
    "emergency.target",
    "You are in emergency mode",
    "No bootable option or device was found",
    "No bootable device",
    "gptprio: no bootable",
];

impl Stage {
    /// Whether a line says that the stage is reached.
    pub fn is_reached_by(&self, line: &str) -> bool {
        line.contains(self.marker) && line.contains(self.and)
    }
}

/// Whether a line says that the host is configured: its own word, or the target's.
pub(super) fn says_configured(line: &str) -> bool {
    line.contains(CONFIGURED) || (line.contains("Reached target") && line.contains(" configured.target"))
}

/// What is wrong, if a line says that the boot will not end well.
pub fn trouble(line: &str) -> Option<&str> {
    TROUBLE.iter().any(|words| line.contains(words)).then_some(line.trim())
}

/// The units that the console says have failed, or were left out because each waits for the other.
pub fn failed_units(lines: &[Line]) -> Vec<&str> {
    let failed = lines.iter().filter_map(|line| {
        let text = line.text.trim_start();
        if let Some(unit) = text.strip_prefix("[ SKIP ] Ordering cycle found, skipping ") {
            return Some(unit);
        }
        let manager = text.split_once("systemd[1]: ").map(|(_, said)| said);
        let said =
            text.strip_prefix("[FAILED] ").or(manager.filter(|said| said.starts_with("Failed to start ")))?;
        Some(said.strip_prefix("Failed to start ").unwrap_or(said).trim_end_matches('.'))
    });
    let mut units: Vec<&str> = failed.collect();
    units.sort_unstable();
    units.dedup();
    units
}

impl Console {
    /// Takes bytes that came at this moment.
    pub fn feed(&mut self, at: Duration, bytes: &[u8]) {
        for byte in bytes {
            if *byte == b'\n' {
                let (at, raw) = self.partial.take().unwrap_or((at, Vec::new()));
                self.lines.push(Line { at, text: plain(&raw) });
            } else {
                self.partial.get_or_insert_with(|| (at, Vec::new())).1.push(*byte);
            }
        }
        self.shown = self.partial.as_ref().map(|(at, raw)| Line { at: *at, text: plain(raw) });
    }

    /// The lines that have ended.
    pub fn lines(&self) -> &[Line] {
        &self.lines
    }

    /// The lines from a place on, the one that is being written included.
    pub fn from(&self, place: usize) -> impl Iterator<Item = &Line> {
        self.lines.iter().skip(place).chain(&self.shown)
    }

    /// The last lines, as text.
    pub fn tail(&self, count: usize) -> String {
        let lines: Vec<&str> = self.from(0).map(|line| line.text.as_str()).collect();
        lines[lines.len().saturating_sub(count)..].join("\n")
    }
}

/// Text without what moves a terminal's cursor or colours it (ECMA-48, 5.4: CSI, parameters, final byte).
fn plain(raw: &[u8]) -> String {
    let text = String::from_utf8_lossy(raw);
    let mut plain = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(char) = chars.next() {
        if char == '\x1b' {
            if chars.next_if_eq(&'[').is_some() {
                while chars.next().is_some_and(|char| !('\x40'..='\x7e').contains(&char)) {}
            } else {
                chars.next();
            }
        } else if !char.is_control() || char == '\t' {
            plain.push(char);
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn reached(line: &str) -> Vec<&'static str> {
        STAGES.iter().filter(|stage| stage.is_reached_by(line)).map(|stage| stage.name).collect()
    }

    #[test]
    fn lines_name_the_stage_they_reach() {
        for (line, expected) in [
            ("Welcome to GRUB!", &["GRUB"][..]),
            ("[    0.000000] Linux version 6.1.0-50-cloud-amd64 (debian-kernel", &["kernel"]),
            ("[    4.312455] systemd[1]: systemd 252.39 running in system mode", &["systemd"]),
            ("[  OK  ] Reached target preconfigured.target - Host.", &["preconfigured"]),
            ("[   11.2] systemd[1]: Reached target configured.target - Host.", &["configured"]),
            ("[  OK  ] Reached target multi-user.target - Multi-User System.", &["multi-user"]),
            ("[    4.4] systemd[1]: Starting foo.service", &[]),
        ] {
            assert_eq!(reached(line), expected, "{line}");
        }
        assert!(says_configured("[    9.1] visco: configured"));
        assert!(says_configured("[  OK  ] Reached target configured.target - x."));
        assert!(!says_configured("[  OK  ] Reached target preconfigured.target - x."));
    }

    #[test]
    fn colours_and_carriage_returns_go() {
        let mut console = Console::default();
        console.feed(
            Duration::from_secs(1),
            b"\x1b[2J\x1b[01;01H[\x1b[0;32m  OK  \x1b[0m] Reached\r\nnext \xff",
        );
        assert_eq!(console.lines(), [Line { at: Duration::from_secs(1), text: "[  OK  ] Reached".into() }]);
        assert_eq!(console.tail(1), "next \u{fffd}");
        assert_eq!(console.tail(9), "[  OK  ] Reached\nnext \u{fffd}");
        assert_eq!(console.from(1).count(), 1);
    }

    #[test]
    fn failures_are_told_once_by_name() {
        let mut console = Console::default();
        console.feed(
            Duration::ZERO,
            b"[FAILED] Failed to start chronyd.service - NTP client.\n[    9.0] systemd[1]: Failed to start \
              chronyd.service - NTP client.\n[  OK  ] Started x\n[FAILED] Failed to mount /local.\n\
              [    7.7] app[9]: Failed to start a thing\n\
              [ SKIP ] Ordering cycle found, skipping mark-successful-boot.service\n\
              [ SKIP ] Ordering cycle found, skipping Marks the running version as good\n",
        );
        let failed = failed_units(console.lines());
        assert_eq!(failed[..2], ["Failed to mount /local", "Marks the running version as good"]);
        assert_eq!(failed[2..], ["chronyd.service - NTP client", "mark-successful-boot.service"]);
    }

    #[test]
    fn trouble_is_recognised() {
        for (line, is_trouble) in [
            ("[    2.0] Kernel panic - not syncing: Attempted to kill init!", true),
            ("BdsDxe: No bootable option or device was found.", true),
            ("[  OK  ] Reached target emergency.target - Emergency Mode.", true),
            ("[    2.0] random: crng init done", false),
        ] {
            assert_eq!(trouble(line).is_some(), is_trouble, "{line}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_some_text(bytes in prop::collection::vec(any::<u8>(), 0..400), cut in 1usize..50) {
            let mut whole = Console::default();
            whole.feed(Duration::ZERO, &bytes);
            let mut pieces = Console::default();
            bytes.chunks(cut).for_each(|piece| pieces.feed(Duration::ZERO, piece));
            prop_assert_eq!(whole.tail(1000), pieces.tail(1000));
            prop_assert!(whole.lines().iter().all(|line| !line.text.contains('\x1b')));
        }
    }
}
