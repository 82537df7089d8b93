//! A boot configuration and its text (`admin-guide/bootconfig.rst` of the kernel).

use modeled_types::{BootConfigKey, BootConfigValue};
use serde_json::{Value, json};
use snafu::{OptionExt, Snafu, ensure};
use std::collections::BTreeMap;

/// Parameters by name; each has a list of values, an empty one where the name alone is meant.
type Parameters = BTreeMap<String, Vec<String>>;

/// The parameters of the kernel and of init.
///
/// A list that holds nothing but the empty text is the empty list: the kernel shows both alike.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BootConfig {
    kernel: Parameters,
    init: Parameters,
}

/// A text that is not a boot configuration, as far as a host has use for one.
#[derive(Debug, PartialEq, Eq, Snafu)]
#[snafu(display("understand line {line}: {what}"))]
pub struct ParseError {
    line: usize,
    what: String,
}

#[derive(Debug, Snafu)]
#[snafu(visibility())]
enum Fault {
    #[snafu(display("'{key}' is neither below 'kernel' nor below 'init'"))]
    ForeignTree { key: String },
    #[snafu(display("'{key}' must have no value of its own"))]
    TreeWithValue { key: String },
    #[snafu(display("expected a quoted value at '{rest}'"))]
    Unquoted { rest: String },
    #[snafu(display("{rest} has no closing quote"))]
    Unclosed { rest: String },
    #[snafu(display("expected another value after '{value}', not '{rest}'"))]
    NotAList { value: String, rest: String },
}

impl BootConfig {
    pub(crate) fn new(
        kernel: &BTreeMap<BootConfigKey, Vec<BootConfigValue>>,
        init: &BTreeMap<BootConfigKey, Vec<BootConfigValue>>,
    ) -> Self {
        let parameter = |(key, values): (&BootConfigKey, &Vec<BootConfigValue>)| {
            let values = values.iter().map(|value| value.as_str().to_owned()).collect();
            (key.as_str().to_owned(), settled(values))
        };
        Self { kernel: kernel.iter().map(parameter).collect(), init: init.iter().map(parameter).collect() }
    }

    /// Reads the text in which the kernel shows what it was started with. Comments, by which newer kernels show the
    /// command line of the boot loader, are passed over.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        let mut found = Self::default();
        for (index, line) in text.lines().enumerate() {
            let line = line.trim();
            if !line.is_empty() && !line.starts_with('#') {
                found.add(line).map_err(|e| ParseError { line: index + 1, what: e.to_string() })?;
            }
        }
        Ok(found)
    }

    fn add(&mut self, line: &str) -> Result<(), Fault> {
        let (key, list) = line.split_once('=').unwrap_or((line, ""));
        let (key, values) = (key.trim(), values(list)?);
        let (tree, name) = key.split_once('.').map_or((key, None), |(tree, name)| (tree, Some(name)));
        let parameters = match tree {
            "kernel" => &mut self.kernel,
            "init" => &mut self.init,
            _ => return ForeignTreeSnafu { key }.fail(),
        };
        match name {
            Some(name) => drop(parameters.insert(name.to_owned(), values)),
            None => ensure!(values.is_empty(), TreeWithValueSnafu { key }),
        }
        Ok(())
    }

    /// Whether it has no parameters.
    pub fn is_empty(&self) -> bool {
        self.kernel.is_empty() && self.init.is_empty()
    }

    /// The text, one line for each parameter in the order of their names. Without any, the two trees are named alone:
    /// an empty text is no boot configuration.
    pub fn text(&self) -> String {
        if self.is_empty() {
            return "kernel\ninit\n".to_owned();
        }
        let trees = [("kernel", &self.kernel), ("init", &self.init)];
        trees.iter().flat_map(|(tree, parameters)| parameters.iter().map(|p| line(tree, p))).collect()
    }

    /// The settings of the group `boot` that say the same; none where there are no parameters.
    pub fn settings(&self) -> Option<Value> {
        let trees = [("kernel", &self.kernel), ("init", &self.init)];
        let named: BTreeMap<_, _> =
            trees.into_iter().filter(|(_, parameters)| !parameters.is_empty()).collect();
        (!named.is_empty()).then(|| json!(named))
    }
}

fn line(tree: &str, (name, values): (&String, &Vec<String>)) -> String {
    let list: Vec<String> = values.iter().map(|value| quoted(value)).collect();
    let list = if list.is_empty() { String::new() } else { format!(" = {}", list.join(", ")) };
    format!("{tree}.{name}{list}\n")
}

