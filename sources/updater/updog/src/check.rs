//! What the repository offers this host, and what the host takes.

use crate::config::Config;
use crate::machine::Machine;
use crate::{Error, UPDATES, source};
use host::Host;
use jiff::Timestamp;
use repository::Repository;
use semver::Version;
use serde::Deserialize;
use std::collections::BTreeSet;
use tracing::warn;
use update_metadata::{Candidate, Decision, Digest, Manifest, Standing, Update, candidates, choose};

/// What is asked for beside the settings.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// `--image`: this version, newer or older.
    pub image: Option<Version>,
    /// `--ignore-waves`.
    pub ignore_waves: bool,
    /// `--variant`: as if the host were another variant.
    pub variant: Option<String>,
    /// Versions that this host fell back from; only one that is asked for by name is taken again.
    pub bad: BTreeSet<Version>,
}

/// What the repository offers this host. A value: nothing of it changes until the next [`check`].
#[derive(Clone, Debug)]
pub struct Offer {
    /// What is offered to all.
    pub manifest: Manifest,
    /// The manifest's SHA-256.
    pub digest: Digest,
    /// What the choice depends on.
    pub host: update_metadata::Host,
    /// When it was made.
    pub now: Timestamp,
    /// Versions that this host fell back from.
    pub bad: BTreeSet<Version>,
}

/// The one update that is to be installed: a version, and the manifest it was chosen from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chosen {
    /// The variant; none for the host's own.
    pub variant: Option<String>,
    /// The version.
    pub version: Version,
    /// SHA-256 of the manifest.
    pub manifest: Digest,
}

/// The versions that the host fell back from, as `thar-be-updates` remembers them. A document that cannot be read
/// has none: it is not what an update by hand should fail for.
pub fn bad_versions(host: &Host) -> BTreeSet<Version> {
    #[derive(Deserialize)]
    struct Status {
        #[serde(default)]
        bad_versions: Vec<Bad>,
    }
    #[derive(Deserialize)]
    struct Bad {
        version: String,
    }
    let read = host.read(format!("{UPDATES}/status.json")).map_err(|error| host::program::chain(&error));
    let status = read.and_then(|text| {
        let text = text.unwrap_or_else(|| b"{}".to_vec());
        serde_json::from_slice::<Status>(&text).map_err(|error| error.to_string())
    });
    match status {
        Ok(status) => status.bad_versions.iter().filter_map(|bad| bad.version.parse().ok()).collect(),
        Err(error) => {
            warn!(error, "versions that this host fell back from are not known");
            BTreeSet::new()
        }
    }
}

/// Loads the repository and decides. Writes nothing but the trust store.
pub fn check(host: &Host, options: &Options) -> Result<Offer, Error> {
    let (config, machine) = (Config::load(host)?, Machine::load(host)?);
    let repository = source::load(host, &config, &machine)?;
    offer(&repository, &config, &machine, options)
}

pub(crate) fn offer(
    repository: &Repository,
    config: &Config,
    machine: &Machine,
    options: &Options,
) -> Result<Offer, Error> {
    let target = repository.target(repository::MANIFEST);
    Ok(Offer {
        manifest: repository.manifest()?,
        digest: Digest(target.expect("it was just read").sha256),
        host: update_metadata::Host {
            variant: options.variant.clone().unwrap_or_else(|| machine.variant.clone()),
            arch: machine.arch.to_owned(),
            version: machine.version.clone(),
            seed: config.seed,
            version_lock: config.version_lock.clone(),
            ignore_waves: config.ignore_waves || options.ignore_waves,
            forced: options.image.clone(),
        },
        now: Timestamp::now(),
        bad: options.bad.clone(),
    })
}

impl Offer {
    /// What the host takes now, or why nothing.
    pub fn decision(&self) -> Decision<'_> {
        choose(&self.manifest, &self.host, self.now, &self.bad)
    }

    /// Every update for this host, newest first, with how it stands to it: also those whose wave is yet to come.
    pub fn candidates(&self) -> Vec<Candidate<'_>> {
        candidates(&self.manifest, &self.host, self.now, &self.bad)
    }

    /// The updates that this host may take now, newest first: what `check-update --all` prints.
    pub fn applicable(&self) -> Vec<&Update> {
        let open = self.candidates().into_iter().filter(|candidate| candidate.standing == Standing::Open);
        open.map(|candidate| candidate.update).collect()
    }

    /// The decision as what [`crate::update_image`] takes; none if there is no update.
    pub fn chosen(&self) -> Option<Chosen> {
        self.decision().update().map(|update| Chosen {
            variant: Some(update.variant.clone()),
            version: update.version.clone(),
            manifest: self.digest,
        })
    }
}
