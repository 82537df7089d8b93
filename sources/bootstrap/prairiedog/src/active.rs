//! Which set of partitions this system was started from.

use snafu::{OptionExt, Snafu};

/// The parameter that sets up the verified root.
const VERITY: &str = "dm-mod.create=";
/// How the partition after the BOOT partition is named: by the id of the BOOT partition, and its distance.
const ROOT_AFTER_BOOT: (&str, &str) = ("PARTUUID=", "/PARTNROFF=1");
/// Characters of a partition id.
const ID_LENGTH: usize = 36;

/// A command line that does not name the BOOT partition.
#[derive(Debug, PartialEq, Eq, Snafu)]
#[snafu(display(
    "find the BOOT partition: the kernel's command line has no '{VERITY}' with a root at {}ID{}",
    ROOT_AFTER_BOOT.0,
    ROOT_AFTER_BOOT.1
))]
pub struct NotSaid;

/// The id of the BOOT partition of the running system, in lower case, from the kernel's command line. The root is on
/// the partition after it.
pub fn boot_partition(command_line: &str) -> Result<String, NotSaid> {
    let (_, table) = command_line.split_once(VERITY).context(NotSaidSnafu)?;
    let id = table.split(ROOT_AFTER_BOOT.0).skip(1).find_map(|device| {
        let id = device.get(..ID_LENGTH).filter(|_| device[ID_LENGTH..].starts_with(ROOT_AFTER_BOOT.1))?;
        is_id(id).then(|| id.to_ascii_lowercase())
    });
    id.context(NotSaidSnafu)
}

/// Whether a text is hexadecimal digits in groups of 8, 4, 4, 4 and 12. It becomes a part of a path.
fn is_id(text: &str) -> bool {
    let hexadecimal = |group: &str| group.bytes().all(|b| b.is_ascii_hexdigit());
    text.split('-').map(str::len).eq([8, 4, 4, 4, 12]) && text.split('-').all(hexadecimal)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ID: &str = "6a1b2c3d-0000-4abc-8def-0123456789ab";

    #[test]
    fn the_partition_before_the_root_is_found() {
        let table = |root: &str| {
            format!(
                "root,,,ro,0 1024 verity 1 PARTUUID={root} PARTUUID={ID}/PARTNROFF=2 4096 4096 128 1 sha256 aa bb 2 \
                 restart_on_corruption ignore_zero_blocks"
            )
        };
        let root = table(&format!("{}/PARTNROFF=1", ID.to_uppercase()));
        for (command_line, expected) in [
            (format!("quiet dm-mod.create=\"{root}\" panic=2\n"), Some(ID)),
            (format!("BOOT_IMAGE=/vmlinuz \"dm-mod.create={root}\" root=/dev/dm-0"), Some(ID)),
            (format!("dm-mod.create=\"{}\"", table("x/PARTNROFF=1")), None),
            (format!("dm-mod.create=\"{}\"", table(&format!("{}/PARTNROFF=1", ID.replace('a', "g")))), None),
            (format!("root=PARTUUID={ID}/PARTNROFF=1"), None),
            ("root=/dev/sda1".to_owned(), None),
            (String::new(), None),
        ] {
            assert_eq!(boot_partition(&command_line).ok().as_deref(), expected, "{command_line}");
        }
    }

    proptest! {
        #[test]
        fn no_command_line_is_too_odd(tail in "(PARTUUID=|[0-9a-f]{8}|-|é|/PARTNROFF=1| ){0,12}") {
            if let Ok(id) = boot_partition(&format!("dm-mod.create={tail}")) {
                prop_assert!(is_id(&id));
            }
        }
    }
}
