//! Migrations that a release names, as targets.
//!
//! They are looked for in a folder: `v1.2.0/rename-motd.toml` has the rows of `migrate_v1.2.0_rename-motd.lz4`; a
//! file `migrate_v1.2.0_rename-motd` is a program, to be packed; one with its `.lz4` is taken as it is.

use crate::existing::{Existing, ExistingError};
use lz4_flex::frame::{FrameDecoder, FrameEncoder};
use migrations::{Fault, Name};
use snafu::{ResultExt, Snafu};
use std::collections::BTreeSet;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use update_metadata::Migrations;

/// Most bytes a migration has: rows have some hundred, a program some million.
const MAX_MIGRATION: u64 = 64 << 20;

/// A migration that was not made a target.
#[derive(Debug, Snafu)]
#[allow(missing_docs)]
pub enum MigrationError {
    #[snafu(display("read the name of a migration of Release.toml"))]
    BadName { source: Fault },
    #[snafu(display(
        "Release.toml names the migration {name}, which is neither published nor in {}; it should be {} or {}",
        folder.display(), rows.display(), program.display()
    ))]
    NotFound { name: String, folder: PathBuf, rows: PathBuf, program: PathBuf },
    #[snafu(display("read {}", path.display()))]
    ReadMigration { path: PathBuf, source: io::Error },
    #[snafu(display("understand {}", path.display()))]
    ParseMigration { path: PathBuf, source: Fault },
    #[snafu(display("pack the migration {name}"))]
    Pack { name: String, source: io::Error },
    #[snafu(display("unpack the migration {name}"))]
    Unpack { name: String, source: io::Error },
    #[snafu(display(
        "the migration {name} is published with another content; hosts may have run it, so give the new one a \
         new name"
    ))]
    Changed { name: String },
    #[snafu(transparent)]
    Existing { source: ExistingError },
}

/// A migration as a target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packed {
    /// The name of the target.
    pub name: String,
    /// Its content, an LZ4 frame.
    pub content: Vec<u8>,
}

/// The migrations of the graph that are not published yet. One that is, must be the same.
pub async fn collect(
    graph: &Migrations,
    folder: &Path,
    existing: Option<&Existing>,
) -> Result<Vec<Packed>, MigrationError> {
    let names: BTreeSet<&String> = graph.values().flatten().collect();
    let mut fresh = Vec::new();
    for name in names {
        let found = find(name, folder)?;
        let published = match existing.filter(|existing| existing.target(name).is_some()) {
            Some(existing) => Some(unpack(name, &existing.read_target(name).await?)?),
            None => None,
        };
        match (found, published) {
            (Some(found), Some(published)) if found != published => return ChangedSnafu { name }.fail(),
            (_, Some(_)) => {}
            (Some(found), None) => fresh.push(Packed { name: name.clone(), content: pack(name, &found)? }),
            (None, None) => {
                let [rows, program, _] = places(name, folder)?;
                return NotFoundSnafu { name, folder, rows, program }.fail();
            }
        }
    }
    Ok(fresh)
}

fn places(name: &str, folder: &Path) -> Result<[PathBuf; 3], MigrationError> {
    let parsed: Name = name.parse().context(BadNameSnafu)?;
    let rows = folder.join(format!("v{}", parsed.version)).join(format!("{}.toml", parsed.name));
    Ok([rows, folder.join(name.trim_end_matches(".lz4")), folder.join(name)])
}

/// The unpacked content of a migration in the folder.
fn find(name: &str, folder: &Path) -> Result<Option<Vec<u8>>, MigrationError> {
    let [rows, program, packed] = places(name, folder)?;
    if let Some(text) = read(&rows)? {
        let text = String::from_utf8_lossy(&text);
        return migrations::to_target(&text).context(ParseMigrationSnafu { path: rows }).map(Some);
    }
    if let Some(program) = read(&program)? {
        return Ok(Some(program));
    }
    read(&packed)?.map(|packed| unpack(name, &packed)).transpose()
}

fn read(path: &Path) -> Result<Option<Vec<u8>>, MigrationError> {
    match std::fs::read(path) {
        Ok(content) => Ok(Some(content)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(e).context(ReadMigrationSnafu { path }),
    }
}

fn pack(name: &str, content: &[u8]) -> Result<Vec<u8>, MigrationError> {
    let mut packer = FrameEncoder::new(Vec::new());
    packer.write_all(content).context(PackSnafu { name })?;
    packer.finish().map_err(io::Error::from).context(PackSnafu { name })
}

fn unpack(name: &str, packed: &[u8]) -> Result<Vec<u8>, MigrationError> {
    let mut content = Vec::new();
    let mut unpacked = FrameDecoder::new(packed).take(MAX_MIGRATION + 1);
    unpacked.read_to_end(&mut content).context(UnpackSnafu { name })?;
    if content.len() as u64 > MAX_MIGRATION {
        return Err(io::Error::other("it is longer than 64 MiB")).context(UnpackSnafu { name });
    }
    Ok(content)
}
