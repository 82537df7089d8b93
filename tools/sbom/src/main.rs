//! Says what is in an image, from inside its build.

use clap::Parser;
use sbom::{Places, QUERY_FORMAT, describe};
use std::error::Error;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

/// Says what is in an image
#[derive(Parser)]
#[command(name = "sbom", version)]
enum Verb {
    /// Print the format to query the image's RPM database with
    QueryFormat,
    /// Write an SPDX document and an inventory beside the image, and the inventory into it
    Describe {
        /// What is known of the image beside its packages, in JSON
        #[arg(long, value_name = "FILE")]
        materials: PathBuf,
        /// What the query of the RPM database answered
        #[arg(long, value_name = "FILE")]
        packages: PathBuf,
        /// The root tree of the image
        #[arg(long, value_name = "DIR")]
        root: PathBuf,
        /// Where the files beside the image go
        #[arg(long, value_name = "DIR")]
        output: PathBuf,
    },
}

fn run(verb: &Verb) -> Result<(), Box<dyn Error>> {
    match verb {
        Verb::QueryFormat => Ok(std::io::stdout().write_all(QUERY_FORMAT.as_bytes())?),
        Verb::Describe { materials, packages, root, output } => {
            Ok(describe(&Places { materials, packages, root, output })?)
        }
    }
}

fn main() -> ExitCode {
    match run(&Verb::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("sbom: {}", host::program::chain(error.as_ref()));
            ExitCode::FAILURE
        }
    }
}
