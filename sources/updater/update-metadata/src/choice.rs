//! Which update a host takes.

use crate::manifest::{Manifest, Update};
use crate::text;
use crate::waves::Turn;
use jiff::Timestamp;
use semver::Version;
use serde::{Deserialize, Serialize};
use snafu::{ResultExt, Snafu};
use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

/// What the choice depends on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    /// `VARIANT_ID` of the host.
    pub variant: String,
    /// Its architecture.
    pub arch: String,
    /// The version it runs.
    pub version: Version,
    /// `settings.updates.seed`.
    pub seed: u32,
    /// `settings.updates.version-lock`.
    pub version_lock: VersionLock,
    /// `settings.updates.ignore-waves`, or the flag.
    pub ignore_waves: bool,
    /// The version named on the command line.
    pub forced: Option<Version>,
}

/// `settings.updates.version-lock`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum VersionLock {
    /// `latest`.
    #[default]
    Latest,
    /// `X.Y.Z` or `vX.Y.Z`.
    Exactly(Version),
}

/// A text that is neither `latest` nor a version.
#[derive(Debug, Snafu)]
#[snafu(display("'{text}' is neither 'latest' nor a version like '1.2.3'"))]
pub struct LockError {
    text: String,
    source: semver::Error,
}

/// What a host does now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Decision<'a> {
    /// It takes an update.
    Update {
        /// The chosen one.
        update: &'a Update,
        /// Why this one.
        because: Because,
        /// Versions that would have been chosen before it.
        skipped: Vec<Skipped>,
    },
    /// It takes none.
    None {
        /// Why not.
        because: NoUpdate,
        /// Versions that would have been chosen, the newest first.
        skipped: Vec<Skipped>,
    },
}

/// Why an update is chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Because {
    /// It is the newest there is for the host.
    Newest,
    /// The host runs a version the publisher does not stand behind; this is the newest of the others.
    StepDown,
    /// The version lock names it.
    Lock,
    /// It was asked for.
    Forced,
}

/// Why no update is chosen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "reason")]
pub enum NoUpdate {
    /// The repository has nothing for the host's variant and architecture.
    NothingForHost {
        /// The host's.
        variant: String,
        /// The host's.
        arch: String,
    },
    /// The host runs what it should.
    UpToDate {
        /// That version.
        #[serde(with = "text")]
        version: Version,
    },
    /// The version that was locked or asked for is not in the repository.
    NotOffered {
        /// That version.
        #[serde(with = "text")]
        version: Version,
    },
    /// The host's turn is yet to come; this is the version whose wave opens first.
    Waiting {
        /// That version.
        #[serde(with = "text")]
        version: Version,
        /// When.
        turn: Turn,
    },
    /// None of the skipped versions is to be had, and waiting for a wave will not help.
    Refused,
}

/// A version that would have been chosen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Skipped {
    /// It.
    #[serde(with = "text")]
    pub version: Version,
    /// Why it is not.
    pub standing: Standing,
}

/// How an update stands to a host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "standing")]
pub enum Standing {
    /// The host may take it.
    Open,
    /// The publisher took it back.
    Withdrawn {
        /// The publisher's words.
        reason: String,
    },
    /// It is above the highest version the publisher stands behind.
    AboveMax {
        /// That version.
        #[serde(with = "text")]
        max_version: Version,
    },
    /// The publisher holds it back for the time being.
    Paused,
    /// The host fell back from it.
    Bad,
    /// The host's turn is yet to come.
    Waiting {
        /// When.
        turn: Turn,
    },
}

/// An update for the host's variant and architecture.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Candidate<'a> {
    /// It.
    pub update: &'a Update,
    /// How it stands to the host.
    pub standing: Standing,
}

/// What the host is to run.
enum Wish<'a> {
    Newest,
    Exactly(&'a Version, Because),
}

/// Chooses (update reference, 2.4).
///
/// What is offered: the variant and the architecture are the host's, the version is not above the maximum, neither
/// withdrawn nor paused, the host's turn has come or waves are ignored. Of that:
///
/// - a version asked for (`forced`) or locked is taken as it is, newer or older; a locked one not if it runs already;
/// - `latest` takes the newest that is newer than what runs. If what runs was withdrawn, or is above the maximum, it
///   takes the newest whatever it is.
///
/// `bad` are versions the host fell back from; only an operator who names one gets it again.
pub fn choose<'a>(
    manifest: &'a Manifest,
    host: &Host,
    now: Timestamp,
    bad: &BTreeSet<Version>,
) -> Decision<'a> {
    let candidates = candidates(manifest, host, now, bad);
    if candidates.is_empty() {
        let (variant, arch) = (host.variant.clone(), host.arch.clone());
        return none(NoUpdate::NothingForHost { variant, arch }, Vec::new());
    }
    let running_withdrawn =
        candidates.iter().any(|it| it.update.version == host.version && it.update.withdrawn.is_some());
    let wish = Wish::of(host);
    if matches!(&wish, Wish::Exactly(version, Because::Lock) if **version == host.version) {
        return none(NoUpdate::UpToDate { version: host.version.clone() }, Vec::new());
    }

    let mut skipped = Vec::new();
    for Candidate { update, standing } in candidates {
        let because = match wish {
            Wish::Exactly(version, because) => (update.version == *version).then_some(because),
            Wish::Newest if update.version > host.version => Some(Because::Newest),
            Wish::Newest => {
                let step_down = running_withdrawn || host.version > update.max_version;
                (step_down && update.version < host.version).then_some(Because::StepDown)
            }
        };
        match (because, standing) {
            (None, _) => {}
            (Some(because), Standing::Open) => return Decision::Update { update, because, skipped },
            (Some(_), standing) => skipped.push(Skipped { version: update.version.clone(), standing }),
        }
    }
    let because = why_none(&wish, host, &skipped);
    none(because, skipped)
}

