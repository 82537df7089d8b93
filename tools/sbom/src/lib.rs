//! What is in an image: an SPDX 2.3 document and an `application-inventory.json`.
//!
//! The build of an image asks the RPM database with [`QUERY_FORMAT`]. [`Materials`] say what its RPMs were made of: the
//! Debian packages that were repackaged, and the crates that were linked, which [`Workspace`] finds. [`document`] and
//! [`inventory()`] make texts of both, of the RPMs that are installed and no others. The same input gives the same
//! bytes: everything is sorted, the time is the one given, and the document's namespace is made from its content.
//!
//! Only [`describe()`] reads and writes files, nothing starts programs, and nothing looks into packages: a licence is
//! what a package says of itself. `tools/sbom/validate FILE` asks a public validator about a document. Run the tests
//! with `cargo test -p sbom`.

mod describe;
mod document;
mod inventory;
mod licence;
mod linked;
mod materials;
mod purl;
mod query;

pub use describe::{DescribeError, INVENTORY_FILE, Places, describe};
pub use document::document;
pub use inventory::inventory;
pub use linked::{Crate, LinkedError, Workspace};
pub use materials::{Debian, Materials};
pub use query::{QUERY_FORMAT, QueryError, Rpm, parse_query};

use snafu::Snafu;

/// A time that no document can bear.
#[derive(Debug, Clone, PartialEq, Eq, Snafu)]
#[snafu(display("{seconds} seconds after 1970 is no time that can be written"))]
pub struct TimeError {
    seconds: i64,
}

/// Seconds after 1970, as both files write a time.
fn time(seconds: i64) -> Result<String, TimeError> {
    let time = jiff::Timestamp::from_second(seconds).map_err(|_| TimeError { seconds })?;
    Ok(time.to_string())
}
