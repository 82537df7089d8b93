//! What is in a folder.

use host::Host;
use std::io::ErrorKind;

/// The names in a folder, sorted; none where there is no folder.
pub(crate) fn names(host: &Host, folder: &str) -> std::io::Result<Vec<String>> {
    let entries = match std::fs::read_dir(host.path(folder)) {
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut names = entries
        .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
        .collect::<std::io::Result<Vec<_>>>()?;
    names.sort();
    Ok(names)
}
