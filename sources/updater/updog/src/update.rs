//! Installing an update into the set that does not run.

use crate::check::Chosen;
use crate::config::Config;
use crate::error::{
    ChangedSnafu, NoSpaceSnafu, NotOfferedSnafu, OneSetSnafu, SetsSnafu, SpaceSnafu, StateSnafu,
    WithdrawnSnafu,
};
use crate::images::Images;
use crate::machine::Machine;
use crate::{CACHE, Error, Staged, StagedState, UPDATES, migrations, source};
use host::Host;
use install::{Before, Report};
use jiff::Timestamp;
use repository::{Cached, Repository};
use signpost::{Command, Lock, Sets};
use snafu::{OptionExt, ResultExt, ensure};
use std::path::Path;
use tracing::{info, warn};
use update_metadata::{Chain, Manifest, Update, chain};

/// The datastore that the first boot of the update makes a copy of.
const DATASTORE: &str = "/var/lib/bottlerocket/datastore/current/";
/// What stays free beside what the update takes: settings go on being changed.
const RESERVE: u64 = 2 << 20;
/// What a file system takes for each file beside its bytes, rounded up to whole blocks.
const OVERHEAD: u64 = 8 << 10;

/// What is being done, and how far it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress<'a> {
    /// The step.
    pub step: Step,
    /// What of it, as a word: a phase of installing an image; empty for the other steps.
    pub phase: &'a str,
    /// Bytes done of this phase.
    pub bytes_done: u64,
    /// Bytes of this phase in all; 0 where that is not known.
    pub bytes_total: u64,
    /// Blocks of the image that are on the partition.
    pub blocks_done: u64,
    /// Blocks of the image; 0 where that is not known.
    pub blocks_total: u64,
}

/// Steps of an install, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// Loading the repository and looking at the host.
    Check,
    /// Writing what the next boot needs to migrate the settings.
    Cache,
    /// Fetching hash trees.
    Tree,
    /// Installing the root image.
    Root,
    /// Installing the boot image.
    Boot,
    /// Writing the hash tree.
    Hash,
    /// Marking the set as one that may be activated.
    Mark,
}

impl Step {
    /// A word for it, as in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Check => "check",
            Self::Cache => "cache",
            Self::Tree => "tree",
            Self::Root => "root",
            Self::Boot => "boot",
            Self::Hash => "hash",
            Self::Mark => "mark",
        }
    }
}

impl<'a> Progress<'a> {
    pub(crate) fn begin(step: Step, bytes_total: u64) -> Self {
        Self { step, phase: "", bytes_done: 0, bytes_total, blocks_done: 0, blocks_total: 0 }
    }

    pub(crate) fn of(step: Step, progress: &install::Progress<'a>) -> Self {
        let install::Progress { phase, bytes_done, bytes_total, blocks_done, blocks_total, .. } = *progress;
        Self { step, phase: phase.name(), bytes_done, bytes_total, blocks_done, blocks_total }
    }
}

/// What was installed, and how.
#[derive(Clone, Debug)]
pub struct Installed {
    /// What the set holds now.
    pub staged: Staged,
    /// The update as the manifest has it.
    pub update: Update,
    /// How the root image was installed; none if it was there already.
    pub root: Option<Report>,
    /// How the boot image was installed; none if it was there already.
    pub boot: Option<Report>,
}

