//! The folder that a docker build sees: only what is declared.
//!
//! A [`Context`] is a plan: names and where their contents come from. Its [key](Context::key) tells whether
//! anything changed without laying it out; [`Context::lay_out`] makes the folder.

use crate::digest::{self, Algorithm, Digests};
use data_encoding::HEXLOWER;
use serde::Serialize;
use sha2::{Digest, Sha256};
use snafu::{ResultExt, Snafu};
use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// Raised when a change here asks for everything to be built again.
const GENERATION: u32 = 1;

/// Why a context could not be planned or laid out.
#[derive(Debug, Snafu)]
#[allow(missing_docs)]
pub enum Error {
    #[snafu(display("the build would see both {first} and {second} as {name}"))]
    SameName { name: String, first: String, second: String },
    #[snafu(display("read {}", path.display()))]
    Read { path: PathBuf, source: std::io::Error },
    #[snafu(transparent)]
    Hash { source: digest::Error },
    #[snafu(display("lay out {}", path.display()))]
    LayOut { path: PathBuf, source: std::io::Error },
}

/// What a build sees, by path inside the folder.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Context {
    entries: BTreeMap<String, Content>,
}

/// Where a file of a context comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Content {
    File(PathBuf),
    Text(String),
}

impl std::fmt::Display for Content {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(formatter),
            Self::Text(_) => formatter.write_str("a file that the build writes"),
        }
    }
}

impl Context {
    /// Adds a file of the machine.
    pub fn add_file(&mut self, name: impl Into<String>, file: impl Into<PathBuf>) -> Result<(), Error> {
        self.add(name.into(), Content::File(file.into()))
    }

    /// Adds a file with a text.
    pub fn add_text(&mut self, name: impl Into<String>, text: impl Into<String>) -> Result<(), Error> {
        self.add(name.into(), Content::Text(text.into()))
    }

    /// Adds the files of a folder, and of the folders in it, that `wanted` agrees to by their path inside it.
    pub fn add_folder(
        &mut self,
        name: &str,
        folder: &Path,
        wanted: &dyn Fn(&str) -> bool,
    ) -> Result<(), Error> {
        for inner in list(folder, wanted)? {
            self.add_file(format!("{name}/{inner}"), folder.join(inner))?;
        }
        Ok(())
    }

    /// The names, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.entries.keys().map(String::as_str)
    }

    /// What tells this context from all others, with whatever else the build depends on.
    pub fn key(&self, build: &impl Serialize, digests: &mut Digests) -> Result<String, Error> {
        let mut hasher = Sha256::new();
        let build = serde_json::to_string(build).expect("what a build is told is JSON");
        hasher.update(format!("visco build {GENERATION}\0{build}\0"));
        for (name, content) in &self.entries {
            let (hash, executable) = match content {
                Content::File(path) => (digests.hash(Algorithm::Sha256, path)?, is_executable(path)?),
                Content::Text(text) => (HEXLOWER.encode(&Sha256::digest(text)), false),
            };
            hasher.update(format!("{name}\0{}\0{hash}\0", if executable { "x" } else { "-" }));
        }
        Ok(HEXLOWER.encode(&hasher.finalize()))
    }

    /// Makes the folder, in place of an older one.
    pub fn lay_out(&self, folder: &Path) -> Result<(), Error> {
        let parent = folder.parent().unwrap_or(Path::new("."));
        std::fs::create_dir_all(parent).context(LayOutSnafu { path: parent })?;
        let new = tempfile::Builder::new().prefix(".context-").tempdir_in(parent);
        let new = new.context(LayOutSnafu { path: parent })?;
        for (name, content) in &self.entries {
            let path = new.path().join(name);
            content.put(&path).context(LayOutSnafu { path })?;
        }
        remove(folder).context(LayOutSnafu { path: folder })?;
        std::fs::rename(new.keep(), folder).context(LayOutSnafu { path: folder })
    }

    fn add(&mut self, name: String, content: Content) -> Result<(), Error> {
        if let Some(first) = self.entries.get(&name).filter(|known| **known != content) {
            return SameNameSnafu { first: first.to_string(), second: content.to_string(), name }.fail();
        }
        self.entries.insert(name, content);
        Ok(())
    }
}

impl Content {
    /// A hard link costs nothing; where one is impossible (another file system) the file is copied.
    fn put(&self, path: &Path) -> std::io::Result<()> {
        std::fs::create_dir_all(path.parent().unwrap_or(Path::new(".")))?;
        match self {
            Self::Text(text) => std::fs::write(path, text),
            // A link to a symbolic link would lead out of the folder.
            Self::File(file) => std::fs::hard_link(std::fs::canonicalize(file)?, path)
                .or_else(|_| std::fs::copy(file, path).map(|_| ())),
        }
    }
}

