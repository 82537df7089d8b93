//! What may stand on the command line.

use super::change::{Apply, Set, Unset};
use super::check::Check;
use super::commits::{Confirm, Diff, History, One};
use super::explain::{Explain, Keys};
use super::failure::Failure;
use super::output::Format;
use super::raw::Raw;
use super::session::{Session, block_on};
use super::{
    Exit, change, check, commits, completions, exit, explain, get, output, raw, status, update, watch,
};
use crate::Client;
use clap::{ArgMatches, Args, Command, CommandFactory, FromArgMatches, Parser, Subcommand};
use clap_complete::Shell;
use host::Host;
use host::program::{Program, SharedArgs};
use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;
use tracing_subscriber::filter::LevelFilter;
use wire::routes;

/// Reads and changes the settings of a host.
#[derive(Debug, Parser)]
#[command(name = "apiclient", version, after_help = exit::HELP)]
pub(super) struct Line {
    #[command(flatten)]
    shared: SharedArgs,

    /// Socket of the API server [default: /run/api.sock below the root]
    #[arg(short, long, global = true, value_name = "FILE")]
    socket_path: Option<PathBuf>,

    /// Log what is asked and answered; 'raw' shows the HTTP status
    #[arg(short, long, global = true)]
    verbose: bool,

    #[command(flatten)]
    raw: Raw,

    #[command(subcommand)]
    verb: Option<Verb>,
}

/// Whether results are JSON.
#[derive(Args, Clone, Copy, Debug, Default)]
pub(super) struct Json {
    /// Show results as JSON on stdout
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Show settings and other parts of the model, as JSON
    Get {
        /// Beginnings of names, like 'settings.ntp'; or one URI, which begins with '/' [default: os. settings.]
        #[arg(value_name = "PREFIX|URI")]
        targets: Vec<String>,
        #[command(flatten)]
        json: Json,
    },
    /// Change settings and wait until they are applied
    Set(Set),
    /// Change settings as documents of TOML or JSON say, and wait until they are applied
    Apply(Apply),
    /// Take back what was set, down to the user data or default below, and wait until it is applied
    Unset(Unset),
    /// Show what a pending transaction would change
    Diff(Diff),
    /// Check user data without a server
    Check(Check),
    /// List the newest commits
    History(History),
    /// Show what a commit changed
    Show(One),
    /// Go back to the settings as they were after a commit
    Rollback(One),
    /// Undo what a commit changed, and nothing else
    Revert(One),
    /// Keep a commit that was made with --try
    Confirm(Confirm),
    /// Tell what a setting means and what it must be
    Explain(Explain),
    /// Tell where the values of settings come from
    Origin(Keys),
    /// Follow commits and apply jobs as they happen
    Watch(Json),
    /// Show the state of the server
    Status(Json),
    /// Show the JSON Schema of the settings of this host
    Schema(Json),
    /// Send one request
    Raw(Raw),
    /// Look for, apply and take back updates of the host
    Update(update::Update),
    /// Reboot the host
    Reboot,
    /// Print a script that completes command lines
    Completions {
        /// The shell it is for
        shell: Shell,
    },
}

/// The program: its command line, and what it does.
#[derive(Debug)]
pub struct App(Line);

impl CommandFactory for App {
    fn command() -> Command {
        Line::command()
    }

    fn command_for_update() -> Command {
        Line::command_for_update()
    }
}

impl FromArgMatches for App {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut line = Line::from_arg_matches(matches)?;
        if line.verbose {
            line.shared.log_level = LevelFilter::DEBUG;
        }
        Ok(Self(line))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        self.0.update_from_arg_matches(matches)
    }
}

impl Parser for App {}

impl Program for App {
    fn shared(&self) -> &SharedArgs {
        &self.0.shared
    }

    fn run(self, host: &Host) -> Result<ExitCode, Box<dyn Error>> {
        Ok(self.0.run(host).into())
    }
}

impl Line {
    fn run(self, host: &Host) -> Exit {
        let socket = self.socket_path.clone().unwrap_or_else(|| host.path(routes::SOCKET));
        let session = Session { client: Client::new(socket), host: host.clone(), verbose: self.verbose };
        let result = match self.verb {
            Some(_) if self.raw.is_given() => Err(super::failure::usage(
                "--uri, --method and --data belong to 'raw', or stand without a command",
            )),
            Some(verb) => verb.run(&session),
            None => block_on(raw::run(&session, self.raw)),
        };
        result.unwrap_or_else(|failure| {
            failure.lines().iter().for_each(|line| output::say(line));
            failure.exit()
        })
    }
}

impl Verb {
    fn run(self, session: &Session) -> Result<Exit, Failure> {
        match self {
            Self::Get { targets, json: _ } => block_on(get::run(session, &targets)),
            Self::Set(set) => block_on(change::set(session, set)),
            Self::Apply(apply) => change::apply(session, apply),
            Self::Unset(unset) => block_on(change::unset(session, unset)),
            Self::Diff(diff) => block_on(commits::diff(session, &diff)),
            Self::Check(check) => check::run(session, &check),
            Self::History(history) => block_on(commits::history(session, &history)),
            Self::Show(one) => block_on(commits::show(session, one)),
            Self::Rollback(one) => block_on(commits::go_back(session, one, routes::COMMIT_RESTORE)),
            Self::Revert(one) => block_on(commits::go_back(session, one, routes::COMMIT_REVERT)),
            Self::Confirm(confirm) => block_on(commits::confirm(session, confirm)),
            Self::Explain(explain) => block_on(explain::run(session, &explain)),
            Self::Origin(keys) => block_on(explain::origin(session, &keys)),
            Self::Watch(json) => block_on(watch::run(session, json.format())),
            Self::Status(json) => block_on(status::run(session, json.format())),
            Self::Schema(_) => block_on(explain::schema(session)),
            Self::Raw(raw) => block_on(raw::run(session, raw)),
            Self::Update(update) => update::run(session, update),
            Self::Reboot => block_on(raw::reboot(session)),
            Self::Completions { shell } => completions::run(shell).map(|()| Exit::Done),
        }
    }
}

impl Json {
    /// The form that was asked for.
    pub(super) fn format(self) -> Format {
        if self.json { Format::Json } else { Format::Human }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        App::command().debug_assert();
    }
}
