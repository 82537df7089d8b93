//! The status of updates as text for people.

use super::output::{Paint, Tone};
use wire::{
    UpdateCommandResult, UpdateCommandStatus, UpdateProgress, UpdateResult, UpdateState, UpdateStatus,
};

/// The status, a line for each thing there is to say.
pub(super) fn lines(status: &UpdateStatus, paint: Paint) -> Vec<String> {
    let mut lines = Vec::new();
    let mut row = |name: &str, tone: Tone, text: String| {
        lines.push(format!("{name:<9}{}", paint.paint(tone, &text)));
    };
    if let Some(active) = &status.active_partition {
        let next = if active.next_to_boot { "" } else { ", not what boots next" };
        row("running", Tone::Plain, format!("{}{next}", active.image));
    }
    let (tone, text) = state(status);
    row("update", tone, text);
    if let Some(text) = others(status) {
        row("others", Tone::Faint, text);
    }
    if let Some(turn) = &status.chosen_update_turn {
        let when = match (turn.open, turn.opens) {
            (true, Some(opens)) => format!("of {} is open since {}", turn.version, opens.whole_seconds()),
            (true, None) => format!("{} has none", turn.version),
            (false, Some(opens)) => format!("of {} opens {}", turn.version, opens.whole_seconds()),
            (false, None) => format!("of {} has not opened", turn.version),
        };
        row("wave", Tone::Plain, format!("{when}: {}", turn.explanation));
    }
    if let Some(progress) = &status.progress {
        row("working", Tone::Plain, self::progress(progress));
    }
    if let Some(last) = &status.last_update {
        let (tone, what) = match last.result {
            UpdateResult::Succeeded => (Tone::Good, "succeeded"),
            UpdateResult::Failed => (Tone::Bad, "failed"),
            UpdateResult::FellBack => (Tone::Bad, "fell back"),
        };
        let reason = last.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
        row("last", tone, format!("{} {what} ({}){reason}", last.version, last.time.whole_seconds()));
    }
    for bad in &status.bad_versions {
        let text = format!(
            "{} is not chosen, because it fell back; 'apiclient update forget {}' allows it again",
            bad.version, bad.version
        );
        row("bad", Tone::Bad, text);
    }
    if let Some(command) =
        status.most_recent_command.as_ref().filter(|c| c.cmd_status != UpdateCommandStatus::Success)
    {
        let why = command.stderr.as_deref().unwrap_or("no reason is known");
        let text = format!("{} failed ({}): {why}", command.cmd_type, command.timestamp.whole_seconds());
        row("command", Tone::Bad, text);
    }
    if let Some(checked) = status.last_check {
        row("checked", Tone::Faint, checked.whole_seconds().to_string());
    }
    lines
}

fn state(status: &UpdateStatus) -> (Tone, String) {
    let chosen = status.chosen_update.as_ref().map(ToString::to_string);
    let staged = status.staging_partition.as_ref().map(|staged| staged.image.to_string());
    match (status.update_state, staged, chosen) {
        (UpdateState::Available, _, Some(chosen)) => (Tone::Good, format!("{chosen} is available")),
        (UpdateState::Staged, Some(staged), Some(chosen)) if staged != chosen => {
            (Tone::Good, format!("{chosen} is available; {staged} is on the disk and not active"))
        }
        (UpdateState::Staged, Some(staged), _) => {
            (Tone::Good, format!("{staged} is on the disk and not active"))
        }
        (UpdateState::Ready, Some(staged), _) => (Tone::Good, format!("{staged} boots next")),
        (UpdateState::Ready, None, _) => (Tone::Good, "the other set of partitions boots next".to_owned()),
        _ => (Tone::Plain, "none".to_owned()),
    }
}

/// Versions this host could go to besides the chosen one. The one that runs may be offered, too.
fn others(status: &UpdateStatus) -> Option<String> {
    let chosen = status.chosen_update.as_ref().map(|chosen| chosen.version.as_str());
    let running = status.active_partition.as_ref().map(|active| active.image.version.as_str());
    let others: Vec<&str> = status
        .available_updates
        .iter()
        .map(String::as_str)
        .filter(|version| ![chosen, running].contains(&Some(*version)))
        .collect();
    (!others.is_empty()).then(|| others.join(", "))
}

