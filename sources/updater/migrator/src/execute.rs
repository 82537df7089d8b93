//! Performing a plan.

use crate::error::{
    CopyStoreSnafu, Error, LinkSnafu, MakeSnafu, OpenCopySnafu, RemoveSnafu, RenameSnafu, SyncSnafu,
    WriteCopySnafu,
};
use crate::folder::FILE;
use crate::run::{edits, read, removed_by, scratch};
use crate::{Content, Migration, Plan, Runner, Step, run};
use datastore::{Author, Closed, CommitRequest, Opened, Store, StoreError};
use host::Host;
use migrations::{Direction, Document, Removed};
use snafu::ResultExt;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, DirBuilder, File};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt, symlink};
use std::path::{Path, PathBuf};

/// A migration under way.
#[derive(Debug)]
pub struct Execution<'a> {
    plan: &'a Plan,
    host: &'a Host,
    /// When, in milliseconds since 1970; for the history.
    time_ms: i64,
    /// The store it starts from, which nobody can open until this is over.
    source: Option<Closed>,
}

/// Performs a plan. Where it fails before the link was changed, what was made is removed and nothing has changed;
/// where it fails after that, the settings are migrated, and what is left over goes at the next boot.
pub fn execute(plan: &Plan, host: &Host, time_ms: i64) -> Result<(), Error> {
    let mut execution = Execution::new(plan, host, time_ms);
    let mut is_flipped = false;
    for step in plan.steps() {
        match execution.perform(&step) {
            Ok(()) => is_flipped |= step == Step::Flip,
            Err(e) if is_flipped => {
                tracing::warn!(error = %host::program::chain(&e), "something old is left in the datastore");
            }
            Err(e) => {
                execution.give_up();
                return Err(e);
            }
        }
    }
    Ok(())
}

/// Removes names that are of no use any more. What cannot be removed is tried again at the next boot.
pub(crate) fn tidy(folder: &Path, names: &[String]) {
    for name in names {
        if let Err(e) = remove(folder, name) {
            tracing::warn!(error = %host::program::chain(&e), "something old is left in the datastore");
        }
    }
}

impl<'a> Execution<'a> {
    /// A migration of which nothing has been done.
    pub fn new(plan: &'a Plan, host: &'a Host, time_ms: i64) -> Self {
        Self { plan, host, time_ms, source: None }
    }

    /// Performs the next step of [`Plan::steps`].
    pub fn perform(&mut self, step: &Step) -> Result<(), Error> {
        let Plan { folder, source, target, .. } = self.plan;
        let unfinished = folder.join(target.unfinished());
        match step {
            Step::Remove(name) => remove(folder, name),
            Step::Copy => {
                DirBuilder::new().mode(0o700).create(&unfinished).context(MakeSnafu { path: &unfinished })?;
                self.source =
                    Closed::take(&folder.join(source.to_string()).join(FILE)).context(CopyStoreSnafu)?;
                let copied = self.source.as_mut().map(|source| source.copy_to(&unfinished.join(FILE)));
                copied.transpose().context(CopyStoreSnafu).map(drop)
            }
            Step::Run => {
                let file = unfinished.join(FILE);
                // A server that never ran has left nothing to migrate.
                if file.exists() {
                    self.work().run(Store::open(&file).context(OpenCopySnafu)?)
                } else {
                    Ok(())
                }
            }
            Step::Sync => {
                let file = unfinished.join(FILE);
                if file.exists() {
                    sync(&file)?;
                }
                sync(&unfinished)
            }
            Step::Finish => {
                let target = folder.join(target.to_string());
                fs::rename(&unfinished, &target).context(RenameSnafu { path: unfinished, target })?;
                sync(folder)
            }
            Step::Flip => {
                let (name, target) = (&self.plan.link, target.to_string());
                let (link, new) = (folder.join(name), folder.join(format!(".{name}.new")));
                let make = || {
                    forget(&new)?;
                    symlink(&target, &new)?;
                    fs::rename(&new, &link)
                };
                make().context(LinkSnafu { path: &link, target: &target })?;
                sync(folder)
            }
        }
    }

