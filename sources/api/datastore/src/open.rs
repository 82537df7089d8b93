//! Opening the store: its folder, its file, its tables; and what to do where any of them is damaged.

use crate::error::{DamagedSnafu, PrepareSnafu, SetAsideSnafu, TooNewSnafu, opening};
use crate::history::Kept;
use crate::{Edit, HistoryLimits, Layer, Snapshot, Store, StoreError};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags, OptionalExtension, Row};
use serde_json::Value;
use settings::Key;
use snafu::{ResultExt, ensure};
use std::ffi::OsString;
use std::fs::{self, DirBuilder, File, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Version of the tables below, kept in `PRAGMA user_version`. Every released one stays in `tests/fixtures`.
const FORMAT: i64 = 1;

/// Marks an SQLite file as ours, in `PRAGMA application_id`: `Vsco`.
const APPLICATION: i64 = 0x5673_636f;

/// A commit writes two pages: one leaf of `settings`, one of `commits`. That is why its changes are one text and
/// not rows of a table of their own, and why the long columns come last.
const TABLES: &str = "
    CREATE TABLE settings (
        layer TEXT NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL, commit_id INTEGER NOT NULL,
        PRIMARY KEY (layer, key)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE commits (
        id INTEGER PRIMARY KEY, time_ms INTEGER NOT NULL, layer TEXT NOT NULL,
        uid INTEGER NOT NULL, pid INTEGER NOT NULL, program TEXT NOT NULL, message TEXT NOT NULL,
        marks TEXT NOT NULL, trial INTEGER, ends_trial INTEGER, change_count INTEGER NOT NULL,
        hash BLOB NOT NULL, changes TEXT NOT NULL
    ) STRICT;
    CREATE TABLE anchor (
        only INTEGER PRIMARY KEY CHECK (only = 1), commit_id INTEGER NOT NULL, hash BLOB NOT NULL
    ) STRICT;
    CREATE TABLE marks (name TEXT PRIMARY KEY, commit_id INTEGER NOT NULL) STRICT, WITHOUT ROWID;
    CREATE TABLE trials (
        commit_id INTEGER PRIMARY KEY REFERENCES commits (id) ON DELETE CASCADE, deadline_ms INTEGER NOT NULL
    ) STRICT;
";

/// How to open a store.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OpenOptions {
    /// Where the file as a whole is damaged, rename it to `<name>.damaged-<n>` and start with an empty store
    /// instead of failing.
    pub set_damaged_aside: bool,
    /// What the history may take up.
    pub history: HistoryLimits,
    /// The SQLite VFS to use instead of the file system, by name; for tests that fail or cut it. Folders and modes
    /// are then left alone, and nothing is set aside.
    pub vfs: Option<String>,
}

/// A stored leaf that is left out of the state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quarantined {
    /// The layer, as stored.
    pub layer: String,
    /// The key, as stored.
    pub key: String,
    /// Why it was left out.
    pub why: String,
}

/// A store that was opened, its state, and what of it could not be read.
#[derive(Debug)]
pub struct Opened {
    /// The store.
    pub store: Store,
    /// The state it holds.
    pub snapshot: Snapshot,
    /// Leaves that were left out of the state. They stay on disk, where an older or newer version may find them,
    /// until an edit of theirs is committed.
    pub quarantined: Vec<Quarantined>,
    /// Where the damaged file went that was in the way, if there was one.
    pub set_aside: Option<PathBuf>,
}

/// A quarantined leaf as the store remembers it.
#[derive(Clone, Debug)]
pub(crate) struct Held {
    pub(crate) report: Quarantined,
    /// Its address, if it has one that edits can name.
    pub(crate) leaf: Option<(Layer, Key)>,
    /// Its value, if it can be read.
    pub(crate) value: Option<Value>,
}

impl Opened {
    /// Leaves out of the state what fails a check, such as one by the schema; the error says why. It is asked once
    /// for every layer of every key.
    pub fn quarantine(&mut self, mut check: impl FnMut(&Key, &Value) -> Result<(), String>) {
        let mut failed = Vec::new();
        for layer in Layer::ALL {
            for (key, leaf) in self.snapshot.layer(layer) {
                if let Err(why) = check(key, &leaf.value) {
                    let report =
                        Quarantined { layer: layer.name().to_owned(), key: key.as_str().to_owned(), why };
                    let value = Some((*leaf.value).clone());
                    failed.push(Held { report, leaf: Some((layer, key.clone())), value });
                }
            }
        }
        for (layer, key) in failed.iter().filter_map(|held| held.leaf.clone()) {
            self.snapshot.leave_out(layer, &key);
        }
        self.quarantined.extend(failed.iter().map(|held| held.report.clone()));
        self.store.held.extend(failed);
    }
}

