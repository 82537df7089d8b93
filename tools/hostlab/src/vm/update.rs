//! `hostlab vm --update`: a host of one version takes an update from a repository on this machine, and shows it.

use super::check::{boot, leave};
use super::command::{Limits, say, show};
use super::machine::{
    ClientFailedSnafu, ClientSnafu, DiffersSnafu, MarkSnafu, NoRepositorySnafu, ReadSnafu, ServeSnafu,
    TableSnafu,
};
use super::{Machine, VmError};
use crate::file_server::FileServer;
use partitions::kind;
use serde_json::{Value, json};
use snafu::{ResultExt, ensure};
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;
use wire::routes;

/// How long a host may take from the order to reboot until it is reset.
const LEAVE_LIMIT: Duration = Duration::from_mins(3);

/// Updates the machine's host from a repository, boots the update, and tells whether the settings came along.
pub(crate) fn update(
    machine: &mut Machine,
    repository: &Path,
    limits: Limits,
    out: &mut impl Write,
) -> Result<(), VmError> {
    let server = FileServer::start(repository).context(ServeSnafu { path: repository })?;
    boot(machine, 0, limits, out)?;
    let os = get(machine, routes::OS)?;
    let before = text(&os, "version_id");
    say(machine, "running", &format!("version {before}"), out)?;

    let motd = json!(format!("set under version {before}"));
    let settings = settings(&server.guest_url(), repository, &os)?;
    set(machine, &settings, &motd)?;
    say(
        machine,
        "set",
        &format!("settings.updates to {}, settings.motd to {motd}", server.guest_url()),
        out,
    )?;

    client(machine, &["update", "check"], out)?;
    let place = machine.place();
    let resets = machine.record().look(|seen| seen.resets);
    client(machine, &["update", "apply", "--check", "--reboot"], out)?;
    let fetched = server.bytes_served();
    say(machine, "installed", &format!("{:.1} MB were fetched", megabytes(fetched)), out)?;
    machine.wait_for_reset(resets, LEAVE_LIMIT)?;
    say(machine, "reboot", "", out)?;

    boot(machine, place, limits, out)?;
    let after = text(&get(machine, routes::OS)?, "version_id");
    ensure!(after != before, DiffersSnafu { found: &after, expected: "the version of the update" });
    say(machine, "running", &format!("version {after}, updated from {before}"), out)?;
    let found = get(machine, &format!("{}?keys=settings.motd", routes::SETTINGS))?["motd"].clone();
    ensure!(found == motd, DiffersSnafu { found: found.to_string(), expected: motd.to_string() });
    say(machine, "settings", "settings.motd came along", out)?;
    client(machine, &["update", "status"], out)?;

    let disk = machine.files().disk();
    leave(machine, out, "updated")?;
    let table =
        || -> std::io::Result<_> { partitions::read(&mut File::open(&disk)?).map_err(std::io::Error::other) };
    let reading = table().context(TableSnafu { path: &disk })?;
    for (_, entry) in reading.table.of_kind(kind::BOOT) {
        let bits = entry.attributes;
        let said = format!(
            "priority {}, {} tries left, {}",
            bits.priority(),
            bits.tries_left(),
            if bits.is_successful() { "good" } else { "not known to be good" }
        );
        show(out, format_args!("           {:<14}  {said}", entry.label.to_string()))?;
    }
    let next = reading.table.of_kind(kind::BOOT).max_by_key(|(_, entry)| entry.attributes.priority());
    ensure!(next.is_some_and(|(_, entry)| entry.attributes.is_successful()), MarkSnafu);
    Ok(())
}

/// The addresses that a host of this system asks for updates at.
pub fn settings(base: &str, repository: &Path, os: &Value) -> Result<Value, VmError> {
    let product = format!("{}/{}", text(os, "variant_id"), text(os, "arch"));
    let folder = repository.join(&product);
    ensure!(folder.is_dir(), NoRepositorySnafu { path: folder });
    Ok(json!({
        "metadata-base-url": format!("{base}/{product}/"),
        "targets-base-url": format!("{base}/targets/"),
        // A demonstration does not wait for its turn.
        "ignore-waves": true,
    }))
}

/// Runs the client on the machine's API and shows what it says.
fn client(machine: &Machine, words: &[&str], out: &mut impl Write) -> Result<(), VmError> {
    let what = format!("apiclient {}", words.join(" "));
    say(machine, "$", &what, out)?;
    let mut command = Command::new(client_program());
    command.arg("--socket-path").arg(machine.files().api()).args(words);
    let mut child =
        command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().context(ClientSnafu { what: &what })?;
    let (mut answer, mut phase) = (String::new(), String::new());
    for line in BufReader::new(child.stdout.take().expect("stdout was piped")).lines() {
        let line = line.context(ClientSnafu { what: &what })?;
        // Progress is a line of its own, many times a second; a phase is shown once.
        let document = serde_json::from_str::<Value>(&line).unwrap_or_default();
        match document.get("progress") {
            Some(progress) => {
                let now = format!("{}: {}", text(progress, "command"), text(progress, "phase"));
                if now != phase {
                    say(machine, "", &now, out)?;
                    phase = now;
                }
            }
            None => answer.extend([line.as_str(), "\n"]),
        }
    }
    if let Ok(document) = serde_json::from_str::<Value>(&answer) {
        summary(&document, out)?;
    }
    let status = child.wait().context(ClientSnafu { what: &what })?;
    ensure!(status.success(), ClientFailedSnafu { what, status });
    Ok(())
}

/// What a person wants to know of the status of updates.
fn summary(status: &Value, out: &mut impl Write) -> Result<(), VmError> {
    let mut tell = |what: &str, more: &Value| match more.as_str() {
        Some(more) => show(out, format_args!("           {what:<15} {more}")),
        None => Ok(()),
    };
    tell("update_state", &status["update_state"])?;
    tell("chosen_update", &status["chosen_update"]["version"])?;
    tell("its turn", &status["chosen_update_turn"]["explanation"])?;
    tell("last_update", &status["last_update"]["version"])?;
    tell("its result", &status["last_update"]["result"])?;
    tell("its reason", &status["last_update"]["reason"])
}

/// The client beside this program, or that of the path.
pub(crate) fn client_program() -> PathBuf {
    let beside = std::env::current_exe().ok().map(|program| program.with_file_name("apiclient"));
    beside.filter(|path| path.is_file()).unwrap_or_else(|| "apiclient".into())
}

fn set(machine: &Machine, updates: &Value, motd: &Value) -> Result<(), VmError> {
    let query = "tx=hostlab-update";
    let body = json!({ "updates": updates, "motd": motd }).to_string();
    machine.request("PATCH", &format!("{}?{query}", routes::SETTINGS), &body)?;
    machine.request("POST", &format!("{}?{query}", routes::TX_COMMIT_AND_APPLY), "").map(drop)
}

fn get(machine: &Machine, uri: &str) -> Result<Value, VmError> {
    let answer = machine.request("GET", uri, "")?;
    serde_json::from_slice(&answer.body).map_err(std::io::Error::from).context(ReadSnafu { path: uri })
}

fn text(document: &Value, name: &str) -> String {
    document[name].as_str().unwrap_or_default().to_owned()
}

#[allow(clippy::cast_precision_loss, reason = "shown with one digit")]
fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}
