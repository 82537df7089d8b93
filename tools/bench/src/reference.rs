//! What the machine can do at best.

use crate::load::{Latencies, repeat};
use rusqlite::{Connection as Database, params};
use std::error::Error;
use std::io::{Read, Write};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::time::{Duration, Instant};

/// A server that answers every request with the same `body`, doing nothing else: the floor of the socket.
pub fn canned_answer(folder: &Path, body_bytes: usize, time: Duration) -> std::io::Result<Latencies> {
    let socket = folder.join("canned.sock");
    drop(std::fs::remove_file(&socket));
    let listener = UnixListener::bind(&socket)?;
    let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {body_bytes}\r\n\r\n{}", "x".repeat(body_bytes));
    std::thread::scope(|scope| {
        scope.spawn(move || {
            let Ok((mut stream, _)) = listener.accept() else { return };
            let mut request = [0; 4096];
            while stream.read(&mut request).is_ok_and(|count| count > 0) {
                if stream.write_all(answer.as_bytes()).is_err() {
                    return;
                }
            }
        });
        repeat(&socket, 1, time, |connection, _| connection.succeed("GET", "/settings", "").map(drop))
    })
}

/// The median time of a bare durable SQLite transaction that writes `keys` rows.
pub fn sqlite_transaction(folder: &Path, keys: usize, time: Duration) -> Result<Duration, Box<dyn Error>> {
    let path = folder.join(format!("reference-{keys}.db"));
    for suffix in ["", "-wal", "-shm"] {
        drop(std::fs::remove_file(format!("{}{suffix}", path.display())));
    }
    let mut db = Database::open(&path)?;
    db.execute_batch(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA locking_mode = EXCLUSIVE;
         CREATE TABLE leaves (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;",
    )?;
    let mut taken = Vec::new();
    let end = Instant::now() + time;
    let mut round = 0_u64;
    while Instant::now() < end {
        let started = Instant::now();
        let tx = db.transaction()?;
        for key in 0..keys {
            tx.prepare_cached("INSERT OR REPLACE INTO leaves VALUES (?1, ?2)")?.execute(params![
                format!("settings.kernel.sysctl.\"bench.{key}\""),
                format!("\"{round}\"")
            ])?;
        }
        tx.commit()?;
        taken.push(started.elapsed());
        round += 1;
    }
    taken.sort_unstable();
    Ok(taken[taken.len() / 2])
}

/// The median time of starting an empty program and waiting for it.
pub fn process_start() -> std::io::Result<Duration> {
    let mut taken = Vec::new();
    for _ in 0..50 {
        let started = Instant::now();
        std::process::Command::new("true").status()?;
        taken.push(started.elapsed());
    }
    taken.sort_unstable();
    Ok(taken[taken.len() / 2])
}
