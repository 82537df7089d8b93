//! Makes disk images from an installed root tree.

use clap::Parser;
use image::{Plan, Request, build, check};
use std::error::Error;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

/// Makes disk images from an installed root tree
#[derive(Parser)]
#[command(name = "image", version)]
enum Verb {
    /// Make an image
    Build {
        /// What to build, in JSON
        #[arg(long, value_name = "FILE")]
        request: PathBuf,
        /// The root tree, with all packages installed
        #[arg(long, value_name = "DIR")]
        root: PathBuf,
        /// Where the files of the image go
        #[arg(long, value_name = "DIR")]
        output: PathBuf,
        /// Only print where everything would go
        #[arg(long)]
        dry_run: bool,
    },
    /// Read a disk back and say what does not fit together
    Check {
        /// The disk, as it is or packed with LZ4
        file: PathBuf,
    },
}

fn run(verb: Verb) -> Result<bool, Box<dyn Error>> {
    let (text, is_good) = match verb {
        Verb::Build { request, dry_run: true, .. } => {
            (Plan::new(&Request::load(&request)?).to_string(), true)
        }
        Verb::Build { request, root, output, .. } => {
            let say = |step: &str| eprintln!("image: {step}");
            (build(&Request::load(&request)?, &root, &output, &say).map(|_| String::new())?, true)
        }
        Verb::Check { file } => {
            check(&file).map(|report| (report.to_string(), report.problems.is_empty()))?
        }
    };
    std::io::stdout().write_all(text.as_bytes())?;
    Ok(is_good)
}

fn main() -> ExitCode {
    let is_good = run(Verb::parse()).unwrap_or_else(|error| {
        eprintln!("image: {}", host::program::chain(error.as_ref()));
        false
    });
    if is_good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