/// A value holds at most one kind of quotes: `BootConfigValue` says so, and a parsed one stood between the other.
fn quoted(value: &str) -> String {
    let quote = if value.contains('"') { '\'' } else { '"' };
    format!("{quote}{value}{quote}")
}

fn settled(values: Vec<String>) -> Vec<String> {
    if values == [""] { Vec::new() } else { values }
}

/// Values in single or double quotes, between commas.
fn values(list: &str) -> Result<Vec<String>, Fault> {
    let mut values = Vec::new();
    let mut rest = list.trim();
    while let Some(quote) = rest.chars().next() {
        ensure!(matches!(quote, '"' | '\''), UnquotedSnafu { rest });
        let (value, after) = rest[1..].split_once(quote).context(UnclosedSnafu { rest })?;
        values.push(value.to_owned());
        rest = after.trim();
        match rest.strip_prefix(',') {
            Some(next) if !next.trim().is_empty() => rest = next.trim(),
            None if rest.is_empty() => {}
            _ => return NotAListSnafu { value, rest }.fail(),
        }
    }
    Ok(settled(values))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn parameters_are_lists_by_name() {
        let text = "kernel.console = \"tty0\", 'a \"b\"'\ninit.systemd.log_level = \"debug\"\nkernel.quiet = \"\"\n\
                    # Parameters from bootloader:\n# quiet x=1\n";
        let expected = json!({
            "kernel": {"console": ["tty0", "a \"b\""], "quiet": []},
            "init": {"systemd.log_level": ["debug"]},
        });
        assert_eq!(BootConfig::parse(text).unwrap().settings(), Some(expected));
        for text in ["kernel = \"\"\ninit = \"\"\n", "kernel\ninit\n", ""] {
            assert_eq!(BootConfig::parse(text), Ok(BootConfig::default()), "{text:?}");
        }
        assert_eq!(BootConfig::default().settings(), None);
    }

    #[test]
    fn what_is_not_understood_is_refused_with_its_line() {
        for text in [
            "other.x = \"1\"",
            "kernel = \"1\"",
            "kernel.a = 1",
            "init.a = \"1",
            "init.a = \"1\",",
            "init.a = \"1\" x",
        ] {
            let why = BootConfig::parse(&format!("kernel.ok = \"1\"\n{text}\n")).unwrap_err();
            assert!(why.to_string().starts_with("understand line 2: "), "{text}: {why}");
        }
    }

    #[test]
    fn the_text_is_in_the_order_of_names() {
        let parameters = |rows: &[(&str, &[&str])]| -> Parameters {
            rows.iter().map(|(k, v)| ((*k).to_owned(), v.iter().map(ToString::to_string).collect())).collect()
        };
        let config = BootConfig {
            kernel: parameters(&[("z", &["1"]), ("a.b", &["it's", "say \"x\"", ""]), ("quiet", &[])]),
            init: parameters(&[("systemd.log_level", &["debug"])]),
        };
        let expected = "kernel.a.b = \"it's\", 'say \"x\"', \"\"\nkernel.quiet\nkernel.z = \"1\"\n\
                        init.systemd.log_level = \"debug\"\n";
        assert_eq!(config.text(), expected);
        assert_eq!(BootConfig::default().text(), "kernel\ninit\n");
    }

    proptest! {
        #[test]
        fn no_text_is_too_odd_and_what_is_read_reads_back(text in "((kernel|init|x)?[.]?[a-z]{0,3} ?=? ?([\"'a, ]{0,6})\n?){0,5}") {
            if let Ok(config) = BootConfig::parse(&text) {
                // A name cannot be told apart from its surroundings when it is empty or blank.
                prop_assert_eq!(BootConfig::parse(&config.text()), Ok(config));
            }
        }
    }
}

/// Boot configurations as settings can have them, for the property tests of this crate.
#[cfg(test)]
pub(crate) mod arbitrary {
    use super::*;
    use proptest::prelude::*;

    fn tree() -> impl Strategy<Value = BTreeMap<BootConfigKey, Vec<BootConfigValue>>> {
        let key = "[A-Za-z0-9_-]{1,5}([.][A-Za-z0-9_-]{1,5}){0,2}".prop_map(|text| text.parse().unwrap());
        let value = "([ -!#-~]{0,9}|[ -&(-~]{0,9})".prop_map(|text| text.parse().unwrap());
        prop::collection::btree_map(key, prop::collection::vec(value, 0..4), 0..4)
    }

    pub(crate) fn boot_config() -> impl Strategy<Value = BootConfig> {
        (tree(), tree()).prop_map(|(kernel, init)| BootConfig::new(&kernel, &init))
    }
}
