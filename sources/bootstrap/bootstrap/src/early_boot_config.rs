//! Commits user data, once in the life of a host.

use crate::api::{Socket, with_client};
use crate::refusal::{is_refusal, violations};
use apiclient::{Client, ClientError};
use early_boot_config::{Collected, collect, providers};
use host::Host;
use std::error::Error;
use std::process::ExitCode;
use user_data::Fault;
use wire::{MARK_USER_DATA, Status, routes};

/// Exit status when user data was refused: nothing of it is stored, and the boot goes on without it.
pub const EXIT_REFUSED: u8 = 3;

/// What is wrong with the user data of this boot; there is no such file when nothing is.
pub const REPORT: &str = "/run/visco/user-data-report.txt";

const EXIT_CODES: &str = "Exit status: 0 user data is committed, or was at an earlier boot; 1 the server could not \
    be asked; 2 wrong usage; 3 the user data is faulty: nothing of it is stored, the host goes on with its defaults, \
    and user data is read again at the next boot.";

#[derive(clap::Args)]
#[command(after_help = EXIT_CODES)]
pub(crate) struct Args {
    #[command(flatten)]
    socket: Socket,
}

pub(crate) fn run(args: &Args, host: &Host) -> Result<ExitCode, Box<dyn Error>> {
    with_client(host, &args.socket, |client| apply(client, host))
}

async fn apply(client: Client, host: &Host) -> Result<ExitCode, Box<dyn Error>> {
    let status: Status = client.get(routes::STATUS).await?;
    if status.marks.contains_key(MARK_USER_DATA) {
        tracing::info!("user data was read at an earlier boot");
        return Ok(ExitCode::SUCCESS);
    }
    let platform = status.variant.split('-').next().unwrap_or_default();
    let collected = collect(host, &providers(platform));
    for ignored in collected.documents.iter().flat_map(|document| &document.ignored) {
        tracing::warn!("{ignored}");
    }
    if !collected.faults.is_empty() {
        return refuse(host, &collected.faults);
    }
    match commit(&client, &collected).await {
        Ok(commit) => {
            withdraw_report(host)?;
            tracing::info!(commit, sources = collected.documents.len(), "user data is committed");
            Ok(ExitCode::SUCCESS)
        }
        Err(error) if is_refusal(&error) => {
            // The refused transaction would be in the way of the next steps of the boot.
            client.request(hyper::Method::DELETE, &format!("{}?{}", routes::TX, transaction()), None).await?;
            refuse(host, &faults(&collected, &error))
        }
        Err(error) => Err(error.into()),
    }
}

/// Settings and the mark are one commit, so that no crash can part them.
async fn commit(client: &Client, collected: &Collected) -> Result<u64, ClientError> {
    let settings = collected.settings();
    let transaction = transaction();
    if settings.as_object().is_some_and(|members| !members.is_empty()) {
        client.patch_settings(&format!("{transaction}&layer=user-data"), &settings).await?;
    }
    let query = format!("{transaction}&mark={MARK_USER_DATA}&message=user+data");
    Ok(client.commit(routes::TX_COMMIT, &query).await?.commit)
}

fn transaction() -> String {
    format!("tx={}", routes::LAUNCH_TRANSACTION)
}

fn faults(collected: &Collected, error: &ClientError) -> Vec<Fault> {
    match violations(error) {
        Some(violations) => violations.iter().map(|violation| collected.locate(violation)).collect(),
        None => vec![Fault::of("user data", error.to_string())],
    }
}

/// Reports faulty user data, where people look: the journal of the unit, and a file.
fn refuse(host: &Host, faults: &[Fault]) -> Result<ExitCode, Box<dyn Error>> {
    let mut report = String::from("The user data is faulty, and nothing of it is in effect:\n");
    for fault in faults {
        report.extend(["  ", &fault.to_string(), "\n"]);
    }
    report.push_str(
        "The host goes on with its defaults. Mend the user data; it is read again at the next boot.\n",
    );
    eprint!("{report}");
    // It may quote from user data, which can hold secrets.
    host.replace(REPORT, report.as_bytes(), 0o600)?;
    Ok(ExitCode::from(EXIT_REFUSED))
}

fn withdraw_report(host: &Host) -> std::io::Result<()> {
    match std::fs::remove_file(host.path(REPORT)) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(e),
        _ => Ok(()),
    }
}
