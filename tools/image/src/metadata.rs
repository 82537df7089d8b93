//! What is told about an image to those who publish or measure it.

use crate::artifacts::Plan;
use crate::layout::Role;
use crate::{Arch, Request};
use serde::Serialize;
use snafu::{ResultExt, Snafu};
use std::fs;
use std::path::{Path, PathBuf};

/// Why the metadata were not written.
#[derive(Debug, Snafu)]
#[allow(missing_docs)]
pub enum Error {
    #[snafu(display("put the metadata into JSON"))]
    Serialize { source: serde_json::Error },
    #[snafu(display("write {}", path.display()))]
    Write { path: PathBuf, source: std::io::Error },
}

/// An image, in figures.
#[derive(Debug, Serialize)]
pub(crate) struct Metadata {
    name: String,
    variant: String,
    arch: Arch,
    version: String,
    build_id: String,
    pub(crate) root_hash: String,
    pub(crate) salt: String,
    disks: Vec<Disk>,
}

#[derive(Debug, Serialize)]
struct Disk {
    size_bytes: u64,
    id: String,
    partitions: Vec<Partition>,
}

#[derive(Debug, Serialize)]
struct Partition {
    number: u32,
    name: &'static str,
    id: String,
    size_bytes: u64,
    /// How much of it an image or its files take; of a file system that the host writes to, only what the image
    /// puts there.
    used_bytes: u64,
    used_percent: u64,
    #[serde(skip)]
    role: Role,
}

impl Metadata {
    /// An image with nothing in its partitions.
    pub(crate) fn new(request: &Request, plan: &Plan) -> Self {
        let disks = plan.layout.disks().map(|disk| {
            let partitions = disk.partitions.iter().map(|place| Partition {
                number: place.number,
                name: place.role.name(),
                id: place.id.to_string(),
                size_bytes: place.size_bytes(),
                used_bytes: 0,
                used_percent: 0,
                role: place.role,
            });
            Disk {
                size_bytes: disk.size_mib * partitions::MIB,
                id: disk.id.to_string(),
                partitions: partitions.collect(),
            }
        });
        Self {
            name: request.name.clone(),
            variant: request.variant.clone(),
            arch: request.arch,
            version: request.version.clone(),
            build_id: request.build_id.clone(),
            root_hash: String::new(),
            salt: String::new(),
            disks: disks.collect(),
        }
    }

    /// Says how much of a partition is taken.
    pub(crate) fn fill(&mut self, role: Role, used_bytes: u64) {
        let partitions = self.disks.iter_mut().flat_map(|disk| &mut disk.partitions);
        for partition in partitions.filter(|partition| partition.role == role) {
            partition.used_bytes = used_bytes;
            partition.used_percent = (used_bytes * 100).div_ceil(partition.size_bytes);
        }
    }
}

/// Writes the metadata as JSON.
pub(crate) fn write(metadata: &Metadata, path: &Path) -> Result<(), Error> {
    let mut text = serde_json::to_string_pretty(metadata).context(SerializeSnafu)?;
    text.push('\n');
    fs::write(path, text).context(WriteSnafu { path })
}
