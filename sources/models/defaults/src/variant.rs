//! One variant: its name, its groups of settings, and what it starts from.

use crate::metadata::Metadata;
use crate::names::did_you_mean;
use serde::{Deserialize, Serialize};
use settings::{Key, Schema, UnknownGroup};
use snafu::{OptionExt, ResultExt, Snafu, ensure};
use std::collections::{BTreeMap, BTreeSet};
use toml::{Table, Value};

/// Where an image carries the one file that says what variant it is: [`Variant::to_toml`] wrote it.
pub const VARIANT_FILE: &str = "/usr/share/visco/variant.toml";

/// Everything in which variants differ at run time.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Variant {
    /// Name, `platform-runtime[-version][-flavor]`.
    pub name: String,
    /// First part of the name: what the host runs on.
    pub platform: String,
    /// Second part of the name: what the host runs.
    pub runtime: String,
    /// Third part of the name; `0` when it has none.
    pub version: String,
    /// Fourth part of the name; `none` when it has none.
    pub flavor: String,
    /// The groups of settings that exist.
    pub groups: Vec<String>,
    /// Default settings, without an outer `settings`.
    pub settings: serde_json::Value,
    /// Services by name.
    pub services: BTreeMap<String, Service>,
    /// Configuration files by name.
    pub configuration_files: BTreeMap<String, ConfigurationFile>,
    /// Affected services and generators of settings.
    pub metadata: Metadata,
}

/// A name that ties configuration files to the commands that make a change of them effective.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Service {
    /// Names of the files.
    pub configuration_files: Vec<String>,
    /// Command lines to run, in order, after the files are written.
    pub restart_commands: Vec<String>,
}

/// A file rendered from settings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ConfigurationFile {
    /// Where it goes.
    pub path: String,
    /// Where its template is, relative to the folder of templates.
    pub template_path: String,
    /// Its mode in octal digits; `0644` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<String>,
}

/// What is wrong with the description of a variant.
#[derive(Debug, Clone, PartialEq, Snafu)]
#[allow(missing_docs)]
pub enum Error {
    #[snafu(display("parse the description of a variant"))]
    ParseVariant { source: toml::de::Error },
    #[snafu(display("read the metadata of the variant"))]
    ReadMetadata { source: crate::metadata::Error },
    #[snafu(display(
        "'{name}' is not a name of a variant; one is platform-runtime, platform-runtime-version or \
         platform-runtime-version-flavor, each of letters, digits, '.' and '_'"
    ))]
    BadName { name: String },
    #[snafu(display("the variant names the settings group '{group}' twice"))]
    RepeatedGroup { group: String },
    #[snafu(display("the default of settings.{key} is {what}, which a setting cannot hold"))]
    BadDefault { key: String, what: &'static str },
    #[snafu(display("service '{service}' has the configuration file '{file}', which does not exist{hint}"))]
    UnknownFile { service: String, file: String, hint: String },
    #[snafu(display("service '{service}' has an empty restart command"))]
    EmptyRestart { service: String },
    #[snafu(display("{key} affects the service '{service}', which does not exist{hint}"))]
    UnknownService { key: Key, service: String, hint: String },
    #[snafu(display(
        "configuration file '{file}' has the path '{path}'; a path is absolute and without '.' or '..' parts"
    ))]
    BadPath { file: String, path: String },
    #[snafu(display("configuration files '{first}' and '{second}' have the same path {path}"))]
    SamePath { first: String, second: String, path: String },
    #[snafu(display(
        "configuration file '{file}' has the template '{template}'; a template is named relative to the folder of \
         templates, without '.' or '..' parts"
    ))]
    BadTemplate { file: String, template: String },
    #[snafu(display(
        "configuration file '{file}' has the mode '{mode}'; a mode is 3 or 4 octal digits, like 0600"
    ))]
    BadMode { file: String, mode: String },
}

/// The written form.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Document {
    name: String,
    groups: Vec<String>,
    #[serde(default)]
    settings: Table,
    #[serde(default)]
    services: BTreeMap<String, Service>,
    #[serde(default)]
    configuration_files: BTreeMap<String, ConfigurationFile>,
    #[serde(default)]
    metadata: Table,
}

impl Variant {
    /// Reads the description of a variant that an image carries.
    pub fn parse(text: &str) -> Result<Self, Error> {
        Self::from_document(toml::from_str(text).context(ParseVariantSnafu)?)
    }

