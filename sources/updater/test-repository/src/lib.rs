//! Update repositories for tests: a publisher with all keys, and servers good and bad.

#![allow(
    clippy::unwrap_used,
    clippy::new_without_default,
    missing_docs,
    reason = "what tests use may panic, and they say what it is for"
)]

mod publisher;
mod server;

pub use publisher::{Publisher, Root, later};
pub use server::{Answer, Request, Server};

use repository::{Limits, Source};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tempfile::TempDir;

/// A repository in a folder, and a host that has its root of trust.
pub struct Place {
    folder: TempDir,
}

impl Place {
    /// What a publisher has, in a new folder; the host trusts the first root.
    pub fn of(publisher: &Publisher) -> Self {
        let place = Self { folder: tempfile::tempdir().unwrap() };
        publisher.write(&place.repository());
        std::fs::copy(place.metadata().join("1.root.json"), place.root_json()).unwrap();
        place
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn repository(&self) -> PathBuf {
        self.path("repository")
    }

    pub fn metadata(&self) -> PathBuf {
        self.repository().join("metadata")
    }

    pub fn root_json(&self) -> PathBuf {
        self.path("root.json")
    }

    pub fn trust(&self) -> PathBuf {
        self.path("trust")
    }

    /// Its address as a folder.
    pub fn url(&self) -> String {
        format!("file://{}", self.repository().display())
    }

    /// What this host loads, from a base address.
    pub fn source(&self, url: &str) -> Source {
        Source {
            limits: impatient(),
            ..Source::new(
                self.root_json(),
                &format!("{url}/metadata"),
                &format!("{url}/targets/"),
                self.trust(),
            )
        }
    }

    /// Replaces text in a file of the repository.
    pub fn tamper(&self, file: &str, from: &str, to: &str) {
        let path = self.repository().join(file);
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains(from), "{text}");
        std::fs::write(path, text.replacen(from, to, 1)).unwrap();
    }
}

/// Limits under which a test does not wait for half a minute.
pub fn impatient() -> Limits {
    Limits {
        attempts: 3,
        pause: Duration::from_millis(5),
        longest_pause: Duration::from_millis(20),
        stall: Duration::from_millis(250),
        least: 1000,
        progress: 4096,
    }
}

/// The error and all its causes.
pub fn text(error: &dyn std::error::Error) -> String {
    host::program::chain(error)
}

/// All files below a folder, by their paths in it.
pub fn files(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if path.is_dir() && !path.is_symlink() {
            found.extend(files(&path).into_iter().map(|file| format!("{name}/{file}")));
        } else {
            found.push(name);
        }
    }
    found.sort();
    found
}
