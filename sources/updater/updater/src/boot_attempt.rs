//! The record of what each boot came to, and what is done when a boot fails.

use clap::Subcommand;
use host::program::chain;
use host::{Command, Host};
use jiff::Timestamp;
use serde::Deserialize;
use signpost::attempt::{Attempt, Record, Remedy, Stage};
use signpost::{BootState, Lock, Sets};
use std::error::Error;
use std::process::ExitCode;
use std::time::Duration;

/// What the settings say of health, as its template writes it.
const CONFIG: &str = "/etc/health.toml";
/// Deadline of a host whose configuration does not say, as for the checks.
const DEADLINE: Duration = Duration::from_mins(5);
/// Between two looks at the record.
const PAUSE: Duration = Duration::from_secs(1);
/// How long an orderly restart may take before it is forced; services have 10 s to stop.
const ORDERLY: Duration = Duration::from_mins(1);
/// What our own programs begin a line of their log with; a reason has no levels.
const LEVELS: [&str; 3] = ["ERROR ", "WARN ", "INFO "];
/// How many units a reason names.
const NAMED_UNITS: usize = 5;

#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// A boot begins: note which version of which set it is, and what the boot before came to
    Begin,
    /// The boot has come this far
    Stage {
        #[arg(value_enum)]
        stage: Reached,
    },
    /// Note why the boot will not become healthy
    Reason {
        /// Why, in words; the first reason of a boot is kept
        text: String,
    },
    /// A unit that every boot needs has failed: note why, and restart the host unless that would go on for ever
    Fail {
        /// The unit
        unit: String,
    },
    /// Wait until the boot is healthy; after the deadline, restart a set that has never been
    Watch,
}

#[derive(clap::ValueEnum, Clone, Copy)]
enum Reached {
    Migrated,
    Configured,
    Healthy,
}

pub(crate) fn run(args: &Args, host: &Host) -> Result<ExitCode, Box<dyn Error>> {
    match &args.action {
        Action::Begin => begin(host)?,
        Action::Stage { stage } => change(host, |record| record.reach(stage.stage()))?,
        Action::Reason { text } => change(host, |record| record.because(text))?,
        Action::Fail { unit } => fail(host, unit)?,
        Action::Watch => watch(host)?,
    }
    Ok(ExitCode::SUCCESS)
}

impl Reached {
    fn stage(self) -> Stage {
        match self {
            Self::Migrated => Stage::Migrated,
            Self::Configured => Stage::Configured,
            Self::Healthy => Stage::Healthy,
        }
    }
}

fn begin(host: &Host) -> Result<(), Box<dyn Error>> {
    let state = state(host)?;
    let release = host.os_release()?;
    let field =
        |name| release.as_ref().and_then(|release| release.field(name)).unwrap_or_default().to_owned();
    let current = Attempt {
        version: field("VERSION_ID"),
        variant: field("VARIANT_ID"),
        set: state.active,
        tries_left: state.running.tries_left(),
        proven: state.is_proven(),
        begun: Timestamp::now().to_string(),
        boot_id: host.boot_id()?,
        stage: Stage::Started,
        reason: None,
        switched: false,
    };
    let before = Record::load(host).unwrap_or_else(|e| {
        // A record of the past must not hold up the present.
        tracing::warn!("begin a new record of boots: {}", chain(&e));
        None
    });
    Ok(Record::begin(current, before).store(host)?)
}

fn change(host: &Host, change: impl FnOnce(&mut Record)) -> Result<(), Box<dyn Error>> {
    let mut record =
        own_record(host)?.ok_or("this boot has no record; it is made by 'boot-attempt begin'")?;
    change(&mut record);
    Ok(record.store(host)?)
}

fn state(host: &Host) -> Result<BootState, Box<dyn Error>> {
    Ok(Sets::find(host)?.state()?)
}

fn fail(host: &Host, unit: &str) -> Result<(), Box<dyn Error>> {
    let reason = match last_words(host, unit) {
        Some(words) => format!("{unit} failed: {words}"),
        None => format!("{unit} failed"),
    };
    note(host, &reason);
    let sets = Sets::find(host)?;
    let state = sets.state()?;
    // Without a record nothing is counted: a set that was good stays up.
    let remedy = match own_record(host) {
        Ok(Some(record)) => record.remedy(&state),
        _ if state.is_proven() => Remedy::StayUp,
        _ => Remedy::Restart,
    };
    match remedy {
        Remedy::StayUp => {
            tracing::error!("{reason}; the host has been restarted for it before, so it stays as it is");
            return Ok(());
        }
        Remedy::Restart => tracing::error!("{reason}; restarting"),
        Remedy::SwitchSets => {
            tracing::error!("{reason}; restarting with the other set, which was good before");
            if let Err(e) = change(host, |record| record.current.switched = true) {
                tracing::error!("keep that the other set gets its turn: {}", chain(e.as_ref()));
            }
            if let Err(e) = switch(host, &sets) {
                tracing::error!("take the other set: {}; restarting with this one", chain(e.as_ref()));
            }
        }
    }
    restart(host)
}

