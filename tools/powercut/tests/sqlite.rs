//! SQLite on the disk, and what a database that breaks the rules loses on it.

#![allow(clippy::unwrap_used)]

use powercut::{Loss, PowerCut};
use rusqlite::{Connection, OpenFlags};

fn connect(disk: &PowerCut, synchronous: &str) -> rusqlite::Result<Connection> {
    let db = Connection::open_with_flags_and_vfs("/db", OpenFlags::default(), disk.vfs())?;
    db.execute_batch(&format!(
        "PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; PRAGMA synchronous = {synchronous};
         CREATE TABLE IF NOT EXISTS t (x INTEGER)"
    ))?;
    Ok(db)
}

fn count(disk: &PowerCut) -> i64 {
    let db = connect(disk, "FULL").unwrap();
    db.query_row("SELECT count(*) FROM t", [], |row| row.get(0)).unwrap()
}

#[test]
fn a_synced_commit_survives_and_an_unsynced_one_may_not() {
    for (synchronous, survives) in [("FULL", true), ("OFF", false)] {
        let disk = PowerCut::new();
        let db = connect(&disk, synchronous).unwrap();
        db.execute("INSERT INTO t VALUES (1)", []).unwrap();
        disk.cut_after(0);
        assert_eq!(count(&PowerCut::from_image(disk.image(Loss::All))) == 1, survives, "{synchronous}");
        assert_eq!(count(&PowerCut::from_image(disk.image(Loss::Nothing))), 1, "{synchronous}");
    }
}

#[test]
fn a_failed_operation_fails_the_statement_only() {
    let disk = PowerCut::new();
    let db = connect(&disk, "FULL").unwrap();
    disk.fail_once_after(disk.operations());
    assert!(db.execute("INSERT INTO t VALUES (1)", []).is_err());
    db.execute("INSERT INTO t VALUES (2)", []).unwrap();
    drop(db);
    assert_eq!(count(&disk), 1);
    assert!(!disk.is_cut());
}

#[test]
fn a_handle_may_outlive_its_disk() {
    let disk = PowerCut::new();
    let db = connect(&disk, "FULL").unwrap();
    drop(disk);
    db.execute("INSERT INTO t VALUES (1)", []).unwrap();
}
