//! What has to happen, decided before anything does.

use crate::content::{Migration, read_all};
use crate::error::{Error, FindSnafu, NoRoomSnafu};
use crate::folder::is_chain_link;
use crate::{Current, Listing, Source, SourceError, StoreFolder, StoreName};
use host::Host;
use migrations::Direction;
use semver::Version;
use snafu::{ResultExt, ensure};
use std::fmt;
use std::path::{Path, PathBuf};

/// How many stores are kept beside the current one: that of the version before, which the other set of partitions has,
/// and one more.
pub const KEEP: usize = 2;

/// Bytes a migration needs beside the copies of the file: new pages, the folder.
const MARGIN: u64 = 256 << 10;

/// What is asked for.
#[derive(Clone, Debug)]
pub struct Request {
    /// The link to the store, on the host: `/var/lib/bottlerocket/datastore/current`.
    pub link: PathBuf,
    /// The version that the store is to have.
    pub to: Version,
    /// Makes the name of a new store differ from those of others.
    pub random: u64,
}

/// What there is to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Planned {
    /// Nothing: there is no store, as at the first boot.
    NoStore,
    /// Nothing but to remove what is left of earlier runs: the store has the version.
    SameVersion {
        /// The folder of all stores.
        folder: PathBuf,
        /// Names to remove from it.
        remove: Vec<String>,
    },
    /// A migration.
    Migrate(Box<Plan>),
}

/// A migration, all decided.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// The folder of all stores.
    pub folder: PathBuf,
    /// The name of the link that decides which of them counts.
    pub link: String,
    /// The store that counts now.
    pub source: StoreName,
    /// The store that is made.
    pub target: StoreName,
    /// What is run, in this order.
    pub migrations: Vec<Migration>,
    /// What there is of the disk, and what it takes.
    pub room: Room,
    /// Names to remove before: what earlier runs left, and old stores where there is no room otherwise.
    pub remove_first: Vec<String>,
    /// Names to remove in the end.
    pub remove_last: Vec<String>,
}

/// Room on the disk, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Room {
    /// What the migration takes at most.
    pub needed: u64,
    /// What is free before it.
    pub free: u64,
}

/// One step of a migration. Whatever the step before which a machine stops: `current` leads to a whole store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Remove something from the folder.
    Remove(String),
    /// Copy the store to the unfinished new one.
    Copy,
    /// Run the migrations on the copy, as one commit, and close it.
    Run,
    /// Put the copy and its folder on the disk.
    Sync,
    /// Give the copy its name.
    Finish,
    /// Let the link lead to it.
    Flip,
}

impl Plan {
    /// Which way it goes.
    pub fn direction(&self) -> Direction {
        if self.source.version < self.target.version { Direction::Forward } else { Direction::Backward }
    }

    /// Its steps.
    pub fn steps(&self) -> Vec<Step> {
        let remove = |names: &[String]| names.iter().cloned().map(Step::Remove).collect::<Vec<_>>();
        let middle = [Step::Copy, Step::Run, Step::Sync, Step::Finish, Step::Flip];
        [remove(&self.remove_first), middle.to_vec(), remove(&self.remove_last)].concat()
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { source, target, room, .. } = self;
        writeln!(f, "migrate {} {} -> {}", self.direction(), source.version, target.version)?;
        for step in self.steps() {
            match step {
                Step::Remove(name) => writeln!(f, "remove {name}")?,
                Step::Copy => writeln!(
                    f,
                    "copy {source} to {} ({} KiB needed, {} KiB free)",
                    target.unfinished(),
                    room.needed.div_ceil(1024),
                    room.free / 1024
                )?,
                Step::Run => {
                    for Migration { name, content } in &self.migrations {
                        writeln!(f, "run {name}: {content}")?;
                    }
                    writeln!(f, "commit and close")?;
                }
                Step::Sync => writeln!(f, "sync {}", target.unfinished())?,
                Step::Finish => writeln!(f, "rename {} to {target}", target.unfinished())?,
                Step::Flip => writeln!(f, "link {} to {target}", self.link)?,
            }
        }
        Ok(())
    }
}

/// Looks at a host and decides; writes nothing. Migrations are asked for only where the versions differ, so that a
/// source that cannot be opened stops no boot without need.
pub fn plan<S: Source>(
    host: &Host,
    request: &Request,
    open: impl FnOnce() -> Result<S, SourceError>,
) -> Result<Planned, Error> {
    let link = host.path(&request.link);
    let folder = link.parent().unwrap_or(Path::new("/"));
    let name = link.file_name().unwrap_or_default().to_string_lossy();
    let Some(current) = Current::follow(folder, &name)? else { return Ok(Planned::NoStore) };
    let listing = Listing::of(folder)?;
    let (from, to) = (&current.name.version, &request.to);
    let mut found = Vec::new();
    if from != to {
        let find = || {
            let source = open()?;
            let names = source.chain(from, to)?;
            Ok((source, names))
        };
        let (source, names) = find().context(FindSnafu { from: from.clone(), to: to.clone() })?;
        found = read_all(&source, names)?;
    }
    decide(folder, &current, &listing, request, found)
}

/// Decides from what was seen.
pub fn decide(
    folder: &Path,
    current: &Current,
    listing: &Listing,
    request: &Request,
    migrations: Vec<Migration>,
) -> Result<Planned, Error> {
    let mut others: Vec<&StoreFolder> = listing.stores.iter().filter(|s| s.name != current.name).collect();
    let size = listing.stores.iter().find(|s| s.name == current.name).map_or(0, |s| s.size);
    if current.name.version == request.to {
        let surplus = others.len().saturating_sub(KEEP);
        let stores = others.iter().take(surplus).map(|store| store.name.to_string());
        let links = listing.links.iter().filter(|l| is_chain_link(l) && !current.links.contains(l)).cloned();
        let remove = listing.rubbish.iter().cloned().chain(stores).chain(links).collect();
        return Ok(Planned::SameVersion { folder: folder.to_owned(), remove });
    }
    // The file twice: once as the copy, once as its log, in which every page may be anew.
    let room = Room { needed: 2 * size + MARGIN, free: listing.free };
    let mut remove_first = listing.rubbish.clone();
    let (mut free, mut gone) = (listing.free, 0);
    while free < room.needed && gone < others.len() {
        free += others[gone].size;
        remove_first.push(others[gone].name.to_string());
        gone += 1;
    }
    let kib = 1024;
    let needed = room.needed.div_ceil(kib);
    ensure!(free >= room.needed, NoRoomSnafu { path: folder, needed, free: free / kib });
    others.drain(..gone);
    // The current store becomes one of those that are kept.
    let surplus = others.len().saturating_sub(KEEP - 1);
    let stores = others.iter().take(surplus).map(|store| store.name.to_string());
    let links = listing.links.iter().filter(|link| is_chain_link(link)).cloned();
    Ok(Planned::Migrate(Box::new(Plan {
        folder: folder.to_owned(),
        link: current.links.first().cloned().unwrap_or_default(),
        source: current.name.clone(),
        target: StoreName::new(request.to.clone(), request.random),
        migrations,
        room,
        remove_first,
        remove_last: stores.chain(links).collect(),
    })))
}
