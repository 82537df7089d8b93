//! The few lines of a spec file that say what a package is built from.

/// Names of the local files that the spec lists as sources and patches.
///
/// A spec is not parsed, which takes rpm itself: the first word of a line is looked at. Values that hold a macro or
/// lead elsewhere (a URL, a folder) are left out, since they name no file of the package's folder.
pub fn local_sources(spec: &str) -> Vec<&str> {
    let values = spec.lines().filter_map(|line| {
        let (tag, value) = line.trim_start().split_once(':')?;
        let number = tag.strip_prefix("Source").or_else(|| tag.strip_prefix("Patch"))?;
        number.bytes().all(|byte| byte.is_ascii_digit()).then(|| value.trim())
    });
    values.filter(|value| is_local(value)).collect()
}

fn is_local(value: &str) -> bool {
    !value.is_empty() && value != "." && value != ".." && !value.contains(['/', '%', ' ', '\t'])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn sources_and_patches_are_bare_file_names() {
        for (line, right) in [
            ("Source: a.toml", Some("a.toml")),
            ("Source0:\ta.toml ", Some("a.toml")),
            ("  Patch0001: fix.patch", Some("fix.patch")),
            ("Source1: https://example.com/a.tar.gz", None),
            ("Source2: %{name}.service", None),
            ("Source3: files/a", None),
            ("Source4:", None),
            ("SourceLicense: MIT", None),
            ("# Source5: a", None),
            ("Requires: a", None),
            ("%patch -P 1", None),
        ] {
            assert_eq!(local_sources(&format!("Name: x\n{line}\n")).first().copied(), right, "{line}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read(text in "((Source|Patch)[0-9]{0,2}: {0,2})?.{0,80}") {
            for name in local_sources(&text) {
                prop_assert!(std::path::Path::new(name).components().count() == 1, "{name}");
            }
        }
    }
}
