//! What people start: runs Cargo over the packages and variants, and shows what the builds tell.

use crate::progress::{self, Event, Listener, What};
use crate::variant;
use manifests::{Arch, Tree, TreeError, UnknownArch};
use snafu::{ResultExt, Snafu};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

/// How long the front waits for an event before it looks whether Cargo still runs.
const LOOK: Duration = Duration::from_millis(100);

/// After how long without news the front says what is still being built.
const QUIET: Duration = Duration::from_secs(30);

/// How much of what Cargo printed an error shows, in bytes.
const TAIL_BYTES: usize = 4096;

/// Options of `buildsys build`.
#[derive(clap::Args, Debug)]
pub struct BuildArgs {
    /// Root of the tree
    #[arg(long, value_name = "DIR", default_value = ".", env = "BUILDSYS_ROOT_DIR")]
    root: PathBuf,
    /// Variant whose image to build
    #[arg(long, value_name = "NAME", default_value = "metal-dev", env = "BUILDSYS_VARIANT")]
    variant: String,
    /// Build this package and what it needs, and no image
    #[arg(long, value_name = "NAME")]
    package: Option<String>,
    /// How many builds run at a time; each uses several cores
    #[arg(long, value_name = "N", env = "BUILDSYS_JOBS")]
    jobs: Option<usize>,
}

/// Why nothing could be built.
#[derive(Debug, Snafu)]
#[allow(missing_docs)]
pub enum Error {
    #[snafu(transparent)]
    Tree { source: TreeError },
    #[snafu(transparent)]
    Variant { source: variant::Error },
    #[snafu(display("read BUILDSYS_ARCH"))]
    ReadArch { source: UnknownArch },
    #[snafu(display("{variable} is not set; './make' sets it to the image that 'sdk/' makes"))]
    Unset { variable: &'static str },
    #[snafu(display("find the root of the tree at {}", path.display()))]
    FindRoot { path: PathBuf, source: std::io::Error },
    #[snafu(display("listen to builds"))]
    Listen { source: std::io::Error },
    #[snafu(display("write {}", path.display()))]
    Write { path: PathBuf, source: std::io::Error },
    #[snafu(display("run cargo"))]
    RunCargo { source: std::io::Error },
    #[snafu(display("show how the build goes"))]
    Show { source: std::io::Error },
}

/// What to build.
struct Goal<'a> {
    /// As people call it.
    name: String,
    crate_name: &'a str,
    /// Names of the builds that belong to it, as events call them, and where each keeps its record.
    builds: BTreeMap<String, String>,
}

/// Builds a variant or a package. An `Ok` exit code may still be a failure that was already shown.
pub fn build(args: &BuildArgs, out: &mut dyn Write) -> Result<ExitCode, Error> {
    let root = std::fs::canonicalize(&args.root).context(FindRootSnafu { path: &args.root })?;
    let environment = environment(&root, args, &|name| std::env::var(name).ok())?;
    let tree = Tree::load(&root)?;
    let goal = goal(&tree, args, &environment)?;
    let state = PathBuf::from(&environment["BUILDSYS_STATE_DIR"]).join(&environment["BUILDSYS_ARCH"]);
    let known = goal.builds.iter().filter(|(_, place)| state.join(place).join("marker.json").is_file());
    let known: BTreeSet<_> = known.map(|(name, _)| name.as_str()).collect();
    let todo = goal.builds.keys().filter(|name| !known.contains(name.as_str())).cloned().collect();
    let mut board = Board::new(todo, out);

    let log = PathBuf::from(&environment["BUILDSYS_LOGS_DIR"]).join("cargo.log");
    let folder = tempfile::tempdir().context(ListenSnafu)?;
    let listener = Listener::bind(folder.path()).context(ListenSnafu)?;
    let success = run_cargo(&root, args, &goal, &environment, &log, &listener, &mut board)?;
    if !success {
        board.show_failures(&log)?;
        return Ok(ExitCode::FAILURE);
    }
    board.show_summary(&goal.name)?;
    Ok(ExitCode::SUCCESS)
}

