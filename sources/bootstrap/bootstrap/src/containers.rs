//! Host containers and bootstrap containers.

use crate::api::{Socket, switch_off, with_client};
use crate::config::load;
use crate::folder::names;
use ::host_containers::{BOOTSTRAP, Family, HOST, Machine, Plan, Plans, Step};
use clap::Subcommand;
use host::program::chain;
use host::{Command, FileError, Host, OrderError};
use modeled_types::{BootstrapMode, Identifier};
use snafu::{ResultExt, Snafu};
use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

/// The settings that changed, where only some did; `thar-be-settings` sets it.
const CHANGED: &str = "CHANGED_SETTINGS";
/// What runs containers.
const RUNNER: &str = "/usr/bin/host-ctr";
/// Where the runtime of these containers listens.
const RUNTIME: &str = "/run/host-containerd/containerd.sock";
/// Where units are enabled, for this boot.
const UNITS: &str = "/etc/systemd/system";
/// The target that the machine is on its way to; in `/etc` once it has been changed.
const DEFAULT_TARGETS: [&str; 2] =
    ["/etc/systemd/system/default.target", "/usr/lib/systemd/system/default.target"];
/// The target of a boot that is over.
const MULTI_USER: &str = "multi-user.target";
/// Limit of one step. A container has a minute to stop, and what it leaves takes a minute to clean up.
const STEP_LIMIT: Duration = Duration::from_mins(3);

const EXIT_CODES: &str =
    "Exit status: 0 all containers are set up; 1 some are not, and each is named; 2 wrong usage.";

#[derive(clap::Args)]
#[command(after_help = EXIT_CODES)]
pub(crate) struct HostArgs {
    /// What the settings say
    #[arg(long, value_name = "FILE", default_value = "/etc/host-containers/host-containers.toml")]
    config_path: PathBuf,
}

#[derive(clap::Args)]
pub(crate) struct BootstrapArgs {
    #[command(subcommand)]
    verb: BootstrapVerb,
}

#[derive(Subcommand)]
enum BootstrapVerb {
    /// Set bootstrap containers up, for systemd to start
    #[command(after_help = EXIT_CODES)]
    CreateContainers {
        /// What the settings say
        #[arg(
            long,
            value_name = "FILE",
            default_value = "/etc/bootstrap-containers/bootstrap-containers.toml"
        )]
        config_path: PathBuf,
    },
    /// Note that a bootstrap container has run: one that runs once is switched off
    MarkBootstrap {
        /// The container
        #[arg(long, value_name = "NAME")]
        container_id: Identifier,
        /// When it runs
        #[arg(long)]
        mode: BootstrapMode,
        #[command(flatten)]
        socket: Socket,
    },
}

/// A step that was not done.
#[derive(Debug, Snafu)]
enum StepError {
    #[snafu(display("make its folder"))]
    Folder { source: FileError },
    #[snafu(display("write its files"))]
    Write { source: FileError },
    #[snafu(display("remove its files"))]
    Remove { source: FileError },
    #[snafu(display("change its unit"))]
    Unit { source: OrderError },
    #[snafu(display("clean up what it left"))]
    CleanUp { source: OrderError },
}

pub(crate) fn run_host(args: &HostArgs, host: &Host) -> Result<ExitCode, Box<dyn Error>> {
    let machine = machine(host, &HOST)?;
    let changed: Vec<String> =
        std::env::var(CHANGED).unwrap_or_default().split_whitespace().map(ToOwned::to_owned).collect();
    let plan = |text: &str| ::host_containers::host_containers(text, &changed, &machine);
    let plans = load(host, &args.config_path, plan)?;
    Ok(perform_all(&plans, &HOST, host))
}

