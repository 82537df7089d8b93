//! Rules about names of what lies outside the tree: folders of one machine, hosts of package registries.

use crate::Finding;

/// Top folders below which somebody's own machine keeps its files; a path into one is right nowhere else.
const OWN_FOLDERS: &[&str] = &["home", "root", "work", "workspace", "builds", "Users"];

/// Paths into such folders that belong to no machine of ours: of the host we make, and of any reader of an example.
const KNOWN_PATHS: &[&str] = &["/root/.aws", "/home/you"];

/// What names a package registry, or a way around one. Which one a build uses is the builder's to say. Spelt in
/// halves, so that this file names none.
const REGISTRIES: &[&str] = &[
    concat!("crat", "es.io"),
    concat!("npmj", "s.org"),
    concat!("proxy.go", "lang.org"),
    concat!("pypi", ".org"),
    concat!("pythonho", "sted.org"),
    concat!("regist", "ry+http"),
    concat!("spars", "e+http"),
    concat!("replace", "-with ="),
];

/// Absolute paths of a machine that built or wrote the file.
pub(crate) fn machine_paths(file: &str, text: &str) -> Vec<Finding> {
    let findings = lines(text).flat_map(|(number, line)| {
        own_paths(line).map(move |path| {
            Finding::new(
                file,
                number,
                format!(
                    "{path} is a path of one machine; name it from the root of the tree, or take it as input"
                ),
            )
        })
    });
    findings.collect()
}

/// Hosts of package registries. `Cargo.lock` alone names where its packages come from.
pub(crate) fn registries(file: &str, text: &str) -> Vec<Finding> {
    if file.rsplit('/').next() == Some("Cargo.lock") {
        return Vec::new();
    }
    let findings = lines(text).flat_map(|(number, line)| {
        let named = REGISTRIES.iter().filter(move |name| line.contains(**name));
        named.map(move |name| {
            Finding::new(
                file,
                number,
                format!(
                    "'{name}' names a package registry; leave it to Cargo and the builder's own settings"
                ),
            )
        })
    });
    findings.collect()
}

/// The paths of a line that begin in one of the own folders and are not known.
fn own_paths(line: &str) -> impl Iterator<Item = &str> {
    line.match_indices('/').filter_map(|(start, _)| {
        let path = &line[start..];
        let is_whole = line[..start].chars().next_back().is_none_or(|before| !is_of_path(before));
        let own = OWN_FOLDERS
            .iter()
            .any(|folder| path[1..].strip_prefix(folder).is_some_and(|rest| rest.starts_with('/')));
        let ours = KNOWN_PATHS.iter().any(|known| {
            path.strip_prefix(known).is_some_and(|rest| !rest.starts_with(|c| c != '/' && is_of_path(c)))
        });
        let end = path.find(|c| c != '/' && !is_of_path(c)).unwrap_or(path.len());
        (is_whole && own && !ours).then(|| &path[..end])
    })
}

/// Whether a path, or the variable before it, may go on with a character. `/` itself is not counted: after a
/// scheme (`file:///`) a path begins with one.
fn is_of_path(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '.' | '-' | '_' | '~' | '}' | ')' | '*' | '@' | '+')
}

fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines().enumerate().map(|(index, line)| (index + 1, line))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_a_machine_are_found() {
        for folder in OWN_FOLDERS {
            for (text, right) in [
                (format!("path = \"/{folder}/me/visco/a\"\n"), false),
                (format!("at /{folder}/me:1:2\n"), false),
                (format!("file:///{folder}/me\n"), false),
                (format!("$root/{folder}/a and sources/{folder}/a and ${{x}}/{folder}/a\n"), true),
                (format!("https://example.com/{folder}/a\n"), true),
                (format!("/{folder} and /{folder}ing/a\n"), true),
            ] {
                let findings = machine_paths("a.md", &format!("one\n{text}"));
                assert_eq!(findings.is_empty(), right, "{text}: {findings:?}");
                assert!(findings.iter().all(|finding| finding.line == 2), "{text}: {findings:?}");
            }
        }
    }

    #[test]
    fn paths_of_the_host_and_of_examples_are_not() {
        for path in KNOWN_PATHS {
            assert_eq!(machine_paths("a.toml", &format!("path = \"{path}/config\" '{path}'\n")), []);
            assert_eq!(machine_paths("a.toml", &format!("path = \"{path}-other/config\"\n")).len(), 1);
        }
    }

    #[test]
    fn registries_are_named_in_lock_files_alone() {
        for name in REGISTRIES {
            let text = format!("\nsource = \"{name}s://index.example.com/\"\n");
            let findings = registries("docs/a.md", &text);
            assert!(findings.len() == 1 && findings[0].line == 2, "{name}: {findings:?}");
            assert_eq!(registries("Cargo.lock", &text), [], "{name}");
            assert_eq!(registries("fuzz/Cargo.lock", &text), [], "{name}");
            assert_eq!(registries("my-Cargo.lock", &text).len(), 1, "{name}");
        }
        assert_eq!(registries("a.toml", "registry = 'docker.io' # registries\n"), []);
    }
}
