//! The folder of all stores: where its links lead, and what else is in it.

use crate::StoreName;
use crate::error::{
    AskRoomSnafu, CircleSnafu, Error, LeadsOutSnafu, ListSnafu, NotALinkSnafu, NotAStoreSnafu, ReadLinkSnafu,
};
use datastore::Closed;
use snafu::{OptionExt, ResultExt, ensure};
use std::ffi::OsStr;
use std::io::ErrorKind;
use std::path::{Component, Path};

/// The file of a store in its folder.
pub(crate) const FILE: &str = "settings.db";
/// Links between `current` and the store, at most; the documented chain has four.
const MAX_LINKS: usize = 8;

/// Where `current` leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Current {
    /// The store.
    pub name: StoreName,
    /// The links that were followed, `current` first. Ours is the only one; the documented chain has `v1`, `v1.2` and
    /// `v1.2.3` too.
    pub links: Vec<String>,
}

/// What the folder of all stores holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing {
    /// Stores, in the order of their versions.
    pub stores: Vec<StoreFolder>,
    /// Links, except those that programs are in the middle of making.
    pub links: Vec<String>,
    /// What programs that were cut short have left.
    pub rubbish: Vec<String>,
    /// Bytes free on the disk.
    pub free: u64,
}

/// A store.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct StoreFolder {
    /// Its name.
    pub name: StoreName,
    /// Bytes of its file and log.
    pub size: u64,
}

impl Current {
    /// Follows the link `link` in `folder`; `None` where there is none, or where it leads nowhere.
    pub fn follow(folder: &Path, link: &str) -> Result<Option<Self>, Error> {
        let mut links = Vec::new();
        let mut name = link.to_owned();
        loop {
            let path = folder.join(&name);
            let target = match std::fs::read_link(&path) {
                Ok(target) => target,
                Err(e) if e.kind() == ErrorKind::NotFound => {
                    if !links.is_empty() {
                        tracing::warn!(link, missing = name, "the link of the datastore leads nowhere");
                    }
                    return Ok(None);
                }
                // Not a link: the end of the way.
                Err(e) if e.kind() == ErrorKind::InvalidInput => {
                    ensure!(!links.is_empty(), NotALinkSnafu { path });
                    let name =
                        StoreName::parse(&name).context(NotAStoreSnafu { path: folder.join(link), name })?;
                    return Ok(Some(Self { name, links }));
                }
                Err(e) => return Err(e).context(ReadLinkSnafu { path }),
            };
            links.push(name);
            ensure!(links.len() <= MAX_LINKS, CircleSnafu { path: folder.join(link) });
            let mut parts = target.components().filter(|part| *part != Component::CurDir);
            name = match (parts.next(), parts.next()) {
                (Some(Component::Normal(name)), None) => name.to_str().map(ToOwned::to_owned),
                _ => None,
            }
            .context(LeadsOutSnafu { path, target: target.display().to_string() })?;
        }
    }
}

impl Listing {
    /// Looks at a folder.
    pub fn of(folder: &Path) -> Result<Self, Error> {
        let mut listing = Self::default();
        for entry in std::fs::read_dir(folder).context(ListSnafu { path: folder })? {
            let entry = entry.context(ListSnafu { path: folder })?;
            let kind = entry.file_type().context(ListSnafu { path: entry.path() })?;
            // Names of ours are text; what else is there is not ours.
            let Ok(name) = entry.file_name().into_string() else { continue };
            if is_rubbish(&name) {
                listing.rubbish.push(name);
            } else if kind.is_symlink() {
                listing.links.push(name);
            } else if let Some(name) = StoreName::parse(&name).filter(|_| kind.is_dir()) {
                let path = entry.path().join(FILE);
                let size = Closed::size(&path).context(ListSnafu { path })?;
                listing.stores.push(StoreFolder { name, size });
            }
        }
        listing.stores.sort_unstable();
        listing.links.sort_unstable();
        listing.rubbish.sort_unstable();
        let room = rustix::fs::statvfs(folder).map_err(std::io::Error::from);
        let room = room.context(AskRoomSnafu { path: folder })?;
        listing.free = room.f_bavail.saturating_mul(room.f_frsize);
        Ok(listing)
    }
}

/// Whether a name is one that only a program in the middle of its work has use for: `.NAME.new`, and `.NAME.old`.
fn is_rubbish(name: &str) -> bool {
    let suffix = Path::new(name).extension().and_then(OsStr::to_str);
    name.starts_with('.') && matches!(suffix, Some("new" | "old"))
}

/// Whether a name is one that the documented chain of links has: `v1`, `v1.2`, `v1.2.3`.
pub(crate) fn is_chain_link(name: &str) -> bool {
    name.strip_prefix('v').is_some_and(|version| {
        let mut parts = version.split('.');
        parts.clone().count() <= 3
            && parts.all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit()))
    })
}
