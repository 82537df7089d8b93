//! What must hold of the disk of a host after a power cut: the set that boots next is whole, the settings are those of
//! before or of after the update, and what the boot needs to migrate them is there.

use crate::built::{DiskFile, run, text};
use host::Host;
use host::program::chain;
use hostlab::Random;
use migrator::{Cache, Planned, Request, dry_run};
use partitions::kind::{self, label};
use rusqlite::{Connection, OpenFlags};
use semver::Version;
use sha2::{Digest, Sha256};
use signpost::{Layout, SetName};
use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use tempfile::TempDir;
use verity::{Mapping, Tree};
use write_log::{Entry, Fingerprint, Log, Loss, Replay, SECTOR, State};

/// How much of an image is read at once.
const CHUNK: usize = 1 << 20;
/// Where a host mounts PRIVATE.
const PRIVATE: &str = "var/lib/bottlerocket";
/// Where the datastore is on PRIVATE.
const CURRENT: &str = "datastore/current";
/// Documents that updates keep on PRIVATE; each is one that can be read, or is not there.
const DOCUMENTS: &str = "updates";
/// The one of them that is there since the first boot: each boot writes it.
const ATTEMPT: &str = "boot-attempt.json";
/// The folder among them in which copies of repositories are made; only the one that counts is whole.
const CACHE: &str = "cache";

/// What a user has set: layer and key, and the value as JSON.
pub type UserSettings = BTreeMap<(String, String), String>;

/// What a host would find after a power cut.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The set that boots.
    pub set: SetName,
    /// What the user has set.
    pub settings: UserSettings,
}

/// Where a set of partitions is.
#[derive(Clone, Debug)]
struct Place {
    boot: Range<u64>,
    root: Range<u64>,
    hash: Range<u64>,
}

/// What a set may hold.
#[derive(Clone, Debug)]
pub struct Bootable {
    /// Its version.
    pub version: Version,
    /// Its boot image, a file.
    pub boot: PathBuf,
    /// The root of trust in its root.
    pub root_json: Vec<u8>,
}

/// What is judged, and the contents of its regions.
type Key = (SetName, Vec<Fingerprint>);
type Judged<T> = Arc<Mutex<HashMap<Key, Result<T, String>>>>;

/// Judges states of one disk; what it has judged once it knows.
#[derive(Clone, Debug)]
pub struct Judge {
    sets: [Place; 2],
    private: Range<u64>,
    bootable: Arc<Vec<Bootable>>,
    /// SHA-256 and length of their boot images.
    digests: Arc<Vec<([u8; 32], usize)>>,
    /// Which of them a set holds.
    known_sets: Judged<usize>,
    known_settings: Judged<UserSettings>,
}

impl Judge {
    /// Of a disk with this layout, whose sets may hold these.
    pub fn new(disk: &DiskFile, bootable: Vec<Bootable>) -> Self {
        let place = |[boot, root, hash]: [&str; 3]| Place {
            boot: disk.range(boot),
            root: disk.range(root),
            hash: disk.range(hash),
        };
        let digest = |Bootable { boot, .. }: &Bootable| {
            let bytes = std::fs::read(boot).unwrap_or_else(|e| panic!("{}: {e}", boot.display()));
            (Sha256::digest(&bytes).into(), bytes.len())
        };
        Self {
            sets: [
                place([label::BOOT_A, label::ROOT_A, label::HASH_A]),
                place([label::BOOT_B, label::ROOT_B, label::HASH_B]),
            ],
            private: disk.range(label::PRIVATE),
            digests: Arc::new(bootable.iter().map(digest).collect()),
            bootable: Arc::new(bootable),
            known_sets: Arc::default(),
            known_settings: Arc::default(),
        }
    }

    /// The regions that a replay has to tell from each other.
    pub fn regions(&self) -> Vec<Range<u64>> {
        let sets = self.sets.iter().flat_map(|set| [&set.boot, &set.root, &set.hash]);
        sets.chain([&self.private]).cloned().collect()
    }

    /// Whether an entry of a log is about what decides, and not about the content of an image.
    pub fn is_decisive(&self, byte: u64) -> bool {
        !self
            .sets
            .iter()
            .any(|set| [&set.boot, &set.root, &set.hash].iter().any(|range| range.contains(&byte)))
            && byte < self.private.end
    }