/// Whether what would be written is on the disk already.
pub(super) fn is_staged(status: &UpdateStatus) -> bool {
    let staged = status.staging_partition.as_ref().map(|staged| &staged.image);
    status.update_state == UpdateState::Staged && staged.is_some() && staged == status.chosen_update.as_ref()
}

/// Why there is nothing to apply.
pub(super) fn nothing_to_do(status: &UpdateStatus, checked: bool) -> String {
    match &status.chosen_update_turn {
        Some(turn) if !turn.open => {
            let when =
                turn.opens.map(|opens| format!("; it opens {}", opens.whole_seconds())).unwrap_or_default();
            format!("no update yet: the wave of this host for {} has not opened{when}", turn.version)
        }
        _ if checked => "no update is available".to_owned(),
        _ => "no update is known; 'apiclient update check' looks for one".to_owned(),
    }
}

/// Why a command failed, in one line with what can be done.
pub(super) fn failed(command: &UpdateCommandResult, status: &UpdateStatus) -> String {
    let why = command.stderr.as_deref().unwrap_or("no reason is known");
    let advice = match (command.cmd_type, status.update_state) {
        (wire::UpdateCommand::Prepare, _) => {
            "; what was written is kept, and 'apiclient update apply' goes on from there"
        }
        (wire::UpdateCommand::Activate, UpdateState::Staged) => "; the running system still boots next",
        _ => "",
    };
    format!("{} failed: {why}{advice}", command.cmd_type)
}

/// How far a command is, in one line.
pub(super) fn progress(progress: &UpdateProgress) -> String {
    let percent = |done: u64, total: u64| done.saturating_mul(100).checked_div(total);
    let amount = match percent(progress.bytes_done, progress.bytes_total) {
        Some(percent) => {
            format!(" {} of {} ({percent} %)", bytes(progress.bytes_done), bytes(progress.bytes_total))
        }
        None => percent(progress.blocks_done, progress.blocks)
            .map(|percent| format!(" {percent} %"))
            .unwrap_or_default(),
    };
    let rate = if progress.rate > 0 { format!(", {}/s", bytes(progress.rate)) } else { String::new() };
    let left =
        progress.seconds_left.map(|seconds| format!(", {} left", duration(seconds))).unwrap_or_default();
    format!("{}: {}{amount}{rate}{left}", progress.command, progress.phase)
}

/// "999 B", "12.3 MB": three digits are enough to see it move.
fn bytes(number: u64) -> String {
    const UNITS: [&str; 4] = ["kB", "MB", "GB", "TB"];
    if number < 1000 {
        return format!("{number} B");
    }
    let (mut tenths, mut unit) = (number / 100, 0);
    while tenths >= 10_000 && unit + 1 < UNITS.len() {
        tenths /= 1000;
        unit += 1;
    }
    format!("{}.{} {}", tenths / 10, tenths % 10, UNITS[unit])
}

