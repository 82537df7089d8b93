//! The boot after an update that has many migrations.

use datastore::{Author, CommitRequest, Edit, Layer, Opened, Store};
use host::Host;
use lz4_flex::frame::FrameEncoder;
use migrations::to_target;
use migrator::{Cache, Outcome, Request, migrate};
use repository::Repository;
use serde_json::{Map, json};
use std::error::Error;
use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};
use test_repository::{Place, Publisher};

/// How many migrations lie between the two versions, each on an edge of its own.
pub const MIGRATIONS: usize = 50;
/// How many keys the store has: as many as the one that the original was measured with.
pub const KEYS: usize = 222;
/// How often it goes there and back.
const ROUNDS: usize = 5;

const STORE: &str = "/var/lib/bottlerocket/datastore";
const COPIES: &str = "/var/lib/bottlerocket/updates/cache";

/// Medians of several runs.
#[derive(Clone, Copy, Debug)]
pub struct Measured {
    /// One migration over all versions, from the check of the signatures to the synced link.
    pub migration: Duration,
    /// As many bare copies of the store as there are migrations, each synced: what a chain costs at least that copies
    /// the store for each.
    pub copies: Duration,
}

/// Migrates a store there and back below `folder`.
pub fn measure(folder: &Path) -> Result<Measured, Box<dyn Error>> {
    let root = folder.join("migrations");
    if root.exists() {
        fs::remove_dir_all(&root)?;
    }
    let host = Host::new(&root);
    make_store(&host)?;
    stage(&host)?;
    let cache = Cache::in_folder(&Path::new(COPIES).join("current"));
    let file = host.path(STORE).join("current/settings.db");
    let (mut migrations, mut copies) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        for to in [version(MIGRATIONS), version(0)] {
            let request =
                Request { link: Path::new(STORE).join("current"), to: to.parse()?, random: round as u64 };
            let started = Instant::now();
            let outcome = migrate(&host, &request, 0, || cache.open(&host))?;
            migrations.push(started.elapsed());
            if !matches!(outcome, Outcome::Migrated { .. }) {
                return Err("the store was not migrated".into());
            }
        }
        let started = Instant::now();
        for count in 0..MIGRATIONS {
            let copy = root.join(format!("copy-{count}"));
            fs::copy(&file, &copy)?;
            File::open(&copy)?.sync_all()?;
        }
        copies.push(started.elapsed());
    }
    Ok(Measured { migration: median(migrations), copies: median(copies) })
}

fn median(mut taken: Vec<Duration>) -> Duration {
    taken.sort_unstable();
    taken[taken.len() / 2]
}

fn version(number: usize) -> String {
    format!("1.{number}.0")
}

fn make_store(host: &Host) -> Result<(), Box<dyn Error>> {
    let name = format!("v{}_0123456789abcdef", version(0));
    let folder = host.path(STORE).join(&name);
    fs::create_dir_all(&folder)?;
    std::os::unix::fs::symlink(&name, host.path(STORE).join("current"))?;
    let Opened { mut store, snapshot, .. } = Store::open(&folder.join("settings.db"))?;
    let edit = |key: usize| -> Result<Edit, Box<dyn Error>> {
        let value = Some(json!(format!("value {key}")));
        Ok(Edit { layer: Layer::UserData, key: format!("settings.group-0.key-{key}").parse()?, value })
    };
    let edits = (0..KEYS).map(edit).collect::<Result<_, _>>()?;
    store.commit(&snapshot, CommitRequest::new(edits, Author { uid: 0, pid: 1, program: "bench".into() }))?;
    Ok(store.close()?)
}

/// Publishes a repository in which every version renames the group of all keys, and leaves a copy of it on the host.
fn stage(host: &Host) -> Result<(), Box<dyn Error>> {
    let mut publisher = Publisher::new();
    let (mut edges, mut names) = (Map::new(), Vec::new());
    for number in 1..=MIGRATIONS {
        let (from, to) = (number - 1, number);
        let rows = format!("rename = {{ from = 'settings.group-{from}', to = 'settings.group-{to}' }}");
        let mut encoder = FrameEncoder::new(Vec::new());
        encoder.write_all(&to_target(&format!("rows = [{{ {rows} }}]"))?)?;
        let name = format!("migrate_v{}_rename.lz4", version(number));
        publisher = publisher.with_file(&name, encoder.finish()?);
        edges.insert(format!("({}, {})", version(from), version(to)), json!([name]));
        names.push(name);
    }
    let manifest = json!({ "updates": [], "migrations": edges });
    let place = Place::of(&publisher.with_file("manifest.json", manifest.to_string()));
    host.replace("/usr/share/updog/root.json", &fs::read(place.root_json())?, 0o644)?;
    let repository = Repository::load(&place.source(&place.url()))?;
    repository.cache(&host.path(COPIES), &version(MIGRATIONS), &names)?.make_current()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_measured_is_a_migration() {
        let dir = tempfile::tempdir().unwrap();
        let measured = measure(dir.path()).unwrap();
        println!("{measured:?}");
        let store = Store::open(&dir.path().join("migrations").join(&STORE[1..]).join("current/settings.db"))
            .unwrap();
        assert_eq!(store.snapshot.layer(Layer::UserData).count(), KEYS);
        assert_eq!(store.snapshot.head(), 1 + 2 * ROUNDS as u64);
    }
}
