//! Making the lock.

use crate::apt::{Apt, AptError};
use crate::lock::{Lock, Pin, SdkPins, SourceFile, SourcePin};
use crate::stanza::Stanza;
use crate::wants::{Wants, WantsError};
use crate::{LockError, Tree};
use host::{FileError, Host};
use snafu::{OptionExt, ResultExt, Snafu, ensure};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

/// A lock that could not be made.
#[derive(Debug, Snafu)]
#[allow(missing_docs)]
pub enum UpdateError {
    #[snafu(transparent)]
    Wants { source: WantsError },
    #[snafu(transparent)]
    Apt { source: AptError },
    #[snafu(display("Debian has no package '{name}': sdk/packages.txt or a debian-packages list names it"))]
    NoPackage { name: String },
    #[snafu(display("Debian has no source package '{name}': a debian-sources list names it"))]
    NoSource { name: String },
    #[snafu(display("the archive says nothing of the {field} of {name}"))]
    NoField { name: String, field: &'static str },
    #[snafu(display("the archive gives {name} a {field} that is none: '{value}'"))]
    BadField { name: String, field: &'static str, value: String },
    #[snafu(display("write {}", path.display()))]
    Write { path: PathBuf, source: FileError },
    #[snafu(transparent)]
    Lock { source: LockError },
}

/// What changed between two locks, one line a package.
pub struct Changes(pub Vec<String>);

/// Makes the lock anew from what the checkout asks for and what the archives hold today.
pub fn update_lock(tree: &Tree) -> Result<Changes, UpdateError> {
    let wants = Wants::load(tree)?;
    let apt = Apt::open(tree)?;
    apt.update()?;
    let lock = pin(&wants, &apt)?;
    let path = tree.lock_file();
    // A lock that is not there, or that is broken, is replaced all the same.
    let old = Lock::load(&path).unwrap_or_default();
    let host = Host::new("/");
    let absolute = std::path::absolute(&path).unwrap_or_else(|_| path.clone());
    host.replace(absolute.display().to_string(), lock.to_text().as_bytes(), 0o644)
        .context(WriteSnafu { path })?;
    Ok(changes(&old, &lock))
}

fn pin(wants: &Wants, apt: &Apt) -> Result<Lock, UpdateError> {
    let essential = apt.essential()?;
    let base = sorted(apt.closure(&essential)?);
    let sdk = sorted(apt.closure(&essential.union(&wants.sdk).cloned().collect())?);
    let names: BTreeSet<&String> = sdk.iter().chain(&wants.packages).collect();
    let shown = newest(apt.show(&names.iter().map(ToString::to_string).collect::<Vec<_>>())?, "package");
    let packages =
        names.into_iter().map(|name| binary(name, shown.get(name).context(NoPackageSnafu { name })?));
    let packages = packages.collect::<Result<Vec<_>, _>>()?;
    let shown = apt.show_source(&wants.sources.iter().cloned().collect::<Vec<_>>())?;
    let sources = wants.sources.iter().map(|name| {
        // A source package beside others of its name: the one that a pinned package was built from.
        let built = packages.iter().find(|pin| pin.source == *name).map(|pin| pin.source_version.as_str());
        let fits = |s: &&Stanza| {
            s.get("package") == Some(name)
                && built.is_none_or(|v| s.get("version").is_some_and(|found| found == v))
        };
        source(name, shown.iter().find(fits).context(NoSourceSnafu { name })?)
    });
    Ok(Lock { sdk: SdkPins { base, packages: sdk }, sources: sources.collect::<Result<_, _>>()?, packages })
}

fn sorted(mut names: Vec<String>) -> Vec<String> {
    names.sort();
    names
}

/// The first paragraph of each name: `apt-cache` shows the newest version first.
fn newest(stanzas: Vec<Stanza>, field: &str) -> BTreeMap<String, Stanza> {
    let mut found = BTreeMap::new();
    for stanza in stanzas {
        if let Some(name) = stanza.get(field).cloned() {
            found.entry(name).or_insert(stanza);
        }
    }
    found
}

fn binary(name: &str, stanza: &Stanza) -> Result<Pin, UpdateError> {
    let field = |field: &'static str| {
        Ok::<_, UpdateError>(stanza.get(field).context(NoFieldSnafu { name, field })?.clone())
    };
    let (version, path, size) = (field("version")?, field("filename")?, field("size")?);
    // "Source: name (version)", the version only where it differs, the whole only where the name does.
    let source = stanza.get("source").map_or(name, String::as_str);
    let (source, source_version) = match source.split_once(" (") {
        Some((name, version)) => (name, version.trim_end_matches(')')),
        None => (source, version.as_str()),
    };
    let bytes = number(name, "size", &size)?;
    Ok(Pin {
        name: name.to_owned(),
        source: source.to_owned(),
        source_version: source_version.to_owned(),
        architecture: field("architecture")?,
        file: path.rsplit('/').next().unwrap_or(&path).to_owned(),
        size: bytes,
        sha256: field("sha256")?,
        version,
    })
}

fn source(name: &str, stanza: &Stanza) -> Result<SourcePin, UpdateError> {
    let list = stanza.get("checksums-sha256").context(NoFieldSnafu { name, field: "checksums-sha256" })?;
    let mut files = Vec::new();
    for line in list.lines().filter(|line| !line.trim().is_empty()) {
        let words: Vec<&str> = line.split_whitespace().collect();
        ensure!(words.len() == 3, BadFieldSnafu { name, field: "checksums-sha256", value: line });
        files.push(SourceFile {
            file: words[2].to_owned(),
            size: number(name, "size", words[1])?,
            sha256: words[0].to_owned(),
        });
    }
    let version = stanza.get("version").context(NoFieldSnafu { name, field: "version" })?.clone();
    files.sort_by(|a, b| a.file.cmp(&b.file));
    Ok(SourcePin { name: name.to_owned(), version, files })
}

fn number(name: &str, field: &'static str, value: &str) -> Result<u64, UpdateError> {
    value.parse().ok().context(BadFieldSnafu { name, field, value })
}

fn changes(old: &Lock, new: &Lock) -> Changes {
    let versions = |lock: &Lock| -> BTreeMap<String, String> {
        let packages = lock.packages.iter().map(|pin| (pin.name.clone(), pin.version.clone()));
        let sources = lock.sources.iter().map(|pin| (format!("{} (source)", pin.name), pin.version.clone()));
        packages.chain(sources).collect()
    };
    let (old, new) = (versions(old), versions(new));
    let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    let line = |name: &String| match (old.get(name), new.get(name)) {
        (Some(a), Some(b)) if a == b => None,
        (Some(a), Some(b)) => Some(format!("{name} {a} -> {b}")),
        (None, Some(b)) => Some(format!("{name} {b} is new")),
        (a, None) => Some(format!("{name} {} is gone", a.map_or("", String::as_str))),
    };
    Changes(names.into_iter().filter_map(line).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stanza;

    fn one(text: &str) -> Stanza {
        stanza::parse(text).remove(0)
    }

    #[test]
    fn a_paragraph_becomes_a_pin() {
        let head = "Package: libx\nVersion: 1:2-3+b1\nArchitecture: amd64\nFilename: pool/main/x/libx_2-3+b1_amd64.deb\n\
                    Size: 42\nSHA256: ab";
        for (source, name, version) in [
            ("", "libx", "1:2-3+b1"),
            ("\nSource: x", "x", "1:2-3+b1"),
            ("\nSource: x (1:2-3)", "x", "1:2-3"),
        ] {
            let pin = binary("libx", &one(&format!("{head}{source}"))).unwrap();
            assert_eq!((pin.source.as_str(), pin.source_version.as_str()), (name, version), "{source}");
            assert_eq!((pin.file.as_str(), pin.size), ("libx_2-3+b1_amd64.deb", 42));
        }
        let error = binary("libx", &one("Package: libx\nVersion: 1")).unwrap_err();
        assert_eq!(error.to_string(), "the archive says nothing of the filename of libx");
    }

    #[test]
    fn a_source_paragraph_becomes_a_pin() {
        let text = "Package: s\nVersion: 1-2\nChecksums-Sha256:\n bb 2 s_1.tar.xz\n aa 1 s_1-2.dsc";
        let pin = source("s", &one(text)).unwrap();
        assert_eq!(
            pin.files.iter().map(|f| f.file.as_str()).collect::<Vec<_>>(),
            ["s_1-2.dsc", "s_1.tar.xz"]
        );
        let error = source("s", &one("Package: s\nVersion: 1\nChecksums-Sha256:\n aa s.dsc")).unwrap_err();
        assert_eq!(error.to_string(), "the archive gives s a checksums-sha256 that is none: 'aa s.dsc'");
    }

    #[test]
    fn changes_name_what_moved_came_and_went() {
        let pin = |name: &str, version: &str| Pin {
            version: version.into(),
            ..binary(name, &one("Package: p\nVersion: 0\nArchitecture: all\nFilename: f\nSize: 1\nSHA256: a"))
                .unwrap()
        };
        let lock = |packages: Vec<Pin>| Lock { packages, ..Lock::default() };
        let old = lock(vec![pin("a", "1"), pin("b", "1"), pin("c", "1")]);
        let new = lock(vec![pin("a", "1"), pin("b", "2"), pin("d", "1")]);
        assert_eq!(changes(&old, &new).0, ["b 1 -> 2", "c 1 is gone", "d 1 is new"]);
    }
}
