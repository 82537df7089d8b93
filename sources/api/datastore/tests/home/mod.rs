//! What the tests of the store share.
#![allow(dead_code, unreachable_pub, missing_docs, clippy::unwrap_used)]

use datastore::{Author, CommitRequest, Edit, Layer, OpenOptions, Opened, Store};
use rusqlite::Connection;
use serde_json::Value;
use settings::Key;
use std::path::PathBuf;
use tempfile::TempDir;

/// A store in a folder of its own.
pub struct Home {
    dir: TempDir,
    pub options: OpenOptions,
}

impl Home {
    pub fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap(), options: OpenOptions::default() }
    }

    pub fn path(&self) -> PathBuf {
        self.dir.path().join("datastore/settings.db")
    }

    pub fn open(&self) -> Opened {
        Store::open_with(&self.path(), &self.options).unwrap()
    }

    /// Writes to the closed store behind its back.
    pub fn tamper(&self, sql: &str) {
        let db = Connection::open(self.path()).unwrap();
        db.execute_batch(&format!("PRAGMA ignore_check_constraints = ON; PRAGMA foreign_keys = OFF; {sql}"))
            .unwrap();
    }
}

pub fn key(name: &str) -> Key {
    name.parse().unwrap()
}

pub fn author() -> Author {
    Author { uid: 1000, pid: 7, program: "test".into() }
}

pub fn set(layer: Layer, name: &str, value: Value) -> Edit {
    Edit { layer, key: key(name), value: Some(value) }
}

pub fn unset(layer: Layer, name: &str) -> Edit {
    Edit { layer, key: key(name), value: None }
}

pub fn request(edits: impl Into<Vec<Edit>>) -> CommitRequest {
    CommitRequest::new(edits.into(), author()).message("because").time_ms(1)
}
