//! The Debian archives of this machine, for `apt-get`'s own state.

use crate::stanza;
use std::collections::BTreeSet;
use std::fmt::Write;

/// The release of Debian that images and the SDK are made of.
pub(crate) const RELEASE: &str = "bookworm";
/// What signs its archives; Ubuntu has it in its package debian-archive-keyring.
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// One suite of an archive.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Archive {
    address: String,
    suite: String,
    signed_by: String,
}

/// The suites of our release that a file of `sources.list.d` names: one-line form (`*.list`) or paragraphs.
pub(crate) fn of_file(name: &str, text: &str) -> BTreeSet<Archive> {
    if name.ends_with(".sources") { of_paragraphs(text) } else { text.lines().filter_map(of_line).collect() }
}

/// The suites of our release at a mirror.
pub(crate) fn of_mirror(mirror: &str, security_mirror: &str) -> BTreeSet<Archive> {
    let archive = |address: &str, suite: String| Archive {
        address: address.trim_end_matches('/').to_owned(),
        suite,
        signed_by: KEYRING.to_owned(),
    };
    BTreeSet::from([
        archive(mirror, RELEASE.to_owned()),
        archive(mirror, format!("{RELEASE}-updates")),
        archive(security_mirror, format!("{RELEASE}-security")),
    ])
}

/// The archives as a `.sources` file, with their source packages.
pub(crate) fn to_text(archives: &BTreeSet<Archive>) -> String {
    archives.iter().fold(String::new(), |mut text, Archive { address, suite, signed_by }| {
        writeln!(text, "Types: deb deb-src\nURIs: {address}\nSuites: {suite}\nComponents: main")
            .expect("a string");
        writeln!(text, "Signed-By: {signed_by}\n").expect("a string");
        text
    })
}

fn is_ours(suite: &str) -> bool {
    suite == RELEASE
        || suite.strip_prefix(RELEASE).is_some_and(|rest| matches!(rest, "-updates" | "-security"))
}

fn of_paragraphs(text: &str) -> BTreeSet<Archive> {
    let mut found = BTreeSet::new();
    for stanza in stanza::parse(text) {
        let words = |name: &str| stanza.get(name).map_or("", String::as_str).split_whitespace();
        if !words("types").any(|word| word == "deb") || stanza.get("enabled").is_some_and(|v| v == "no") {
            continue;
        }
        let signed_by = words("signed-by").next().filter(|key| key.starts_with('/')).unwrap_or(KEYRING);
        for suite in words("suites").filter(|suite| is_ours(suite)) {
            for address in words("uris") {
                found.insert(Archive {
                    address: address.trim_end_matches('/').to_owned(),
                    suite: suite.to_owned(),
                    signed_by: signed_by.to_owned(),
                });
            }
        }
    }
    found
}

fn of_line(line: &str) -> Option<Archive> {
    let rest = line.trim().strip_prefix("deb ")?.trim();
    let (options, rest) = match rest.strip_prefix('[') {
        Some(rest) => rest.split_once(']')?,
        None => ("", rest),
    };
    let mut words = rest.split_whitespace();
    let (address, suite) = (words.next()?, words.next()?);
    let signed_by = options.split_whitespace().find_map(|option| option.strip_prefix("signed-by="));
    is_ours(suite).then(|| Archive {
        address: address.trim_end_matches('/').to_owned(),
        suite: suite.to_owned(),
        signed_by: signed_by.unwrap_or(KEYRING).to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(name: &str, text: &str) -> Vec<String> {
        of_file(name, text).into_iter().map(|a| format!("{} {}", a.address, a.suite)).collect()
    }

    #[test]
    fn archives_of_our_release_are_found_in_both_forms() {
        for (name, text, expected) in [
            ("a.list", "deb http://d.test/debian bookworm main", vec!["http://d.test/debian bookworm"]),
            (
                "a.list",
                "deb [arch=amd64 signed-by=/k] http://d.test/s/ bookworm-security main",
                vec!["http://d.test/s bookworm-security"],
            ),
            ("a.list", "# deb http://d.test/debian bookworm main", vec![]),
            ("a.list", "deb http://d.test/ubuntu noble main", vec![]),
            ("a.list", "deb http://d.test/debian bookworm-backports main", vec![]),
            (
                "a.sources",
                "Types: deb\nURIs: http://d.test/debian\nSuites: bookworm bookworm-updates",
                vec!["http://d.test/debian bookworm", "http://d.test/debian bookworm-updates"],
            ),
            ("a.sources", "Types: deb-src\nURIs: http://d.test/debian\nSuites: bookworm", vec![]),
            ("a.sources", "Enabled: no\nTypes: deb\nURIs: http://d.test/debian\nSuites: bookworm", vec![]),
        ] {
            assert_eq!(shown(name, text), expected, "{text}");
        }
    }

    #[test]
    fn what_is_written_is_read_back() {
        let archives = of_mirror("http://d.test/debian/", "http://d.test/debian-security");
        assert_eq!(archives.len(), 3);
        assert_eq!(of_file("x.sources", &to_text(&archives)), archives);
    }
}
