//! The command line.

use crate::docker::Client;
use crate::front;
use crate::progress::{self, Event, What};
use crate::{Outcome, package, variant};
use clap::{Parser, Subcommand};
use host::program::chain;
use manifests::Tree;
use std::error::Error;
use std::io::{ErrorKind, Write, stderr, stdout};
use std::path::PathBuf;
use std::process::ExitCode;

/// Builds packages and images in Docker, when their inputs changed
#[derive(Parser, Debug)]
#[command(version)]
pub struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand, Debug)]
enum Verb {
    /// Build a variant with all its packages, or one package with those it needs; this is what people start
    Build(front::BuildArgs),
    /// List the variants and packages of the tree
    List {
        /// Root of the tree
        #[arg(long, value_name = "DIR", default_value = ".")]
        root: PathBuf,
    },
    /// Print the tag of the SDK image, which is built first if it is missing
    Sdk {
        /// Root of the tree
        #[arg(long, value_name = "DIR", default_value = ".", env = "BUILDSYS_ROOT_DIR")]
        root: PathBuf,
    },
    /// Build the RPMs of one package; its build script runs this
    BuildPackage,
    /// Build the image of one variant; its build script runs this
    BuildVariant,
}

impl Args {
    /// Does what was asked.
    pub fn run(self) -> Result<ExitCode, Box<dyn Error>> {
        match self.verb {
            Verb::Build(args) => Ok(front::build(&args, &mut stderr())?),
            Verb::List { root } => {
                let printed = list(&Tree::load(&root)?, &mut stdout());
                Ok(unless_unread(printed).map(|()| ExitCode::SUCCESS)?)
            }
            Verb::Sdk { root } => {
                let lookaside = std::env::var_os("BUILDSYS_LOOKASIDE_DIR").map(PathBuf::from);
                let tree = lookaside::Tree::new(std::path::absolute(root)?, lookaside);
                let docker = Client::find()?;
                let tag = sdk::ensure(&tree, &docker.program().display().to_string(), &mut stderr())?;
                writeln!(stdout(), "{tag}")?;
                Ok(ExitCode::SUCCESS)
            }
            Verb::BuildPackage => {
                let lookup = |name: &str| std::env::var(name).ok();
                let name = own_name();
                tell_of(&name, &|tell| Ok(package::build(&lookup, &mut stdout(), tell)?))
            }
            Verb::BuildVariant => {
                let lookup = |name: &str| std::env::var(name).ok();
                let name = format!("image {}", own_name());
                tell_of(&name, &|tell| Ok(variant::build(&lookup, &mut stdout(), tell)?))
            }
        }
    }
}

/// The name of what is built: that of its folder, which unlike that of its crate may hold dots.
fn own_name() -> String {
    let folder = PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default());
    folder.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

type Work<'a> = &'a dyn Fn(&dyn Fn(What)) -> Result<Outcome, Box<dyn Error>>;

/// Does the work and tells the front of it.
fn tell_of(name: &str, work: Work) -> Result<ExitCode, Box<dyn Error>> {
    let socket = std::env::var_os(progress::VARIABLE).map(PathBuf::from);
    let tell = |what: What| progress::tell(socket.as_deref(), &Event { name: name.to_owned(), what });
    match work(&tell) {
        Ok(Outcome::Unchanged) => tell(What::Unchanged),
        Ok(Outcome::Built(time)) => tell(What::Finished(time)),
        Err(error) => {
            tell(What::Failed(chain(error.as_ref())));
            return Err(error);
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Whoever closes the pipe (`head`) has read what they wanted.
fn unless_unread(printed: std::io::Result<()>) -> std::io::Result<()> {
    printed.or_else(|error| if error.kind() == ErrorKind::BrokenPipe { Ok(()) } else { Err(error) })
}

/// Prints the names of variants and packages.
fn list(tree: &Tree, out: &mut dyn Write) -> std::io::Result<()> {
    writeln!(out, "variants:")?;
    for variant in tree.variants() {
        let arches: Vec<_> = variant.supported_arches.iter().map(|arch| arch.name()).collect();
        writeln!(out, "  {} ({})", variant.name, arches.join(", "))?;
    }
    writeln!(out, "packages:")?;
    for package in tree.packages() {
        writeln!(out, "  {}", package.name)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_well_formed() {
        Args::command().debug_assert();
    }

    #[test]
    fn a_reader_that_left_is_no_failure() {
        assert!(unless_unread(Err(ErrorKind::BrokenPipe.into())).is_ok());
        assert!(unless_unread(Err(ErrorKind::StorageFull.into())).is_err());
    }

    #[test]
    fn variants_and_packages_are_listed() {
        let root = tempfile::tempdir().unwrap();
        for (name, text) in [
            ("packages/a/Cargo.toml", "package.name = 'a'\n[package.metadata.build-package]"),
            (
                "variants/x-y/Cargo.toml",
                "package.name = 'x-y'\n[package.metadata.build-variant]\nsupported-arches = ['x86_64']",
            ),
        ] {
            let path = root.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        let mut out = Vec::new();
        list(&Tree::load(root.path()).unwrap(), &mut out).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), "variants:\n  x-y (x86_64)\npackages:\n  a\n");
    }
}
