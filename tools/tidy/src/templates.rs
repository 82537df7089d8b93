//! Rules about templates and the fragments that name them.

use crate::Finding;

/// Templates that fragments name and that ship later. A name leaves the list when its template comes.
pub(crate) const ABSENT: &[&str] = &[];

/// The file that holds the list.
const THIS: &str = "tools/tidy/src/templates.rs";

/// Output that skips escaping, by which a value could break out of its place.
pub(crate) fn unescaped(file: &str, text: &str) -> Vec<Finding> {
    lines_with(text, "{{{")
        .map(|(line, _)| {
            Finding::new(file, line, "`{{{` skips escaping; write `{{` and let the format escape the value")
        })
        .collect()
}

/// Templates that a fragment names and the tree does not have.
pub(crate) fn missing(file: &str, text: &str, templates: &[&str]) -> Vec<Finding> {
    named(text)
        .filter(|(_, name)| !templates.contains(name) && !ABSENT.contains(name))
        .map(|(line, name)| {
            Finding::new(
                file,
                line,
                format!("there is no template '{name}'; write it, or list it as absent in tidy"),
            )
        })
        .collect()
}

/// Rows of a list of absent templates that are not so any more: the template came, or no fragment names it.
pub(crate) fn stale(absent: &[&str], templates: &[&str], fragments: &[&str]) -> Vec<Finding> {
    let row = |name: &&str| {
        let why = if templates.contains(name) {
            "is there"
        } else if fragments.iter().all(|text| named(text).all(|(_, named)| named != *name)) {
            "is named by no fragment"
        } else {
            return None;
        };
        Some(Finding::new(THIS, 1, format!("template '{name}' {why}; take it off the list of absent ones")))
    };
    absent.iter().filter_map(row).collect()
}

/// The names of templates in a fragment, with their lines.
fn named(text: &str) -> impl Iterator<Item = (usize, &str)> {
    lines_with(text, "template-path").filter_map(|(line, content)| {
        let value = content.strip_prefix("template-path")?.trim_start().strip_prefix('=')?;
        Some((line, value.trim().trim_matches('"').rsplit('/').next()?))
    })
}

fn lines_with<'a>(text: &'a str, word: &'a str) -> impl Iterator<Item = (usize, &'a str)> {
    text.lines()
        .enumerate()
        .filter(move |(_, line)| line.contains(word))
        .map(|(index, line)| (index + 1, line.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn triple_braces_are_found() {
        assert_eq!(unescaped("a", "{{ settings.motd }}\n"), []);
        assert_eq!(unescaped("a", "x\n{{{ settings.motd }}}\n")[0].line, 2);
    }

    #[test]
    fn a_fragment_names_templates_that_exist() {
        for (text, right) in [
            ("template-path = \"motd\"\n", true),
            ("template-path = \"/usr/share/templates/motd\"\n", true),
            ("# template-path = \"other\" is left out\n", true),
            ("template-path = \"other\"\n", false),
        ] {
            assert_eq!(missing("a.toml", text, &["motd"]).is_empty(), right, "{text}");
        }
    }

    #[test]
    fn a_template_that_came_or_that_nobody_names_is_not_absent() {
        let fragment = "template-path = \"soon\"\n";
        for (absent, templates, right) in [
            (&["soon"][..], &["motd"][..], true),
            (&["soon"], &["motd", "soon"], false),
            (&["never"], &["motd"], false),
            (&[], &["motd"], true),
        ] {
            let findings = stale(absent, templates, &["# soon\n", fragment]);
            assert_eq!(findings.is_empty(), right, "{absent:?} of {templates:?}: {findings:?}");
        }
    }
}
