//! `hostlab vm --check`: whether an image boots, keeps what it is told, and ends well.

use super::command::{Limits, ensure_no_failed_units, follow, say};
use super::machine::{DiffersSnafu, LateSnafu};
use super::{Machine, VmError};
use serde_json::{Value, json};
use snafu::{OptionExt, ensure};
use std::io::Write;
use std::time::Duration;
use wire::routes;

/// How long applying a setting, leaving for a reboot, or powering off may take.
const ACTION_LIMIT: Duration = Duration::from_mins(3);
/// How the host's report on its boot begins (`bootstrap boot-report`).
const REPORT: &str = "visco: up";
/// The setting that is set, below `settings`.
const SETTING: &str = "motd";

/// Boots, sets and reads a setting, reboots, reads it again, powers off.
pub(crate) fn check(machine: &mut Machine, limits: Limits, out: &mut impl Write) -> Result<(), VmError> {
    boot(machine, 0, limits, out)?;

    let before = read(machine)?;
    let value = json!(format!("set by a check after {} s", machine.record().now().as_secs_f64()));
    set(machine, &value)?;
    say(machine, "set", &format!("settings.{SETTING} from {before} to {value}"), out)?;
    expect(machine, &value)?;
    say(machine, "read", "it reads as set", out)?;

    let place = machine.place();
    let resets = machine.record().look(|seen| seen.resets);
    match machine.request("POST", routes::REBOOT, "") {
        // A host that goes down at once takes its answer along; the reset tells whether it went.
        Ok(_) | Err(VmError::Request { .. }) => {}
        Err(error) => return Err(error),
    }
    machine.wait_for_reset(resets, ACTION_LIMIT)?;
    say(machine, "reboot", "", out)?;
    boot(machine, place, limits, out)?;
    expect(machine, &value)?;
    say(machine, "read", "it still reads as set", out)?;

    leave(machine, out, "checked")
}

/// Has the guest power itself off.
pub(crate) fn leave(machine: &mut Machine, out: &mut impl Write, why: &str) -> Result<(), VmError> {
    machine.press_power_button()?;
    let reason = machine.wait_until_off(ACTION_LIMIT)?;
    ensure!(
        reason == "guest-shutdown",
        LateSnafu { what: "the guest to power itself off", limit: ACTION_LIMIT }
    );
    say(machine, "off", why, out)
}

/// Waits for a boot to be over, which the host says when no job is left, and for it to have gone well.
pub(crate) fn boot(
    machine: &mut Machine,
    place: usize,
    limits: Limits,
    out: &mut impl Write,
) -> Result<(), VmError> {
    follow(machine, place, limits, out)?;
    let report = machine.record().wait(limits.boot, |seen| {
        // A line is there before all of it is.
        let mut lines = seen.console.from(place).map(|line| line.text.as_str());
        lines
            .find_map(|line| line.split_once(REPORT).filter(|(_, rest)| rest.contains(" failed")))
            .map(|(_, rest)| rest.to_owned())
    });
    let report = report.context(LateSnafu { what: "the host's report on its boot", limit: limits.boot })?;
    say(machine, "up", report.trim_start_matches([':', ' ']), out)?;
    ensure_no_failed_units(machine, place)?;
    say(machine, "units", "none has failed", out)
}

fn read(machine: &Machine) -> Result<Value, VmError> {
    let uri = format!("{}?keys=settings.{SETTING}", routes::SETTINGS);
    let answer = machine.request("GET", &uri, "")?;
    let document: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    Ok(document[SETTING].clone())
}

fn expect(machine: &Machine, expected: &Value) -> Result<(), VmError> {
    let found = read(machine)?;
    ensure!(found == *expected, DiffersSnafu { found: found.to_string(), expected: expected.to_string() });
    Ok(())
}

fn set(machine: &Machine, value: &Value) -> Result<(), VmError> {
    let query = "tx=hostlab-check";
    let body = json!({ SETTING: value }).to_string();
    machine.request("PATCH", &format!("{}?{query}", routes::SETTINGS), &body)?;
    machine.request("POST", &format!("{}?{query}", routes::TX_COMMIT_AND_APPLY), "").map(drop)
}