    /// What a host would find in this state, or what is broken in it.
    pub fn judge(&self, state: &mut State<'_>) -> Result<Found, String> {
        let reading =
            partitions::read(state).map_err(|e| format!("no copy of the partition table is whole: {e}"))?;
        let layout = Layout::of(&reading.table).map_err(|e| format!("the table has no sets: {e}"))?;
        // Whoever is active does not matter for the rule.
        let boot = layout.state(&reading.table, SetName::A);
        let set = boot.next().ok_or("no set boots")?;
        if reading.table.of_kind(kind::PRIVATE).next().is_none() {
            return Err("the table has no PRIVATE".to_owned());
        }
        let place = &self.sets[usize::from(set == SetName::B)];
        let key = [&place.boot, &place.root, &place.hash].map(|range| state.fingerprint(range));
        let holds = once(&self.known_sets, (set, key.to_vec()), || self.judge_set(state, place))
            .map_err(|why| format!("set {set}: {why}"))?;
        let key = (set, vec![state.fingerprint(&self.private)]);
        let settings = once(&self.known_settings, key, || self.judge_settings(state, &self.bootable[holds]))?;
        Ok(Found { set, settings })
    }

    /// How many different sets and contents of PRIVATE were looked at.
    pub fn looked_at(&self) -> (usize, usize) {
        let sets = self.known_sets.lock().expect("no judge panics").len();
        (sets, self.known_settings.lock().expect("no judge panics").len())
    }

    /// Which of what it may hold a set does hold.
    fn judge_set(&self, state: &mut State<'_>, place: &Place) -> Result<usize, String> {
        let boot = state.region(&place.boot).map_err(|e| e.to_string())?;
        let holds =
            self.digests.iter().position(|(digest, len)| Sha256::digest(&boot[..*len])[..] == digest[..]);
        let holds = holds.ok_or("its boot partition holds none of the boot images")?;
        let folder = TempDir::with_prefix("visco").map_err(|e| e.to_string())?;
        let file = folder.path().join("boot");
        std::fs::write(&file, &boot).map_err(|e| e.to_string())?;
        let menu = debugfs(&file, "cat /grub/grub.cfg")?;
        let mapping = mapping(&menu)?;

        let hash = state.region(&place.hash).map_err(|e| e.to_string())?;
        let (superblock, tree) = Tree::read(&hash[..], mapping.target.root_hash)
            .map_err(|e| format!("its hash tree is not that of its boot menu: {e}"))?;
        if superblock.data_blocks != mapping.target.data_blocks {
            return Err(format!("its hash tree is of {} blocks", superblock.data_blocks));
        }
        state.seek(SeekFrom::Start(place.root.start)).map_err(|e| e.to_string())?;
        let data = std::io::BufReader::with_capacity(CHUNK, state.take(tree.data_blocks() * 4096));
        let bad = tree.bad_blocks(data).map_err(|e| format!("its root: {e}"))?;
        if bad.is_empty() { Ok(holds) } else { Err(format!("{} blocks of its root are wrong", bad.len())) }
    }

    /// What the user has set, if the boot of this can go on with it.
    fn judge_settings(&self, state: &State<'_>, boots: &Bootable) -> Result<UserSettings, String> {
        let folder = TempDir::with_prefix("visco").map_err(|e| e.to_string())?;
        let file = folder.path().join("private");
        let bytes = state.region(&self.private).map_err(|e| e.to_string())?;
        std::fs::write(&file, bytes).map_err(|e| e.to_string())?;
        mount(&file).map_err(|why| format!("PRIVATE: {why}"))?;
        let host = Host::new(folder.path());
        let tree = folder.path().join(PRIVATE);
        std::fs::create_dir_all(&tree).map_err(|e| e.to_string())?;
        debugfs(&file, &format!("rdump / {}", text(&tree)))?;

        for path in documents(&tree.join(DOCUMENTS))? {
            let content = std::fs::read(&path).map_err(|e| format!("{}: {e}", path.display()))?;
            serde_json::from_slice::<serde_json::Value>(&content).map_err(|e| {
                let name = path.strip_prefix(&tree).unwrap_or(&path);
                format!("{} ({} bytes) is no JSON: {e}", name.display(), content.len())
            })?;
        }
        let settings = settings_of(&tree)?;
        can_migrate(&host, boots)?;
        Ok(settings)
    }
}

