//! The text by which the kernel maps data and tree to a device.

use crate::{BLOCK, HexError, RootHash, Salt};
use snafu::{OptionExt, ResultExt, Snafu, ensure};
use std::fmt;
use std::str::FromStr;

/// Bytes in the sectors that device-mapper counts in, whatever the disk does.
pub const SECTOR: u64 = 512;

/// A device with one verity target, as the value of `dm-mod.create` has it (Linux,
/// `Documentation/admin-guide/device-mapper/dm-init.rst`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mapping {
    /// Name of the device.
    pub name: String,
    /// Whether it can be written to; verity itself never lets one.
    pub access: Access,
    /// What it shows.
    pub target: Target,
}

/// Whether a device can be written to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Access {
    ReadOnly,
    ReadWrite,
}

/// Data verified by a tree (Linux, `Documentation/admin-guide/device-mapper/verity.rst`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The device with the data: a path, `MAJOR:MINOR`, or `PARTUUID=..`.
    pub data_device: String,
    /// The device with the hash image.
    pub hash_device: String,
    /// How many blocks of data there are.
    pub data_blocks: u64,
    /// The block of the hash device at which the tree starts: 1, after the superblock.
    pub hash_start: u64,
    /// What everything is measured by.
    pub root_hash: RootHash,
    /// What is hashed before each block.
    pub salt: Salt,
    /// Optional words, such as `restart_on_corruption`.
    pub options: Vec<String>,
}

/// A text that is no mapping.
#[derive(Debug, Clone, PartialEq, Eq, Snafu)]
#[allow(missing_docs)]
pub enum MappingError {
    #[snafu(display("'{text}' is not NAME,UUID,MINOR,FLAGS,TABLE with one table"))]
    Form { text: String },
    #[snafu(display("a mapping's {field} is '{value}'; only {expected} is understood"))]
    Unexpected { field: &'static str, value: String, expected: &'static str },
    #[snafu(display("a mapping's table ends before its {field}"))]
    Missing { field: &'static str },
    #[snafu(display("a mapping's {field} is '{value}', which is no number from 0 up"))]
    Number { field: &'static str, value: String },
    #[snafu(display("read a mapping's {field}"))]
    Hex { field: &'static str, source: HexError },
    #[snafu(display(
        "a mapping has {sectors} sectors; {data_blocks} blocks of 4096 bytes are not that long"
    ))]
    Length { sectors: u64, data_blocks: u64 },
    #[snafu(display("a mapping announces {announced} options and has {found}"))]
    Options { announced: u64, found: usize },
}

impl Target {
    /// Length of the device in sectors of 512 bytes.
    pub fn sectors(&self) -> u64 {
        self.data_blocks.saturating_mul(SECTORS_PER_BLOCK)
    }

    /// The words after `verity` in a line of the table: what the kernel is given when it is asked in its own
    /// words, by ioctl.
    pub fn parameters(&self) -> String {
        let Self { data_device, hash_device, data_blocks, hash_start, root_hash, salt, options } = self;
        let mut text = format!(
            "1 {data_device} {hash_device} {BLOCK} {BLOCK} {data_blocks} {hash_start} sha256 {root_hash} {salt}"
        );
        if !options.is_empty() {
            text = format!("{text} {} {}", options.len(), options.join(" "));
        }
        text
    }

    fn parse(table: &str) -> Result<Self, MappingError> {
        let mut words = Words(table.split_ascii_whitespace());
        words.expect("start sector", "0")?;
        let sectors = words.number("length in sectors")?;
        words.expect("target", "verity")?;
        words.expect("version", "1")?;
        let data_device = words.next("data device")?.to_owned();
        let hash_device = words.next("hash device")?.to_owned();
        words.expect("data block size", "4096")?;
        words.expect("hash block size", "4096")?;
        let data_blocks = words.number("number of data blocks")?;
        let hash_start = words.number("hash start block")?;
        words.expect("algorithm", "sha256")?;
        let field = "root hash";
        let root_hash = words.next(field)?.parse().context(HexSnafu { field })?;
        let field = "salt";
        let salt = words.next(field)?.parse().context(HexSnafu { field })?;
        let options = words.options()?;
        let is_as_long = data_blocks.checked_mul(SECTORS_PER_BLOCK) == Some(sectors);
        ensure!(is_as_long, LengthSnafu { sectors, data_blocks });
        Ok(Self { data_device, hash_device, data_blocks, hash_start, root_hash, salt, options })
    }
}

const SECTORS_PER_BLOCK: u64 = BLOCK as u64 / SECTOR;

struct Words<'a>(std::str::SplitAsciiWhitespace<'a>);

