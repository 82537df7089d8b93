//! The paragraphs in which Debian describes packages (Debian Policy, section 5.1).

use std::collections::BTreeMap;

/// One paragraph: fields by lower-case name; the lines of a folded field are joined by newlines.
pub(crate) type Stanza = BTreeMap<String, String>;

/// The paragraphs of a text.
pub(crate) fn parse(text: &str) -> Vec<Stanza> {
    let mut stanzas = Vec::new();
    let mut stanza = Stanza::new();
    let mut last = String::new();
    for line in text.lines().chain([""]) {
        if line.trim().is_empty() {
            if !stanza.is_empty() {
                stanzas.push(std::mem::take(&mut stanza));
            }
        } else if line.starts_with([' ', '\t']) {
            if let Some(value) = stanza.get_mut(&last) {
                value.push('\n');
                value.push_str(line.trim());
            }
        } else if line.starts_with('#') {
        } else if let Some((name, value)) = line.split_once(':') {
            last = name.trim().to_ascii_lowercase();
            stanza.insert(last.clone(), value.trim().to_owned());
        }
    }
    stanzas
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paragraphs_fields_and_folded_lines_are_told_apart() {
        let text = "Package: a\nVersion: 1:2-3\n\n\n# said\nPackage: b\nFiles:\n x y\n z\nLast: end";
        let found = parse(text);
        assert_eq!(found.len(), 2);
        assert_eq!(found[0]["version"], "1:2-3");
        assert_eq!(found[1]["files"], "\nx y\nz");
        assert_eq!(found[1]["last"], "end");
    }

    #[test]
    fn nonsense_gives_nothing() {
        for text in ["", "\n\n", " folded with nothing before", "no colon"] {
            assert!(parse(text).is_empty(), "{text:?}");
        }
    }
}
