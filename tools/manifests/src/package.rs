//! One package of the image.

use crate::crates::{Crate, Dependencies};
use crate::keys::{BadValueSnafu, Error, Keys, ParseManifestSnafu};
use serde::Deserialize;
use snafu::{OptionExt, ResultExt, ensure};
use std::path::{Path, PathBuf};
use toml::Value;
use url::Url;

const TABLE: &str = "build-package";
const KEYS: &[&str] = &[
    "crates",
    "debian-packages",
    "debian-sources",
    "external-files",
    "package-name",
    "releases-url",
    "source-groups",
];
const FILE_KEYS: &[&str] = &["force-upstream", "path", "sha512", "url"];

/// A package, as its manifest describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Package {
    /// Its name, also of its spec file and its folder of RPMs. Only this name may hold dots.
    pub name: String,
    /// The name of its crate.
    pub crate_name: String,
    /// Its folder.
    pub folder: PathBuf,
    /// Other packages that it names.
    pub dependencies: Dependencies,
    /// Files from elsewhere.
    pub external_files: Vec<ExternalFile>,
    /// Folders below `sources/` that it is built from.
    pub source_groups: Vec<String>,
    /// Names of Debian binary packages that it is made of, pinned in `Debian.lock`.
    pub debian_packages: Vec<String>,
    /// Names of Debian source packages that it is built from, pinned in `Debian.lock`.
    pub debian_sources: Vec<String>,
    /// Whether it is built with the crates that `Cargo.lock` pins.
    pub crates: bool,
}

/// A file that is fetched and checked before the build.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExternalFile {
    /// Its name: the last part of the URL unless the manifest says otherwise.
    pub name: String,
    /// Where it comes from.
    pub url: Url,
    /// The SHA-512 of its content, in lower-case hex digits.
    pub sha512: String,
    /// Whether it may be fetched from its URL even where other files come from a mirror alone.
    pub force_upstream: bool,
}

/// The written form.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Document {
    #[serde(default)]
    external_files: Vec<WrittenFile>,
    package_name: Option<String>,
    /// For humans and for programs that look for releases.
    #[serde(rename = "releases-url")]
    _releases_url: Option<String>,
    #[serde(default)]
    source_groups: Vec<String>,
    #[serde(default)]
    debian_packages: Vec<String>,
    #[serde(default)]
    debian_sources: Vec<String>,
    #[serde(default)]
    crates: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct WrittenFile {
    path: Option<String>,
    url: String,
    sha512: String,
    #[serde(default)]
    force_upstream: bool,
}

impl Package {
    /// Reads the text of the manifest `file`.
    pub fn parse(file: &Path, text: &str) -> Result<Self, Error> {
        let subject = Crate::parse(file, text)?;
        let table = subject.table(file, TABLE)?;
        Keys { file, table: "[package.metadata.build-package]", valid: KEYS }.check_table(table)?;
        for entry in table.get("external-files").and_then(Value::as_array).into_iter().flatten() {
            Keys { file, table: "external-files", valid: FILE_KEYS }.check(Some(entry))?;
        }
        let document: Document = table.clone().try_into().context(ParseManifestSnafu { file })?;
        let name = document.package_name.unwrap_or_else(|| subject.name.clone());
        ensure!(is_name(&name), bad(file, format!("'{name}' is not a name of a package")));
        for group in &document.source_groups {
            ensure!(
                is_inner(group),
                bad(file, format!("the source group '{group}' is not a folder below sources/"))
            );
        }
        for debian in document.debian_packages.iter().chain(&document.debian_sources) {
            ensure!(
                is_debian_name(debian),
                bad(file, format!("'{debian}' is not a name of a Debian package"))
            );
        }
        let external_files = document.external_files.into_iter().map(|written| written.check(file));
        Ok(Self {
            name,
            crate_name: subject.name,
            folder: subject.folder,
            dependencies: subject.dependencies,
            external_files: external_files.collect::<Result<_, _>>()?,
            source_groups: document.source_groups,
            debian_packages: document.debian_packages,
            debian_sources: document.debian_sources,
            crates: document.crates,
        })
    }

    /// The spec file.
    pub fn spec(&self) -> PathBuf {
        self.folder.join(format!("{}.spec", self.name))
    }
}

impl WrittenFile {
    fn check(self, file: &Path) -> Result<ExternalFile, Error> {
        let url = Url::parse(&self.url).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
        let url = url.with_context(|| {
            bad(file, format!("the external file's url '{}' is not an http or https URL", self.url))
        })?;
        let last = url.path_segments().and_then(|mut parts| parts.next_back()).unwrap_or_default();
        let name = self.path.unwrap_or_else(|| last.to_owned());
        ensure!(
            is_file_name(&name),
            bad(
                file,
                format!("the external file {url} would be named '{name}'; 'path' must give one file name")
            )
        );
        let sha512 = self.sha512.to_ascii_lowercase();
        ensure!(
            sha512.len() == 128 && sha512.bytes().all(|byte| byte.is_ascii_hexdigit()),
            bad(file, format!("the sha512 of the external file '{name}' is not 128 hex digits"))
        );
        Ok(ExternalFile { name, url, sha512, force_upstream: self.force_upstream })
    }
}

