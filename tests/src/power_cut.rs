//! What must hold of the disk of a host after a power cut: the set that boots next is whole, and the settings are those
//! of before or of after the update.

use crate::built::{DiskFile, run, text};
use hostlab::Random;
use partitions::kind::{self, label};
use rusqlite::{Connection, OpenFlags};
use sha2::{Digest, Sha256};
use signpost::{Layout, SetName};
use std::collections::{BTreeMap, BTreeSet, HashMap};
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
/// Where the datastore is on PRIVATE.
const CURRENT: &str = "datastore/current";
/// Documents that updates keep on PRIVATE; each is one that can be read, or is not there.
const DOCUMENTS: &str = "updates";

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

/// A set, if it is one that is judged, and the contents of its regions.
type Key = (Option<SetName>, Vec<Fingerprint>);
type Judged<T> = Arc<Mutex<HashMap<Key, Result<T, String>>>>;

/// Judges states of one disk; what it has judged once it knows.
#[derive(Clone, Debug)]
pub struct Judge {
    sets: [Place; 2],
    private: Range<u64>,
    /// SHA-256 of the boot images that a set may hold.
    boot_images: Arc<BTreeSet<([u8; 32], u64)>>,
    known_sets: Judged<()>,
    known_settings: Judged<UserSettings>,
}

impl Judge {
    /// Of a disk with this layout, whose sets may hold these boot images.
    pub fn new(disk: &DiskFile, boot_images: &[PathBuf]) -> Self {
        let place = |[boot, root, hash]: [&str; 3]| Place {
            boot: disk.range(boot),
            root: disk.range(root),
            hash: disk.range(hash),
        };
        let digest = |path: &PathBuf| {
            let bytes = std::fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
            (Sha256::digest(&bytes).into(), bytes.len() as u64)
        };
        Self {
            sets: [
                place([label::BOOT_A, label::ROOT_A, label::HASH_A]),
                place([label::BOOT_B, label::ROOT_B, label::HASH_B]),
            ],
            private: disk.range(label::PRIVATE),
            boot_images: Arc::new(boot_images.iter().map(digest).collect()),
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
        once(&self.known_sets, (Some(set), key.to_vec()), || self.judge_set(state, place))
            .map_err(|why| format!("set {set}: {why}"))?;
        let key = state.fingerprint(&self.private);
        let settings = once(&self.known_settings, (None, vec![key]), || self.judge_settings(state))?;
        Ok(Found { set, settings })
    }

    /// How many different sets and contents of PRIVATE were looked at.
    pub fn looked_at(&self) -> (usize, usize) {
        let sets = self.known_sets.lock().expect("no judge panics").len();
        (sets, self.known_settings.lock().expect("no judge panics").len())
    }

    fn judge_set(&self, state: &mut State<'_>, place: &Place) -> Result<(), String> {
        let boot = state.region(&place.boot).map_err(|e| e.to_string())?;
        let is_known = self.boot_images.iter().any(|(digest, len)| {
            usize::try_from(*len).is_ok_and(|len| Sha256::digest(&boot[..len])[..] == digest[..])
        });
        if !is_known {
            return Err("its boot partition holds none of the boot images".to_owned());
        }
        let folder = TempDir::with_prefix("visco").map_err(|e| e.to_string())?;
        let file = folder.path().join("boot");
        std::fs::write(&file, &boot).map_err(|e| e.to_string())?;
        let menu = run("debugfs", &["-R", "cat /grub/grub.cfg", text(&file)])?.1;
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
        if bad.is_empty() { Ok(()) } else { Err(format!("{} blocks of its root are wrong", bad.len())) }
    }

    fn judge_settings(&self, state: &State<'_>) -> Result<UserSettings, String> {
        let folder = TempDir::with_prefix("visco").map_err(|e| e.to_string())?;
        let file = folder.path().join("private");
        let bytes = state.region(&self.private).map_err(|e| e.to_string())?;
        std::fs::write(&file, bytes).map_err(|e| e.to_string())?;
        // What a mount does, and more: the journal first, then a look at everything.
        let (code, said) = run("e2fsck", &["-fy", text(&file)])?;
        if code > 1 {
            return Err(format!("e2fsck of PRIVATE ended with {code}: {said}"));
        }
        let tree = folder.path().join("tree");
        std::fs::create_dir(&tree).map_err(|e| e.to_string())?;
        run("debugfs", &["-R", &format!("rdump / {}", text(&tree)), text(&file)])?;
        for path in documents(&tree.join(DOCUMENTS)) {
            let content = std::fs::read(&path).map_err(|e| format!("{}: {e}", path.display()))?;
            serde_json::from_slice::<serde_json::Value>(&content).map_err(|e| {
                let name = path.strip_prefix(&tree).unwrap_or(&path);
                format!("{} ({} bytes) is no JSON: {e}", name.display(), content.len())
            })?;
        }
        settings_of(&tree)
    }
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

/// The JSON files below a folder, but not those of a cache that is still being made.
fn documents(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let (folders, files): (Vec<_>, Vec<_>) =
        entries.map(|entry| entry.path()).partition(|path| path.is_dir());
    let is_document = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "json");
    let inner = folders.iter().filter(|path| !path.ends_with("cache")).flat_map(|path| documents(path));
    files.into_iter().filter(is_document).chain(inner).collect()
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
