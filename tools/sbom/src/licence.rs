//! Licences as packages write them, made into SPDX expressions (SPDX 2.3, annex D).

use std::collections::BTreeMap;

/// Identifiers of the SPDX licence list that packages of an image use. Another that is on the list and not here is
/// written as a reference, which says less and is as valid.
const KNOWN: &[&str] = &[
    "0BSD",
    "AFL-2.1",
    "AGPL-3.0-only",
    "AGPL-3.0-or-later",
    "Apache-2.0",
    "Artistic-1.0-Perl",
    "Artistic-2.0",
    "Beerware",
    "BSD-1-Clause",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSD-4-Clause",
    "BSD-4-Clause-UC",
    "BSL-1.0",
    "BZip-1.0.6",
    "CC-BY-4.0",
    "CC0-1.0",
    "CDLA-Permissive-2.0",
    "curl",
    "EPL-2.0",
    "GFDL-1.3-or-later",
    "GPL-1.0-only",
    "GPL-1.0-or-later",
    "GPL-2.0-only",
    "GPL-2.0-or-later",
    "GPL-3.0-only",
    "GPL-3.0-or-later",
    "HPND",
    "ISC",
    "LGPL-2.0-only",
    "LGPL-2.0-or-later",
    "LGPL-2.1-only",
    "LGPL-2.1-or-later",
    "LGPL-3.0-only",
    "LGPL-3.0-or-later",
    "MIT",
    "MIT-0",
    "MPL-1.1",
    "MPL-2.0",
    "NCSA",
    "OFL-1.1",
    "OLDAP-2.8",
    "OpenSSL",
    "PSF-2.0",
    "SSLeay",
    "Unicode-3.0",
    "Unicode-DFS-2016",
    "Unlicense",
    "Zlib",
    "bzip2-1.0.6",
    "libpng-2.0",
    "libselinux-1.0",
    "X11",
];

const EXCEPTIONS: &[&str] = &[
    "Autoconf-exception-3.0",
    "Bison-exception-2.2",
    "Classpath-exception-2.0",
    "GCC-exception-3.1",
    "Linux-syscall-note",
    "LLVM-exception",
    "OpenSSL-exception",
    "openvpn-openssl-exception",
];

/// Texts of licences that are not on the list, by their reference.
pub(crate) type References = BTreeMap<String, String>;

/// The expression for a licence as a package writes it. What is no expression becomes one reference as a whole.
pub(crate) fn expression(licence: &str, references: &mut References) -> String {
    let licence = licence.trim();
    if licence.is_empty() {
        return "NOASSERTION".to_owned();
    }
    let spaced = licence.replace('(', " ( ").replace(')', " ) ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    if !is_expression(&words) {
        return reference(licence, licence, references);
    }
    let mut text = String::new();
    for word in words {
        let is_plain = matches!(word, "AND" | "OR" | "WITH" | "(" | ")")
            || KNOWN.contains(&word)
            || EXCEPTIONS.contains(&word);
        let written = if is_plain { word.to_owned() } else { reference(word, licence, references) };
        if !text.is_empty() && !text.ends_with('(') && word != ")" {
            text.push(' ');
        }
        text.push_str(&written);
    }
    text
}

/// Whether words are licences joined by operators, parentheses in pairs, exceptions from the list.
fn is_expression(words: &[&str]) -> bool {
    let (mut depth, mut wants_licence, mut before) = (0u32, true, "");
    for word in words {
        let (fits, next) = match *word {
            "(" => (wants_licence, true),
            ")" => (!wants_licence && depth > 0, false),
            "AND" | "OR" => (!wants_licence, true),
            "WITH" => (!wants_licence && KNOWN.contains(&before), true),
            exception if before == "WITH" => (EXCEPTIONS.contains(&exception), false),
            _ => (wants_licence, false),
        };
        depth = match *word {
            "(" => depth + 1,
            ")" => depth.saturating_sub(1),
            _ => depth,
        };
        if !fits || before == "WITH" && *word == "(" {
            return false;
        }
        (wants_licence, before) = (next, word);
    }
    depth == 0 && !wants_licence
}

/// The reference for a licence that is not on the list.
fn reference(licence: &str, context: &str, references: &mut References) -> String {
    let name = licence.strip_prefix("LicenseRef-").unwrap_or(licence);
    let written = |c: char| if c.is_ascii_alphanumeric() || c == '.' { c } else { '-' };
    let name: String = name.chars().map(written).collect();
    let name = name.trim_matches('-');
    let mut reference = format!("LicenseRef-{}", if name.is_empty() { "unnamed" } else { name });
    let text = format!("The package says its licence is: {context}");
    // Two texts that look the same once written so are told apart; the same licence in other company is not.
    while references.get(&reference).is_some_and(|_| licence == context && references[&reference] != text) {
        reference.push('x');
    }
    references.entry(reference.clone()).or_insert(text);
    reference
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn licences_become_expressions() {
        for (licence, expected) in [
            ("", "NOASSERTION"),
            ("MIT", "MIT"),
            ("MIT OR Apache-2.0", "MIT OR Apache-2.0"),
            ("(MIT OR ISC) AND Zlib", "(MIT OR ISC) AND Zlib"),
            ("GPL-2.0-only WITH Linux-syscall-note", "GPL-2.0-only WITH Linux-syscall-note"),
            ("MIT AND Foo+", "MIT AND LicenseRef-Foo"),
            ("LicenseRef-Ours", "LicenseRef-Ours"),
            ("GPLv2+ and MIT", "LicenseRef-GPLv2--and-MIT"),
            ("(MIT", "LicenseRef-MIT"),
            ("MIT AND", "LicenseRef-MIT-AND"),
            ("MIT WITH ISC", "LicenseRef-MIT-WITH-ISC"),
            ("MIT WITH (ISC)", "LicenseRef-MIT-WITH--ISC"),
            ("MIT ) (", "LicenseRef-MIT"),
            ("()", "LicenseRef-unnamed"),
        ] {
            let mut references = References::new();
            let written = expression(licence, &mut references);
            assert_eq!(written, expected, "{licence}");
            let used = written.split(['(', ')', ' ']).filter(|word| word.starts_with("LicenseRef-"));
            assert!(used.eq(references.keys()), "{licence}: {references:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_an_expression(licences in proptest::collection::vec("(MIT|ISC|AND|OR|WITH|[(]|[)]|é| |x){0,8}", 1..4)) {
            let mut references = References::new();
            for licence in licences {
                let written = expression(&licence, &mut references);
                let spaced = written.replace('(', " ( ").replace(')', " ) ");
                prop_assert!(is_expression(&spaced.split_whitespace().collect::<Vec<_>>()), "{}", written);
            }
        }
    }
}