fn bad(file: &Path, what: String) -> BadValueSnafu<PathBuf, String> {
    BadValueSnafu { file: file.to_owned(), what }
}

/// Whether a file may have the name: one component, and no hidden file.
fn is_file_name(name: &str) -> bool {
    !name.is_empty() && !name.starts_with('.') && !name.contains(['/', '\0'])
}

fn is_name(name: &str) -> bool {
    is_file_name(name) && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._+-".contains(&byte))
}

/// Whether a path leads into a folder and not out of it.
fn is_inner(path: &str) -> bool {
    path.split('/').all(is_file_name)
}

/// Debian Policy 5.6.1.
fn is_debian_name(name: &str) -> bool {
    let valid = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"+-.".contains(&byte);
    name.len() >= 2 && name.as_bytes()[0].is_ascii_alphanumeric() && name.bytes().all(valid)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const FILE: &str = "packages/a/Cargo.toml";

    fn parse(table: &str) -> Result<Package, String> {
        let text = format!("package.name = 'a-1_2'\n[package.metadata.build-package]\n{table}");
        Package::parse(Path::new(FILE), &text).map_err(|error| chain(&error))
    }

    fn chain(error: &dyn std::error::Error) -> String {
        error.source().map_or_else(|| error.to_string(), |source| format!("{error}: {}", chain(source)))
    }

    #[test]
    fn an_empty_table_is_a_package_named_like_its_crate() {
        let package = parse("").unwrap();
        assert_eq!((package.name.as_str(), package.crates), ("a-1_2", false));
        assert_eq!(package.spec(), Path::new("packages/a/a-1_2.spec"));
    }

    #[test]
    fn every_key_is_read() {
        let sha512 = "A".repeat(128);
        let package = parse(&format!(
            "package-name = 'a-1.2'\nreleases-url = 'https://example.com'\nsource-groups = ['api', 'models/settings']\n\
             debian-packages = ['libc6', 'libstdc++6']\ndebian-sources = ['grub2']\ncrates = true\n\
             external-files = [{{ url = 'https://example.com/x/a.tar.gz?raw=1', sha512 = '{sha512}' }},\n\
             {{ path = 'b', url = 'http://example.com/', sha512 = '{sha512}', force-upstream = true }}]"
        ))
        .unwrap();
        assert_eq!(package.name, "a-1.2");
        assert_eq!(package.crate_name, "a-1_2");
        assert_eq!(package.source_groups, ["api", "models/settings"]);
        assert_eq!(package.debian_packages, ["libc6", "libstdc++6"]);
        assert_eq!(package.debian_sources, ["grub2"]);
        assert!(package.crates);
        let files: Vec<_> =
            package.external_files.iter().map(|file| (file.name.as_str(), file.force_upstream)).collect();
        assert_eq!(files, [("a.tar.gz", false), ("b", true)]);
        assert_eq!(package.external_files[0].sha512, "a".repeat(128));
    }

    #[test]
    fn faults_are_named_with_their_file() {
        let sha512 = "a".repeat(128);
        let rows = [
            (
                "debian-package = ['a']",
                "unknown key 'debian-package' in [package.metadata.build-package]; did you mean 'debian-packages'?",
            ),
            ("external-files = [{ uri = 'x' }]", "unknown key 'uri' in external-files; did you mean 'url'?"),
            ("crates = 'yes'", "parse the manifest packages/a/Cargo.toml: "),
            ("package-name = '../a'", "'../a' is not a name of a package"),
            ("source-groups = ['../x']", "the source group '../x' is not a folder below sources/"),
            ("debian-packages = ['Upper']", "'Upper' is not a name of a Debian package"),
            (
                "external-files = [{ url = 'ftp://a/b', sha512 = '' }]",
                "'ftp://a/b' is not an http or https URL",
            ),
            (
                &format!("external-files = [{{ url = 'https://a/', sha512 = '{sha512}' }}]"),
                "would be named ''; 'path' must give one file name",
            ),
            (
                "external-files = [{ url = 'https://a/b', sha512 = 'abc' }]",
                "the sha512 of the external file 'b' is not 128",
            ),
        ];
        for (table, part) in rows {
            let why = parse(table).unwrap_err();
            assert!(why.contains(part) && why.contains(FILE), "{table}: {why}");
        }
    }

    #[test]
    fn a_manifest_without_the_table_is_refused() {
        let why = Package::parse(Path::new(FILE), "package.name = 'a'").unwrap_err().to_string();
        assert_eq!(why, "packages/a/Cargo.toml has no table [package.metadata.build-package]");
    }

    #[test]
    fn the_list_of_keys_is_that_of_the_type() {
        for (keys, fault) in [(KEYS, "unknown field"), (FILE_KEYS, "unknown field")] {
            for key in keys {
                let table = toml::Table::from_iter([((*key).to_owned(), Value::Boolean(true))]);
                let why = if keys == KEYS {
                    table.try_into::<Document>().err().map(|error| error.to_string())
                } else {
                    table.try_into::<WrittenFile>().err().map(|error| error.to_string())
                };
                assert!(!why.unwrap_or_default().contains(fault), "{key}");
            }
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in ".{0,200}") {
            let _ = Package::parse(Path::new(FILE), &text);
            let _ = parse(&text);
        }
    }
}