/// Has the migrator decide what it will do at the boot: whether the copy of the repository is whole, from its
/// signatures to the digest of each migration, and has the way to the version that boots.
fn can_migrate(host: &Host, boots: &Bootable) -> Result<(), String> {
    let cache = Cache::in_folder(&Path::new("/").join(PRIVATE).join(DOCUMENTS).join(CACHE).join("current"));
    host.replace(&cache.root, &boots.root_json, 0o644).map_err(|e| chain(&e))?;
    let link = Path::new("/").join(PRIVATE).join(CURRENT);
    let request = Request { link, to: boots.version.clone(), random: 0 };
    match dry_run(host, &request, &cache).map_err(|e| chain(&e))? {
        Planned::NoStore => Err("there are no settings".to_owned()),
        Planned::SameVersion { .. } | Planned::Migrate(_) => Ok(()),
    }
}

/// Does to a file system what a mount does, and finds nothing else to be done: no host repairs PRIVATE.
///
/// A mount replays the journal. It also removes the inodes on the list of those that were deleted while they were open
/// (`ext4_orphan_cleanup` in fs/ext4/super.c of Linux), and counts what is free anew from the descriptors of the groups
/// (`ext4_count_free_clusters`): what the superblock says of that is not kept up while the file system is mounted.
fn mount(file: &Path) -> Result<(), String> {
    let replayed = run("e2fsck", &["-y", "-E", "journal_only", text(file)])?;
    if replayed.code > 1 {
        return Err(format!("its journal cannot be replayed: {}{}", replayed.said, replayed.cried));
    }
    let checked = run("e2fsck", &["-fy", text(file)])?;
    let of_mount = ["Clearing orphaned inode ", "Free blocks count wrong (", "Free inodes count wrong ("];
    let of_check = ["Pass ", "Fix? yes"];
    // After the name of the file system, or of its file.
    let last = ["***** FILE SYSTEM WAS MODIFIED *****", " non-contiguous), "];
    let is_expected = |line: &&str| {
        let begins = of_mount.iter().chain(&of_check).any(|begin| line.starts_with(begin));
        line.is_empty() || begins || last.iter().any(|words| line.contains(words))
    };
    let wrong: Vec<&str> = checked.said.lines().filter(|line| !is_expected(line)).collect();
    if checked.code > 1 || !wrong.is_empty() {
        return Err(format!("e2fsck ended with {}: {}{}", checked.code, wrong.join("; "), checked.cried));
    }
    Ok(())
}

/// Asks `debugfs`, whose exit status says nothing of failures: it prints them, after its own name.
fn debugfs(file: &Path, request: &str) -> Result<String, String> {
    let asked = run("debugfs", &["-R", request, text(file)])?;
    let cried: Vec<&str> = asked.cried.lines().filter(|line| !line.starts_with("debugfs 1.")).collect();
    if asked.code != 0 || !cried.is_empty() {
        return Err(format!("debugfs, '{request}': {}", cried.join("; ")));
    }
    Ok(asked.said)
}

/// What the user has set, of a copy of PRIVATE.
pub fn settings_of(private: &Path) -> Result<UserSettings, String> {
    let mut folder = private.join(CURRENT);
    // `current` may be the first of a chain of links, as older versions made them.
    while let Ok(next) = std::fs::read_link(&folder) {
        let name = next.file_name().ok_or_else(|| format!("a link leads to {}", next.display()))?;
        folder = private.join("datastore").join(name);
    }
    let file = folder.join("settings.db");
    let wrong = |e: rusqlite::Error| format!("the datastore {}: {e}", file.display());
    // It may have to be recovered from its log.
    let store = Connection::open_with_flags(&file, OpenFlags::SQLITE_OPEN_READ_WRITE).map_err(wrong)?;
    let check: String = store.query_row("PRAGMA integrity_check", [], |row| row.get(0)).map_err(wrong)?;
    if check != "ok" {
        return Err(format!("the datastore: {check}"));
    }
    let mut rows = store
        .prepare("SELECT layer, key, value FROM settings WHERE layer IN ('api', 'user-data')")
        .map_err(wrong)?;
    let rows = rows.query_map([], |row| Ok(((row.get(0)?, row.get(1)?), row.get(2)?))).map_err(wrong)?;
    rows.collect::<Result<_, _>>().map_err(wrong)
}

