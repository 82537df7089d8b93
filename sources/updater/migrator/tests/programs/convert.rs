//! A migration program as the documents want it, made by `programs.rs`: a text becomes a list of one, and back. It
//! leaves metadata and `os` behind, as those made with the documented helper library do.

use std::path::{Path, PathBuf};
use std::process::exit;
use std::{env, fs};

fn main() {
    let args: Vec<String> = env::args().skip(1).collect();
    let [direction, source_flag, source, target_flag, target] = args.as_slice() else { exit(2) };
    if source_flag != "--source-datastore" || target_flag != "--target-datastore" || source == target {
        exit(2);
    }
    let (source, target) = (Path::new(source).join("live"), Path::new(target).join("live"));
    let mut files = Vec::new();
    walk(&source, Path::new(""), &mut files);
    for file in &files {
        let mut text = fs::read_to_string(source.join(file)).unwrap();
        match file.to_str().unwrap() {
            "settings/old/a" if direction == "--forward" => text = format!("[{text}]"),
            "settings/old/a" if direction == "--backward" => text = text[1..text.len() - 1].to_owned(),
            "settings/break" => match text.as_str() {
                "\"fail\"" => {
                    eprintln!("the store is not to my taste");
                    exit(3);
                }
                "\"value\"" => text = "no JSON".to_owned(),
                _ => {}
            },
            _ => {}
        }
        write(&target.join(file), &text);
    }
    write(&target.join("os/version_id"), "\"9.9.9\"");
    write(&target.join("settings/motd.setting-generator"), "\"x\"");
    fs::create_dir_all(&target).unwrap();
    println!("{} settings", files.len());
}

fn walk(root: &Path, below: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(root.join(below)).unwrap() {
        let entry = entry.unwrap();
        let path = below.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() { walk(root, &path, files) } else { files.push(path) }
    }
}

fn write(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}