fn duration(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn status(document: Value) -> UpdateStatus {
        serde_json::from_value(document).unwrap()
    }

    fn image(version: &str) -> Value {
        json!({"arch": "x86_64", "version": version, "variant": "metal-dev"})
    }

    fn check(document: Value, expected: &[&str]) {
        assert_eq!(lines(&status(document), Paint::none()), expected);
    }

    #[test]
    fn a_status_is_told_line_by_line() {
        let running = json!({"image": image("1.0.0"), "next_to_boot": true});
        check(json!({"active_partition": running}), &["running  metal-dev 1.0.0", "update   none"]);
        check(
            json!({
                "update_state": "Available", "available_updates": ["1.1.0", "1.0.5", "1.0.0"],
                "chosen_update": image("1.1.0"), "active_partition": running, "last_check": "2026-11-21T12:00:00.25Z",
                "chosen_update_turn": {
                    "version": "1.1.0", "open": true, "opens": "2026-11-20T06:00:00Z",
                    "explanation": "seed 512 of 2048 is halfway through wave 2 of 5",
                },
            }),
            &[
                "running  metal-dev 1.0.0",
                "update   metal-dev 1.1.0 is available",
                "others   1.0.5",
                "wave     of 1.1.0 is open since 2026-11-20T06:00:00Z: seed 512 of 2048 is halfway through wave 2 of 5",
                "checked  2026-11-21T12:00:00Z",
            ],
        );
        check(
            json!({
                "update_state": "Ready", "chosen_update": image("1.1.0"),
                "active_partition": {"image": image("1.0.0"), "next_to_boot": false},
                "staging_partition": {"image": image("1.1.0"), "next_to_boot": true},
            }),
            &["running  metal-dev 1.0.0, not what boots next", "update   metal-dev 1.1.0 boots next"],
        );
        check(
            json!({
                "update_state": "Staged", "chosen_update": image("1.2.0"),
                "staging_partition": {"image": image("1.1.0"), "next_to_boot": false},
            }),
            &["update   metal-dev 1.2.0 is available; metal-dev 1.1.0 is on the disk and not active"],
        );
    }

    #[test]
    fn a_fallback_and_a_failure_say_why() {
        check(
            json!({
                "last_update": {
                    "version": "1.1.0", "result": "fell-back", "reason": "kubelet.service failed",
                    "time": "2026-11-21T12:00:00Z",
                },
                "bad_versions": [
                    {"version": "1.1.0", "reason": "kubelet.service failed", "since": "2026-11-21T12:00:00Z"},
                ],
                "most_recent_command": {
                    "cmd_type": "refresh", "cmd_status": "Failed", "timestamp": "2026-11-21T13:00:00Z",
                    "exit_status": 1, "stderr": "no network",
                },
            }),
            &[
                "update   none",
                "last     1.1.0 fell back (2026-11-21T12:00:00Z): kubelet.service failed",
                "bad      1.1.0 is not chosen, because it fell back; 'apiclient update forget 1.1.0' allows it again",
                "command  refresh failed (2026-11-21T13:00:00Z): no network",
            ],
        );
    }

    #[test]
    fn nothing_to_do_says_when_there_will_be() {
        let waiting = status(json!({"chosen_update_turn": {
            "version": "1.1.0", "open": false, "opens": "2026-11-22T00:00:00Z", "explanation": "...",
        }}));
        let expected =
            "no update yet: the wave of this host for 1.1.0 has not opened; it opens 2026-11-22T00:00:00Z";
        assert_eq!(nothing_to_do(&waiting, true), expected);
        assert_eq!(nothing_to_do(&UpdateStatus::default(), true), "no update is available");
        assert!(nothing_to_do(&UpdateStatus::default(), false).contains("'apiclient update check'"));
    }

    #[test]
    fn only_what_would_be_written_counts_as_staged() {
        for (state, chosen, staged, expected) in [
            ("Staged", Some("1.1.0"), Some("1.1.0"), true),
            ("Staged", Some("1.2.0"), Some("1.1.0"), false),
            ("Staged", None, None, false),
            ("Available", Some("1.1.0"), None, false),
        ] {
            let document = json!({
                "update_state": state, "chosen_update": chosen.map(image),
                "staging_partition": staged.map(|version| json!({"image": image(version), "next_to_boot": false})),
            });
            assert_eq!(is_staged(&status(document)), expected, "{state} {chosen:?} {staged:?}");
        }
    }

    #[test]
    fn progress_is_one_line() {
        let of = |fields: Value| {
            let mut document = json!({
                "command": "prepare", "phase": "fetch", "started": "2026-11-21T12:00:00Z",
                "updated": "2026-11-21T12:00:01Z",
            });
            document.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
            progress(&serde_json::from_value(document).unwrap())
        };
        for (fields, expected) in [
            (json!({}), "prepare: fetch"),
            (
                json!({"bytes_done": 12_345_678, "bytes_total": 45_000_000, "rate": 5_100_000, "seconds_left": 7}),
                "prepare: fetch 12.3 MB of 45.0 MB (27 %), 5.1 MB/s, 7 s left",
            ),
            (json!({"blocks_done": 10, "blocks": 40}), "prepare: fetch 25 %"),
            (
                json!({"bytes_done": 0, "bytes_total": 999, "seconds_left": 3700}),
                "prepare: fetch 0 B of 999 B (0 %), 1 h 1 min left",
            ),
        ] {
            assert_eq!(of(fields), expected);
        }
    }

    #[test]
    fn sizes_are_short() {
        for (number, text) in [
            (0, "0 B"),
            (999, "999 B"),
            (1000, "1.0 kB"),
            (999_999, "999.9 kB"),
            (1_000_000, "1.0 MB"),
            (155_300_000, "155.3 MB"),
            (u64::MAX, "18446744.0 TB"),
        ] {
            assert_eq!(bytes(number), text);
        }
    }
}