    fn work(&self) -> Work<'_> {
        Work { plan: self.plan, scratch: scratch(self.host), time_ms: self.time_ms }
    }

    /// Removes what was made. That it could not be removed changes nothing: it is never taken for a store, or costs
    /// room until there are newer ones. Where the link changed and only the disk did not say so, it stays.
    fn give_up(&self) {
        let Plan { folder, link, target, .. } = self.plan;
        if fs::read_link(folder.join(link)).is_ok_and(|leads_to| leads_to == Path::new(&target.to_string())) {
            return;
        }
        let names = [target.unfinished(), target.to_string()];
        let made = names.into_iter().filter(|name| folder.join(name).exists());
        tidy(folder, &made.collect::<Vec<_>>());
    }
}

/// What is done to a copy.
#[derive(Clone, Debug)]
pub struct Work<'a> {
    /// What is run, from which version to which.
    pub plan: &'a Plan,
    /// A folder for the files of programs, which does not exist yet.
    pub scratch: PathBuf,
    /// When, in milliseconds since 1970; for the history.
    pub time_ms: i64,
}

impl Work<'_> {
    /// Runs the migrations on a store as one commit of its history, and closes it. What was set on a store of the old
    /// version and cannot be read stays as it is.
    pub fn run(&self, opened: Opened) -> Result<(), Error> {
        let Plan { source, target, migrations, .. } = self.plan;
        let direction = self.plan.direction();
        let Opened { mut store, snapshot, .. } = opened;
        let (defaults, before) = read(&snapshot);
        let removed = match direction {
            Direction::Forward => BTreeMap::new(),
            Direction::Backward => remembered(&store, migrations).context(OpenCopySnafu)?,
        };
        let runner = Runner { direction, scratch: self.scratch.clone(), removed };
        let mut after = before.clone();
        run(&runner, migrations, defaults, &mut after)?;
        let message = format!("migration {} -> {}", source.version, target.version);
        let mut request =
            CommitRequest::new(edits(&before, &after), author()).message(message).time_ms(self.time_ms);
        if direction == Direction::Forward {
            request = migrations.iter().fold(request, |request, migration| request.mark(&migration.name));
        }
        let (commit, _) = store.commit(&snapshot, request).context(WriteCopySnafu)?;
        tracing::info!(commit = commit.id, changes = commit.changes.len(), "migrated the settings");
        store.close().context(WriteCopySnafu)
    }
}

/// What runs forward removed, as far as the history still has their commits.
fn remembered(store: &Store, migrations: &[Migration]) -> Result<BTreeMap<String, Removed>, StoreError> {
    let documents = migrations.iter().filter_map(|migration| match &migration.content {
        Content::Rows(document) => Some((migration.name.as_str(), document)),
        Content::Program(_) => None,
    });
    let known: BTreeMap<&str, &Document> = documents.collect();
    let mut commits = BTreeSet::new();
    for name in known.keys() {
        commits.extend(store.mark(name)?);
    }
    let mut removed = BTreeMap::new();
    // Oldest first: of a migration that ran several times the last run counts.
    for id in commits {
        if let Some(commit) = store.commit_by_id(id)? {
            removed.extend(removed_by(&commit, &known));
        }
    }
    Ok(removed)
}

fn author() -> Author {
    Author {
        uid: rustix::process::getuid().as_raw(),
        pid: rustix::process::getpid().as_raw_pid(),
        program: "migrator".to_owned(),
    }
}

/// Removes a store, a link or a leftover. A folder first loses its name, so that no half of it is taken for a store.
fn remove(folder: &Path, name: &str) -> Result<(), Error> {
    let path = folder.join(name);
    let is_folder = fs::symlink_metadata(&path).is_ok_and(|metadata| metadata.is_dir());
    let removed = if is_folder {
        let old: PathBuf =
            if name.starts_with('.') { path.clone() } else { folder.join(format!(".{name}.old")) };
        let renamed = if old == path { Ok(()) } else { fs::rename(&path, &old) };
        renamed.and_then(|()| fs::remove_dir_all(&old))
    } else {
        forget(&path)
    };
    removed.context(RemoveSnafu { path })
}

fn forget(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(e) if e.kind() != ErrorKind::NotFound => Err(e),
        _ => Ok(()),
    }
}

fn sync(path: &Path) -> Result<(), Error> {
    File::open(path).and_then(|open| open.sync_all()).context(SyncSnafu { path })
}
