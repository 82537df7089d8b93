//! What a durable commit costs beside a bare SQLite transaction of one key in the same folder, in turns in one run:
//! `cargo run --release -p datastore --example commit_cost -- FOLDER`.

#![allow(
    clippy::print_stdout,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    clippy::cast_possible_truncation
)]

use datastore::{Author, CommitRequest, Edit, HistoryLimits, Layer, OpenOptions, Opened, Snapshot, Store};
use rusqlite::{Connection, params};
use serde_json::json;
use std::error::Error;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Keys that are there before.
const KEYS: usize = 1300;
const ROUNDS: usize = 6000;

fn main() -> Result<(), Box<dyn Error>> {
    let parent = std::env::args_os().nth(1).map_or_else(std::env::temp_dir, PathBuf::from);
    let folder = tempfile::tempdir_in(parent)?;
    let bare = bare(&folder.path().join("bare.db"))?;
    let (mut fresh, mut fresh_state) = filled(&folder.path().join("fresh/settings.db"), 1_000_000)?;
    // Its history is full, so that its commits forget others.
    let (mut full, mut full_state) = filled(&folder.path().join("full/settings.db"), 1000)?;
    for n in 0..1000 {
        full_state = commit(&mut full, &full_state, n, 1)?.0;
    }
    let mut times: [Vec<Duration>; 5] = Default::default();
    for n in 0..ROUNDS {
        times[0].push(bare_commit(&bare, n..n + 1)?);
        let time;
        (fresh_state, time) = commit(&mut fresh, &fresh_state, n, 1)?;
        times[1].push(time);
        let time;
        (full_state, time) = commit(&mut full, &full_state, n, 1)?;
        times[2].push(time);
    }
    for n in 0..ROUNDS / 20 {
        times[3].push(bare_commit(&bare, n * 100..n * 100 + 100)?);
        let time;
        (fresh_state, time) = commit(&mut fresh, &fresh_state, n * 100, 100)?;
        times[4].push(time);
    }
    let rows = [
        "bare SQLite, 1 key",
        "commit, 1 key",
        "commit, 1 key, full history",
        "bare SQLite, 100 keys",
        "commit, 100 keys",
    ];
    let mut reference = 0.0;
    for (row, times) in rows.iter().zip(&mut times) {
        times.sort_unstable();
        let at = |share: f64| times[(times.len() as f64 * share) as usize].as_secs_f64() * 1e6;
        // The median: what else the machine does shows in the mean of either.
        let p50 = at(0.5);
        if row.starts_with("bare") {
            reference = p50;
        }
        let (ratio, p90, p99) = (p50 / reference, at(0.9), at(0.99));
        println!("{row:28} p50 {p50:7.1} us ({ratio:4.2}x)  p90 {p90:7.1}  p99 {p99:7.1}");
    }
    let start = Instant::now();
    let verified = fresh.verify_history()?;
    println!("verify {} commits: {:?}", verified.commits, start.elapsed());
    drop(fresh);
    let start = Instant::now();
    let opened = Store::open_with(&folder.path().join("fresh/settings.db"), &options(1_000_000))?;
    println!("open with them: {:?}, {} keys", start.elapsed(), opened.snapshot.effective().count());
    Ok(())
}

fn bare(path: &Path) -> Result<Connection, rusqlite::Error> {
    let db = Connection::open(path)?;
    db.execute_batch(
        "PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
         CREATE TABLE kv (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID; BEGIN",
    )?;
    for n in 0..KEYS {
        db.execute("INSERT INTO kv VALUES (?1, ?2)", params![name(n), "\"value\""])?;
    }
    db.execute_batch("COMMIT")?;
    Ok(db)
}

fn bare_commit(db: &Connection, keys: Range<usize>) -> Result<Duration, rusqlite::Error> {
    let value = json!(format!("value {}", keys.start)).to_string();
    let start = Instant::now();
    db.execute_batch("BEGIN IMMEDIATE")?;
    for n in keys {
        db.prepare_cached("INSERT OR REPLACE INTO kv VALUES (?1, ?2)")?.execute(params![name(n), value])?;
    }
    db.execute_batch("COMMIT")?;
    Ok(start.elapsed())
}

fn options(commits: u64) -> OpenOptions {
    OpenOptions { history: HistoryLimits { commits, bytes: 1 << 30 }, ..OpenOptions::default() }
}

fn filled(path: &Path, commits: u64) -> Result<(Store, Snapshot), Box<dyn Error>> {
    let Opened { mut store, snapshot, .. } = Store::open_with(path, &options(commits))?;
    let state = commit(&mut store, &snapshot, 0, KEYS)?.0;
    Ok((store, state))
}

fn commit(
    store: &mut Store,
    before: &Snapshot,
    first: usize,
    count: usize,
) -> Result<(Snapshot, Duration), Box<dyn Error>> {
    let edit = |n: usize| -> Result<Edit, Box<dyn Error>> {
        Ok(Edit {
            layer: Layer::Api,
            key: name(n).parse()?,
            value: Some(json!(format!("value {first} {n}"))),
        })
    };
    let edits = (first..first + count).map(edit).collect::<Result<_, _>>()?;
    let author = Author { uid: 0, pid: 1, program: "/usr/bin/apiclient".into() };
    let start = Instant::now();
    let (_, after) = store.commit(before, CommitRequest::new(edits, author).message("set").time_ms(1))?;
    Ok((after, start.elapsed()))
}

fn name(n: usize) -> String {
    // Neighbours in number are far apart in the tables, as those of a real change are.
    let n = n * 7919 % KEYS;
    format!("settings.group{}.some-name-{n:04}", n % 17)
}