fn is_executable(path: &Path) -> Result<bool, Error> {
    // Git keeps no other bit, and the rest is a matter of somebody's umask.
    Ok(path.metadata().context(ReadSnafu { path })?.permissions().mode() & 0o100 != 0)
}

/// Paths of files below a folder, relative to it, in order.
pub fn list(folder: &Path, wanted: &dyn Fn(&str) -> bool) -> Result<Vec<String>, Error> {
    let mut found = Vec::new();
    let mut open = vec![String::new()];
    while let Some(inner) = open.pop() {
        let path = folder.join(&inner);
        for entry in std::fs::read_dir(&path).context(ReadSnafu { path: &path })? {
            let entry = entry.context(ReadSnafu { path: &path })?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let name = if inner.is_empty() { name } else { format!("{inner}/{name}") };
            if !wanted(&name) {
                continue;
            }
            // Follows a link, so that a link to a folder is one.
            let metadata = entry.path().metadata().context(ReadSnafu { path: entry.path() })?;
            if metadata.is_dir() { open.push(name) } else { found.push(name) }
        }
    }
    found.sort();
    Ok(found)
}

/// Removes a folder, if it is there.
pub(crate) fn remove(folder: &Path) -> std::io::Result<()> {
    match std::fs::remove_dir_all(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        done => done,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn key(context: &Context, build: &str) -> String {
        context.key(&BTreeMap::from([("ARCH", build)]), &mut Digests::default()).unwrap()
    }

    #[test]
    fn a_key_changes_with_content_names_bits_and_build_and_with_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a");
        std::fs::write(&file, "one").unwrap();
        let mut context = Context::default();
        context.add_file("package/a", &file).unwrap();
        let first = key(&context, "x86_64");

        std::fs::File::open(&file).unwrap().set_modified(std::time::SystemTime::UNIX_EPOCH).unwrap();
        let moved = folder.path().join("b");
        std::fs::copy(&file, &moved).unwrap();
        let mut same = Context::default();
        same.add_file("package/a", &moved).unwrap();
        assert_eq!(key(&same, "x86_64"), first, "neither time nor place counts");

        assert_ne!(key(&context, "aarch64"), first);
        let mut renamed = Context::default();
        renamed.add_file("package/b", &file).unwrap();
        assert_ne!(key(&renamed, "x86_64"), first);
        let mut more = context.clone();
        more.add_text("variant.toml", "").unwrap();
        assert_ne!(key(&more, "x86_64"), first);

        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
        assert_eq!(key(&context, "x86_64"), first, "only the bit to execute counts");
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o700)).unwrap();
        assert_ne!(key(&context, "x86_64"), first);
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
        std::fs::write(&file, "two").unwrap();
        assert_ne!(key(&context, "x86_64"), first);
    }

    #[test]
    fn a_folder_is_replaced_by_the_new_one_whole() {
        let root = tempfile::tempdir().unwrap();
        let source = root.path().join("source");
        std::fs::create_dir_all(source.join("inner/.git")).unwrap();
        for name in ["a.spec", "inner/b", "inner/.git/c", ".hidden"] {
            std::fs::write(source.join(name), name).unwrap();
        }
        let target = root.path().join("contexts/a");
        std::fs::create_dir_all(&target).unwrap();
        std::fs::write(target.join("stale"), "").unwrap();

        let mut context = Context::default();
        let visible = |name: &str| !name.split('/').any(|part| part.starts_with('.'));
        context.add_folder("package", &source, &visible).unwrap();
        context.add_text("Dockerfile", "FROM scratch").unwrap();
        context.lay_out(&target).unwrap();
        assert_eq!(list(&target, &|_| true).unwrap(), ["Dockerfile", "package/a.spec", "package/inner/b"]);
        assert_eq!(std::fs::read_to_string(target.join("package/inner/b")).unwrap(), "inner/b");
        assert_eq!(
            list(&root.path().join("contexts"), &|_| true).unwrap().len(),
            3,
            "nothing is left beside it"
        );
    }

    #[test]
    fn two_files_of_one_name_are_refused() {
        let mut context = Context::default();
        context.add_file("lookaside/a", "/x/a").unwrap();
        context.add_file("lookaside/a", "/x/a").unwrap();
        let why = context.add_file("lookaside/a", "/y/a").unwrap_err().to_string();
        assert_eq!(why, "the build would see both /x/a and /y/a as lookaside/a");
    }
}
