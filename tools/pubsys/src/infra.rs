//! `Infra.toml`: the repositories of a publisher, their addresses, keys and thresholds.

use serde::Deserialize;
use serde::de::{self, Deserializer, MapAccess, SeqAccess, Visitor};
use snafu::{OptionExt, ResultExt, Snafu, ensure};
use std::collections::BTreeMap;
use std::fmt;
use std::num::NonZeroU64;
use std::path::{Path, PathBuf};
use url::Url;

/// The repository that is used where none is named.
pub const DEFAULT_REPO: &str = "default";

/// What is wrong with `Infra.toml`, or with what is asked of it.
#[derive(Debug, Snafu)]
#[allow(missing_docs)]
pub enum InfraError {
    #[snafu(display("read {}", path.display()))]
    Read { path: PathBuf, source: std::io::Error },
    #[snafu(display("understand {}", path.display()))]
    Understand { path: PathBuf, source: Box<toml::de::Error> },
    #[snafu(display("{} has no repository '{name}'; it has {known}", path.display()))]
    UnknownRepo { path: PathBuf, name: String, known: String },
    #[snafu(display("there is no {}, so the only repository is '{DEFAULT_REPO}', not '{name}'", path.display()))]
    NoFile { path: PathBuf, name: String },
    #[snafu(display("the repository '{name}' has {has} but no {lacks}; give both or neither"))]
    Half { name: String, has: &'static str, lacks: &'static str },
    #[snafu(display(
        "the repository '{name}' takes its {which} from {kind}, which is not supported here; supported is a key \
         file: {which} = {{ file = {{ path = \"keys/NAME.pem\" }} }}"
    ))]
    Unsupported { name: String, which: &'static str, kind: &'static str },
    #[snafu(display(
        "'{name}' cannot name a repository: it names files; use letters, digits, '-', '_' and '.'"
    ))]
    BadName { name: String },
}

/// The file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Infra {
    /// The repositories by name.
    #[serde(default)]
    pub repo: BTreeMap<String, Repo>,
    /// Documented, of machine images in a cloud; not used by what makes repositories.
    #[serde(default, rename = "aws")]
    _aws: Option<toml::Table>,
    /// Documented, of virtual machine templates; not used by what makes repositories.
    #[serde(default, rename = "vmware")]
    _vmware: Option<toml::Table>,
    /// Documented, of package kits; not used by what makes repositories.
    #[serde(default, rename = "vendor")]
    _vendor: Option<toml::Table>,
}

/// A repository.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Repo {
    /// Where the published root role is (http, https, file).
    #[serde(default, deserialize_with = "address")]
    pub root_role_url: Option<Url>,
    /// SHA-512 of that file, in hexadecimal digits.
    pub root_role_sha512: Option<String>,
    /// Keys that sign snapshot, targets and timestamp.
    pub signing_keys: Option<KeySources>,
    /// Keys that sign the root role.
    pub root_keys: Option<KeySources>,
    /// The folder of all metadata; `VARIANT/ARCH` is appended.
    #[serde(default, deserialize_with = "address")]
    pub metadata_base_url: Option<Url>,
    /// The folder of all targets.
    #[serde(default, deserialize_with = "address")]
    pub targets_url: Option<Url>,
    /// Documented, names where files are hosted; not used here.
    #[serde(rename = "file_hosting_config_name")]
    _file_hosting_config_name: Option<String>,
    /// How many root keys must sign the root role; default 1.
    pub root_key_threshold: Option<NonZeroU64>,
    /// How many signing keys must sign each other role; default 1.
    pub pub_key_threshold: Option<NonZeroU64>,
}

/// One source of keys, or a list of them.
#[derive(Clone, Debug)]
pub struct KeySources(pub Vec<KeySource>);

/// Where a key is.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KeySource {
    /// In a file, in PEM.
    File(KeyFile),
    /// In a key service of a cloud.
    Kms(toml::Table),
    /// In a parameter of a cloud.
    Ssm(toml::Table),
}

/// A file with a private key.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyFile {
    /// Its path; a relative one starts at the checkout.
    pub path: PathBuf,
}

fn address<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Url>, D::Error> {
    let text = String::deserialize(deserializer)?;
    let wrong = |e| de::Error::custom(format!("'{text}' is not a URL ({e})"));
    text.parse().map(Some).map_err(wrong)
}

impl<'de> Deserialize<'de> for KeySources {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OneOrMany;
        impl<'de> Visitor<'de> for OneOrMany {
            type Value = KeySources;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a source of keys, as { file = { path = \"...\" } }, or a list of them")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<KeySources, A::Error> {
                let one = KeySource::deserialize(de::value::MapAccessDeserializer::new(map))?;
                Ok(KeySources(vec![one]))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<KeySources, A::Error> {
                let many = Vec::deserialize(de::value::SeqAccessDeserializer::new(seq))?;
                if many.is_empty() { Err(de::Error::invalid_length(0, &self)) } else { Ok(KeySources(many)) }
            }
        }
        deserializer.deserialize_any(OneOrMany)
    }
}

impl Infra {
    /// Reads the text of the file.
    pub fn parse(text: &str) -> Result<Self, toml::de::Error> {
        toml::from_str(text)
    }