/// Where everything is and what it is called, unless the environment says otherwise.
fn environment(
    root: &Path,
    args: &BuildArgs,
    lookup: &dyn Fn(&str) -> Option<String>,
) -> Result<BTreeMap<&'static str, String>, Error> {
    let mut known: BTreeMap<&'static str, String> = BTreeMap::new();
    let mut set = |name: &'static str, default: &dyn Fn(&BTreeMap<&'static str, String>) -> String| {
        let value = lookup(name).filter(|value| !value.is_empty()).unwrap_or_else(|| default(&known));
        known.insert(name, value);
    };
    set("BUILDSYS_ARCH", &|_| std::env::consts::ARCH.to_owned());
    set("BUILDSYS_BUILD_DIR", &|_| root.join("build").display().to_string());
    for (name, folder) in [
        ("BUILDSYS_PACKAGES_DIR", "rpms"),
        ("BUILDSYS_STATE_DIR", "state"),
        ("BUILDSYS_IMAGES_DIR", "images"),
        ("BUILDSYS_LOOKASIDE_DIR", "lookaside"),
        ("BUILDSYS_LOGS_DIR", "logs"),
        ("BUILDSYS_TOOLS_DIR", "tools"),
    ] {
        set(name, &|known| format!("{}/{folder}", known["BUILDSYS_BUILD_DIR"]));
    }
    set("BUILDSYS_OUTPUT_DIR", &|known| {
        format!("{}/{}-{}", known["BUILDSYS_IMAGES_DIR"], known["BUILDSYS_ARCH"], args.variant)
    });
    set("BUILDSYS_NAME", &|_| "visco".to_owned());
    set("BUILDSYS_PRETTY_NAME", &|_| "Visco OS".to_owned());
    set("BUILDSYS_VERSION_IMAGE", &|_| version(root));
    set("BUILDSYS_VERSION_BUILD", &|_| build_id(root));
    set("BUILDSYS_SDK_IMAGE", &|_| String::new());
    set("PUBLISH_REPO", &|_| "default".to_owned());
    set("PUBLISH_REPO_ROOT_JSON", &|known| format!("roles/{}.root.json", known["PUBLISH_REPO"]));
    let root_json = root.join(&known["PUBLISH_REPO_ROOT_JSON"]).display().to_string();
    known.insert("PUBLISH_REPO_ROOT_JSON", root_json);
    known.insert("BUILDSYS_ROOT_DIR", root.display().to_string());
    known.insert("BUILDSYS_VARIANT", args.variant.clone());
    if known["BUILDSYS_SDK_IMAGE"].is_empty() {
        return UnsetSnafu { variable: "BUILDSYS_SDK_IMAGE" }.fail();
    }
    Ok(known)
}

/// The version of the system: that of `Release.toml`, or that of the workspace.
fn version(root: &Path) -> String {
    let read = |file: &str| -> Option<toml::Table> {
        std::fs::read_to_string(root.join(file)).ok().and_then(|text| text.parse().ok())
    };
    let release = read("Release.toml").and_then(|table| Some(table.get("version")?.as_str()?.to_owned()));
    let workspace = || {
        let table = read("Cargo.toml")?;
        Some(table.get("workspace")?.get("package")?.get("version")?.as_str()?.to_owned())
    };
    release.or_else(workspace).unwrap_or_else(|| "0.0.0".to_owned())
}

/// The short name of the commit, `-dirty` with changes that are not committed; zeros outside a repository.
fn build_id(root: &Path) -> String {
    let git = Command::new("git")
        .args(["describe", "--always", "--dirty", "--exclude=*", "--abbrev=8"])
        .current_dir(root)
        .stderr(Stdio::null())
        .output();
    let said = git.ok().filter(|git| git.status.success());
    let id = said.map(|git| String::from_utf8_lossy(&git.stdout).trim().to_owned());
    id.filter(|id| !id.is_empty()).unwrap_or_else(|| "00000000".to_owned())
}

fn goal<'a>(
    tree: &'a Tree,
    args: &BuildArgs,
    environment: &BTreeMap<&'static str, String>,
) -> Result<Goal<'a>, Error> {
    let arch: Arch = environment["BUILDSYS_ARCH"].parse().context(ReadArchSnafu)?;
    let place = |name: &str| format!("packages/{name}");
    if let Some(name) = &args.package {
        let package = tree.package(name)?;
        let mut needed = tree.needed_by_package(package);
        needed.insert(&package.name);
        let builds = needed.into_iter().map(|name| (name.to_owned(), place(name))).collect();
        return Ok(Goal {
            name: format!("package {}", package.name),
            crate_name: &package.crate_name,
            builds,
        });
    }
    let found = tree.variant(&args.variant)?;
    variant::check(found, arch)?;
    let needed = tree.needed_by_variant(found).into_iter();
    let mut builds: BTreeMap<_, _> = needed.map(|name| (name.to_owned(), place(name))).collect();
    let version =
        format!("{}-{}", environment["BUILDSYS_VERSION_IMAGE"], environment["BUILDSYS_VERSION_BUILD"]);
    builds.insert(format!("image {}", found.name), format!("variants/{}/{version}", found.name));
    Ok(Goal { name: format!("image {}", found.name), crate_name: &found.crate_name, builds })
}