    /// As [`Variant::parse`], from a table.
    pub(crate) fn from_table(table: Table) -> Result<Self, Error> {
        Self::from_document(Document::deserialize(table).context(ParseVariantSnafu)?)
    }

    /// Prints the description that [`Variant::parse`] reads. The same variant always prints the same text.
    /// Nulls, which a setting cannot hold, leave no trace.
    pub fn to_toml(&self) -> String {
        let mut document = Table::new();
        document.insert("name".to_owned(), self.name.as_str().into());
        document.insert("groups".to_owned(), self.groups.clone().into());
        let parts = [
            ("settings", to_toml(&self.settings)),
            ("services", Value::try_from(&self.services).ok()),
            ("configuration-files", Value::try_from(&self.configuration_files).ok()),
            ("metadata", Some(Value::Table(self.metadata.to_table()))),
        ];
        document.extend(parts.into_iter().filter_map(|(name, part)| Some((name.to_owned(), part?))));
        toml::to_string(&document).expect("a table of plain values prints as TOML")
    }

    /// The schema of its settings.
    pub fn schema(&self) -> Result<Schema, UnknownGroup> {
        Schema::with_groups(&self.groups)
    }

    /// The templates it needs that `exists` does not know, in order.
    pub fn missing_templates(&self, exists: impl Fn(&str) -> bool) -> BTreeSet<&str> {
        let needed = self.configuration_files.values().map(|file| file.template_path.as_str());
        needed.filter(|template| !exists(template)).collect()
    }

    fn from_document(document: Document) -> Result<Self, Error> {
        let [platform, runtime, version, flavor] = split_name(&document.name)?.map(str::to_owned);
        let variant = Self {
            platform,
            runtime,
            version,
            flavor,
            settings: to_json(&mut Vec::new(), Value::Table(document.settings))?,
            metadata: Metadata::from_table(&document.metadata).context(ReadMetadataSnafu)?,
            name: document.name,
            groups: document.groups,
            services: document.services,
            configuration_files: document.configuration_files,
        };
        variant.check()?;
        Ok(variant)
    }

    fn check(&self) -> Result<(), Error> {
        let mut groups = BTreeSet::new();
        if let Some(group) = self.groups.iter().find(|group| !groups.insert(group.as_str())) {
            return RepeatedGroupSnafu { group }.fail();
        }
        for (name, service) in &self.services {
            self.check_service(name, service)?;
        }
        let mut paths: BTreeMap<&str, &str> = BTreeMap::new();
        for (name, file) in &self.configuration_files {
            file.check(name)?;
            if let Some(first) = paths.insert(&file.path, name) {
                return SamePathSnafu { first, second: name, path: &file.path }.fail();
            }
        }
        for (key, services) in self.metadata.affected() {
            for service in services {
                let hint = || did_you_mean(service, self.services.keys().map(String::as_str));
                let known = self.services.contains_key(service);
                ensure!(known, UnknownServiceSnafu { key: key.clone(), service, hint: hint() });
            }
        }
        Ok(())
    }

    fn check_service(&self, name: &str, service: &Service) -> Result<(), Error> {
        for file in &service.configuration_files {
            let hint = || did_you_mean(file, self.configuration_files.keys().map(String::as_str));
            let known = self.configuration_files.contains_key(file);
            ensure!(known, UnknownFileSnafu { service: name, file, hint: hint() });
        }
        let empty = service.restart_commands.iter().any(|command| command.trim().is_empty());
        ensure!(!empty, EmptyRestartSnafu { service: name });
        Ok(())
    }
}

impl ConfigurationFile {
    fn check(&self, name: &str) -> Result<(), Error> {
        let path = self.path.strip_prefix('/').filter(|path| is_plain(path));
        path.context(BadPathSnafu { file: name, path: &self.path })?;
        let template = &self.template_path;
        ensure!(is_plain(template), BadTemplateSnafu { file: name, template });
        if let Some(mode) = &self.mode {
            let octal = mode.bytes().all(|digit| matches!(digit, b'0'..=b'7'));
            ensure!(octal && matches!(mode.len(), 3 | 4), BadModeSnafu { file: name, mode });
        }
        Ok(())
    }
}

