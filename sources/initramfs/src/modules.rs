//! Kernel modules: the list made when the initramfs was built, loaded in its order.

use crate::console::{Level, say};
use rustix::io::Errno;
use snafu::{ResultExt, Snafu};
use std::collections::BTreeSet;
use std::fs::File;
use std::path::{Path, PathBuf};

/// Why the modules could not be loaded at all.
#[derive(Debug, Snafu)]
#[allow(missing_docs)]
pub enum Error {
    #[snafu(display("read the list of kernel modules {}", path.display()))]
    ReadOrder { path: PathBuf, source: std::io::Error },
}

/// The file that says what to load. A line is a module that is wanted, after all those it needs.
const ORDER: &str = "order";

/// Loads the modules that `folder/order` names. Returns how many are loaded.
///
/// A module that does not load is no failure: most are drivers for hardware that this machine does not have. What
/// is really missing shows when the devices do not appear.
pub fn load_all(folder: &Path) -> Result<usize, Error> {
    let order = folder.join(ORDER);
    let list = std::fs::read_to_string(&order).context(ReadOrderSnafu { path: &order })?;

    let mut loaded = BTreeSet::new();
    let mut without_hardware = Vec::new();
    for chain in chains(&list) {
        for &name in &chain {
            if loaded.contains(name) {
                continue;
            }
            match load(&folder.join(name)) {
                Ok(()) => loaded.insert(name),
                // Those that need it would only make the kernel complain of symbols it does not know.
                Err(LoadError::NoHardware) => {
                    without_hardware.extend(chain.last().map(|wanted| wanted.trim_end_matches(".ko")));
                    break;
                }
                Err(LoadError::Refused(reason)) => {
                    say(Level::Warning, &format!("load kernel module {name}: {reason}"));
                    break;
                }
            };
        }
    }
    if !without_hardware.is_empty() {
        say(Level::Notice, &format!("no hardware for {}", without_hardware.join(", ")));
    }
    Ok(loaded.len())
}

/// The module files of each line of a list.
fn chains(list: &str) -> impl Iterator<Item = Vec<&str>> {
    list.lines().map(|line| line.split_ascii_whitespace().collect())
}

enum LoadError {
    NoHardware,
    Refused(std::io::Error),
}

fn load(path: &Path) -> Result<(), LoadError> {
    let file = File::open(path).map_err(LoadError::Refused)?;
    match rustix::system::finit_module(&file, c"", 0) {
        // Built into this kernel, or loaded already.
        Ok(()) | Err(Errno::EXIST) => Ok(()),
        Err(Errno::NODEV) => Err(LoadError::NoHardware),
        Err(errno) => Err(LoadError::Refused(errno.into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_a_chain() {
        let chains: Vec<_> = chains("dm-mod.ko dm-verity.ko\n\nerofs.ko\n").collect();
        assert_eq!(chains, [vec!["dm-mod.ko", "dm-verity.ko"], vec![], vec!["erofs.ko"]]);
    }

    #[test]
    fn a_missing_list_is_named() {
        let error = load_all(Path::new("/nonexistent")).expect_err("there is no list");
        assert_eq!(error.to_string(), "read the list of kernel modules /nonexistent/order");
    }
}