pub(crate) fn run_bootstrap(args: &BootstrapArgs, host: &Host) -> Result<ExitCode, Box<dyn Error>> {
    match &args.verb {
        BootstrapVerb::CreateContainers { config_path } => {
            let machine = machine(host, &BOOTSTRAP)?;
            let plan = |text: &str| ::host_containers::bootstrap_containers(text, &machine);
            let plans = load(host, config_path, plan)?;
            Ok(perform_all(&plans, &BOOTSTRAP, host))
        }
        BootstrapVerb::MarkBootstrap { mode: BootstrapMode::Once, container_id, socket } => {
            with_client(host, socket, |client| async move {
                switch_off(&client, BOOTSTRAP.name, container_id.as_str()).await?;
                Ok(ExitCode::SUCCESS)
            })
        }
        BootstrapVerb::MarkBootstrap { .. } => Ok(ExitCode::SUCCESS),
    }
}

/// Performs every plan, and names the containers that are not set up.
fn perform_all(plans: &Plans, family: &Family, host: &Host) -> ExitCode {
    if !host.path(RUNNER).exists() && plans.plans.iter().any(|plan| plan.runs) {
        tracing::warn!("containers of {} are set up but do not run: this image has no {RUNNER}", family.name);
    }
    let mut failed = plans.faults.len();
    for fault in &plans.faults {
        tracing::error!("'{}' of {} is not set up: {}", fault.container, family.name, fault.why);
    }
    for plan in &plans.plans {
        if let Err(e) = perform(plan, host) {
            tracing::error!("'{}' of {} is not set up: {}", plan.container, family.name, chain(&e));
            failed += 1;
        }
    }
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn perform(plan: &Plan, host: &Host) -> Result<(), StepError> {
    let run = |argv: &[&str]| {
        let mut command = Command::new(argv.iter().copied());
        command.timeout = STEP_LIMIT;
        host.order(&command)
    };
    for step in &plan.steps {
        match step {
            Step::Folder { path } => host.make_folder(path, 0o700).context(FolderSnafu)?,
            Step::Write { path, content, mode } => {
                host.replace(path, content, *mode).context(WriteSnafu)?;
            }
            Step::Remove { path } => host.remove(path).context(RemoveSnafu)?,
            Step::Systemctl(words) => {
                let words: Vec<&str> = words.iter().map(String::as_str).collect();
                run(&[&["systemctl"], &words[..]].concat()).context(UnitSnafu)?;
            }
            Step::CleanUp { id } => run(&[RUNNER, "clean-up", "--container-id", id]).context(CleanUpSnafu)?,
        }
    }
    Ok(())
}

/// Looks at the machine. Links and files say what is enabled: asking systemd would cost a process a unit.
fn machine(host: &Host, family: &Family) -> Result<Machine, Box<dyn Error>> {
    let known: BTreeSet<String> = names(host, family.environment)?
        .iter()
        .filter_map(|name| Some(name.strip_suffix(".env")?.to_owned()))
        .collect();
    let mut enabled = BTreeSet::new();
    let mut drop_ins = BTreeMap::new();
    let unit = format!("{}@", family.name);
    for folder in names(host, UNITS)? {
        if folder.rsplit_once('.').is_some_and(|(_, kind)| matches!(kind, "wants" | "requires")) {
            let links = names(host, &format!("{UNITS}/{folder}"))?;
            enabled.extend(links.into_iter().filter(|link| link.starts_with(&unit)));
            continue;
        }
        let drop_in = folder.strip_prefix(&unit).and_then(|rest| rest.strip_suffix(".service.d"));
        if let Some(name) = drop_in
            && let Some(text) = host.read(family.drop_in(name))?
        {
            drop_ins.insert(name.to_owned(), String::from_utf8_lossy(&text).into_owned());
        }
    }
    let can_clean_up = host.path(RUNNER).exists() && UnixStream::connect(host.path(RUNTIME)).is_ok();
    Ok(Machine { multi_user: is_multi_user(host), can_clean_up, known, enabled, drop_ins })
}

/// Whether the boot is over: the target changes as the boot goes on.
fn is_multi_user(host: &Host) -> bool {
    let target = DEFAULT_TARGETS.iter().find_map(|path| std::fs::read_link(host.path(path)).ok());
    target.is_some_and(|target| target.file_name().is_some_and(|name| name == MULTI_USER))
}
