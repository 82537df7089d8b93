//! Two versions of an image, a repository that is served to machines, and disks that are prepared once and copied.

use crate::booted::{Booted, END_LIMIT, failed, sound_disk};
use crate::built::{BuiltImage, DiskFile, IMAGE_VARIABLE, NEXT_IMAGE_VARIABLE, succeed, text};
use hostlab::FileServer;
use hostlab::vm::{Firmware, Machine, NET_TOML, Spec, choose_accelerator, update_settings};
use partitions::kind::label;
use serde_json::{Value, json};
use signpost::{BootState, Layout, SetName};
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;
use std::time::{Duration, Instant};
use verity::{BLOCK, Mapping, Salt, Tree};
use wire::routes;

/// The variable that names the folder of the developer's programs, `pubsys` and `apiclient`.
const TOOLS_VARIABLE: &str = "VISCO_TOOLS_DIR";
/// Waves that are all open.
pub const EVERYBODY: &str = "waves = []\n";
/// A wave that opens in ten days at the earliest.
pub const LATER: &str = "[[waves]]\nstart_after = '10 days'\nfleet_percentage = 50\n\n\
                         [[waves]]\nstart_after = '20 days'\nfleet_percentage = 100\n";
/// What the migration of the next version makes of a setting, and what of.
pub const MOTD: [&str; 2] = ["before the update", "after the update"];
/// A setting that no migration touches.
pub const KEPT: &str = "kept.example.com";

/// Two versions, what offers the second, and disks with the first.
#[derive(Debug)]
pub struct UpdateLab {
    /// The version that hosts begin with.
    pub first: BuiltImage,
    /// The version that they are updated to.
    pub next: BuiltImage,
    /// What the hosts of the prepared disks find: the next version for everybody, with a migration of `motd`.
    pub repository: Repository,
    folder: PathBuf,
    prepared: OnceLock<PathBuf>,
    ready: OnceLock<PathBuf>,
}

/// A repository with the next version, which is served to machines.
#[derive(Debug)]
pub struct Repository {
    /// What serves it.
    pub server: FileServer,
    folder: PathBuf,
    published: u32,
}

/// How the settings come from the first version to the next.
#[derive(Clone, Copy, Debug)]
pub enum Migration<'a> {
    /// By a row that changes `motd`.
    Rows,
    /// By a program.
    Program(&'a [u8]),
}

impl Repository {
    /// Publishes the next version with these waves in a folder that is made, and serves it.
    fn publish_first(folder: &Path, images: [&BuiltImage; 2], waves: &str, migration: Migration<'_>) -> Self {
        fs::create_dir_all(folder).unwrap();
        let server = FileServer::start(folder.join("current")).unwrap();
        let mut repository = Self { server, folder: folder.to_owned(), published: 0 };
        repository.publish(images, waves, migration);
        repository
    }

    /// Publishes the next version with these waves; from then on that is what is served.
    fn publish(&mut self, [first, next]: [&BuiltImage; 2], waves: &str, migration: Migration<'_>) {
        let (from, to) = (first.said("version"), next.said("version"));
        let (policy, release) = (self.folder.join("waves.toml"), self.folder.join("Release.toml"));
        fs::write(&policy, waves).unwrap();
        let name = format!("{}.lz4", self.write_migration(to, migration));
        let text_of = format!("version = '{to}'\n\n[migrations]\n\"({from}, {to})\" = [\"{name}\"]\n");
        fs::write(&release, text_of).unwrap();

        self.published += 1;
        let name = format!("repository-{}", self.published);
        let mut pubsys = Command::new(tool("pubsys"));
        pubsys.args(["repo", "--from-scratch", "--outdir"]).arg(self.folder.join(&name));
        pubsys.args(["--variant", next.said("variant"), "--arch", next.said("arch")]);
        pubsys.arg("--images").arg(next.folder());
        pubsys.arg("--wave-policy-path").arg(policy).arg("--release-config-path").arg(release);
        pubsys.arg("--migrations").arg(self.folder.join("migrations"));
        pubsys.env("BUILDSYS_ROOT_DIR", Path::new(env!("CARGO_MANIFEST_DIR")).join(".."));
        let output = pubsys.output().unwrap();
        assert!(output.status.success(), "pubsys: {}", String::from_utf8_lossy(&output.stderr));

        let new = self.folder.join(".current");
        std::os::unix::fs::symlink(name, &new).unwrap();
        fs::rename(new, self.current()).unwrap();
    }

