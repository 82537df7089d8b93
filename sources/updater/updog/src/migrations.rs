//! What the next boot needs to migrate the settings.

use crate::error::{DryLoadSnafu, DryRunSnafu};
use crate::{CACHE, Error, ROOT_JSON};
use host::Host;
use migrator::{Cache, Request};
use repository::Repository;
use semver::Version;
use snafu::ResultExt;
use std::path::{Path, PathBuf};
use update_metadata::chain;

/// The longest migration that is read: a whole program, compressed.
const LONGEST: u64 = 64 << 20;
/// The link to the settings, as the migrator is told of it.
const DATASTORE: &str = "/var/lib/bottlerocket/datastore/current";

/// The copy that counts, on the host.
pub(crate) const CURRENT: &str = "/var/lib/bottlerocket/updates/cache/current";

/// The path on the host of a copy that does not count yet.
pub(crate) fn on_host(copy: &Path) -> PathBuf {
    Path::new(CACHE).join(copy.file_name().unwrap_or_default())
}

/// Opens a copy of the repository, a path of the host, as the next boot will, without network and clock; reads every
/// migration; and has the migrator decide, with the settings that are there, and change nothing.
pub(crate) fn dry_load(host: &Host, copy: &Path, from: &Version, to: &Version) -> Result<(), Error> {
    let load = || -> Result<(), Error> {
        let cached = Repository::load_cached(&host.path(ROOT_JSON), &host.path(copy))?;
        let manifest = cached.manifest()?;
        for name in chain(&manifest.migrations, from, to)?.migrations {
            cached.read_target(&name, LONGEST)?;
        }
        Ok(())
    };
    load().map_err(Box::new).context(DryLoadSnafu)?;
    let request = Request { link: DATASTORE.into(), to: to.clone(), random: 0 };
    migrator::dry_run(host, &request, &Cache::in_folder(copy)).map_err(Box::new).context(DryRunSnafu)?;
    Ok(())
}