fn switch(host: &Host, sets: &Sets) -> Result<(), Box<dyn Error>> {
    sets.apply(&Lock::acquire(host)?, signpost::Command::RollbackToInactive)?;
    Ok(())
}

/// Waits until the boot is healthy. At the deadline a set that has never been healthy restarts, so that its tries run
/// out; one that has been is only reported, because its faults come from elsewhere.
fn watch(host: &Host) -> Result<(), Box<dyn Error>> {
    loop {
        if matches!(own_record(host), Ok(Some(record)) if record.current.stage == Stage::Healthy) {
            return Ok(());
        }
        let deadline = deadline(host);
        if host.uptime()? >= deadline {
            return late(host, deadline);
        }
        std::thread::sleep(PAUSE);
    }
}

fn late(host: &Host, deadline: Duration) -> Result<(), Box<dyn Error>> {
    let reason = format!("not healthy {} s after the start: {}", deadline.as_secs(), unfinished(host));
    note(host, &reason);
    // Where the sets cannot be found nobody counts restarts, so there is none.
    if state(host)?.is_proven() {
        tracing::warn!("{reason}; this version has been healthy before, so the host stays up");
        return Ok(());
    }
    tracing::error!("{reason}; restarting");
    restart(host)
}

/// Keeps a reason, if it can be kept; what follows does not depend on it.
fn note(host: &Host, reason: &str) {
    if let Err(e) = change(host, |record| record.because(reason)) {
        tracing::error!("keep the reason '{reason}': {}", chain(e.as_ref()));
    }
}

/// Restarts the host: in good order, and if that hangs, at once.
fn restart(host: &Host) -> Result<(), Box<dyn Error>> {
    let reboot = |options: &[&str]| Command::new(["systemctl"].iter().chain(options).copied());
    if let Err(e) = host.order(&reboot(&["--no-block", "reboot"])) {
        tracing::error!("restart in good order: {}", chain(&e));
    } else if host.is_machine() {
        std::thread::sleep(ORDERLY);
    } else {
        return Ok(());
    }
    Ok(host.order(&reboot(&["--force", "--force", "reboot"]))?)
}

/// The record, if it is of this boot.
fn own_record(host: &Host) -> Result<Option<Record>, Box<dyn Error>> {
    let boot_id = host.boot_id()?;
    Ok(Record::load(host)?.filter(|record| record.current.boot_id == boot_id))
}

/// What the settings say; the default where they are not known yet, or not readable.
fn deadline(host: &Host) -> Duration {
    #[derive(Deserialize)]
    struct Config {
        deadline: Option<u32>,
    }
    let content = host.read(CONFIG).ok().flatten().unwrap_or_default();
    let config: Option<Config> = toml::from_str(&String::from_utf8_lossy(&content)).ok();
    config.and_then(|config| config.deadline).map_or(DEADLINE, |seconds| Duration::from_secs(seconds.into()))
}

/// The units that failed or have not finished starting, each with what it said last.
fn unfinished(host: &Host) -> String {
    let list = ["list-units", "--state=failed,activating", "--plain", "--no-legend", "--no-pager"];
    let Some(units) = answer(host, ["systemctl"].iter().chain(&list)) else {
        return "systemctl does not say which units are at fault".to_owned();
    };
    let mut names: Vec<&str> = units.lines().filter_map(|line| line.split_whitespace().next()).collect();
    // This program's own unit is never what is waited for.
    names.retain(|name| *name != "boot-deadline.service");
    // What checks say is more to the point than what they wait for.
    names.sort_by_key(|name| !name.starts_with("health-"));
    let more = names.len().saturating_sub(NAMED_UNITS);
    let mut told: Vec<String> = names
        .iter()
        .take(NAMED_UNITS)
        .map(|name| {
            last_words(host, name).map_or_else(|| (*name).to_owned(), |words| format!("{name} ({words})"))
        })
        .collect();
    if more > 0 {
        told.push(format!("and {more} more"));
    }
    if told.is_empty() { "no unit failed, and none is starting".to_owned() } else { told.join(", ") }
}

/// The last line that a unit's programs wrote in this boot.
fn last_words(host: &Host, unit: &str) -> Option<String> {
    let of_unit = format!("_SYSTEMD_UNIT={unit}");
    let words = ["journalctl", "--boot", "--output=cat", "--lines=1", "--quiet", "--no-pager", &of_unit];
    let answer = answer(host, words.iter())?;
    let line = answer.lines().next_back()?.trim();
    let line = LEVELS.iter().find_map(|level| line.strip_prefix(level)).unwrap_or(line);
    (!line.is_empty()).then(|| line.to_owned())
}

/// What a program answers; none where it cannot be asked, which must not keep a host from restarting.
fn answer<'a>(host: &Host, words: impl Iterator<Item = &'a &'a str>) -> Option<String> {
    let output = match host.run(&Command::new(words.copied())) {
        Ok(output) => output,
        Err(e) => {
            tracing::debug!("{}", chain(&e));
            return None;
        }
    };
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}
