//! Rules about Rust source text.

use crate::Finding;

/// Longest `main.rs`: behaviour belongs to the library behind it.
const MAIN_LINES: usize = 60;

/// What a pure crate does not name outside its tests.
/// (Of `std::net` its sockets: an address is a value like any other.)
const MACHINE: &[&str] = &[
    "std::fs",
    "std::process",
    "std::env",
    "std::os::unix::net",
    "TcpListener",
    "TcpStream",
    "ToSocketAddrs",
    "UdpSocket",
];

/// Marks of unfinished work. Spelt in halves, so that this file does not name them.
const UNFINISHED: &[&str] = &[concat!("todo", "!("), concat!("unimplemented", "!("), concat!("dbg", "!(")];

/// A crate root or a program without docs at its head.
pub(crate) fn head(file: &str, text: &str) -> Option<Finding> {
    let is_root = file.ends_with("src/lib.rs") || file.ends_with("/main.rs");
    (is_root && !text.starts_with("//!")).then(|| {
        Finding::new(file, 1, "starts without `//!` docs; say what it is for and what it does not do")
    })
}

/// A program that holds behaviour.
pub(crate) fn program_size(file: &str, text: &str) -> Option<Finding> {
    let lines = text.lines().count();
    (file.ends_with("/main.rs") && lines > MAIN_LINES).then(|| {
        Finding::new(
            file,
            lines,
            format!("{lines} lines; a program has at most {MAIN_LINES}, move the rest to its library"),
        )
    })
}

/// Calls that mark unfinished work.
pub(crate) fn unfinished(file: &str, text: &str) -> Vec<Finding> {
    named(text, UNFINISHED)
        .map(|(line, word)| {
            Finding::new(file, line, format!("`{word}..)` is unfinished work; finish it or leave it out"))
        })
        .collect()
}

/// The machine, named in a pure crate outside its tests.
pub(crate) fn purity(file: &str, text: &str) -> Vec<Finding> {
    let text = text.split("#[cfg(test)]").next().unwrap_or_default();
    named(text, MACHINE)
        .map(|(line, word)| {
            Finding::new(
                file,
                line,
                format!("`{word}` in a pure crate; take the value, leave the reading to the caller"),
            )
        })
        .collect()
}

/// Where the code of `text`, its comments left out, names one of `words`.
fn named<'a>(text: &'a str, words: &'a [&'a str]) -> impl Iterator<Item = (usize, &'a str)> {
    text.lines().enumerate().flat_map(move |(index, line)| {
        let code = if line.trim_start().starts_with("//") { "" } else { line };
        words.iter().filter(move |word| code.contains(**word)).map(move |word| (index + 1, *word))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roots_start_with_docs() {
        for (file, text, right) in [
            ("a/src/lib.rs", "//! Keys.\n", true),
            ("a/src/lib.rs", "mod key;\n", false),
            ("a/src/main.rs", "fn main() {}\n", false),
            ("a/src/key.rs", "mod key;\n", true),
        ] {
            assert_eq!(head(file, text).is_none(), right, "{file}: {text}");
        }
    }

    #[test]
    fn programs_are_short() {
        for (file, lines, right) in
            [("a/src/main.rs", 60, true), ("a/src/main.rs", 61, false), ("a/src/lib.rs", 61, true)]
        {
            assert_eq!(program_size(file, &"\n".repeat(lines)).is_none(), right, "{file} of {lines}");
        }
    }

    #[test]
    fn unfinished_work_is_found() {
        for word in UNFINISHED {
            let text = format!("fn a() {{\n    {word}\"later\");\n}}\n");
            let findings = unfinished("a.rs", &text);
            assert!(findings.len() == 1 && findings[0].line == 2, "{word}: {findings:?}");
        }
        assert_eq!(unfinished("a.rs", &format!("// {}\n", UNFINISHED[0])), []);
    }

    #[test]
    fn pure_code_does_not_name_the_machine() {
        for (text, right) in [
            ("use std::fmt;\n", true),
            ("use std::fs;\n", false),
            ("fn a() { std::env::var(\"A\"); }\n", false),
            ("use std::net::IpAddr;\n", true),
            ("use std::net::{IpAddr, TcpStream};\n", false),
            ("// not std::fs\n", true),
            ("#[cfg(test)]\nmod tests { use std::fs; }\n", true),
        ] {
            assert_eq!(purity("a.rs", text).is_empty(), right, "{text}");
        }
    }
}
