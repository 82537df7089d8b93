//! Generators that this program has built in, and how they answer as programs.

use crate::verb::{LINKS, Verb};
use crate::{Args, corndog, netdog, prairiedog, schnauzer_v2};
use clap::{Parser, Subcommand};
use host::Host;
use host::program::{chain, with_verb};
use schnauzer::Context;
use serde_json::Value;
use std::error::Error;
use std::hash::{BuildHasher, Hasher};
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;
use sundog::{Builtin, Outcome};

/// Exit status by which a generator declines.
const EXIT_DECLINED: u8 = 2;
/// Number of places in the update waves.
const WAVE_PLACES: u64 = 2048;

#[derive(clap::Args)]
pub(crate) struct BorkArgs {
    #[command(subcommand)]
    verb: BorkVerb,
}

#[derive(Subcommand)]
enum BorkVerb {
    /// Print a random number from 0 to 2047
    Seed,
}

/// Makes the value of a command line that is a generator of this program, as the program itself would.
pub(crate) fn builtin(words: &[String], host: &Host, context: &Context) -> Builtin {
    let name = words.first().and_then(|program| Path::new(program).file_name()?.to_str());
    if !name.is_some_and(|name| LINKS.contains(&name)) {
        return Builtin::Foreign;
    }
    let args = match Args::try_parse_from(with_verb("bootstrap", words.iter().map(Into::into))) {
        Ok(args) => args,
        Err(e) => return Builtin::Done(Outcome::failed(first_line(&e.to_string()))),
    };
    match args.verb {
        Verb::Bork(BorkArgs { verb: BorkVerb::Seed }) => Builtin::Done(seed()),
        Verb::SchnauzerV2(args) => Builtin::Done(schnauzer_v2::generate(&args, host, context)),
        Verb::Corndog(args) => corndog::generator(&args, host).map_or(Builtin::Foreign, Builtin::Done),
        Verb::Prairiedog(args) => prairiedog::generator(&args, host).map_or(Builtin::Foreign, Builtin::Done),
        // It may ask the network.
        Verb::Netdog(args) if args.is_generator() => {
            let host = host.clone();
            Builtin::Waits(Box::new(move || netdog::generate(&args, &host)))
        }
        _ => Builtin::Foreign,
    }
}

fn first_line(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default();
    line.strip_prefix("error: ").unwrap_or(line).to_owned()
}

/// A place in the update waves.
pub(crate) fn seed() -> Outcome {
    // The standard library seeds its hash keys from the kernel's random numbers; a wave needs no more than that.
    let random = std::collections::hash_map::RandomState::new().build_hasher().finish();
    Outcome::Made(Value::from(random % WAVE_PLACES))
}

/// Answers by the protocol of generators.
pub(crate) fn print(outcome: Outcome) -> Result<ExitCode, Box<dyn Error>> {
    match outcome {
        Outcome::Made(value) => {
            writeln!(std::io::stdout(), "{value}")?;
            Ok(ExitCode::SUCCESS)
        }
        Outcome::Declined(why) => {
            writeln!(std::io::stderr(), "{why}")?;
            Ok(ExitCode::from(EXIT_DECLINED))
        }
        Outcome::Failed(error) => Err(chain(&error).into()),
    }
}
