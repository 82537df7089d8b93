//! The steps of an update, as the API asks for them.

use ::thar_be_updates::{CONFIG_FILE, Config, automatic, boot, forget, start, work};
use clap::Subcommand;
use host::Host;
use std::error::Error;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use update_status::Verb;

/// The exit statuses, as documented (update, section 4.1) and our own.
const HELP: &str = "\
Exit status:
   0  accepted; the result will be in the status
   1  failed
   2  the command line is wrong
  64  another program is changing the update
  65  the command is not allowed in this state
  66  no update is chosen
  67  the inactive set holds no complete update
  68  the version is not remembered as one that fell back";

#[derive(clap::Args)]
#[command(after_help = HELP)]
pub(crate) struct Args {
    /// What the settings say about updates
    #[arg(long, global = true, value_name = "FILE", default_value = CONFIG_FILE)]
    config_path: PathBuf,

    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Look for updates and choose one
    Refresh,
    /// Write the chosen update to the inactive set
    Prepare,
    /// Have the inactive set boot next
    Activate,
    /// Have the running set boot next again
    Deactivate,
    /// Allow a version again that fell back
    Forget {
        /// The version
        version: String,
    },
    /// Do what settings.updates.automatic asks for; run by a timer
    Auto {
        /// Say what would be done next, and do nothing
        #[arg(long)]
        dry_run: bool,
    },
    /// Write down what became of the update before this boot; run once a boot has proved itself
    Boot,
    /// Do a step with the lock as standard input; started by the commands above
    #[command(hide = true)]
    Work {
        /// The step
        verb: Verb,
    },
}

pub(crate) fn run(args: &Args, host: &Host) -> Result<ExitCode, Box<dyn Error>> {
    let done = match &args.action {
        Action::Refresh => start(host, Verb::Refresh),
        Action::Prepare => start(host, Verb::Prepare),
        Action::Activate => start(host, Verb::Activate),
        Action::Deactivate => start(host, Verb::Deactivate),
        Action::Forget { version } => forget(host, version),
        Action::Boot => boot(host),
        Action::Work { verb } => work(host, *verb, std::io::stdin()),
        Action::Auto { dry_run } => {
            return auto(host, args, *dry_run);
        }
    };
    Ok(done.map_or_else(|error| said(&error), |()| ExitCode::SUCCESS))
}

fn auto(host: &Host, args: &Args, dry_run: bool) -> Result<ExitCode, Box<dyn Error>> {
    let config = Config::load(host, &args.config_path)?;
    match automatic(host, &config, dry_run) {
        Ok(ended) => {
            for action in &ended.actions {
                writeln!(std::io::stdout(), "{action}")?;
            }
            Ok(if ended.failed { ExitCode::from(host::program::EXIT_FAILURE) } else { ExitCode::SUCCESS })
        }
        Err(error) => Ok(said(&error)),
    }
}

/// Tells an error in one line, and by the exit status.
fn said(error: &::thar_be_updates::Error) -> ExitCode {
    // Where stderr is closed there is nobody to tell.
    drop(writeln!(std::io::stderr(), "{}", host::program::chain(error)));
    ExitCode::from(error.exit_status())
}
