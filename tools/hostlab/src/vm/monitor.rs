//! QEMU's monitor: a line of JSON each way (QMP).

use super::record::Record;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Error, Result, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

/// How long the monitor may take for an answer.
const LIMIT: Duration = Duration::from_secs(30);

/// A connection to the monitor of a machine.
#[derive(Debug)]
pub(crate) struct Monitor {
    stream: UnixStream,
    record: Record,
}

/// What a line of the monitor tells.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Told {
    Answer(std::result::Result<(), String>),
    Reset,
    Shutdown(String),
    Port { is_open: bool },
    Other,
}

impl Monitor {
    /// Begins a conversation, and writes what happens into the record from now on.
    pub(crate) fn new(stream: UnixStream, record: Record) -> Result<Self> {
        let reader = BufReader::new(stream.try_clone()?);
        let noted = record.clone();
        std::thread::spawn(move || {
            // It ends with QEMU; whoever waits for an answer then sees that QEMU has ended.
            for line in reader.lines().map_while(Result::ok) {
                note(read(&line), &noted);
            }
        });
        let mut monitor = Self { stream, record };
        monitor.execute("qmp_capabilities")?;
        Ok(monitor)
    }

    /// Gives a command and waits for its answer.
    pub(crate) fn execute(&mut self, command: &str) -> Result<()> {
        writeln!(self.stream, "{}", json!({ "execute": command }))?;
        let answer = self.record.wait(LIMIT, |seen| {
            let gone = || seen.ended.map(|status| Err(format!("QEMU has ended with {status}")));
            seen.answers.pop_front().or_else(gone)
        });
        let answer = answer.unwrap_or_else(|| Err(format!("no answer in {} s", LIMIT.as_secs())));
        answer.map_err(|said| Error::other(format!("{command}: {said}")))
    }
}

fn read(line: &str) -> Told {
    let Ok(value) = serde_json::from_str::<Value>(line) else { return Told::Other };
    if let Some(error) = value.get("error") {
        return Told::Answer(Err(error["desc"].as_str().unwrap_or("an error").to_owned()));
    }
    if value.get("return").is_some() {
        return Told::Answer(Ok(()));
    }
    let data = &value["data"];
    match value["event"].as_str() {
        Some("RESET") => Told::Reset,
        Some("SHUTDOWN") => Told::Shutdown(data["reason"].as_str().unwrap_or_default().to_owned()),
        Some("VSERPORT_CHANGE") if data["id"] == "port" => {
            Told::Port { is_open: data["open"].as_bool().unwrap_or_default() }
        }
        _ => Told::Other,
    }
}

fn note(told: Told, record: &Record) {
    record.note(|seen| match told {
        Told::Answer(answer) => seen.answers.push_back(answer),
        Told::Reset => seen.resets += 1,
        Told::Shutdown(reason) => seen.shutdown = Some(reason),
        Told::Port { is_open } => seen.is_port_open = is_open,
        Told::Other => {}
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_the_monitor_are_understood() {
        for (line, expected) in [
            (r#"{"QMP": {"version": {}, "capabilities": []}}"#, Told::Other),
            (r#"{"return": {}}"#, Told::Answer(Ok(()))),
            (
                r#"{"error": {"class": "CommandNotFound", "desc": "no such command"}}"#,
                Told::Answer(Err("no such command".into())),
            ),
            (r#"{"event": "RESET", "data": {"guest": true, "reason": "guest-reset"}}"#, Told::Reset),
            (
                r#"{"event": "SHUTDOWN", "data": {"guest": true, "reason": "guest-shutdown"}}"#,
                Told::Shutdown("guest-shutdown".into()),
            ),
            (
                r#"{"event": "VSERPORT_CHANGE", "data": {"open": true, "id": "port"}}"#,
                Told::Port { is_open: true },
            ),
            (r#"{"event": "VSERPORT_CHANGE", "data": {"open": true, "id": "other"}}"#, Told::Other),
            ("not JSON", Told::Other),
        ] {
            assert_eq!(read(line), expected, "{line}");
        }
    }
}
