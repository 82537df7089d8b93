//! What an SDK image is made of.

use crate::tag::tag;
use host::{Command, CommandError, Host};
use lookaside::{Lock, LockError, Pin, Tree};
use snafu::{ResultExt, Snafu, ensure};
use std::path::PathBuf;
use std::time::Duration;

/// `rustc` answers at once, but may be a shim that looks around first.
const LIMIT: Duration = Duration::from_mins(1);

/// Inputs that are not there.
#[derive(Debug, Snafu)]
#[allow(missing_docs)]
pub enum InputsError {
    #[snafu(transparent)]
    Lock { source: LockError },
    #[snafu(display("read {}", path.display()))]
    Read { path: PathBuf, source: std::io::Error },
    #[snafu(display("ask rustc for its {what}"))]
    Ask { what: &'static str, source: CommandError },
    #[snafu(display("ask rustc for its {what}: it ended with {status}: {stderr}"))]
    Refused { what: &'static str, status: std::process::ExitStatus, stderr: String },
    #[snafu(display("{} is missing: run './make fetch'", path.display()))]
    Missing { path: PathBuf },
}

/// Everything that goes into an SDK image.
pub struct Inputs {
    /// Debian packages that have to be unpacked before `dpkg` runs, by path.
    pub base: Vec<PathBuf>,
    /// All Debian packages, by path.
    pub packages: Vec<PathBuf>,
    /// The folder of the Rust toolchain.
    pub toolchain: PathBuf,
    /// The text of the Dockerfile.
    pub dockerfile: String,
    tag: String,
}

impl Inputs {
    /// Gathers the inputs of a checkout.
    pub fn load(tree: &Tree) -> Result<Self, InputsError> {
        let lock = Lock::load(&tree.lock_file())?;
        let path = tree.root().join("sdk/Dockerfile");
        let dockerfile = std::fs::read_to_string(&path).context(ReadSnafu { path })?;
        let version = ask(tree, "version", &["rustc", "--version", "--verbose"])?;
        let toolchain = ask(tree, "toolchain", &["rustc", "--print", "sysroot"])?;
        // A lock that loads pins every name of the SDK.
        let pins = |names: &[String]| names.iter().filter_map(|name| lock.package(name)).collect::<Vec<_>>();
        let packages = pins(&lock.sdk.packages);
        let digests = packages.iter().map(|pin| (pin.name.as_str(), pin.sha256.as_str()));
        let tag = tag([("Dockerfile", dockerfile.as_str()), ("rustc", version.as_str())]
            .into_iter()
            .chain(digests));
        let paths = |pins: Vec<&Pin>| pins.into_iter().map(|pin| tree.debian().join(&pin.file)).collect();
        Ok(Self {
            base: paths(pins(&lock.sdk.base)),
            packages: paths(packages),
            toolchain: PathBuf::from(toolchain.trim()),
            dockerfile,
            tag,
        })
    }

    /// The tag of the image.
    pub fn tag(&self) -> &str {
        &self.tag
    }

    /// Fails if a package is not in the lookaside.
    pub(crate) fn check(&self) -> Result<(), InputsError> {
        match self.packages.iter().find(|path| !path.is_file()) {
            Some(path) => MissingSnafu { path }.fail(),
            None => Ok(()),
        }
    }
}

/// What `rustc` says of itself where the checkout is, which may have a toolchain of its own.
fn ask(tree: &Tree, what: &'static str, question: &[&str]) -> Result<String, InputsError> {
    let root = tree.root().display().to_string();
    let argv = ["env", "-C", &root].into_iter().chain(question.iter().copied()).map(str::to_owned).collect();
    let command = Command { argv, env: Vec::new(), stdin: Vec::new(), timeout: LIMIT };
    let output = Host::new("/").run(&command).context(AskSnafu { what })?;
    ensure!(output.status.success(), RefusedSnafu { what, status: output.status, stderr: output.stderr });
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