    /// Puts a migration where `pubsys` looks for it; gives its name.
    fn write_migration(&self, to: &str, migration: Migration<'_>) -> String {
        let folder = self.folder.join("migrations");
        let rows = folder.join(format!("v{to}"));
        fs::create_dir_all(&rows).unwrap();
        match migration {
            Migration::Rows => {
                let [old, new] = MOTD;
                let row = format!(
                    "description = 'The greeting follows.'\n\n[[rows]]\n\
                     replace = {{ key = 'settings.motd', old = '{old}', new = '{new}' }}\n"
                );
                fs::write(rows.join("motd.toml"), row).unwrap();
                format!("migrate_v{to}_motd")
            }
            Migration::Program(program) => {
                let name = format!("migrate_v{to}_program");
                fs::write(folder.join(&name), program).unwrap();
                name
            }
        }
    }

    fn current(&self) -> PathBuf {
        self.folder.join("current")
    }

    /// The settings of a host of this system that takes its updates from here, and waits for its wave.
    pub fn settings(&self, os: &Value) -> Value {
        let mut settings = update_settings(&self.server.guest_url(), &self.current(), os).unwrap();
        settings["ignore-waves"] = json!(false);
        settings
    }
}

impl UpdateLab {
    /// In a folder that is emptied.
    pub fn new(folder: &Path) -> Self {
        if folder.exists() {
            fs::remove_dir_all(folder).unwrap();
        }
        let (first, next) = (BuiltImage::of(IMAGE_VARIABLE), BuiltImage::of(NEXT_IMAGE_VARIABLE));
        let place = folder.join("repository");
        let repository = Repository::publish_first(&place, [&first, &next], EVERYBODY, Migration::Rows);
        let (prepared, ready) = (OnceLock::new(), OnceLock::new());
        Self { first, next, repository, folder: folder.to_owned(), prepared, ready }
    }

    /// Another repository with the next version, in a folder of its own.
    pub fn repository(&self, name: &str, waves: &str, migration: Migration<'_>) -> Repository {
        let folder = self.folder.join(format!("repository-{name}"));
        Repository::publish_first(&folder, [&self.first, &self.next], waves, migration)
    }

    /// Publishes the next version in a repository anew, with these waves and the usual migration.
    pub fn publish(&self, repository: &mut Repository, waves: &str) {
        repository.publish([&self.first, &self.next], waves, Migration::Rows);
    }

    /// A machine of the first version, in a folder of its own, with the disk `disk` or a fresh one.
    pub fn spec(&self, name: &str, disk: Option<&Path>) -> Spec {
        let dir = self.folder.join(name);
        let spec = Spec { firmware: Firmware::Bios, ..Spec::new(&dir, self.first.disk()) };
        let spec = Spec { net_toml: Some(NET_TOML.to_owned()), ..spec };
        let spec = Spec { accelerator: choose_accelerator(), ..spec };
        if let Some(disk) = disk {
            drop(fs::remove_dir_all(&dir));
            fs::create_dir_all(&dir).unwrap();
            File::create(dir.join("lock")).unwrap();
            for file in ["disk.img", "disk.origin"] {
                succeed("cp", &["--sparse=always", text(&disk.join(file)), text(&dir.join(file))]);
            }
        }
        spec
    }

    /// The folder of a disk whose host has booted once and been told where its updates are.
    pub fn prepared(&self) -> &Path {
        self.prepared.get_or_init(|| self.prepare())
    }

