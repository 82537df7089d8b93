//! One build: done if its inputs changed or its outputs are gone, and left alone otherwise.

use crate::context::{self, Context};
use crate::digest::{self, Digests};
use crate::docker::{self, Build, Client};
use crate::environment::Shared;
use crate::marker::{self, Marker, swap_in};
use crate::progress::What;
use data_encoding::HEXLOWER;
use sha2::{Digest, Sha512};
use snafu::{ResultExt, Snafu, ensure};
use std::collections::BTreeMap;
use std::fs::File;
use std::fs::Permissions;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Hex digits of the hash that tells one checkout from another.
const TOKEN_DIGITS: usize = 12;

/// Why a build could not be done.
#[derive(Debug, Snafu)]
#[allow(missing_docs)]
pub enum Error {
    #[snafu(display("make the folder {}", path.display()))]
    MakeFolder { path: PathBuf, source: std::io::Error },
    #[snafu(display("wait for another build of the same at {}", path.display()))]
    Lock { path: PathBuf, source: std::io::Error },
    #[snafu(transparent)]
    Context { source: context::Error },
    #[snafu(transparent)]
    Docker { source: docker::Error },
    #[snafu(transparent)]
    Hash { source: digest::Error },
    #[snafu(transparent)]
    Keep { source: marker::Error },
    #[snafu(display("the build made no file; the whole log is {}", log.display()))]
    Nothing { log: PathBuf },
}

/// What became of a build.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing had changed.
    Unchanged,
    /// Docker ran for so long.
    Built(Duration),
}

/// A build, all of it decided.
pub(crate) struct Job<'a> {
    pub(crate) shared: &'a Shared,
    /// Distinguishes it among builds of its architecture: `packages/systemd`.
    pub(crate) place: &'a str,
    /// The name of its log.
    pub(crate) log: String,
    pub(crate) target: &'static str,
    pub(crate) context: Context,
    /// Build arguments that outputs depend on.
    pub(crate) arguments: BTreeMap<&'static str, String>,
    /// Where the outputs go, all of them and nothing else.
    pub(crate) output: PathBuf,
}

/// The folder of what is kept about a build between runs.
pub(crate) fn state_folder(shared: &Shared, place: &str) -> PathBuf {
    shared.state.join(shared.arch.name()).join(place)
}

/// The record of the last build.
pub(crate) fn marker_file(shared: &Shared, place: &str) -> PathBuf {
    state_folder(shared, place).join("marker.json")
}

impl Job<'_> {
    /// Does the build if it has to be done.
    pub(crate) fn run(mut self, digests: &mut Digests, tell: &dyn Fn(What)) -> Result<Outcome, Error> {
        let shared = self.shared;
        self.arguments.insert("ARCH", shared.arch.name().to_owned());
        self.arguments.insert("GOARCH", shared.arch.go_name().to_owned());
        self.arguments.insert("SDK", shared.sdk.clone());

        let marker = marker_file(shared, self.place);
        let key = self.context.key(&self.arguments, digests)?;
        let last = Marker::load(&marker);
        if last.is_some_and(|last| last.holds(&key, &shared.force, &self.output, digests)) {
            return Ok(Outcome::Unchanged);
        }
        tell(What::Started);
        let start = Instant::now();
        self.build(&key, &marker, digests)?;
        Ok(Outcome::Built(start.elapsed()))
    }

    fn build(self, key: &str, marker: &Path, digests: &mut Digests) -> Result<(), Error> {
        let shared = self.shared;
        let client = Client::find()?;
        client.need_image(&shared.sdk)?;

        let context = shared.state.join("contexts").join(shared.arch.name()).join(self.place);
        self.context.lay_out(&context)?;
        let log = shared.logs.join(format!("{}.log", self.log));
        let parent = self.output.parent().unwrap_or(Path::new("."));
        for folder in [&*shared.logs, parent] {
            std::fs::create_dir_all(folder).context(MakeFolderSnafu { path: folder })?;
        }
        let new = tempfile::Builder::new().prefix(".new-").tempdir_in(parent);
        let new = new.context(MakeFolderSnafu { path: parent })?;
        let made = new.path().join("made");

        let mut arguments = self.arguments;
        // The same inputs may use docker's layers, a forced build may not.
        arguments.insert("NOCACHE", shared.force.clone().unwrap_or_default() + key);
        arguments.insert("TOKEN", token(&shared.root));
        client.build(&Build {
            context,
            target: self.target,
            arguments,
            output: made.clone(),
            log: log.clone(),
        })?;

        let record = Marker::of(key, &shared.force, &made, digests);
        let record = record.ok().filter(|record| !record.outputs.is_empty());
        ensure!(record.is_some(), NothingSnafu { log });
        // A temporary folder is for its owner alone; what it became is for everybody.
        std::fs::set_permissions(&made, Permissions::from_mode(0o755))
            .context(MakeFolderSnafu { path: &made })?;
        swap_in(&made, &self.output)?;
        // Hashed again under their final names, for the next run.
        Marker::of(key, &shared.force, &self.output, digests)?.save(marker)?;
        Ok(())
    }
}

/// Tells this checkout from others on the machine, where both use one docker.
fn token(root: &Path) -> String {
    let mut token = HEXLOWER.encode(&Sha512::digest(root.as_os_str().as_bytes()));
    token.truncate(TOKEN_DIGITS);
    token
}

/// Waits until no other process builds the same; the lock lasts as long as the file is open.
pub(crate) fn lock(shared: &Shared, place: &str) -> Result<File, Error> {
    let folder = state_folder(shared, place);
    std::fs::create_dir_all(&folder).context(MakeFolderSnafu { path: &folder })?;
    let path = folder.join("lock");
    let file = File::create(&path).context(LockSnafu { path: &path })?;
    file.lock().context(LockSnafu { path })?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_twelve_digits_of_the_hash_of_the_root() {
        assert_eq!(token(Path::new("/visco")), "3a2670ae04ad", "as sha512sum says");
        assert_ne!(token(Path::new("/visco")), token(Path::new("/visco2")));
    }
}