impl<'a> Words<'a> {
    fn next(&mut self, field: &'static str) -> Result<&'a str, MappingError> {
        self.0.next().context(MissingSnafu { field })
    }

    fn expect(&mut self, field: &'static str, expected: &'static str) -> Result<(), MappingError> {
        let value = self.next(field)?;
        ensure!(value == expected, UnexpectedSnafu { field, value, expected });
        Ok(())
    }

    fn number(&mut self, field: &'static str) -> Result<u64, MappingError> {
        let value = self.next(field)?;
        number(value).context(NumberSnafu { field, value })
    }

    fn options(mut self) -> Result<Vec<String>, MappingError> {
        let Some(announced) = self.0.next() else {
            return Ok(Vec::new());
        };
        let announced =
            number(announced).context(NumberSnafu { field: "number of options", value: announced })?;
        let options: Vec<String> = self.0.map(str::to_owned).collect();
        let found = options.len();
        ensure!(announced == found as u64, OptionsSnafu { announced, found });
        Ok(options)
    }
}

/// Digits alone: `parse` would let a sign pass.
fn number(text: &str) -> Option<u64> {
    text.bytes().all(|c| c.is_ascii_digit()).then(|| text.parse().ok())?
}

impl FromStr for Mapping {
    type Err = MappingError;

    fn from_str(text: &str) -> Result<Self, MappingError> {
        let fields: Vec<&str> = text.trim().split(',').collect();
        let [name, uuid, minor, flags, table] = fields[..] else {
            return FormSnafu { text }.fail();
        };
        // Backslashes quote commas and semicolons part devices; neither is of use for one root file system.
        ensure!(!name.is_empty() && !text.contains([';', '\\']), FormSnafu { text });
        for (field, value) in [("uuid", uuid), ("minor number", minor)] {
            ensure!(value.is_empty(), UnexpectedSnafu { field, value, expected: "an empty one" });
        }
        let access = match flags {
            "ro" => Access::ReadOnly,
            "rw" => Access::ReadWrite,
            value => return UnexpectedSnafu { field: "access", value, expected: "ro or rw" }.fail(),
        };
        Ok(Self { name: name.to_owned(), access, target: Target::parse(table)? })
    }
}

/// A line of a table, as `dmsetup` takes it.
impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "0 {} verity {}", self.sectors(), self.parameters())
    }
}

/// The value of `dm-mod.create`, without the quotes that the kernel command line needs for its blanks.
impl fmt::Display for Mapping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, access, target } = self;
        let flags = match access {
            Access::ReadOnly => "ro",
            Access::ReadWrite => "rw",
        };
        write!(f, "{name},,,{flags},{target}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ROOT: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

    fn text() -> String {
        format!(
            "root,,,ro,0 1848 verity 1 PARTUUID=$boot_uuid/PARTNROFF=1 PARTUUID=$boot_uuid/PARTNROFF=2 4096 4096 \
             231 1 sha256 {ROOT} a5 2 restart_on_corruption ignore_zero_blocks"
        )
    }

    fn mapping() -> Mapping {
        let options = ["restart_on_corruption", "ignore_zero_blocks"];
        let target = Target {
            data_device: "PARTUUID=$boot_uuid/PARTNROFF=1".to_owned(),
            hash_device: "PARTUUID=$boot_uuid/PARTNROFF=2".to_owned(),
            data_blocks: 231,
            hash_start: 1,
            root_hash: ROOT.parse().unwrap(),
            salt: Salt::new(&[0xa5]).unwrap(),
            options: options.map(str::to_owned).to_vec(),
        };
        Mapping { name: "root".to_owned(), access: Access::ReadOnly, target }
    }

    #[test]
    fn a_mapping_is_written_as_the_kernel_reads_it() {
        assert_eq!(mapping().to_string(), text());
        assert_eq!(text().parse(), Ok(mapping()));
        let mut bare = mapping();
        bare.target.options.clear();
        bare.target.salt = Salt::new(&[]).unwrap();
        assert!(bare.to_string().ends_with(&format!("{ROOT} -")), "{bare}");
        assert_eq!(bare.to_string().parse(), Ok(bare));
    }

    #[test]
    fn other_mappings_are_refused() {
        for (from, to, why) in [
            ("root,", ",", "no name"),
            ("root,,", "root,x,", "a uuid"),
            (",,ro", ",7,ro", "a minor number"),
            (",ro,", ",,", "no access"),
            (",ro,", ",", "a field too few"),
            ("ignore_zero_blocks", "ignore_zero_blocks,0 8 zero", "two tables"),
            ("ignore_zero_blocks", "ignore_zero_blocks;", "a second device"),
            ("0 1848", "8 1848", "another start"),
            ("1848", "1840", "another length"),
            ("1848", "+1848", "a sign"),
            ("231", "18446744073709551615", "no such length"),
            ("verity 1", "verity 0", "another version"),
            ("verity 1", "linear", "another target"),
            ("4096 4096", "4096 1024", "other blocks"),
            ("sha256", "sha512", "another algorithm"),
            (ROOT, "00", "a short root hash"),
            ("a5", "a", "half a byte of salt"),
            (" a5 2 restart_on_corruption ignore_zero_blocks", "", "no salt"),
            ("2 restart", "3 restart", "more options announced"),
            ("2 restart", "restart", "options not counted"),
        ] {
            let changed = text().replacen(from, to, 1);
            assert_ne!(changed, text(), "{why}");
            assert!(changed.parse::<Mapping>().is_err(), "{why}: {changed}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(at in 0..200usize, to in ".{0,8}") {
            let mut text = text();
            let at = at.min(text.len());
            text.replace_range(at..(at + to.len()).min(text.len()), &to);
            if let Ok(mapping) = text.parse::<Mapping>() {
                prop_assert_eq!(mapping.to_string().parse::<Mapping>(), Ok(mapping));
            }
        }
    }
}
