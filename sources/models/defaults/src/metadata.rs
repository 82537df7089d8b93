//! What is known about settings beside their values: whom a change concerns, and how to make a value.

use serde::Deserialize;
use settings::{Key, KeyError};
use snafu::{OptionExt, ResultExt, Snafu, ensure};
use std::collections::BTreeMap;
use toml::{Table, Value};

/// Names that are metadata, not segments of a key.
const AFFECTED_SERVICES: &str = "affected-services";
const SETTING_GENERATOR: &str = "setting-generator";

/// Metadata of settings, by key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Metadata {
    entries: BTreeMap<Key, Entry>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Entry {
    affected_services: Option<Vec<String>>,
    generator: Option<Generator>,
}

/// A command that makes the value of a setting.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Generator {
    /// The command line, split with shell-like quoting and run without a shell.
    pub command: String,
    /// What becomes of the value at the next start.
    #[serde(default)]
    pub strength: Strength,
}

/// What becomes of a generated value at the next start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Strength {
    /// It stays, as if the user had set it.
    #[default]
    Strong,
    /// It is made again, so that a new image can bring a new one.
    Weak,
}

/// What is wrong with a metadata table.
#[derive(Debug, Clone, PartialEq, Eq, Snafu)]
#[allow(missing_docs)]
pub enum Error {
    #[snafu(display(
        "metadata at '{place}.{member}': expected '{AFFECTED_SERVICES}', '{SETTING_GENERATOR}' or a table for the \
         next segment of a key"
    ))]
    UnknownMember { place: String, member: String },
    #[snafu(display("metadata stands only below settings, not at '{place}'"))]
    NotASetting { place: String },
    #[snafu(display("name a setting below '{place}' in the metadata"))]
    MetadataKey { place: String, source: KeyError },
    #[snafu(display("{AFFECTED_SERVICES} of {key}: must be a list of names of services"))]
    ServiceList { key: Key },
    #[snafu(display("{SETTING_GENERATOR} of {key}"))]
    GeneratorTable { key: Key, source: toml::de::Error },
    #[snafu(display(
        "{SETTING_GENERATOR} of {key}: must be a command, or a table with 'command' and 'strength'"
    ))]
    GeneratorType { key: Key },
    #[snafu(display("{SETTING_GENERATOR} of {key}: the command is empty"))]
    EmptyCommand { key: Key },
    #[snafu(display("{SETTING_GENERATOR} of {key}: split the command '{command}'"))]
    SplitCommand { key: Key, command: String, source: shell_words::ParseError },
}

impl Metadata {
    /// The services that a change of `key` concerns. A list covers all keys below its own; the nearest list
    /// above a key replaces the others, it does not add to them.
    pub fn affected_services(&self, key: &Key) -> Option<&[String]> {
        let lists = self.affected();
        let above = lists.filter(|(place, _)| key.is_at_or_below(place));
        above.max_by_key(|(place, _)| place.as_str().len()).map(|(_, services)| services)
    }

    /// All lists of affected services, by the key they are written at.
    pub fn affected(&self) -> impl Iterator<Item = (&Key, &[String])> {
        self.entries.iter().filter_map(|(key, entry)| Some((key, entry.affected_services.as_deref()?)))
    }

    /// All generators, by the key of the setting or group they make.
    pub fn generators(&self) -> BTreeMap<Key, Generator> {
        let with_generator = |(key, entry): (&Key, &Entry)| Some((key.clone(), entry.generator.clone()?));
        self.entries.iter().filter_map(with_generator).collect()
    }

    /// Reads the table `metadata`, whose nested tables spell keys.
    pub(crate) fn from_table(table: &Table) -> Result<Self, Error> {
        let mut metadata = Self::default();
        for (member, value) in table {
            let place = || format!("metadata.{member}");
            let key: Key = member.parse().context(MetadataKeySnafu { place: "metadata" })?;
            ensure!(member == "settings", NotASettingSnafu { place: place() });
            let below = value.as_table().context(NotASettingSnafu { place: place() })?;
            metadata.read(&key, below)?;
        }
        Ok(metadata)
    }

    fn read(&mut self, key: &Key, table: &Table) -> Result<(), Error> {
        for (member, value) in table {
            match (member.as_str(), value) {
                (AFFECTED_SERVICES, list) => self.entry(key).affected_services = Some(services(key, list)?),
                (SETTING_GENERATOR, value) => self.entry(key).generator = Some(generator(key, value)?),
                (segment, Value::Table(below)) => {
                    let key = key.child(segment).context(MetadataKeySnafu { place: key.as_str() })?;
                    self.read(&key, below)?;
                }
                (member, _) => return UnknownMemberSnafu { place: key.as_str(), member }.fail(),
            }
        }
        Ok(())
    }

    fn entry(&mut self, key: &Key) -> &mut Entry {
        self.entries.entry(key.clone()).or_default()
    }

    /// The inverse of [`Metadata::from_table`].
    pub(crate) fn to_table(&self) -> Table {
        let mut root = Table::new();
        for (key, entry) in &self.entries {
            let mut here = &mut root;
            for segment in key.segments() {
                let below = here.entry(segment).or_insert_with(|| Value::Table(Table::new()));
                here = below.as_table_mut().expect("metadata names are not segments of keys");
            }
            if let Some(services) = &entry.affected_services {
                here.insert(AFFECTED_SERVICES.to_owned(), services.clone().into());
            }
            if let Some(generator) = &entry.generator {
                here.insert(SETTING_GENERATOR.to_owned(), generator.to_value());
            }
        }
        root
    }
}