impl Store {
    /// Opens the store, making an empty one if there is none.
    pub fn open_with(path: &Path, options: &OpenOptions) -> Result<Opened, StoreError> {
        if options.vfs.is_some() {
            return attempt(path, options);
        }
        prepare(path).context(PrepareSnafu { path })?;
        match attempt(path, options) {
            Err(StoreError::Damaged { .. }) if options.set_damaged_aside => {
                let aside = set_aside(path).context(SetAsideSnafu { path })?;
                prepare(path).context(PrepareSnafu { path })?;
                Ok(Opened { set_aside: Some(aside), ..attempt(path, options)? })
            }
            other => other,
        }
    }
}

/// Makes the folder and the file, for nobody else to look into. SQLite gives its log the mode of the file.
fn prepare(path: &Path) -> io::Result<()> {
    let folder = folder_of(path);
    if !folder.exists() {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        sync_with_parents(folder)?;
    }
    // A file that is there is not opened: closing it would drop the lock of a store that this process has open.
    match File::options().write(true).create_new(true).mode(0o600).open(path) {
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {
            if fs::metadata(path)?.permissions().mode() & 0o777 != 0o600 {
                fs::set_permissions(path, Permissions::from_mode(0o600))?;
            }
        }
        other => drop(other?),
    }
    File::open(folder)?.sync_all()
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Makes a new folder durable, and its name in every folder above it that may be new too. Folders that cannot be
/// read are not ours, so not new.
fn sync_with_parents(folder: &Path) -> io::Result<()> {
    for folder in folder.ancestors().filter(|folder| !folder.as_os_str().is_empty()) {
        match File::open(folder) {
            Ok(open) => open.sync_all()?,
            Err(e) if e.kind() == io::ErrorKind::PermissionDenied => break,
            Err(e) => return Err(e),
        }
    }
    Ok(())
}

/// Renames the file and its log to the first free name. The log goes first: beside a new file, SQLite would delete
/// it.
fn set_aside(path: &Path) -> io::Result<PathBuf> {
    let with = |suffix: &str| -> PathBuf {
        let mut name = OsString::from(path);
        name.push(suffix);
        name.into()
    };
    let free =
        |n: &u32| !with(&format!(".damaged-{n}")).exists() && !with(&format!(".damaged-{n}-wal")).exists();
    let number = (1..u32::MAX).find(free).expect("a folder has fewer files than there are numbers");
    let aside = with(&format!(".damaged-{number}"));
    match fs::rename(with("-wal"), with(&format!(".damaged-{number}-wal"))) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
        _ => {}
    }
    fs::rename(path, &aside)?;
    File::open(folder_of(path))?.sync_all()?;
    Ok(aside)
}

fn attempt(path: &Path, options: &OpenOptions) -> Result<Opened, StoreError> {
    let failed = |e| opening(path, e);
    let db = connect(path, options.vfs.as_deref()).map_err(failed)?;
    let report: String = db.query_row("PRAGMA quick_check(1)", [], |row| row.get(0)).map_err(failed)?;
    ensure!(report == "ok", DamagedSnafu { path, report });
    let number = |name: &str| db.query_row(name, [], |row| row.get::<_, i64>(0)).map_err(failed);
    let found = number("PRAGMA user_version")?;
    if found == 0 && number("SELECT count(*) FROM sqlite_schema")? == 0 {
        let (begin, end) = ("BEGIN IMMEDIATE", "COMMIT");
        let id = format!("PRAGMA application_id = {APPLICATION}; PRAGMA user_version = {FORMAT}");
        db.execute_batch(&format!("{begin}; {TABLES} {id}; {end};")).map_err(failed)?;
    } else {
        let report = "it is the database of another program";
        ensure!(number("PRAGMA application_id")? == APPLICATION, DamagedSnafu { path, report });
        ensure!(found <= FORMAT, TooNewSnafu { path, found, known: FORMAT });
        check_tables(&db).or_else(|report| DamagedSnafu { path, report }.fail())?;
    }
    read(db, options.history).map_err(failed)
}

