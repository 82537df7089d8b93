//! Says what is in an image: the only part that reads and writes files.

use crate::{Materials, QueryError, TimeError, document, inventory, parse_query};
use snafu::{ResultExt, Snafu};
use std::fs;
use std::path::{Path, PathBuf};

/// Name of the inventory, beside the image.
pub const INVENTORY_FILE: &str = "application-inventory.json";
/// Where the inventory is inside the image.
const INVENTORY_FOLDER: &str = "usr/share/bottlerocket";

/// Why an image was not described.
#[derive(Debug, Snafu)]
#[allow(missing_docs)]
pub enum DescribeError {
    #[snafu(display("read {}", path.display()))]
    Read { path: PathBuf, source: std::io::Error },
    #[snafu(display("understand {}", path.display()))]
    ParseMaterials { path: PathBuf, source: serde_json::Error },
    #[snafu(display("understand {}", path.display()))]
    ParsePackages { path: PathBuf, source: QueryError },
    #[snafu(display("date the description"))]
    Date { source: TimeError },
    #[snafu(display("write {}", path.display()))]
    Write { path: PathBuf, source: std::io::Error },
}

/// Where everything is.
#[derive(Debug, Clone, Copy)]
pub struct Places<'a> {
    /// [`Materials`], in JSON.
    pub materials: &'a Path,
    /// The answer to [`QUERY_FORMAT`](crate::QUERY_FORMAT).
    pub packages: &'a Path,
    /// The image's root tree.
    pub root: &'a Path,
    /// The folder of what lies beside the image.
    pub output: &'a Path,
}

/// Writes the document beside the image, and the inventory both beside and inside it.
pub fn describe(places: &Places<'_>) -> Result<(), DescribeError> {
    let read = |path: &Path| fs::read_to_string(path).context(ReadSnafu { path });
    let Places { materials: path, packages, root, output } = *places;
    let materials: Materials = serde_json::from_str(&read(path)?).context(ParseMaterialsSnafu { path })?;
    let rpms = parse_query(&read(packages)?).context(ParsePackagesSnafu { path: packages })?;
    let document = document(&materials, &rpms).context(DateSnafu)?;
    let inventory = inventory(&materials, &rpms).context(DateSnafu)?;
    write(output, &materials.document_file(), &document)?;
    write(output, INVENTORY_FILE, &inventory)?;
    write(&root.join(INVENTORY_FOLDER), INVENTORY_FILE, &inventory)
}

fn write(folder: &Path, file: &str, text: &str) -> Result<(), DescribeError> {
    let path = folder.join(file);
    fs::create_dir_all(folder).and_then(|()| fs::write(&path, text)).context(WriteSnafu { path })
}
