//! A checkout with tiny images, and the program run in it.

use lz4_flex::frame::FrameEncoder;
use pubsys::{Existing, Location, Product, Publisher, RootVersion};
use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use tempfile::TempDir;
use tough::ExpirationEnforcement;
use verity::{BLOCK, Salt, Tree};

/// A checkout.
pub(crate) struct Lab {
    dir: TempDir,
}

impl Lab {
    pub(crate) fn new() -> Self {
        let lab = Self { dir: tempfile::tempdir().unwrap() };
        let policies = Path::new(env!("CARGO_MANIFEST_DIR")).join("policies");
        for folder in ["repo-expiration", "waves"] {
            let to = lab.path("tools/pubsys/policies").join(folder);
            fs::create_dir_all(&to).unwrap();
            for file in fs::read_dir(policies.join(folder)).unwrap() {
                let file = file.unwrap();
                fs::copy(file.path(), to.join(file.file_name())).unwrap();
            }
        }
        fs::create_dir_all(lab.path("sources/models/migrations")).unwrap();
        lab.release(&[]);
        lab
    }

    /// A checkout in which version 1.0.0 of the variant `demo` is published.
    pub(crate) fn published() -> Self {
        let lab = Self::new();
        lab.build("demo", "1.0.0", 1);
        lab.ok(&["repo"]);
        lab
    }

    pub(crate) fn path(&self, path: impl AsRef<Path>) -> PathBuf {
        self.dir.path().join(path)
    }

    /// Writes `Release.toml` with these edges; each `FROM TO NAME...`.
    pub(crate) fn release(&self, edges: &[&str]) {
        let row = |edge: &&str| {
            let words: Vec<_> = edge.split(' ').collect();
            let names = words[2..].iter().map(|name| format!("'{name}'")).collect::<Vec<_>>().join(", ");
            format!("'({}, {})' = [{names}]", words[0], words[1])
        };
        let rows = edges.iter().map(row).collect::<Vec<_>>().join("\n");
        fs::write(self.path("Release.toml"), format!("version = '1.0.0'\n[migrations]\n{rows}\n")).unwrap();
    }

    /// Makes a build of tiny images, the root of which is made of the seed, and makes it the latest of its variant.
    pub(crate) fn build(&self, variant: &str, version: &str, seed: u64) -> PathBuf {
        self.build_of(variant, version, bytes(seed, 200))
    }

    /// The same of a root image.
    pub(crate) fn build_of(&self, variant: &str, version: &str, root: Vec<u8>) -> PathBuf {
        let latest = self.path(format!("build/images/x86_64-{variant}/latest"));
        let folder = latest.with_file_name(format!("{version}-abc"));
        fs::create_dir_all(&folder).unwrap();
        let prefix = format!("visco-{variant}-x86_64-{version}-abc");
        let tree = Tree::build(&root[..], Salt::new(b"salt").unwrap()).unwrap();
        let mut hash = Vec::new();
        tree.write_to(&mut hash, [7; 16]).unwrap();
        for (part, content) in [("boot.ext4", bytes(99, 50)), ("root.ext4", root), ("root.verity", hash)] {
            fs::write(folder.join(format!("{prefix}-{part}.lz4")), packed(&content)).unwrap();
        }
        let metadata = format!(
            r#"{{"name":"visco","variant":"{variant}","arch":"x86_64","version":"{version}","build_id":"abc","root_hash":"{}"}}"#,
            tree.root_hash()
        );
        fs::write(folder.join("artifact-metadata.json"), metadata).unwrap();
        drop(fs::remove_file(&latest));
        std::os::unix::fs::symlink(folder.file_name().unwrap(), &latest).unwrap();
        folder
    }

    /// Runs the program in the checkout, about the variant `demo` if nothing else is said.
    pub(crate) fn run(&self, args: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pubsys"));
        for (name, _) in
            std::env::vars().filter(|(name, _)| name.starts_with("PUBLISH_") || name.starts_with("REPO_"))
        {
            command.env_remove(name);
        }
        command
            .env_remove("RELEASE_START_TIME")
            .env("BUILDSYS_VARIANT", "demo")
            .env("BUILDSYS_ARCH", "x86_64");
        command.arg("--tree").arg(self.dir.path()).args(args).output().unwrap()
    }

    /// The same, where it must succeed; what it prints.
    pub(crate) fn ok(&self, args: &[&str]) -> String {
        let Output { status, stdout, stderr } = self.run(args);
        assert!(status.success(), "{args:?}: {}", String::from_utf8_lossy(&stderr));
        String::from_utf8(stdout).unwrap().trim_end().to_owned()
    }

    /// The same, where it must fail; what it says.
    pub(crate) fn fails(&self, args: &[&str]) -> String {
        let Output { status, stdout, stderr } = self.run(args);
        assert_eq!(status.code(), Some(1), "{args:?}: {}", String::from_utf8_lossy(&stdout));
        String::from_utf8(stderr).unwrap().trim_end().to_owned()
    }

    pub(crate) fn publisher(&self) -> Publisher {
        let now = jiff::Timestamp::from_second(jiff::Timestamp::now().as_second()).unwrap();
        Publisher::open(self.dir.path(), Path::new("Infra.toml"), "default", now).unwrap()
    }

    pub(crate) fn latest(&self) -> PathBuf {
        self.path("build/repos/default/latest")
    }

    /// Loads what was published last, from this version of the root role.
    pub(crate) async fn load(&self, root: &RootVersion) -> Existing {
        load(&self.latest(), "demo", root).await.unwrap()
    }

    /// The version of the root role that is kept under this number.
    pub(crate) fn root(&self, number: u64) -> RootVersion {
        RootVersion::load(&self.path(format!("roles/default/{number}.root.json"))).unwrap()
    }

    /// Everything below the repositories, to see that nothing changed.
    pub(crate) fn snapshot(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let mut files = BTreeMap::new();
        collect(&self.path("build/repos/default"), &mut files);
        files
    }
}

pub(crate) async fn load(
    folder: &Path,
    variant: &str,
    root: &RootVersion,
) -> Result<Existing, pubsys::ExistingError> {
    let product = Product { variant: variant.into(), arch: "x86_64".into() };
    let location = Location::in_folder(folder)?;
    Existing::load(&location, &product, &root.bytes, ExpirationEnforcement::Safe).await
}

fn collect(folder: &Path, files: &mut BTreeMap<PathBuf, Vec<u8>>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_symlink() {
            files.insert(path.clone(), fs::read_link(&path).unwrap().into_os_string().into_encoded_bytes());
        } else if path.is_dir() {
            collect(&path, files);
        } else {
            files.insert(path.clone(), fs::read(&path).unwrap());
        }
    }
}

/// The targets of a repository whose names end like this.
pub(crate) fn targets(repository: &Path, end: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(repository.join("targets")).unwrap().map(|entry| entry.unwrap().path());
    entries.filter(|path| path.to_string_lossy().ends_with(end)).collect()
}

/// Some blocks that do not compress well, and some that do.
pub(crate) fn bytes(seed: u64, blocks: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[0]
    };
    (0..blocks * BLOCK).map(|at| if (at / BLOCK).is_multiple_of(3) { 0 } else { next() }).collect()
}

pub(crate) fn packed(content: &[u8]) -> Vec<u8> {
    let mut packer = FrameEncoder::new(Vec::new());
    packer.write_all(content).unwrap();
    packer.finish().unwrap()
}
