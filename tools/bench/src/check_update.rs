//! A host that looks for an update.

use serde_json::json;
use std::error::Error;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};
use test_repository::Publisher;

const ROUNDS: usize = 20;

/// The median time of `check-update` on a new host in `folder`, with a repository that offers so many updates.
pub(crate) fn check(program: &Path, folder: &Path, updates: u32) -> Result<Duration, Box<dyn Error>> {
    if folder.exists() {
        fs::remove_dir_all(folder)?;
    }
    let repository = std::path::absolute(folder.join("repository"))?;
    repository_of(updates).write(&repository);
    let host = folder.join("host");
    for (path, text) in [
        ("usr/lib/os-release", "VARIANT_ID=metal-dev\nVERSION_ID=1.0.0\n".to_owned()),
        ("usr/share/updog/root.json", fs::read_to_string(repository.join("metadata/1.root.json"))?),
        (
            "etc/updog.toml",
            format!(
                "metadata_base_url = \"file://{0}/metadata\"\ntargets_base_url = \"file://{0}/targets\"\nseed = 5\n\
                 version_lock = \"latest\"\nignore_waves = false\n",
                repository.display()
            ),
        ),
    ] {
        let path = host.join(path);
        fs::create_dir_all(path.parent().unwrap_or(folder))?;
        fs::write(path, text)?;
    }
    let mut taken = Vec::new();
    for _ in 0..ROUNDS {
        let start = Instant::now();
        let output =
            Command::new(program).arg("--root").arg(&host).args(["updog", "check-update"]).output()?;
        taken.push(start.elapsed());
        if output.stdout != format!("metal-dev 1.0.{updates}\n").into_bytes() {
            return Err(String::from_utf8_lossy(&output.stderr).into_owned().into());
        }
    }
    taken.sort_unstable();
    Ok(taken[ROUNDS / 2])
}

fn repository_of(updates: u32) -> Publisher {
    let mut publisher = Publisher::new();
    let mut entries = Vec::new();
    for patch in 1..=updates {
        let version = format!("1.0.{patch}");
        let [boot, root, hash] = ["boot.ext4", "root.ext4", "root.verity"]
            .map(|kind| format!("visco-metal-dev-{}-{version}-0a1b2c3d-{kind}.lz4", std::env::consts::ARCH));
        for name in [&boot, &root, &hash] {
            publisher = publisher.with_file(name, name.as_bytes());
        }
        entries.push(json!({
            "variant": "metal-dev", "arch": std::env::consts::ARCH, "version": version,
            "max_version": format!("1.0.{updates}"), "waves": {},
            "images": { "boot": boot, "root": root, "hash": hash },
        }));
    }
    let manifest = json!({ "updates": entries, "migrations": {} });
    publisher.with_file("manifest.json", manifest.to_string())
}
