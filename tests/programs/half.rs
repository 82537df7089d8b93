//! A migration program that writes the first of the settings and fails; `update.rs` publishes it.

use std::path::{Path, PathBuf};
use std::process::exit;
use std::{env, fs};

fn main() {
    let args: Vec<String> = env::args().skip(1).collect();
    let [_, _, source, _, target] = args.as_slice() else { exit(2) };
    let (source, target) = (Path::new(source).join("live"), Path::new(target).join("live"));
    let file = first(&source).expect("there are settings");
    let copy = target.join(file.strip_prefix(&source).expect("it was found there"));
    fs::create_dir_all(copy.parent().expect("it has a folder")).expect("folders can be made");
    fs::copy(&file, copy).expect("a setting can be written");
    eprintln!("the first setting is written, and no other");
    exit(1);
}

fn first(folder: &Path) -> Option<PathBuf> {
    let entries = fs::read_dir(folder).ok()?;
    entries.map(|entry| entry.expect("it can be listed").path()).find_map(|path| {
        if path.is_dir() { first(&path) } else { Some(path) }
    })
}