/// Whether a relative path is free of empty parts and of steps to elsewhere, and of one line.
fn is_plain(path: &str) -> bool {
    let good_part = |part: &str| !matches!(part, "" | "." | "..");
    path.split('/').all(good_part) && !path.contains(char::is_control)
}

/// Platform, runtime, version and flavor of a name. Further parts are for the builder and mean nothing here.
fn split_name(name: &str) -> Result<[&str; 4], Error> {
    let good = |part: &&str| {
        !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_'))
    };
    let parts: Vec<&str> = name.split('-').collect();
    ensure!(parts.len() >= 2 && parts.iter().all(good), BadNameSnafu { name });
    let part = |index: usize, otherwise| parts.get(index).copied().unwrap_or(otherwise);
    Ok([parts[0], parts[1], part(2, "0"), part(3, "none")])
}

/// Turns defaults to JSON. Dates and numbers without a value have no place there.
fn to_json(path: &mut Vec<String>, value: Value) -> Result<serde_json::Value, Error> {
    let bad = |path: &[String], what| BadDefaultSnafu { key: path.join("."), what }.fail();
    Ok(match value {
        Value::String(text) => text.into(),
        Value::Integer(number) => number.into(),
        Value::Boolean(flag) => flag.into(),
        Value::Float(number) if number.is_finite() => number.into(),
        Value::Float(_) => return bad(path, "not a finite number"),
        Value::Datetime(_) => return bad(path, "a date"),
        Value::Array(elements) => {
            elements.into_iter().map(|element| to_json(path, element)).collect::<Result<_, _>>()?
        }
        Value::Table(members) => {
            let mut object = serde_json::Map::new();
            for (member, value) in members {
                path.push(member.clone());
                object.insert(member, to_json(path, value)?);
                path.pop();
            }
            object.into()
        }
    })
}

