//! The network: what it is to be, and what it says of this host.
//!
//! What is to be done is planned by the crate `netdog`; here it is read for, done and told.

mod hostname;
mod links;
mod primary;
mod resolver;

use crate::generators;
use ::netdog::{CURRENT_IP, DeviceId, Faults, NameError, Plan, StatusError};
use clap::Subcommand;
use host::program::chain;
use host::{Command, CommandError, FileError, Host, Output, Replaced};
use snafu::{ResultExt, Snafu};
use std::error::Error;
use std::io::{ErrorKind, Write};
use std::net::IpAddr;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;
use sundog::Outcome;

/// State of the network; nobody else needs to see it.
const STATE_FOLDER: &str = "/var/lib/netdog";
/// How much of what a program said of its failure is repeated.
const STDERR_TAIL: usize = 500;

#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: NetdogVerb,
}

#[derive(Subcommand)]
enum NetdogVerb {
    /// Write the files of networkd, from net.toml or the kernel command line
    GenerateNetConfig(DryRun),
    /// Note the address of the primary interface, and set it up for containers
    WritePrimaryInterfaceStatus {
        /// How long to wait for the address
        #[arg(long, value_name = "SECONDS", default_value_t = 0)]
        wait: u32,
    },
    /// Print the name that the network has for the host's address, or one made of the address
    GenerateHostname,
    /// Print the host's address
    NodeIp,
    /// Tell the kernel the name of the host
    SetHostname {
        /// The name; an empty one leaves the kernel's as it is
        name: String,
    },
    /// Tell networkd and resolved who answers questions for names, from /etc/netdog.toml
    WriteResolvConf(DryRun),
}

#[derive(clap::Args)]
struct DryRun {
    /// Print what would be done to files, and do nothing
    #[arg(long)]
    dry_run: bool,
}

/// Why something about the network was not done.
#[derive(Debug, Snafu)]
enum NetdogError {
    #[snafu(display("{faults}\nNothing was changed; mend {}, or remove it", file_of(faults)))]
    Faulty { faults: Faults },
    #[snafu(display("read what the network is to be"))]
    Read { source: FileError },
    #[snafu(display("print the plan"))]
    Show { source: std::io::Error },
    #[snafu(display("list {path}"))]
    List { path: String, source: std::io::Error },
    #[snafu(display("{path} does not name a device"))]
    Primary { path: &'static str, source: NameError },
    #[snafu(display("write what follows for the network"))]
    Write { source: FileError },
    #[snafu(display("create the folder {path}"))]
    Folder { path: &'static str, source: std::io::Error },
    #[snafu(display("remove {path}"))]
    Remove { path: String, source: std::io::Error },
    #[snafu(display("link {path} to {target}"))]
    Link { path: &'static str, target: &'static str, source: std::io::Error },
    #[snafu(display("set {path}"))]
    Kernel { path: &'static str, source: std::io::Error },
    #[snafu(display("'{name}' is no name for a host; write letters, digits, '-' and '.'"))]
    Hostname { name: String },
    #[snafu(display("run {what}"))]
    Run { what: String, source: CommandError },
    #[snafu(display("{what} ended with {status}: {stderr}"))]
    Ended { what: String, status: std::process::ExitStatus, stderr: String },
    #[snafu(display("find the address of {interface}"))]
    Status { interface: String, source: StatusError },
    #[snafu(display(
        "the primary interface {interface} has no address that others can reach; see 'networkctl status {interface}'"
    ))]
    NoAddress { interface: String },
    #[snafu(display(
        "no interface of this host has the MAC address {address} of the primary one; there are: {there}"
    ))]
    NoInterface { address: String, there: String },
}

/// All faults of one set are of one file.
fn file_of(faults: &Faults) -> &str {
    faults.as_slice().first().map_or("it", |fault| &fault.file)
}

impl Args {
    /// Whether the verb makes the value of a setting.
    pub(crate) fn is_generator(&self) -> bool {
        matches!(self.verb, NetdogVerb::NodeIp | NetdogVerb::GenerateHostname)
    }
}

