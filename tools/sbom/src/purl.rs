//! Package URLs (the purl specification, `PURL-SPECIFICATION.rst`).

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'.').remove(b'-').remove(b'_').remove(b'~');

/// `pkg:KIND/NAME@VERSION?KEY=VALUE`, where `path` has the namespace before the name and qualifiers come sorted.
pub(crate) fn purl(kind: &str, path: &[&str], version: &str, qualifiers: &[(&str, &str)]) -> String {
    let escape = |text: &str| utf8_percent_encode(text, ESCAPED).to_string();
    let path: Vec<String> = path.iter().map(|segment| escape(segment)).collect();
    let mut purl = format!("pkg:{kind}/{}@{}", path.join("/"), escape(version));
    for (index, (key, value)) in qualifiers.iter().enumerate() {
        let separator = if index == 0 { '?' } else { '&' };
        purl = format!("{purl}{separator}{key}={}", escape(value));
    }
    purl
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_parts_a_purl_is_escaped() {
        assert_eq!(
            purl("deb", &["debian", "libstdc++6"], "1:12.2.0-14~a", &[("arch", "amd64")]),
            "pkg:deb/debian/libstdc%2B%2B6@1%3A12.2.0-14~a?arch=amd64"
        );
        assert_eq!(purl("cargo", &["serde_json"], "1.0.1+x", &[]), "pkg:cargo/serde_json@1.0.1%2Bx");
    }
}