/// Installs an update into the set that does not run, and marks it as one that may be activated. If it is there
/// already, nothing is done.
pub fn update_image(
    host: &Host,
    lock: &Lock,
    chosen: &Chosen,
    progress: &dyn Fn(Progress<'_>),
) -> Result<Installed, Error> {
    progress(Progress::begin(Step::Check, 0));
    let (config, machine) = (Config::load(host)?, Machine::load(host)?);
    let repository = source::load(host, &config, &machine)?;
    install_chosen(host, lock, (&repository, &machine), chosen, progress)
}

/// The same, from a repository that is loaded.
pub(crate) fn install_chosen(
    host: &Host,
    lock: &Lock,
    (repository, machine): (&Repository, &Machine),
    chosen: &Chosen,
    progress: &dyn Fn(Progress<'_>),
) -> Result<Installed, Error> {
    let manifest = repository.manifest()?;
    let update = find(repository, &manifest, machine, chosen)?;
    let chain = chain(&manifest.migrations, &machine.version, &update.version)?;
    let images = Images::of(repository, update)?;
    let sets = Sets::find(host).context(SetsSnafu)?;
    let set = sets.inactive.as_ref().context(OneSetSnafu)?;
    images.fit(set)?;
    let staged = Staged {
        schema: Staged::SCHEMA,
        state: StagedState::Writing,
        set: set.name.to_string(),
        variant: update.variant.clone(),
        arch: update.arch.clone(),
        version: update.version.clone(),
        begun: Timestamp::now(),
        from: machine.version.clone(),
        manifest: chosen.manifest.to_string(),
        images: images.digests(),
        chain: chain.migrations.clone(),
    };
    let before = Staged::load(host)?;
    if is_there(host, &sets, before.as_ref(), &staged)? {
        info!(version = %update.version, set = %set.name, "the update is there already");
        let staged = before.unwrap_or(staged);
        return Ok(Installed { staged, update: update.clone(), root: None, boot: None });
    }
    // What would be refused is refused before anything changes.
    sets.plan(Command::ClearInactive)?;
    let trees = images.trees(set.name, progress)?;
    let cached = cache(host, repository, &staged, &chain, progress)?;

    let same = before.is_some_and(|before| before.is_same_content(&staged));
    staged.save(host)?;
    sets.apply(lock, Command::ClearInactive)?;
    info!(version = %update.version, set = %set.name, go_on = same, "installing");
    let before = if same { Before::SameImage } else { Before::Unknown };
    let [root, boot] = images.install(&trees, &sets.active, set, before, progress)?;

    progress(Progress::begin(Step::Mark, 0));
    // Not before: as long as the set was what the host could go back to, its migrations were in the copy before.
    cached.make_current()?;
    let staged = Staged { state: StagedState::Complete, ..staged };
    staged.save(host)?;
    sets.apply(lock, Command::MarkInactiveValid)?;
    info!(version = %staged.version, set = %set.name, "the update is installed");
    Ok(Installed { staged, update: update.clone(), root: Some(root), boot: Some(boot) })
}

/// The chosen update, in the manifest it was chosen from.
fn find<'a>(
    repository: &Repository,
    manifest: &'a Manifest,
    machine: &Machine,
    chosen: &Chosen,
) -> Result<&'a Update, Error> {
    let target = repository.target(repository::MANIFEST).expect("it was just read");
    let found = update_metadata::Digest(target.sha256);
    ensure!(
        found == chosen.manifest,
        ChangedSnafu { chosen: chosen.manifest.to_string(), found: found.to_string() }
    );
    let variant = chosen.variant.as_ref().unwrap_or(&machine.variant);
    let (version, arch) = (&chosen.version, machine.arch);
    let update = manifest
        .updates
        .iter()
        .find(|update| (&update.variant, update.arch.as_str(), &update.version) == (variant, arch, version))
        .context(NotOfferedSnafu { version: version.clone(), variant, arch })?;
    if let Some(reason) = &update.withdrawn {
        return WithdrawnSnafu { version: version.clone(), reason }.fail();
    }
    Ok(update)
}

/// Whether the set already holds all of it, and may be activated or is. One that has proved itself is tried again like
/// any other: it is written anew, which takes what is right on it as it is.
fn is_there(host: &Host, sets: &Sets, before: Option<&Staged>, staged: &Staged) -> Result<bool, Error> {
    let Some(before) = before else { return Ok(false) };
    let state = sets.state().context(StateSnafu)?;
    let same =
        before.state == StagedState::Complete && before.is_same_content(staged) && before.from == staged.from;
    Ok(same
        && (state.is_other_valid() || state.is_other_on_trial())
        && migrations::dry_load(host, migrations::CURRENT.as_ref(), &staged.from, &staged.version).is_ok())
}

/// Writes what the next boot needs, and opens it as that boot will. It does not count yet.
fn cache(
    host: &Host,
    repository: &Repository,
    staged: &Staged,
    chain: &Chain,
    progress: &dyn Fn(Progress<'_>),
) -> Result<Cached, Error> {
    let size = repository.cache_size(&chain.migrations);
    progress(Progress::begin(Step::Cache, size));
    let files = chain.migrations.len() as u64 + 16;
    check_space(host, size + files * OVERHEAD)?;
    repository.say("target", &staged.version.to_string());
    let cached = repository.cache(&host.path(CACHE), &staged.version.to_string(), &chain.migrations)?;
    migrations::dry_load(host, &migrations::on_host(cached.path()), &staged.from, &staged.version)?;
    let names = chain.migrations.iter().map(String::as_str).chain([repository::MANIFEST]);
    repository.say("migrations", &names.collect::<Vec<_>>().join(","));
    Ok(cached)
}

/// Whether PRIVATE has room for the copy of the repository and for the settings that the next boot migrates.
fn check_space(host: &Host, cache: u64) -> Result<(), Error> {
    host.make_folder(UPDATES, 0o755)
        .map_err(|source| Error::Stage { source: crate::StagedError::WriteStaged { source } })?;
    let path = host.path(UPDATES);
    let stat = rustix::fs::statvfs(&path);
    let stat = stat.map_err(std::io::Error::from).context(SpaceSnafu { path: &path })?;
    let free = stat.f_bavail * stat.f_frsize;
    // The copy, and its log while it is migrated.
    let store = 2 * size_of_folder(&host.path(DATASTORE));
    let needed = cache + store + RESERVE;
    ensure!(needed <= free, NoSpaceSnafu { path, free, needed, cache, store });
    Ok(())
}

/// Bytes of the files in a folder. What cannot be read is not counted: the reserve is for that.
fn size_of_folder(folder: &Path) -> u64 {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return 0,
        Err(error) => {
            warn!(folder = %folder.display(), %error, "the size of the settings is not known");
            return 0;
        }
    };
    let size = |entry: std::fs::DirEntry| match entry.metadata() {
        Ok(metadata) if metadata.is_dir() => size_of_folder(&entry.path()),
        Ok(metadata) => metadata.len().next_multiple_of(4096),
        Err(_) => 0,
    };
    entries.filter_map(Result::ok).map(size).sum()
}