impl Generator {
    fn to_value(&self) -> Value {
        match self.strength {
            Strength::Strong => Value::from(self.command.as_str()),
            Strength::Weak => Value::Table(Table::from_iter([
                ("command".to_owned(), Value::from(self.command.as_str())),
                ("strength".to_owned(), Value::from("weak")),
            ])),
        }
    }
}

fn services(key: &Key, list: &Value) -> Result<Vec<String>, Error> {
    let names = list.as_array().context(ServiceListSnafu { key: key.clone() })?;
    let name = |value: &Value| value.as_str().map(str::to_owned);
    names.iter().map(name).collect::<Option<_>>().context(ServiceListSnafu { key: key.clone() })
}

fn generator(key: &Key, value: &Value) -> Result<Generator, Error> {
    let generator = match value {
        Value::String(command) => Generator { command: command.clone(), strength: Strength::Strong },
        Value::Table(table) => {
            Generator::deserialize(table.clone()).context(GeneratorTableSnafu { key: key.clone() })?
        }
        _ => return GeneratorTypeSnafu { key: key.clone() }.fail(),
    };
    let command = &generator.command;
    let words = shell_words::split(command).context(SplitCommandSnafu { key: key.clone(), command })?;
    ensure!(!words.is_empty(), EmptyCommandSnafu { key: key.clone() });
    Ok(generator)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Metadata, String> {
        Metadata::from_table(&text.parse().unwrap()).map_err(|e| {
            let mut chain = e.to_string();
            let mut source = std::error::Error::source(&e);
            while let Some(cause) = source {
                chain = format!("{chain}: {cause}");
                source = cause.source();
            }
            chain
        })
    }

    #[test]
    fn the_nearest_list_above_a_key_replaces_the_others() {
        let metadata = read(
            "settings.a.affected-services = ['one', 'two']\n\
             settings.a.b.affected-services = ['three']\n\
             settings.a.b.c.setting-generator = 'x'\n\
             settings.a.quiet.affected-services = []\n\
             settings.d.e.affected-services = ['four']",
        )
        .unwrap();
        let rows: &[(&str, Option<&[&str]>)] = &[
            ("settings.a", Some(&["one", "two"])),
            ("settings.a.x.y", Some(&["one", "two"])),
            ("settings.a.b", Some(&["three"])),
            ("settings.a.b.c", Some(&["three"])),
            ("settings.a.\"b.c\"", Some(&["one", "two"])),
            ("settings.a.bb", Some(&["one", "two"])),
            ("settings.a.quiet.x", Some(&[])),
            ("settings.d", None),
            ("settings.d.e", Some(&["four"])),
            ("settings", None),
            ("elsewhere", None),
        ];
        for (key, services) in rows {
            let found = metadata.affected_services(&key.parse().unwrap());
            let found = found.map(|f| f.iter().map(String::as_str).collect::<Vec<_>>());
            assert_eq!(found.as_deref(), *services, "{key}");
        }
    }

    #[test]
    fn generators_are_commands_or_tables() {
        let metadata = read(
            "settings.a.setting-generator = 'plain --x'\n\
             settings.b.setting-generator = { command = 'weakly', strength = 'weak' }\n\
             settings.c.setting-generator = { command = 'strongly' }",
        )
        .unwrap();
        let found: Vec<_> =
            metadata.generators().into_iter().map(|(k, g)| (k.to_string(), g.command, g.strength)).collect();
        let row = |k: &str, c: &str, s| (k.to_owned(), c.to_owned(), s);
        assert_eq!(
            found,
            [
                row("settings.a", "plain --x", Strength::Strong),
                row("settings.b", "weakly", Strength::Weak),
                row("settings.c", "strongly", Strength::Strong),
            ]
        );
        assert_eq!(Metadata::from_table(&metadata.to_table()).unwrap(), metadata);
    }

    #[test]
    fn malformed_metadata_is_refused_with_its_place() {
        let rows = [
            ("os.affected-services = []", "not at 'metadata.os'"),
            ("settings = 1", "not at 'metadata.settings'"),
            ("settings.a.affected-service = ['x']", "'settings.a.affected-service'"),
            ("settings.a.affected-services = 'x'", "of settings.a: must be a list"),
            ("settings.a.affected-services = [1]", "of settings.a: must be a list"),
            (
                "settings.a.'b c'.affected-services = []",
                "below 'settings.a' in the metadata: 'b c' has the character",
            ),
            ("settings.a.setting-generator = 1", "of settings.a: must be a command"),
            ("settings.a.setting-generator = '  '", "the command is empty"),
            ("settings.a.setting-generator = \"x 'y\"", "split the command"),
            ("settings.a.setting-generator = { strength = 'weak' }", "missing field `command`"),
            ("settings.a.setting-generator = { command = 'x', strength = 'meek' }", "unknown variant `meek`"),
            ("settings.a.setting-generator = { command = 'x', depth = 1 }", "unknown field `depth`"),
        ];
        for (text, part) in rows {
            let why = read(text).unwrap_err();
            assert!(why.contains(part), "{text}: {why}");
        }
    }
}
