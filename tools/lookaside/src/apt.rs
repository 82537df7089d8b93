//! `apt-get`, with a state of its own.

use crate::Tree;
use crate::archives::{self, Archive, RELEASE};
use crate::stanza::{self, Stanza};
use host::{Command, CommandError, Host, Output};
use snafu::{ResultExt, Snafu, ensure};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Address of a Debian archive, for machines that have none of our release configured.
const MIRROR: &str = "VISCO_DEBIAN_MIRROR";
/// Address of its security archive; the mirror's with `-security` where it is not set.
const SECURITY_MIRROR: &str = "VISCO_DEBIAN_SECURITY_MIRROR";
/// Where a machine keeps what it fetches packages from.
const MACHINE: &str = "/etc/apt";
/// A slow mirror may need this long for half a gigabyte.
const LIMIT: Duration = Duration::from_hours(1);
/// Lines of a failed command that are shown.
const SHOWN: usize = 8;

/// What kept `apt-get` from answering.
#[derive(Debug, Snafu)]
#[allow(missing_docs)]
pub enum AptError {
    #[snafu(display("prepare {}", path.display()))]
    Prepare { path: PathBuf, source: std::io::Error },
    #[snafu(display(
        "this machine has no archive of Debian {RELEASE} configured: set {MIRROR} to the address of one, and install \
         debian-archive-keyring"
    ))]
    NoArchive,
    #[snafu(display("run {program}: Debian's and Ubuntu's package 'apt' has it"))]
    Run { program: String, source: CommandError },
    #[snafu(display("{what}: {program} ended with {status}:\n{tail}"))]
    Failed { what: String, program: String, status: std::process::ExitStatus, tail: String },
}

/// The archives of Debian, as this machine reaches them.
pub struct Apt {
    machine: Host,
    folder: PathBuf,
}

impl Apt {
    /// Takes the archives that this machine has configured, or the mirror that the environment names.
    pub fn open(tree: &Tree) -> Result<Self, AptError> {
        let apt = Self { machine: Host::new("/"), folder: tree.apt() };
        let found = match std::env::var(MIRROR) {
            Ok(mirror) => {
                let security = std::env::var(SECURITY_MIRROR);
                let security =
                    security.unwrap_or_else(|_| format!("{}-security", mirror.trim_end_matches('/')));
                archives::of_mirror(&mirror, &security)
            }
            Err(_) => archives_of_machine(Path::new(MACHINE)),
        };
        ensure!(!found.is_empty(), NoArchiveSnafu);
        for folder in
            ["state/lists/partial", "cache/archives/partial", "etc/sources.list.d", "etc/preferences.d"]
        {
            let path = apt.folder.join(folder);
            std::fs::create_dir_all(&path).context(PrepareSnafu { path })?;
        }
        for (name, text) in
            [("etc/sources.list.d/visco.sources", archives::to_text(&found)), ("status", String::new())]
        {
            let path = apt.folder.join(name);
            std::fs::write(&path, text).context(PrepareSnafu { path })?;
        }
        Ok(apt)
    }

    /// Fetches the newest lists of packages.
    pub fn update(&self) -> Result<(), AptError> {
        self.run("fetch the lists of packages", "apt-get", &["update", "--quiet", "--error-on=any"], None)
            .map(drop)
    }

    /// The names of all packages that the given ones need, themselves included, in an order that respects needs.
    pub(crate) fn closure(&self, names: &BTreeSet<String>) -> Result<Vec<String>, AptError> {
        let words = ["install", "--simulate", "--no-install-recommends"];
        let words: Vec<&str> = words.into_iter().chain(names.iter().map(String::as_str)).collect();
        let output = self.run("resolve what packages need", "apt-get", &words, None)?;
        let text = String::from_utf8_lossy(&output.stdout);
        let names = text.lines().filter_map(|line| line.strip_prefix("Inst ")?.split_whitespace().next());
        // A foreign architecture would show as name:arch; only one is configured.
        Ok(names.map(str::to_owned).collect())
    }

    /// What the archives say of packages, each a name or `name=version`. Those that they lack are not in the answer.
    pub(crate) fn show(&self, packages: &[String]) -> Result<Vec<Stanza>, AptError> {
        self.query("show", packages)
    }