    fn prepare(&self) -> PathBuf {
        let spec = self.spec("prepared", None);
        let booted = Booted::after(Machine::start(&spec).unwrap(), "preparing the first version", 0, 0);
        let mut updates = self.repository.settings(&booted.get(routes::OS));
        updates["seed"] = json!(1000);
        // Some times as long as a boot, and no longer: a test waits for it.
        let health = json!({ "deadline": 180 });
        let settings = json!({ "updates": updates, "health": health, "motd": MOTD[0], "ntp": { "time-servers": [KEPT] } });
        booted.set(&settings);
        switch_off(booted);
        spec.dir
    }

    /// The folder of a disk that will boot the next version for the first time.
    pub fn ready(&self) -> &Path {
        self.ready.get_or_init(|| self.install("ready", &self.repository))
    }

    /// The same of a disk whose host takes the next version from this repository.
    pub fn install(&self, name: &str, repository: &Repository) -> PathBuf {
        let spec = self.spec(name, Some(self.prepared()));
        let booted = Booted::after(Machine::start(&spec).unwrap(), "installing the next version", 0, 0);
        booted.set(&json!({ "updates": repository.settings(&booted.get(routes::OS)) }));
        let begun = Instant::now();
        client(&booted, &["update", "apply", "--check"]);
        eprintln!(
            "figure: {name}: an update is installed in {:.0} s, {:.1} MiB served",
            begun.elapsed().as_secs_f64(),
            mebibytes(repository.server.bytes_served())
        );
        assert_eq!(status(&booted)["update_state"], "Ready");
        switch_off(booted);
        spec.dir
    }
}

/// Powers a host off, as a person would, and gives its disk.
pub fn switch_off(booted: Booted) -> DiskFile {
    let Booted { mut machine, .. } = booted;
    machine.press_power_button().unwrap();
    machine.wait_until_off(END_LIMIT).unwrap_or_else(|e| failed(&machine, &e));
    let files = machine.files().clone();
    drop(machine);
    sound_disk(&files)
}

/// Runs the client on a host; it has to succeed.
pub fn client(booted: &Booted, words: &[&str]) -> String {
    let output = client_output(booted, words);
    let [said, cried] =
        [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text).into_owned());
    assert!(
        output.status.success(),
        "apiclient {words:?}: {}\n{said}{cried}\n{}",
        output.status,
        booted.machine.tail(40)
    );
    said + &cried
}

/// Runs the client on a host.
fn client_output(booted: &Booted, words: &[&str]) -> Output {
    let mut client = Command::new(tool("apiclient"));
    client.arg("--socket-path").arg(booted.machine.files().api()).args(words).output().unwrap()
}

/// What a host knows of its updates.
pub fn status(booted: &Booted) -> Value {
    booted.get(routes::UPDATES_STATUS)
}

/// What a host knows of its updates once it has told what became of the last one: that is written down beside the boot,
/// not before its end.
pub fn last_update(booted: &Booted) -> Value {
    let known = (0..60).find_map(|_| {
        let known = status(booted);
        (known["last_update"] != Value::Null).then_some(known).or_else(|| {
            wait(Duration::from_secs(1));
            None
        })
    });
    known.unwrap_or_else(|| panic!("the status does not say what became of the update: {}", status(booted)))
}

/// The version that runs.
pub fn version(booted: &Booted) -> String {
    booted.get(routes::OS)["version_id"].as_str().expect("a host has a version").to_owned()
}

/// What the table of a disk says of booting. Whoever is active does not matter on a disk that is off.
pub fn boot_state(disk: &DiskFile) -> BootState {
    Layout::of(&disk.table).expect("the disk has sets").state(&disk.table, SetName::A)
}

/// Changes what the table of a disk says of booting.
pub fn set_boot_state(disk: &DiskFile, change: impl FnOnce(BootState) -> BootState) {
    let mut file = File::options().read(true).write(true).open(&disk.path).unwrap();
    let reading = partitions::read(&mut file).unwrap();
    let mut table = reading.table.clone();
    let layout = Layout::of(&table).expect("the disk has sets");
    let state = change(layout.state(&table, SetName::A));
    layout.write(&mut table, &state).unwrap();
    reading.plan(&table).execute(&mut file).unwrap();
}

