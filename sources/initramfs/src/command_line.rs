//! The kernel's command line, as far as the boot of the root file system needs it.

/// A parsed kernel command line.
///
/// Follows the kernel's own reading: words are parted by blanks, double quotes keep blanks together, and what
/// follows a word `--` belongs to the init program and not to the kernel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandLine {
    words: Vec<String>,
}

impl CommandLine {
    /// Parses the text of `/proc/cmdline`. Every text is a command line; a quote that is never closed ends with it.
    pub fn parse(text: &str) -> Self {
        let mut words = Vec::new();
        let mut word = String::new();
        let mut in_quotes = false;
        for c in text.chars() {
            match c {
                '"' => in_quotes = !in_quotes,
                c if c.is_ascii_whitespace() && !in_quotes => words.push(std::mem::take(&mut word)),
                c => word.push(c),
            }
        }
        words.push(word);
        words.retain(|word| !word.is_empty());
        if let Some(end) = words.iter().position(|word| word == "--") {
            words.truncate(end);
        }
        Self { words }
    }

    /// The value of `key=value`. When the key is given twice the last one counts, as it does for the kernel.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.words.iter().rev().find_map(|word| word.strip_prefix(key)?.strip_prefix('='))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn values_are_found_as_the_kernel_finds_them() {
        let rows = [
            ("root=/dev/dm-0 ro", "root", Some("/dev/dm-0")),
            ("a=1 a=2", "a", Some("2")),
            (r#"dm-mod.create="root,,,ro,0 8 verity" quiet"#, "dm-mod.create", Some("root,,,ro,0 8 verity")),
            (r#""dm-mod.create=root,,,ro,0 8 verity""#, "dm-mod.create", Some("root,,,ro,0 8 verity")),
            ("rootfstype=erofs\n", "rootfstype", Some("erofs")),
            ("rootfstype=erofs", "root", None),
            ("quiet", "quiet", None),
            ("a= b", "a", Some("")),
            ("a=b=c", "a", Some("b=c")),
            ("ro -- root=/dev/sda", "root", None),
            (r#"a="b"#, "a", Some("b")),
            ("", "a", None),
        ];
        for (text, key, value) in rows {
            assert_eq!(CommandLine::parse(text).get(key), value, "{key} of {text:?}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_a_command_line(text in ".*", key in "[a-z.-]{1,9}") {
            let _ = CommandLine::parse(&text).get(&key);
        }

        #[test]
        fn a_quoted_value_comes_back_the_same(value in "[^\"\0]*") {
            let line = CommandLine::parse(&format!("a key=\"{value}\" b"));
            prop_assert_eq!(line.get("key"), Some(value.as_str()));
        }
    }
}