/// The documents in a folder and those below it, without copies of repositories.
fn documents(folder: &Path) -> Result<Vec<PathBuf>, String> {
    if !folder.join(ATTEMPT).is_file() {
        return Err(format!("there is no {DOCUMENTS}/{ATTEMPT}"));
    }
    let cache = folder.join(CACHE);
    let (mut found, mut folders) = (Vec::new(), vec![folder.to_owned()]);
    while let Some(folder) = folders.pop() {
        let entries = std::fs::read_dir(&folder).and_then(Iterator::collect::<std::io::Result<Vec<_>>>);
        for entry in entries.map_err(|e| format!("{}: {e}", folder.display()))? {
            let path = entry.path();
            if path.is_dir() && path != cache {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "json") {
                found.push(path);
            }
        }
    }
    Ok(found)
}

/// What the kernel's command line in a boot menu says of the root.
pub fn mapping(menu: &str) -> Result<Mapping, String> {
    let (_, rest) = menu.split_once("dm-mod.create=\"").ok_or("its boot menu has no dm-mod.create")?;
    let (table, _) = rest.split_once('"').ok_or("its boot menu breaks off")?;
    table.parse().map_err(|e| format!("its boot menu: {e}"))
}

/// What was judged before, or is now.
fn once<T: Clone>(
    known: &Judged<T>,
    key: Key,
    judge: impl FnOnce() -> Result<T, String>,
) -> Result<T, String> {
    if let Some(judged) = known.lock().expect("no judge panics").get(&key) {
        return judged.clone();
    }
    let judged = judge();
    known.lock().expect("no judge panics").insert(key, judged.clone());
    judged
}

/// How a log is sampled.
#[derive(Clone, Copy, Debug)]
pub struct Sampling {
    /// How many states are looked at.
    pub samples: usize,
    /// What they are chosen by.
    pub seed: u64,
}

/// What was found in the states of a log.
#[derive(Debug, Default)]
pub struct Survey {
    /// How often a state boots which set with which settings.
    pub found: BTreeMap<(char, UserSettings), usize>,
    /// What is broken, and in which state.
    pub broken: Vec<String>,
    /// How many states were looked at.
    pub samples: usize,
    /// How many different sets and contents of PRIVATE there were among them.
    pub different: (usize, usize),
}

/// The states to look at: places in the log, in order, and what is lost there.
///
/// Half of them are anywhere; the other half are around writes that decide something, which the content of an image
/// outnumbers by far.
fn choose(log: &Log, judge: &Judge, sampling: Sampling) -> Vec<(usize, Loss)> {
    let entries = log.entries();
    let decides = |entry: &Entry| entry.sectors > 0 && judge.is_decisive(entry.sector * SECTOR);
    let decisive: Vec<usize> = (0..entries.len()).filter(|index| decides(&entries[*index])).collect();
    let mut random = Random::new(sampling.seed);
    let mut chosen: Vec<(usize, Loss)> = (0..sampling.samples)
        .map(|number| {
            let place = if number % 2 == 0 || decisive.is_empty() {
                index(&mut random, entries.len() + 1)
            } else {
                decisive[index(&mut random, decisive.len())] + 1 + index(&mut random, 3)
            };
            let loss = match number / 2 % 8 {
                0 => Loss::All,
                1 => Loss::Nothing,
                2..5 => Loss::Some(random.number()),
                _ => Loss::Torn(random.number()),
            };
            (place.min(entries.len()), loss)
        })
        .collect();
    chosen.sort_by_key(|(place, _)| *place);
    chosen
}

/// A place in something of this length.
fn index(random: &mut Random, len: usize) -> usize {
    usize::try_from(random.below(len as u64)).expect("less than a usize")
}

/// Looks at states of a log over the disk from before it.
pub fn survey(base: &Path, log: &Log, judge: &Judge, sampling: Sampling) -> Survey {
    let base = File::open(base).unwrap_or_else(|e| panic!("{}: {e}", base.display()));
    let chosen = choose(log, judge, sampling);
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    let surveys = std::thread::scope(|scope| {
        let look = |worker| {
            let mine = chosen.iter().skip(worker).step_by(workers);
            let (base, judge) = (&base, judge.clone());
            scope.spawn(move || look_at(base, log, &judge, mine))
        };
        let running: Vec<_> = (0..workers).map(look).collect();
        running.into_iter().map(|worker| worker.join().expect("no judge panics")).collect::<Vec<_>>()
    });
    let mut all = Survey { different: judge.looked_at(), ..Survey::default() };
    for survey in surveys {
        all.samples += survey.samples;
        all.broken.extend(survey.broken);
        for (found, count) in survey.found {
            *all.found.entry(found).or_default() += count;
        }
    }
    all
}