    /// The repository `name` of the file at `path`. Where there is no file, there is one repository, the default,
    /// of which nothing is configured.
    pub fn load_repo(path: &Path, name: &str) -> Result<Repo, InfraError> {
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        ensure!(name.chars().all(plain) && name.starts_with(|c| c != '.'), BadNameSnafu { name });
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                ensure!(name == DEFAULT_REPO, NoFileSnafu { path, name });
                return Ok(Repo::default());
            }
            Err(source) => return Err(InfraError::Read { path: path.to_owned(), source }),
        };
        let mut infra = Self::parse(&text).map_err(Box::new).context(UnderstandSnafu { path })?;
        let known = || infra.repo.keys().map(|name| format!("'{name}'")).collect::<Vec<_>>().join(", ");
        let known = if infra.repo.is_empty() { "none".to_owned() } else { known() };
        let repo = infra.repo.remove(name).context(UnknownRepoSnafu { path, name, known })?;
        repo.check(name)?;
        Ok(repo)
    }
}

impl Repo {
    fn check(&self, name: &str) -> Result<(), InfraError> {
        for (one, other, names) in [
            (
                self.root_role_url.is_some(),
                self.root_role_sha512.is_some(),
                ["root_role_url", "root_role_sha512"],
            ),
            (
                self.metadata_base_url.is_some(),
                self.targets_url.is_some(),
                ["metadata_base_url", "targets_url"],
            ),
        ] {
            let [first, second] = names;
            let (has, lacks) = if one { (first, second) } else { (second, first) };
            ensure!(one == other, HalfSnafu { name, has, lacks });
        }
        Ok(())
    }

    /// Paths of the key files, of one kind of keys; `None` where the kind is not configured.
    pub fn key_files(&self, name: &str, kind: KeyKind) -> Result<Option<Vec<PathBuf>>, InfraError> {
        let (which, sources) = match kind {
            KeyKind::Root => ("root_keys", &self.root_keys),
            KeyKind::Signing => ("signing_keys", &self.signing_keys),
        };
        let path = |source: &KeySource| match source {
            KeySource::File(file) => Ok(file.path.clone()),
            KeySource::Kms(_) => UnsupportedSnafu { name, which, kind: "kms" }.fail(),
            KeySource::Ssm(_) => UnsupportedSnafu { name, which, kind: "ssm" }.fail(),
        };
        sources.as_ref().map(|sources| sources.0.iter().map(path).collect()).transpose()
    }
}

/// What a key signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyKind {
    /// The root role.
    Root,
    /// Snapshot, targets and timestamp.
    Signing,
}

#[cfg(test)]
mod tests {
    use super::*;

    const FULL: &str = r#"
[repo.main]
root_role_url = "https://example.com/root.json"
root_role_sha512 = "abc"
signing_keys = { file = { path = "keys/main.pem" } }
root_keys = [{ file = { path = "a.pem" } }, { kms = { key_id = "x" } }]
metadata_base_url = "https://example.com/metadata/"
targets_url = "https://example.com/targets/"
file_hosting_config_name = "hosting"
root_key_threshold = 2
pub_key_threshold = 1
[aws]
regions = ["us-west-2"]
[vmware]
datacenters = []
"#;

    #[test]
    fn the_documented_schema_is_read() {
        let infra = Infra::parse(FULL).unwrap();
        let repo = &infra.repo["main"];
        repo.check("main").unwrap();
        assert_eq!(repo.root_key_threshold.unwrap().get(), 2);
        let signing = repo.key_files("main", KeyKind::Signing).unwrap().unwrap();
        assert_eq!(signing, [PathBuf::from("keys/main.pem")]);
        let error = repo.key_files("main", KeyKind::Root).unwrap_err().to_string();
        assert!(error.contains("root_keys from kms") && error.contains("file = { path"), "{error}");
    }

    #[test]
    fn mistakes_are_named() {
        for (text, part) in [
            ("[repo.main]\nroot_key = 1", "unknown field `root_key`"),
            ("[repos.main]", "unknown field `repos`"),
            ("[repo.main]\nroot_key_threshold = 0", "nonzero"),
            ("[repo.main]\nsigning_keys = { file = { paht = 'x' } }", "unknown field `paht`"),
            ("[repo.main]\nsigning_keys = { disk = {} }", "unknown variant `disk`"),
            ("[repo.main]\nsigning_keys = []", "a source of keys"),
            ("[repo.main]\nsigning_keys = 'x'", "a source of keys"),
            ("[repo.main]\ntargets_url = 'no url'", "'no url' is not a URL"),
        ] {
            let error = Infra::parse(text).unwrap_err().to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
    }

    #[test]
    fn a_repository_is_whole_and_known() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("Infra.toml");
        let load = |name: &str| Infra::load_repo(&path, name).map(drop).map_err(|e| e.to_string());
        load(DEFAULT_REPO).unwrap();
        assert!(load("other").unwrap_err().contains("the only repository is 'default', not 'other'"));
        std::fs::write(&path, "[repo.a]\nroot_role_url = 'file:///r'\n[repo.b]\ntargets_url = 'file:///t'")
            .unwrap();
        for (name, part) in [
            ("a", "root_role_url but no root_role_sha512"),
            ("b", "targets_url but no metadata_base_url"),
            ("c", "has no repository 'c'; it has 'a', 'b'"),
            ("../c", "cannot name a repository"),
            (".c", "cannot name a repository"),
        ] {
            let error = load(name).unwrap_err();
            assert!(error.contains(part), "{name}: {error}");
        }
    }
}