pub(crate) fn run(args: &Args, host: &Host) -> Result<ExitCode, Box<dyn Error>> {
    match &args.verb {
        NetdogVerb::NodeIp | NetdogVerb::GenerateHostname => return generators::print(generate(args, host)),
        NetdogVerb::GenerateNetConfig(DryRun { dry_run }) => links::generate(host, *dry_run)?,
        NetdogVerb::WritePrimaryInterfaceStatus { wait } => {
            primary::write_status(host, Duration::from_secs((*wait).into()))?;
        }
        NetdogVerb::SetHostname { name } => hostname::set(host, name)?,
        NetdogVerb::WriteResolvConf(DryRun { dry_run }) => resolver::write(host, *dry_run)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Makes the value of a setting.
pub(crate) fn generate(args: &Args, host: &Host) -> Outcome {
    let address = match current_ip(host) {
        Ok(Some(address)) => address,
        Ok(None) => {
            return Outcome::Declined(format!("this host has no address yet: {CURRENT_IP} does not exist"));
        }
        Err(why) => return Outcome::failed(why),
    };
    match args.verb {
        NetdogVerb::NodeIp => Outcome::Made(address.to_string().into()),
        NetdogVerb::GenerateHostname => Outcome::Made(hostname::of(host, address).into()),
        _ => Outcome::failed("this verb of netdog makes no setting"),
    }
}

fn current_ip(host: &Host) -> Result<Option<IpAddr>, String> {
    let Some(content) = host.read(CURRENT_IP).map_err(|e| chain(&e))? else { return Ok(None) };
    let text = String::from_utf8_lossy(&content);
    text.trim().parse().map(Some).map_err(|_| format!("{CURRENT_IP} holds no address, but '{}'", text.trim()))
}

/// The device whose address is that of the host, as the files of its configuration name it.
fn primary_device(host: &Host) -> Result<Option<DeviceId>, NetdogError> {
    for path in [::netdog::PRIMARY_INTERFACE, ::netdog::PRIMARY_MAC_ADDRESS] {
        if let Some(content) = host.read(path).context(ReadSnafu)? {
            let text = String::from_utf8_lossy(&content);
            return text.trim().parse().map(Some).context(PrimarySnafu { path });
        }
    }
    Ok(None)
}

/// The names in a folder of the host, in order; none where there is no such folder.
fn names_in(host: &Host, path: &str) -> Result<Vec<String>, NetdogError> {
    let entries = match std::fs::read_dir(host.path(path)) {
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.context(ListSnafu { path })?,
    };
    let name = |entry: std::io::Result<std::fs::DirEntry>| {
        entry.map(|entry| entry.file_name().to_string_lossy().into_owned())
    };
    let mut names: Vec<String> = entries.map(name).collect::<Result<_, _>>().context(ListSnafu { path })?;
    names.sort();
    Ok(names)
}

/// Does to files what was planned, and says which of them changed.
fn apply(plan: &Plan, host: &Host) -> Result<Vec<String>, NetdogError> {
    let mut changed = Vec::new();
    for file in &plan.writes {
        if file.path.starts_with(STATE_FOLDER) {
            create_state_folder(host)?;
        }
        // networkd and resolved read their files as users of their own.
        let done = host.replace(&file.path, file.content.as_bytes(), 0o644).context(WriteSnafu)?;
        if done == Replaced::Written {
            changed.push(file.path.clone());
        }
    }
    for path in &plan.removals {
        match std::fs::remove_file(host.path(path)) {
            Err(e) if e.kind() == ErrorKind::NotFound => continue,
            done => done.context(RemoveSnafu { path })?,
        }
        changed.push(path.clone());
        if let Some(folder) = Path::new(path).parent().filter(|_| path.contains(".network.d/")) {
            // Somebody else's drop-ins keep their folder.
            std::fs::remove_dir(host.path(folder)).ok();
        }
    }
    Ok(changed)
}

fn create_state_folder(host: &Host) -> Result<(), NetdogError> {
    let folder = host.path(STATE_FOLDER);
    let create = || {
        std::fs::create_dir_all(folder.parent().unwrap_or(Path::new("/")))?;
        match std::fs::DirBuilder::new().mode(0o700).create(&folder) {
            Err(e) if e.kind() != ErrorKind::AlreadyExists => Err(e),
            _ => Ok(()),
        }
    };
    create().context(FolderSnafu { path: STATE_FOLDER })
}

/// Shows a plan to people.
fn show(plan: &Plan) -> Result<(), NetdogError> {
    let written = write!(std::io::stdout(), "{plan}");
    written.context(ShowSnafu)
}

/// Runs a program that acts on the machine; a host in a directory records it.
fn act(host: &Host, command: &Command) -> Result<(), NetdogError> {
    let what = command.argv.join(" ");
    match host.act(command).context(RunSnafu { what: &what })? {
        Some(output) => succeeded(&what, output).map(drop),
        None => Ok(()),
    }
}

/// The output of a program that did what it was asked.
fn succeeded(what: &str, output: Output) -> Result<Vec<u8>, NetdogError> {
    if output.status.success() {
        return Ok(output.stdout);
    }
    let stderr = output.stderr.trim();
    let start = stderr.ceil_char_boundary(stderr.len().saturating_sub(STDERR_TAIL));
    EndedSnafu { what, status: output.status, stderr: &stderr[start..] }.fail()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_without_an_address_declines() {
        let dir = tempfile::tempdir().unwrap();
        let host = Host::new(dir.path());
        let args = || Args { verb: NetdogVerb::NodeIp };
        assert!(matches!(generate(&args(), &host), Outcome::Declined(_)));
        host.replace(CURRENT_IP, b"192.0.2.7\n", 0o644).unwrap();
        assert!(matches!(generate(&args(), &host), Outcome::Made(v) if v == "192.0.2.7"));
        host.replace(CURRENT_IP, b"none", 0o644).unwrap();
        assert!(matches!(generate(&args(), &host), Outcome::Failed(_)));
    }
}
