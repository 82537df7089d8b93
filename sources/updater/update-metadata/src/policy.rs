//! Policies of a publisher: how fast a release spreads, how long its metadata lives.

use crate::offset::{Offset, OffsetError};
use crate::waves::{SEEDS, Waves};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use snafu::{ResultExt, Snafu, ensure};

/// How fast a release spreads (TOML; update reference, 2.2).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WavePolicy {
    /// Ours: when the last wave is over. Without it the last wave opens to all its hosts at once, as documented.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finish_after: Option<Offset>,
    /// In ascending order; none at all opens the release to everybody at once.
    pub waves: Vec<PolicyWave>,
}

/// A part of the fleet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PolicyWave {
    /// When the wave begins, counted from the start of the release.
    pub start_after: Offset,
    /// How much of the fleet is released when the wave is over: 1 to 100, that of the last wave 100.
    pub fleet_percentage: u32,
}

/// How long metadata live (TOML; build reference, 14.5).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExpirationPolicy {
    /// Of `snapshot.json`.
    pub snapshot_expiration: Offset,
    /// Of `targets.json`.
    pub targets_expiration: Offset,
    /// Of `timestamp.json`.
    pub timestamp_expiration: Offset,
}

/// When metadata expire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expirations {
    /// Of `snapshot.json`.
    pub snapshot: Timestamp,
    /// Of `targets.json`.
    pub targets: Timestamp,
    /// Of `timestamp.json`.
    pub timestamp: Timestamp,
}

/// A document that is no policy, or a policy that does not fit its start.
#[derive(Debug, Snafu)]
#[allow(missing_docs)]
pub enum PolicyError {
    #[snafu(display("read the wave policy"))]
    ReadWaves { source: toml::de::Error },
    #[snafu(display("wave {wave} of the policy has {percentage} % of the fleet; 1 to 100 can be"))]
    Percentage { wave: usize, percentage: u32 },
    #[snafu(display(
        "wave {wave} of the policy has {percentage} % of the fleet, no more than the wave before; percentages add up"
    ))]
    Descending { wave: usize, percentage: u32 },
    #[snafu(display("the last wave of the policy ends at {percentage} % of the fleet; it must be 100"))]
    Unfinished { percentage: u32 },
    #[snafu(display("compute when wave {wave} of the policy begins"))]
    WaveTime { wave: usize, source: OffsetError },
    #[snafu(display("compute when the last wave of the policy is over"))]
    FinishTime { source: OffsetError },
    #[snafu(display("wave {wave} of the policy begins at {time}, not after the wave before"))]
    Backwards { wave: usize, time: Timestamp },
    #[snafu(display("the last wave of the policy is over at {time}, not after it begins"))]
    FinishBackwards { time: Timestamp },
    #[snafu(display("the policy has an end, but no waves"))]
    NothingToFinish,
    #[snafu(display("read the expiration policy"))]
    ReadExpiration { source: toml::de::Error },
    #[snafu(display("compute when the {role} expires"))]
    ExpirationTime { role: &'static str, source: OffsetError },
}

impl WavePolicy {
    /// Reads a document.
    pub fn parse(text: &str) -> Result<Self, PolicyError> {
        let policy: Self = toml::from_str(text).context(ReadWavesSnafu)?;
        policy.check_percentages()?;
        Ok(policy)
    }

    fn check_percentages(&self) -> Result<(), PolicyError> {
        let mut before = 0;
        for (wave, PolicyWave { fleet_percentage: percentage, .. }) in (1_usize..).zip(&self.waves) {
            let percentage = *percentage;
            ensure!((1..=100).contains(&percentage), PercentageSnafu { wave, percentage });
            ensure!(percentage > before, DescendingSnafu { wave, percentage });
            before = percentage;
        }
        ensure!(self.waves.is_empty() || before == 100, UnfinishedSnafu { percentage: before });
        ensure!(!self.waves.is_empty() || self.finish_after.is_none(), NothingToFinishSnafu);
        Ok(())
    }

    /// The waves of a release that starts then. A wave begins at the seed where the one before it ends.
    pub fn waves(&self, start: Timestamp) -> Result<Waves, PolicyError> {
        self.check_percentages()?;
        let mut bounds = Vec::with_capacity(self.waves.len() + 1);
        let (mut seed, mut latest) = (0, None);
        for (wave, PolicyWave { start_after, fleet_percentage }) in (1_usize..).zip(&self.waves) {
            let time = start_after.from(start).context(WaveTimeSnafu { wave })?;
            ensure!(latest.is_none_or(|latest| time > latest), BackwardsSnafu { wave, time });
            bounds.push((seed, time));
            seed = fleet_percentage * SEEDS / 100;
            latest = Some(time);
        }
        if let Some(finish) = self.finish_after {
            let time = finish.from(start).context(FinishTimeSnafu)?;
            ensure!(latest.is_none_or(|latest| time > latest), FinishBackwardsSnafu { time });
            bounds.push((SEEDS, time));
        }
        Ok(Waves::new(bounds))
    }
}

impl ExpirationPolicy {
    /// Reads a document.
    pub fn parse(text: &str) -> Result<Self, PolicyError> {
        toml::from_str(text).context(ReadExpirationSnafu)
    }

    /// When metadata made then expire.
    pub fn expirations(&self, start: Timestamp) -> Result<Expirations, PolicyError> {
        let time = |offset: Offset, role| offset.from(start).context(ExpirationTimeSnafu { role });
        Ok(Expirations {
            snapshot: time(self.snapshot_expiration, "snapshot")?,
            targets: time(self.targets_expiration, "targets")?,
            timestamp: time(self.timestamp_expiration, "timestamp")?,
        })
    }
}
