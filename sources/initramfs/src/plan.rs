//! What the command line asks of this boot, as a value.

use crate::command_line::CommandLine;
use partitions::{Locator, LocatorError};
use snafu::{OptionExt, ResultExt, Snafu, ensure};
use verity::{Access, Mapping, MappingError};

/// Why a command line is no plan.
#[derive(Debug, Snafu, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Error {
    #[snafu(display("the kernel's command line has no dm-mod.create= that describes the root file system"))]
    NoRoot,

    #[snafu(display("read dm-mod.create= of the kernel's command line"))]
    Root { source: MappingError },

    #[snafu(display(
        "dm-mod.create= asks for a device that can be written to; the root file system is read-only (ro)"
    ))]
    Writable,

    #[snafu(display("read the {what} device of dm-mod.create="))]
    Device { what: &'static str, source: LocatorError },
}

/// What has to be found, checked and mounted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// The device to make; it holds the root file system.
    pub root: Mapping,
    /// The partition with its data. Its disk is the one that the host was started from.
    pub data: Locator,
    /// The partition with its hashes.
    pub hashes: Locator,
    /// The type of the file system.
    pub root_type: String,
}

/// The root file system's type when `rootfstype=` does not say.
const ROOT_TYPE: &str = "erofs";

/// Makes the plan.
pub fn plan(command_line: &CommandLine) -> Result<Plan, Error> {
    let root = command_line.get("dm-mod.create").context(NoRootSnafu)?;
    let root: Mapping = root.parse().context(RootSnafu)?;
    ensure!(root.access == Access::ReadOnly, WritableSnafu);
    Ok(Plan {
        data: root.target.data_device.parse().context(DeviceSnafu { what: "data" })?,
        hashes: root.target.hash_device.parse().context(DeviceSnafu { what: "hash" })?,
        root_type: command_line.get("rootfstype").unwrap_or(ROOT_TYPE).to_owned(),
        root,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const BOOT: &str = "f0000000-0000-4000-8000-00000000000a";

    /// The value of `dm-mod.create` with these flags and devices.
    fn mapping(flags: &str, data: &str, hashes: &str) -> String {
        let hash = "ab".repeat(32);
        format!("root,,,{flags},0 8 verity 1 {data} {hashes} 4096 4096 1 1 sha256 {hash} {hash}")
    }

    #[test]
    fn the_command_line_decides() {
        let (data, hashes) = (format!("PARTUUID={BOOT}/PARTNROFF=1"), format!("PARTUUID={BOOT}/PARTNROFF=2"));
        let text = mapping("ro", &data, &hashes);
        for (more, root_type) in [("", "erofs"), ("rootfstype=ext4", "ext4")] {
            let line = CommandLine::parse(&format!("quiet dm-mod.create=\"{text}\" {more}"));
            let expected = Plan {
                root: text.parse().unwrap(),
                data: Locator { id: BOOT.parse().unwrap(), offset: 1 },
                hashes: Locator { id: BOOT.parse().unwrap(), offset: 2 },
                root_type: root_type.to_owned(),
            };
            assert_eq!(plan(&line), Ok(expected), "{more}");
        }
    }

    #[test]
    fn a_command_line_without_a_verified_root_is_refused() {
        let partition = format!("PARTUUID={BOOT}");
        for (line, error) in [
            (
                "quiet".to_owned(),
                "the kernel's command line has no dm-mod.create= that describes the root file system",
            ),
            ("dm-mod.create=root".to_owned(), "read dm-mod.create= of the kernel's command line"),
            (
                "dm-mod.create=\"root,,,ro,0 8 linear /dev/vda 0\"".to_owned(),
                "read dm-mod.create= of the kernel's command line",
            ),
            (
                format!("dm-mod.create=\"{}\"", mapping("rw", &partition, &partition)),
                "dm-mod.create= asks for a device that can be written to; the root file system is read-only (ro)",
            ),
            (
                format!("dm-mod.create=\"{}\"", mapping("ro", "/dev/vda", &partition)),
                "read the data device of dm-mod.create=",
            ),
            (
                format!("dm-mod.create=\"{}\"", mapping("ro", &partition, "PARTUUID=1")),
                "read the hash device of dm-mod.create=",
            ),
        ] {
            let seen = plan(&CommandLine::parse(&line)).expect_err(&line);
            assert_eq!(seen.to_string(), error, "{line}");
        }
    }

    proptest! {
        #[test]
        fn no_command_line_makes_it_panic(text in ".*", table in "[0-9A-Za-z=/, ;-]*") {
            let _ = plan(&CommandLine::parse(&text));
            let _ = plan(&CommandLine::parse(&format!("dm-mod.create=\"root,,,ro,{table}\"")));
        }
    }
}