fn to_toml(value: &serde_json::Value) -> Option<Value> {
    Some(match value {
        serde_json::Value::Null => return None,
        serde_json::Value::Bool(flag) => (*flag).into(),
        serde_json::Value::Number(number) => match number.as_i64() {
            Some(integer) => integer.into(),
            None => number.as_f64()?.into(),
        },
        serde_json::Value::String(text) => text.as_str().into(),
        serde_json::Value::Array(elements) => Value::Array(elements.iter().filter_map(to_toml).collect()),
        serde_json::Value::Object(members) => {
            let member = |(name, value): (&String, _)| Some((name.clone(), to_toml(value)?));
            Value::Table(members.iter().filter_map(member).collect())
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const GOOD: &str = r#"
name = "metal-k8s-1.28"
groups = ["motd", "kubernetes"]

[settings]
motd = "hi"
ratio = 0.5
list = ["a", ["b", 1]]

[services.motd]
configuration-files = ["motd"]
restart-commands = ["true --now"]

[configuration-files.motd]
path = "/etc/motd"
template-path = "deep/motd"
mode = "0600"

[metadata.settings.motd]
affected-services = ["motd"]
setting-generator = { command = "make 'a motd'", strength = "weak" }
"#;

    fn why(text: &str) -> String {
        let error = Variant::parse(text).unwrap_err();
        let source = std::error::Error::source(&error);
        source.map_or_else(|| error.to_string(), |source| format!("{error}: {source}"))
    }

    #[test]
    fn a_description_is_read_and_printed() {
        let variant = Variant::parse(GOOD).unwrap();
        let parts = [&variant.platform, &variant.runtime, &variant.version, &variant.flavor];
        assert_eq!(parts, ["metal", "k8s", "1.28", "none"]);
        let settings = serde_json::json!({"motd": "hi", "ratio": 0.5, "list": ["a", ["b", 1]]});
        assert_eq!(variant.settings, settings);
        let file = serde_json::to_value(&variant.configuration_files["motd"]).unwrap();
        let expected = serde_json::json!({"path": "/etc/motd", "template-path": "deep/motd", "mode": "0600"});
        assert_eq!(file, expected);
        let service = serde_json::to_value(&variant.services["motd"]).unwrap();
        let expected =
            serde_json::json!({"configuration-files": ["motd"], "restart-commands": ["true --now"]});
        assert_eq!(service, expected);
        assert_eq!(Variant::parse(&variant.to_toml()).unwrap(), variant);
    }

    #[test]
    fn templates_that_do_not_exist_are_listed() {
        let variant = Variant::parse(GOOD).unwrap();
        assert!(variant.missing_templates(|template| template == "deep/motd").is_empty());
        assert_eq!(variant.missing_templates(|_| false).into_iter().collect::<Vec<_>>(), ["deep/motd"]);
    }

    #[test]
    fn names_split_into_their_parts() {
        let rows = [
            ("aws-dev", Some(["aws", "dev", "0", "none"])),
            ("aws-ecs-1", Some(["aws", "ecs", "1", "none"])),
            ("aws-k8s-1.28-nvidia", Some(["aws", "k8s", "1.28", "nvidia"])),
            ("aws-k8s-1.28-nvidia-more", Some(["aws", "k8s", "1.28", "nvidia"])),
            ("aws", None),
            ("", None),
            ("-dev", None),
            ("aws-", None),
            ("aws-dev-", None),
            ("aws-k8s--nvidia", None),
            ("aws-d v", None),
            ("aws-dev/x", None),
        ];
        for (name, parts) in rows {
            assert_eq!(split_name(name).ok(), parts, "{name}");
        }
    }

    #[test]
    fn each_fault_is_named_with_its_place() {
        let rows = [
            ("name = \"metal-k8s-1.28\"", "name = \"metal\"", "'metal' is not a name of a variant"),
            ("name =", "nam =", "unknown field `nam`"),
            ("\"kubernetes\"]", "\"motd\"]", "settings group 'motd' twice"),
            ("motd = \"hi\"", "motd = 2020-01-01", "settings.motd is a date"),
            ("0.5", "nan", "settings.ratio is not a finite number"),
            ("[settings]", "[setings]", "unknown field `setings`"),
            (
                "= [\"motd\"]\nrestart",
                "= [\"modt\"]\nrestart",
                "'modt', which does not exist; did you mean 'motd'?",
            ),
            ("restart-commands", "restart-command", "unknown field `restart-command`"),
            ("restart-commands = [\"true --now\"]", "", "missing field `restart-commands`"),
            ("\"true --now\"", "\" \"", "service 'motd' has an empty restart command"),
            ("\"/etc/motd\"", "\"etc/motd\"", "the path 'etc/motd'; a path is absolute"),
            ("\"/etc/motd\"", "\"/etc/../motd\"", "the path '/etc/../motd'"),
            ("\"/etc/motd\"", "\"/etc//motd\"", "the path '/etc//motd'"),
            ("\"/etc/motd\"", "\"/etc/motd\\n\"", "has the path"),
            ("deep/motd", "/deep/motd", "the template '/deep/motd'; a template is named relative"),
            ("deep/motd", "../motd", "the template '../motd'"),
            ("0600", "0800", "the mode '0800'; a mode is 3 or 4 octal digits"),
            ("0600", "", "the mode ''"),
            ("0600", "00600", "the mode '00600'"),
            ("mode =", "owner =", "unknown field `owner`"),
            (
                "affected-services = [\"motd\"]",
                "affected-services = [\"motdd\"]",
                "settings.motd affects the service 'motdd', which does not exist; did you mean 'motd'?",
            ),
            (
                "[metadata.settings.motd]",
                "[metadata.settings.'mo td']",
                "name a setting below 'settings' in the metadata",
            ),
            (
                "[metadata.settings.motd]",
                "[configuration-files.again]\npath = \"/etc/motd\"\ntemplate-path = \"x\"\n\n[metadata.settings.motd]",
                "configuration files 'again' and 'motd' have the same path /etc/motd",
            ),
        ];
        for (from, to, part) in rows {
            assert!(GOOD.contains(from), "{from}");
            let why = why(&GOOD.replacen(from, to, 1));
            assert!(why.contains(part), "{to}: {why}");
        }
    }

    proptest! {
        #[test]
        fn parsing_never_panics_and_prints_what_it_accepts(cut in 0..GOOD.len(), noise in "[a-z0-9\"'=.\\[\\]{}# \n]{0,12}") {
            let (head, tail) = GOOD.split_at(cut);
            if let Ok(variant) = Variant::parse(&format!("{head}{noise}{tail}")) {
                prop_assert_eq!(Variant::parse(&variant.to_toml()).unwrap(), variant);
            }
        }
    }
}
