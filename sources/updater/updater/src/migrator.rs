//! Brings the settings to the version of the image.

use ::migrator::{Cache, Outcome, Planned, Request, dry_run, image_version, migrate};
use host::Host;
use semver::Version;
use std::error::Error;
use std::hash::{BuildHasher, RandomState};
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

const EXIT_CODES: &str = "Exit status: 0 the settings have the version, or there are none yet; 1 they could not be \
    migrated and are as they were; 2 wrong usage.";

/// Update.md 8.2.
#[derive(clap::Args)]
#[command(after_help = EXIT_CODES)]
#[group(skip)]
pub(crate) struct Args {
    /// The link to the datastore
    #[arg(long, value_name = "LINK", default_value = "/var/lib/bottlerocket/datastore/current")]
    datastore_path: PathBuf,

    /// Migrations: the targets of the kept copy of the repository
    #[arg(long, value_name = "DIR", default_value = "/var/lib/bottlerocket/updates/cache/current/targets")]
    migration_directory: PathBuf,

    /// The root of trust
    #[arg(long, value_name = "FILE", default_value = "/usr/share/updog/root.json")]
    root_path: PathBuf,

    /// Metadata of the kept copy of the repository
    #[arg(long, value_name = "DIR", default_value = "/var/lib/bottlerocket/updates/cache/current/metadata")]
    metadata_directory: PathBuf,

    #[command(flatten)]
    to: To,

    /// Say what would be done, and change nothing
    #[arg(long)]
    dry_run: bool,
}

#[derive(clap::Args)]
#[group(required = true, multiple = false)]
struct To {
    /// The version to migrate to
    #[arg(long, value_name = "VERSION")]
    migrate_to_version: Option<Version>,

    /// Migrate to the version of the image
    #[arg(long)]
    migrate_to_version_from_os_release: bool,
}

pub(crate) fn run(args: &Args, host: &Host) -> Result<ExitCode, Box<dyn Error>> {
    let to = match &args.to.migrate_to_version {
        Some(version) => version.clone(),
        None => image_version(host)?,
    };
    let random = RandomState::new().hash_one(std::process::id());
    let request = Request { link: args.datastore_path.clone(), to, random };
    let cache = Cache {
        root: args.root_path.clone(),
        metadata: args.metadata_directory.clone(),
        targets: args.migration_directory.clone(),
    };
    if args.dry_run {
        say(&dry_run(host, &request, &cache)?)?;
        return Ok(ExitCode::SUCCESS);
    }
    // A clock before 1970 is none; the time is only for the history.
    let time = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let time_ms = i64::try_from(time.as_millis()).unwrap_or_default();
    match migrate(host, &request, time_ms, || cache.open(host))? {
        Outcome::NoStore => tracing::info!("there is no datastore to migrate yet"),
        Outcome::SameVersion => tracing::debug!(version = %request.to, "the datastore has the version"),
        Outcome::Migrated { from } => tracing::info!(%from, to = %request.to, "migrated the datastore"),
    }
    Ok(ExitCode::SUCCESS)
}

fn say(planned: &Planned) -> std::io::Result<()> {
    let mut out = std::io::stdout();
    match planned {
        Planned::NoStore => writeln!(out, "there is no datastore"),
        Planned::SameVersion { remove, .. } => {
            writeln!(out, "the datastore has the version")?;
            remove.iter().try_for_each(|name| writeln!(out, "remove {name}"))
        }
        Planned::Migrate(plan) => write!(out, "{plan}"),
    }
}