    /// What the archives say of source packages.
    pub(crate) fn show_source(&self, names: &[String]) -> Result<Vec<Stanza>, AptError> {
        self.query("showsrc", names)
    }

    /// Every package that Debian calls essential.
    pub(crate) fn essential(&self) -> Result<BTreeSet<String>, AptError> {
        let output = self.run("list packages", "apt-cache", &["dumpavail"], None)?;
        let all = stanza::parse(&String::from_utf8_lossy(&output.stdout));
        let essential = all.into_iter().filter(|s| s.get("essential").is_some_and(|v| v == "yes"));
        Ok(essential.filter_map(|mut stanza| stanza.remove("package")).collect())
    }

    /// Downloads packages, each `name=version`, into a folder.
    pub(crate) fn download(&self, packages: &[String], folder: &Path) -> Result<(), AptError> {
        let words: Vec<&str> =
            ["download", "--quiet"].into_iter().chain(packages.iter().map(String::as_str)).collect();
        self.run("download packages", "apt-get", &words, Some(folder)).map(drop)
    }

    /// Downloads the files of a source package, `name=version`, into a folder.
    pub(crate) fn download_source(&self, package: &str, folder: &Path) -> Result<(), AptError> {
        let words = ["source", "--quiet", "--download-only", "--only-source", package];
        self.run("download a source package", "apt-get", &words, Some(folder)).map(drop)
    }

    fn query(&self, verb: &str, names: &[String]) -> Result<Vec<Stanza>, AptError> {
        if names.is_empty() {
            return Ok(Vec::new());
        }
        let words: Vec<&str> = [verb].into_iter().chain(names.iter().map(String::as_str)).collect();
        // `apt-cache` fails when it lacks one of many; what it has is on its output all the same.
        let output = self.start("apt-cache", &words, None)?;
        Ok(stanza::parse(&String::from_utf8_lossy(&output.stdout)))
    }

    fn run(
        &self,
        what: &str,
        program: &str,
        words: &[&str],
        folder: Option<&Path>,
    ) -> Result<Output, AptError> {
        let output = self.start(program, words, folder)?;
        let tail = || {
            let lines: Vec<&str> = output.stderr.lines().filter(|line| !line.starts_with("W: ")).collect();
            lines[lines.len().saturating_sub(SHOWN)..].join("\n")
        };
        ensure!(output.status.success(), FailedSnafu { what, program, status: output.status, tail: tail() });
        Ok(output)
    }

    fn start(&self, program: &str, words: &[&str], folder: Option<&Path>) -> Result<Output, AptError> {
        let set = |name: &str, value: &str| ["-o".to_owned(), format!("{name}={value}")];
        let below = |name: &str| self.folder.join(name).display().to_string();
        // `apt-get download` writes where it runs.
        let mut argv = match folder {
            Some(folder) => vec!["env".to_owned(), "-C".to_owned(), folder.display().to_string()],
            None => Vec::new(),
        };
        argv.push(program.to_owned());
        for option in [
            set("Dir::Etc", &below("etc")),
            set("Dir::State", &below("state")),
            set("Dir::State::status", &below("status")),
            set("Dir::Cache", &below("cache")),
            set("APT::Architecture", "amd64"),
            set("APT::Architectures", "amd64"),
            set("Acquire::Languages", "none"),
            set("Acquire::Retries", "3"),
            // Its own user cannot write into a checkout.
            set("APT::Sandbox::User", ""),
            set("APT::Get::AllowUnauthenticated", "false"),
        ] {
            argv.extend(option);
        }
        argv.extend(words.iter().map(ToString::to_string));
        let command =
            Command { argv, env: vec![("LC_ALL".into(), "C".into())], stdin: Vec::new(), timeout: LIMIT };
        self.machine.run(&command).context(RunSnafu { program })
    }
}

/// The archives of our release in a machine's configuration. What cannot be read is not there for `apt-get` either.
fn archives_of_machine(etc: &Path) -> BTreeSet<Archive> {
    let folder = std::fs::read_dir(etc.join("sources.list.d")).into_iter().flatten().flatten();
    let files = folder.map(|entry| entry.path()).chain([etc.join("sources.list")]);
    let read = |path: PathBuf| {
        let text = std::fs::read_to_string(&path).ok()?;
        Some(archives::of_file(&path.file_name()?.to_string_lossy(), &text))
    };
    files.filter_map(read).flatten().collect()
}
