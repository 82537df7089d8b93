//! Names and values of the kernel.

use crate::text::{made_of, require, text_type};
use crate::{Kind, Refusal, Scalar};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// Longest sysctl name accepted; the deepest names of the kernel are well below it.
const SYSCTL_BYTES: usize = 128;
/// Longest module name on 64-bit machines: `MODULE_NAME_LEN` of the kernel, 64 bytes less one pointer.
const MODULE_BYTES: usize = 56;

text_type! {
    /// Name of a kernel parameter below `/proc/sys`; dots and slashes may be used for each other (`sysctl(8)`).
    SysctlKey,
    rule: "must be 1 to 128 letters, digits, '.', '/', '_' and '-', without '..' and not beginning with '.' or '/'",
    schema: json!({"type": "string", "pattern": "^(?![./])(?!.*\\.\\.)[A-Za-z0-9./_-]{1,128}$"}),
    check: |text| {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b"./_-".contains(&b);
        let good = made_of(text, SYSCTL_BYTES, allowed) && !text.starts_with(['.', '/']) && !text.contains("..");
        require(good, SysctlKey::RULE)
    }
}

text_type! {
    /// Name of a kernel module.
    KmodKey,
    rule: "must be 1 to 56 ASCII letters, digits, '-' and '_'",
    schema: json!({"type": "string", "pattern": "^[A-Za-z0-9_-]{1,56}$"}),
    check: |text| require(made_of(text, MODULE_BYTES, is_word), KmodKey::RULE)
}

fn is_word(b: u8) -> bool {
    b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_')
}

text_type! {
    /// Key of a boot configuration (kernel document `admin-guide/bootconfig`).
    BootConfigKey,
    rule: "must be one or more words of letters, digits, '-' and '_', joined by dots",
    schema: json!({"type": "string", "pattern": "^[A-Za-z0-9_-]+(\\.[A-Za-z0-9_-]+)*$"}),
    check: |text| {
        let word = |word: &str| made_of(word, usize::MAX, is_word);
        require(text.split('.').all(word), BootConfigKey::RULE)
    }
}

text_type! {
    /// Value of a boot configuration. It is written between quotes of one kind, so it cannot hold both
    /// (kernel document `admin-guide/bootconfig`).
    BootConfigValue,
    rule: "must be printable ASCII that does not hold both kinds of quotes",
    schema: json!({"type": "string", "pattern": "^([ -!#-~]*|[ -&(-~]*)$"}),
    check: |text| {
        let printable = text.bytes().all(|b| (b' '..=b'~').contains(&b));
        require(printable && !(text.contains('"') && text.contains('\'')), BootConfigValue::RULE)
    }
}

text_type! {
    /// A set of processors in the kernel's list format, such as `0-3,8` (`cpuset(7)`).
    KernelCpuSetValue,
    rule: "must be a list of processors such as '0-3,8'",
    schema: json!({"type": "string", "pattern": "^[0-9]+(-[0-9]+)?(,[0-9]+(-[0-9]+)?)*$"}),
    check: |text| {
        let number = |text: &str| made_of(text, usize::MAX, |b| b.is_ascii_digit());
        let item = |item: &str| item.split_once('-').map_or(number(item), |(a, b)| number(a) && number(b));
        require(text.split(',').all(item), KernelCpuSetValue::RULE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::rows;

    #[test]
    fn sysctl_keys() {
        let (longest, too_long) = ("a".repeat(128), "a".repeat(129));
        rows::<SysctlKey>(
            &["net/ipv4.ip_forward", "a", "net.ipv4.conf.eth0/1.x-y", &longest],
            &["", ".a", "/a", "a..b", "a b", "ä", &too_long],
        );
    }

    #[test]
    fn module_names() {
        let (longest, too_long) = ("a".repeat(56), "a".repeat(57));
        rows::<KmodKey>(&["udf", "nf_tables-2", &longest], &["", "a.b", "a/b", "ä", &too_long]);
    }

    #[test]
    fn boot_configuration() {
        rows::<BootConfigKey>(
            &["a", "console", "systemd.log_level", "a-b.c_d.1"],
            &["", ".", "a.", ".a", "a..b", "a b", "a=b", "é"],
        );
        rows::<BootConfigValue>(
            &["", "a,b;c", "it's", "say \"x\"", "ttyS0,115200n8"],
            &["a\"b'c", "é", "\n", "\t"],
        );
    }

    #[test]
    fn processor_sets() {
        rows::<KernelCpuSetValue>(
            &["0", "0-3", "0,2,4-7"],
            &["", "1-", "-3", "9,-10", "1,", ",1", "1.2", "1-2-3", "a", "1 2", "1--2"],
        );
    }
}
