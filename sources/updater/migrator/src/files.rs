//! A store laid out in files, for programs.

use crate::error::{BadValueSnafu, ExportSnafu, ImportSnafu, NoStoreSnafu, ProgramError, TooMuchSnafu};
use migrations::{Leaves, layout};
use snafu::{ResultExt, ensure};
use std::fs::{self, File};
use std::io::Read;
use std::path::Path;

/// Most files a program may leave: ten times the leaves of the largest variant.
const MAX_FILES: usize = 10_000;
/// Most bytes in them.
const MAX_BYTES: u64 = 16 << 20;
/// Deepest folder: a key of the longest length has no more segments.
const MAX_DEPTH: usize = 128;

/// Writes settings as files below `store`.
pub(crate) fn export(store: &Path, leaves: &Leaves) -> Result<(), ProgramError> {
    let live = store.join(layout::LIVE);
    fs::create_dir_all(&live).context(ExportSnafu { path: &live })?;
    for (key, value) in leaves {
        let path = live.join(layout::path_of(key));
        let folder = path.parent().unwrap_or(&live);
        fs::create_dir_all(folder)
            .and_then(|()| fs::write(&path, layout::content_of(value)))
            .context(ExportSnafu { path })?;
    }
    Ok(())
}

/// Reads settings from files below `store`.
pub(crate) fn import(store: &Path) -> Result<Leaves, ProgramError> {
    let live = store.join(layout::LIVE);
    ensure!(live.is_dir(), NoStoreSnafu { path: live });
    let mut walk = Walk { leaves: Leaves::new(), files: 0, bytes: 0 };
    walk.folder(&live, "", 0)?;
    Ok(walk.leaves)
}

struct Walk {
    leaves: Leaves,
    files: usize,
    bytes: u64,
}

impl Walk {
    fn folder(&mut self, folder: &Path, prefix: &str, depth: usize) -> Result<(), ProgramError> {
        for entry in fs::read_dir(folder).context(ImportSnafu { path: folder })? {
            let entry = entry.context(ImportSnafu { path: folder })?;
            let kind = entry.file_type().context(ImportSnafu { path: entry.path() })?;
            self.files += 1;
            ensure!(self.files <= MAX_FILES, TooMuchSnafu { limit: MAX_FILES, bytes: MAX_BYTES });
            // Names of keys are text, and links are not followed, as documented.
            let Ok(name) = entry.file_name().into_string() else { continue };
            let path = if prefix.is_empty() { name } else { format!("{prefix}/{name}") };
            if kind.is_dir() && depth < MAX_DEPTH {
                self.folder(&entry.path(), &path, depth + 1)?;
            } else if kind.is_file() {
                self.file(&entry.path(), &path)?;
            }
        }
        Ok(())
    }

    fn file(&mut self, file: &Path, path: &str) -> Result<(), ProgramError> {
        let Some(key) = layout::key_of(path) else {
            tracing::debug!(path, "left out what is no setting");
            return Ok(());
        };
        let mut content = Vec::new();
        let read = File::open(file).and_then(|file| file.take(MAX_BYTES + 1).read_to_end(&mut content));
        self.bytes += read.context(ImportSnafu { path: file })? as u64;
        ensure!(self.bytes <= MAX_BYTES, TooMuchSnafu { limit: MAX_FILES, bytes: MAX_BYTES });
        let value = layout::value_of(&content).or_else(|why| BadValueSnafu { path, why }.fail())?;
        self.leaves.insert(key, value);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn leaves(value: &Value) -> Leaves {
        value.as_object().unwrap().iter().map(|(k, v)| (k.parse().unwrap(), v.clone())).collect()
    }

    #[test]
    fn what_is_written_is_read_and_what_else_is_there_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let settings = leaves(&json!({
            "settings.motd": "a \"b\"\n",
            "settings.kernel.sysctl.\"net.ipv4.ip_forward\"": "1",
            "settings.list": [{"a": 1}, 2.5, true],
        }));
        export(dir.path(), &settings).unwrap();
        let live = dir.path().join("live");
        assert_eq!(
            fs::read_to_string(live.join("settings/kernel/sysctl/net%2Eipv4%2Eip_forward")).unwrap(),
            "\"1\""
        );
        fs::create_dir_all(live.join("os")).unwrap();
        fs::write(live.join("os/arch"), "\"x\"").unwrap();
        fs::write(live.join("settings/motd.setting-generator"), "not read").unwrap();
        std::os::unix::fs::symlink("/etc", live.join("settings/etc")).unwrap();
        std::os::unix::fs::symlink("motd", live.join("settings/other")).unwrap();
        assert_eq!(import(dir.path()).unwrap(), settings);
    }

    #[test]
    fn what_cannot_be_a_store_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        assert!(matches!(import(dir.path()), Err(ProgramError::NoStore { .. })));
        let folder = dir.path().join("live/settings");
        fs::create_dir_all(&folder).unwrap();
        assert_eq!(import(dir.path()).unwrap(), Leaves::new());
        fs::write(folder.join("motd"), "hello").unwrap();
        let error = import(dir.path()).unwrap_err().to_string();
        assert!(
            error.starts_with("it left a value that cannot be read in settings/motd: it is not JSON"),
            "{error}"
        );
        fs::write(folder.join("motd"), vec![b' '; 17 << 20]).unwrap();
        assert!(matches!(import(dir.path()), Err(ProgramError::TooMuch { .. })));
    }
}