/// Runs Cargo to its end, showing events as they come. True if all was built.
fn run_cargo(
    root: &Path,
    args: &BuildArgs,
    goal: &Goal,
    environment: &BTreeMap<&'static str, String>,
    log: &Path,
    listener: &Listener,
    board: &mut Board,
) -> Result<bool, Error> {
    let folder = log.parent().unwrap_or(root);
    std::fs::create_dir_all(folder).context(WriteSnafu { path: folder })?;
    let printed = File::create(log).context(WriteSnafu { path: log })?;
    let target = Path::new(&environment["BUILDSYS_STATE_DIR"]).join("cargo");
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["build", "--offline", "--quiet", "--color", "never", "--package", goal.crate_name]);
    cargo.arg("--manifest-path").arg(root.join("variants/Cargo.toml")).arg("--target-dir").arg(target);
    if let Some(jobs) = args.jobs {
        cargo.args(["--jobs", &jobs.to_string()]);
    }
    cargo.envs(environment).env(progress::VARIABLE, listener.path()).env("PATH", path_with_this_program());
    cargo.stdin(Stdio::null()).stdout(Stdio::null()).stderr(printed);
    let mut child = cargo.spawn().context(RunCargoSnafu)?;
    loop {
        let event = listener.next(LOOK).context(ListenSnafu)?;
        let idle = event.is_none();
        board.take(event)?;
        // Only when no event is left, so that the last ones are shown.
        if idle && let Some(status) = child.try_wait().context(RunCargoSnafu)? {
            while let Some(event) = listener.next(Duration::from_millis(1)).context(ListenSnafu)? {
                board.take(Some(event))?;
            }
            return Ok(status.success());
        }
    }
}

/// The path of programs, with the folder of this one first: build scripts run `buildsys` from it.
fn path_with_this_program() -> std::ffi::OsString {
    let own = std::env::current_exe().ok().and_then(|program| program.parent().map(Path::to_owned));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = own.into_iter().chain(std::env::split_paths(&path));
    std::env::join_paths(folders).unwrap_or(path)
}

/// How far the builds are.
struct Board<'a> {
    out: &'a mut dyn Write,
    start: Instant,
    last_news: Instant,
    /// What has to be built, as far as is known.
    todo: BTreeSet<String>,
    running: BTreeMap<String, Instant>,
    built: usize,
    failures: Vec<(String, String)>,
}

impl<'a> Board<'a> {
    fn new(todo: BTreeSet<String>, out: &'a mut dyn Write) -> Self {
        let now = Instant::now();
        let (running, failures) = (BTreeMap::new(), Vec::new());
        Self { out, start: now, last_news: now, todo, running, built: 0, failures }
    }

    fn take(&mut self, event: Option<Event>) -> Result<(), Error> {
        let Some(Event { name, what }) = event else { return self.show_running() };
        let line = match what {
            What::Unchanged => {
                self.todo.remove(&name);
                return Ok(());
            }
            What::Started => {
                self.todo.insert(name.clone());
                self.running.insert(name.clone(), Instant::now());
                format!("{} {name}: building", self.place())
            }
            What::Finished(time) => {
                self.running.remove(&name);
                self.built += 1;
                format!("{} {name}: built in {}", self.place(), seconds(time))
            }
            What::Failed(why) => {
                self.running.remove(&name);
                self.failures.push((name.clone(), why));
                format!("{} {name}: failed", self.place())
            }
        };
        self.line(&line)
    }

    /// How many are built, of how many.
    fn place(&self) -> String {
        let all = self.todo.len().to_string();
        format!("[{:>width$}/{all}]", self.built, width = all.len())
    }

    fn show_running(&mut self) -> Result<(), Error> {
        if self.running.is_empty() || self.last_news.elapsed() < QUIET {
            return Ok(());
        }
        let names = self.running.iter().map(|(name, start)| format!("{name} ({})", seconds(start.elapsed())));
        let line = format!("{} still building: {}", self.place(), names.collect::<Vec<_>>().join(", "));
        self.line(&line)
    }

    fn show_failures(&mut self, log: &Path) -> Result<(), Error> {
        let failures = std::mem::take(&mut self.failures);
        for (name, why) in &failures {
            self.line(&format!("error: {name}: {why}"))?;
        }
        if failures.is_empty() {
            let printed = std::fs::read(log).unwrap_or_default();
            let printed = String::from_utf8_lossy(&printed);
            self.line(progress::tail(printed.trim_end(), TAIL_BYTES))?;
        }
        Ok(())
    }

    fn show_summary(&mut self, goal: &str) -> Result<(), Error> {
        let time = seconds(self.start.elapsed());
        let line = match self.built {
            0 => format!("{goal} is up to date ({time})"),
            1 => format!("{goal} is ready: 1 build in {time}"),
            built => format!("{goal} is ready: {built} builds in {time}"),
        };
        self.line(&line)
    }