/// Changes a file of the boot partition of set B.
pub fn edit_boot_b(disk: &DiskFile, folder: &Path, name: &str, change: impl FnOnce(Vec<u8>) -> Vec<u8>) {
    let place = disk.place(label::BOOT_B);
    let file = folder.join("edited");
    succeed("debugfs", &["-R", &format!("dump {name} {}", text(&file)), &place]);
    fs::write(&file, change(fs::read(&file).unwrap())).unwrap();
    succeed("debugfs", &["-w", "-R", &format!("rm {name}"), &place]);
    succeed("debugfs", &["-w", "-R", &format!("write {} {name}", text(&file)), &place]);
    // A file that is there and has the bytes is what was wanted; `debugfs` reports no failure.
    let written = folder.join("written");
    succeed("debugfs", &["-R", &format!("dump {name} {}", text(&written)), &place]);
    assert_eq!(fs::read(&written).unwrap(), fs::read(&file).unwrap(), "{name} was written");
}

/// Changes the root of set B, which is signed for by its hash tree, as somebody would who built that version so: the
/// tree and the boot menu of set B follow.
pub fn rebuild_root_b(disk: &DiskFile, folder: &Path, change: impl FnOnce(&Path)) {
    let [root, hash] = [label::ROOT_B, label::HASH_B].map(|label| disk.range(label));
    let (old, files, new) = (folder.join("root-b.old"), folder.join("root-b"), folder.join("root-b.new"));
    let mut file = File::options().read(true).write(true).open(&disk.path).unwrap();
    let copy = |from: &mut dyn Read, to: &mut dyn Write| io::copy(from, to).unwrap();
    file.seek(SeekFrom::Start(root.start)).unwrap();
    copy(&mut (&mut file).take(root.end - root.start), &mut File::create(&old).unwrap());
    succeed("fsck.erofs", &["--no-preserve", &format!("--extract={}", text(&files)), text(&old)]);
    change(&files);
    image::make_root(&files, &new, folder).unwrap();

    let tree = Tree::build(File::open(&new).unwrap(), Salt::new(b"rebuilt").unwrap()).unwrap();
    assert!(tree.data_blocks() * BLOCK as u64 <= root.end - root.start, "the root fits");
    file.seek(SeekFrom::Start(root.start)).unwrap();
    copy(&mut File::open(&new).unwrap(), &mut file);
    let mut image = Vec::new();
    tree.write_to(&mut image, [0; 16]).unwrap();
    file.write_all_at(&image, hash.start).unwrap();
    edit_boot_b(disk, folder, "/grub/grub.cfg", |menu| {
        let menu = String::from_utf8(menu).unwrap();
        let (_, rest) = menu.split_once("dm-mod.create=\"").expect("the menu maps the root");
        let (old, _) = rest.split_once('"').expect("the mapping ends");
        let mut mapping: Mapping = old.parse().unwrap();
        mapping.target.data_blocks = tree.data_blocks();
        mapping.target.root_hash = tree.root_hash();
        mapping.target.salt = tree.salt().clone();
        menu.replace(old, &mapping.to_string()).into_bytes()
    });
    for path in [old, new] {
        fs::remove_file(path).unwrap();
    }
    fs::remove_dir_all(files).unwrap();
}

/// Waits on the clock of this machine.
pub fn wait(time: Duration) {
    std::thread::sleep(time);
}

#[allow(clippy::cast_precision_loss, reason = "shown with one digit")]
fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

pub(crate) fn tool(name: &str) -> PathBuf {
    let folder = std::env::var_os(TOOLS_VARIABLE)
        .unwrap_or_else(|| panic!("{TOOLS_VARIABLE} is not set: './make test-image' runs these tests"));
    Path::new(&folder).join(name)
}