fn look_at<'a>(
    base: &File,
    log: &Log,
    judge: &Judge,
    chosen: impl Iterator<Item = &'a (usize, Loss)>,
) -> Survey {
    let mut survey = Survey::default();
    let mut replay = Replay::new(log, base, judge.regions()).expect("a disk has a length");
    for (place, loss) in chosen {
        replay.advance_to(*place).expect("the log can be read");
        let mut state = replay.after_cut(*loss).expect("the log can be read");
        survey.samples += 1;
        match judge.judge(&mut state) {
            Ok(found) => {
                let side = if found.set == SetName::B { 'B' } else { 'A' };
                *survey.found.entry((side, found.settings)).or_default() += 1;
            }
            Err(why) => {
                survey.broken.push(format!("after {place} of {}, {loss:?}: {why}", log.entries().len()));
            }
        }
    }
    survey
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::built::succeed;

    /// A file system with one file, and what `debugfs` makes of it.
    fn file_system(requests: &[&str]) -> (TempDir, PathBuf) {
        let folder = TempDir::with_prefix("visco").expect("a temporary directory can be made");
        let [file, content] = ["private", "content"].map(|name| folder.path().join(name));
        std::fs::write(&content, "content").expect("a file can be written");
        succeed("mke2fs", &["-q", "-t", "ext4", "-b", "4096", text(&file), "16M"]);
        for request in [&[&*format!("write {} f", text(&content))], requests].concat() {
            succeed("debugfs", &["-w", "-R", request, text(&file)]);
        }
        (folder, file)
    }

    #[test]
    fn a_mount_mends_what_it_counts_itself_and_nothing_else() {
        let orphan = ["unlink f", "sif <12> links_count 0", "ssv last_orphan 12"];
        let rows: [(&str, &[&str], bool); 6] = [
            ("sound", &[], true),
            ("the superblock counts wrong", &["ssv free_blocks_count 5", "ssv free_inodes_count 5"], true),
            ("a file was deleted while it was open", &orphan, true),
            ("a deleted file is on no list", &orphan[..2], false),
            ("a group counts wrong", &["set_bg 0 free_blocks_count 5", "set_bg 0 checksum calc"], false),
            ("a block in use is free", &["freeb 1"], false),
        ];
        for (what, requests, is_well) in rows {
            let (_folder, file) = file_system(requests);
            let mounted = mount(&file);
            assert_eq!(mounted.is_ok(), is_well, "{what}: {mounted:?}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_said() {
        let (folder, file) = file_system(&[]);
        let tree = folder.path().join("tree");
        std::fs::create_dir(&tree).expect("a folder can be made");
        debugfs(&file, &format!("rdump / {}", text(&tree))).expect("all of it can be read");
        assert_eq!(std::fs::read(tree.join("f")).expect("it was read"), b"content");
        let error = debugfs(&file, &format!("rdump / {}", text(&folder.path().join("nowhere"))));
        assert!(error.is_err_and(|error| error.contains("nowhere")));
        assert!(documents(&tree).is_err_and(|error| error.contains(ATTEMPT)));
    }

    #[test]
    fn a_boot_that_has_to_migrate_needs_its_copy_of_the_repository() {
        let folder = TempDir::with_prefix("visco").expect("a temporary directory can be made");
        let host = Host::new(folder.path());
        let of = |version: &str| {
            let version = version.parse().expect("it is a version");
            can_migrate(&host, &Bootable { version, boot: PathBuf::new(), root_json: b"{}".to_vec() })
        };
        assert!(of("1.0.0").is_err_and(|error| error == "there are no settings"));
        let (stores, name) = (folder.path().join(PRIVATE).join("datastore"), "v1.0.0_0123456789abcdef");
        std::fs::create_dir_all(stores.join(name)).expect("a folder can be made");
        std::os::unix::fs::symlink(name, stores.join("current")).expect("a link can be made");
        assert_eq!(of("1.0.0"), Ok(()));
        let error = of("1.1.0").expect_err("there is no copy");
        assert!(error.starts_with("find the migrations from 1.0.0 to 1.1.0: "), "{error}");
    }
}