/// Every update for the host's variant and architecture, the newest first, with how it stands to the host. Those that
/// stand [`Standing::Open`] are what `check-update --all` lists.
pub fn candidates<'a>(
    manifest: &'a Manifest,
    host: &Host,
    now: Timestamp,
    bad: &BTreeSet<Version>,
) -> Vec<Candidate<'a>> {
    let mut candidates: Vec<_> = manifest
        .updates
        .iter()
        .filter(|update| update.variant == host.variant && update.arch == host.arch)
        .map(|update| Candidate { update, standing: standing(update, host, now, bad) })
        .collect();
    candidates.sort_by(|a, b| b.update.version.cmp(&a.update.version));
    candidates
}

fn standing(update: &Update, host: &Host, now: Timestamp, bad: &BTreeSet<Version>) -> Standing {
    if let Some(reason) = &update.withdrawn {
        return Standing::Withdrawn { reason: reason.clone() };
    }
    if update.version > update.max_version {
        return Standing::AboveMax { max_version: update.max_version.clone() };
    }
    if update.paused {
        return Standing::Paused;
    }
    // A lock may have been set before the version fell back; a command names it now.
    if bad.contains(&update.version) && host.forced.as_ref() != Some(&update.version) {
        return Standing::Bad;
    }
    match update.waves.turn(host.seed) {
        Some(turn) if turn.opens_at > now && !host.ignore_waves => Standing::Waiting { turn },
        _ => Standing::Open,
    }
}

impl<'a> Wish<'a> {
    fn of(host: &'a Host) -> Self {
        match (&host.forced, &host.version_lock) {
            (Some(version), _) => Self::Exactly(version, Because::Forced),
            (None, VersionLock::Exactly(version)) => Self::Exactly(version, Because::Lock),
            (None, VersionLock::Latest) => Self::Newest,
        }
    }
}

fn why_none(wish: &Wish<'_>, host: &Host, skipped: &[Skipped]) -> NoUpdate {
    let waiting = skipped.iter().filter_map(|skipped| match skipped.standing {
        Standing::Waiting { turn } => Some((turn, &skipped.version)),
        _ => None,
    });
    if let Some((turn, version)) = waiting.min_by_key(|(turn, _)| turn.opens_at) {
        return NoUpdate::Waiting { version: version.clone(), turn };
    }
    match wish {
        _ if !skipped.is_empty() => NoUpdate::Refused,
        Wish::Newest => NoUpdate::UpToDate { version: host.version.clone() },
        Wish::Exactly(version, _) => NoUpdate::NotOffered { version: (*version).clone() },
    }
}

fn none<'a>(because: NoUpdate, skipped: Vec<Skipped>) -> Decision<'a> {
    Decision::None { because, skipped }
}

impl<'a> Decision<'a> {
    /// The chosen update.
    pub fn update(&self) -> Option<&'a Update> {
        match self {
            Self::Update { update, .. } => Some(update),
            Self::None { .. } => None,
        }
    }

    /// Versions that would have been chosen, the newest first.
    pub fn skipped(&self) -> &[Skipped] {
        match self {
            Self::Update { skipped, .. } | Self::None { skipped, .. } => skipped,
        }
    }
}

impl FromStr for VersionLock {
    type Err = LockError;

    fn from_str(text: &str) -> Result<Self, LockError> {
        if text == "latest" {
            return Ok(Self::Latest);
        }
        let version = Version::parse(text.strip_prefix('v').unwrap_or(text));
        version.map(Self::Exactly).context(LockSnafu { text })
    }
}

impl fmt::Display for VersionLock {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Latest => formatter.write_str("latest"),
            Self::Exactly(version) => write!(formatter, "{version}"),
        }
    }
}

impl fmt::Display for Decision<'_> {
    /// A line for the decision and one for each version that was skipped.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Update { update, because, .. } => {
                write!(formatter, "update to {}: {because}", update.version)?;
            }
            Self::None { because, .. } => write!(formatter, "no update: {because}")?,
        }
        for Skipped { version, standing } in self.skipped() {
            write!(formatter, "\n{version} {standing}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Because {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Newest => "the newest for this host",
            Self::StepDown => "the running version was withdrawn",
            Self::Lock => "the version lock names it",
            Self::Forced => "asked for",
        })
    }
}

impl fmt::Display for NoUpdate {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NothingForHost { variant, arch } => {
                write!(formatter, "the repository has nothing for {variant} on {arch}")
            }
            Self::UpToDate { version } => write!(formatter, "{version} is what this host should run"),
            Self::NotOffered { version } => {
                write!(formatter, "the repository has no {version} for this host")
            }
            Self::Waiting { version, turn } => write!(formatter, "{version} opens at {}", turn.opens_at),
            Self::Refused => formatter.write_str("none of the versions this host would take is open to it"),
        }
    }
}

impl fmt::Display for Standing {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Open => formatter.write_str("is open to this host"),
            Self::Withdrawn { reason } => write!(formatter, "was withdrawn: {reason}"),
            Self::AboveMax { max_version } => {
                write!(formatter, "is above the highest version, {max_version}")
            }
            Self::Paused => formatter.write_str("is paused"),
            Self::Bad => formatter.write_str("was tried, and this host fell back from it"),
            Self::Waiting { turn } => write!(formatter, "waits: {turn}"),
        }
    }
}