fn connect(path: &Path, vfs: Option<&str>) -> Result<Connection, rusqlite::Error> {
    let flags =
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let db = match vfs {
        Some(vfs) => Connection::open_with_flags_and_vfs(path, flags, vfs)?,
        None => Connection::open_with_flags(path, flags)?,
    };
    // Whoever has it open keeps it open: there is nothing to wait for.
    db.busy_timeout(Duration::ZERO)?;
    // The lock comes first: a log that is locked from the start needs no shared memory file.
    db.execute_batch(
        "PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
         PRAGMA foreign_keys = ON; PRAGMA trusted_schema = OFF; PRAGMA cache_size = -512;
         PRAGMA temp_store = MEMORY; PRAGMA journal_size_limit = 8388608;",
    )?;
    Ok(db)
}

/// Whether all tables are there with all their columns.
fn check_tables(db: &Connection) -> Result<(), String> {
    let queries = [
        "SELECT layer, key, value, commit_id FROM settings",
        "SELECT id, time_ms, layer, uid, pid, program, message, marks, trial, ends_trial, change_count, hash, changes
         FROM commits",
        "SELECT only, commit_id, hash FROM anchor",
        "SELECT name, commit_id FROM marks",
        "SELECT commit_id, deadline_ms FROM trials",
    ];
    queries.iter().try_for_each(|query| db.prepare(query).map(drop).map_err(|e| e.to_string()))
}

fn read(db: Connection, limits: HistoryLimits) -> Result<Opened, rusqlite::Error> {
    let newest = |query| {
        let pair = |row: &Row<'_>| Ok((row.get::<_, i64>(0)?, row.get::<_, Vec<u8>>(1)?));
        db.query_row(query, [], pair).optional()
    };
    let (mut head, hash) = match newest("SELECT id, hash FROM commits ORDER BY id DESC LIMIT 1")? {
        Some(found) => found,
        None => newest("SELECT commit_id, hash FROM anchor")?.unwrap_or_default(),
    };
    let kept = Kept::count(&db)?;
    let (mut snapshot, mut left_out) = (Snapshot::default(), Vec::new());
    let mut rows = db.prepare("SELECT layer, key, value, commit_id FROM settings")?;
    let mut rows_read = rows.query([])?;
    while let Some(row) = rows_read.next()? {
        let commit = row.get(3).unwrap_or(0);
        // Where the newest commits were taken out of the history, their numbers still are not free.
        head = head.max(commit);
        match read_leaf(row)? {
            Ok(Edit { layer, key, value }) => snapshot.put(layer, &key, value, commit.cast_unsigned()),
            Err(leaf) => left_out.push(leaf),
        }
    }
    drop(rows_read);
    drop(rows);
    snapshot.set_head(head.cast_unsigned());
    let quarantined = left_out.iter().map(|held| held.report.clone()).collect();
    let store = Store { db, limits, kept, head: head.cast_unsigned(), hash, held: left_out };
    Ok(Opened { store, snapshot, quarantined, set_aside: None })
}

/// Reads one leaf, or says why it is to be left out.
fn read_leaf(row: &Row<'_>) -> Result<Result<Edit, Held>, rusqlite::Error> {
    let (layer, key) = (text(row.get_ref(0)?), text(row.get_ref(1)?));
    let known = Layer::from_name(&layer).ok_or_else(|| format!("there is no layer '{layer}'"));
    let parsed: Result<Key, String> = key.parse().map_err(|e| format!("the key is malformed: {e}"));
    let parsed = parsed.and_then(|parsed| {
        let other = format!("the key is misspelled; it would be '{parsed}'");
        if parsed.as_str() == key { Ok(parsed) } else { Err(other) }
    });
    let value = match row.get_ref(2)? {
        ValueRef::Text(json) => {
            serde_json::from_slice(json).map_err(|e| format!("the value is not JSON: {e}"))
        }
        other => Err(format!("the value is not text but {}", other.data_type())),
    };
    Ok(match (known, parsed, value) {
        (Ok(layer), Ok(key), Ok(value)) => Ok(Edit { layer, key, value: Some(value) }),
        (known, parsed, value) => {
            let leaf = known.as_ref().ok().copied().zip(parsed.as_ref().ok().cloned());
            let errors = [known.err(), parsed.err(), value.as_ref().err().cloned()];
            let why = errors.into_iter().flatten().collect::<Vec<_>>().join("; ");
            Err(Held { report: Quarantined { layer, key, why }, leaf, value: value.ok() })
        }
    })
}

fn text(value: ValueRef<'_>) -> String {
    match value {
        ValueRef::Text(text) | ValueRef::Blob(text) => String::from_utf8_lossy(text).into_owned(),
        other => other.data_type().to_string(),
    }
}