    fn line(&mut self, line: &str) -> Result<(), Error> {
        self.last_news = Instant::now();
        writeln!(self.out, "{line}").context(ShowSnafu)
    }
}

fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(name: &str, what: What) -> Event {
        Event { name: name.into(), what }
    }

    #[test]
    fn a_line_tells_what_starts_and_ends_and_how_much_is_left() {
        let mut out = Vec::new();
        let mut board = Board::new(BTreeSet::from(["a".into(), "b".into()]), &mut out);
        let second = Duration::from_secs(1);
        for event in [
            event("a", What::Started),
            event("c", What::Unchanged),
            event("b", What::Started),
            event("a", What::Finished(second)),
            event("d", What::Started),
            event("b", What::Failed("why".into())),
        ] {
            board.take(Some(event)).unwrap();
        }
        board.take(None).unwrap();
        board.show_failures(Path::new("/none")).unwrap();
        assert_eq!(
            String::from_utf8(out).unwrap().lines().collect::<Vec<_>>(),
            [
                "[0/2] a: building",
                "[0/2] b: building",
                "[1/2] a: built in 1.0 s",
                "[1/3] d: building",
                "[1/3] b: failed",
                "error: b: why",
            ]
        );
    }

    #[test]
    fn a_failure_that_no_build_told_of_shows_what_cargo_printed() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("cargo.log");
        std::fs::write(&log, "error: no such crate\n").unwrap();
        let mut out = Vec::new();
        Board::new(BTreeSet::new(), &mut out).show_failures(&log).unwrap();
        assert_eq!(out, b"error: no such crate\n");
    }

    fn args(package: Option<&str>, variant: &str) -> BuildArgs {
        BuildArgs { root: ".".into(), variant: variant.into(), package: package.map(Into::into), jobs: None }
    }

    #[test]
    fn what_the_environment_says_goes_over_the_defaults() {
        let root = tempfile::tempdir().unwrap();
        std::fs::write(root.path().join("Release.toml"), "version = '1.2.3'").unwrap();
        let lookup = |name: &str| match name {
            "BUILDSYS_SDK_IMAGE" => Some("sdk:1".to_owned()),
            "BUILDSYS_ARCH" => Some("aarch64".to_owned()),
            "BUILDSYS_BUILD_DIR" => Some("/b".to_owned()),
            "BUILDSYS_LOGS_DIR" => Some("/l".to_owned()),
            "BUILDSYS_NAME" => Some(String::new()),
            _ => None,
        };
        let known = environment(root.path(), &args(None, "x-y"), &lookup).unwrap();
        for (name, right) in [
            ("BUILDSYS_OUTPUT_DIR", "/b/images/aarch64-x-y"),
            ("BUILDSYS_PACKAGES_DIR", "/b/rpms"),
            ("BUILDSYS_LOGS_DIR", "/l"),
            ("BUILDSYS_NAME", "visco"),
            ("BUILDSYS_VERSION_IMAGE", "1.2.3"),
            ("BUILDSYS_VERSION_BUILD", "00000000"),
            ("BUILDSYS_VARIANT", "x-y"),
        ] {
            assert_eq!(known[name], right, "{name}");
        }
        assert_eq!(
            Path::new(&known["PUBLISH_REPO_ROOT_JSON"]),
            root.path().join("roles/default.root.json"),
            "a path of the tree, wherever a build runs"
        );
        let why = environment(root.path(), &args(None, "x-y"), &|_| None).unwrap_err().to_string();
        assert!(why.starts_with("BUILDSYS_SDK_IMAGE is not set"), "{why}");
    }

    #[test]
    fn a_variant_that_is_not_there_or_not_for_the_architecture_is_refused() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("variants/metal-dev");
        std::fs::create_dir_all(&folder).unwrap();
        let text =
            "package.name = 'metal-dev'\n[package.metadata.build-variant]\nsupported-arches = ['x86_64']\n";
        std::fs::write(folder.join("Cargo.toml"), text).unwrap();
        let tree = Tree::load(root.path()).unwrap();
        for (variant, arch, right) in [
            ("metal-dev", "aarch64", "the variant 'metal-dev' is not made for aarch64, only for x86_64"),
            (
                "metal-deb",
                "x86_64",
                "there is no variant 'metal-deb'; did you mean 'metal-dev'? (the variants are metal-dev)",
            ),
        ] {
            let known = BTreeMap::from([
                ("BUILDSYS_ARCH", arch.to_owned()),
                ("BUILDSYS_VERSION_IMAGE", String::new()),
                ("BUILDSYS_VERSION_BUILD", String::new()),
            ]);
            let why = goal(&tree, &args(None, variant), &known).err().unwrap().to_string();
            assert_eq!(why, right);
        }
    }
}
