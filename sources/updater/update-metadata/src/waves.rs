//! When which hosts may take an update.

use crate::text;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::collections::BTreeMap;
use std::fmt;

/// How many seeds there are: a host's seed is below, from 0.
pub const SEEDS: u32 = 2048;

/// Seconds and their parts, as [`Timestamp`] counts them.
const NANOSECONDS: i128 = 1_000_000_000;

/// From seeds to times: at the time of a seed, the hosts with lower seeds have all had their turn. Between two seeds
/// the turns are spread evenly. Without any, every host may update at once.
///
/// After the last seed come all the others together; a seed of [`SEEDS`] is therefore no wave of its own but the end
/// of the last one. Documented manifests have no such end: their last wave opens at once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Waves(BTreeMap<u32, Timestamp>);

/// A seed and its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bound {
    /// The first seed that is not before it.
    pub seed: u32,
    /// When hosts of that seed may update.
    #[serde(with = "text")]
    pub time: Timestamp,
}

/// When a host may take an update, and how that comes about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Turn {
    /// The host's seed.
    pub seed: u32,
    /// Its wave, from 1.
    pub wave: usize,
    /// How many waves there are.
    pub waves: usize,
    /// Where its wave begins.
    pub from: Bound,
    /// Where its wave ends; `None` if all of it opens at once.
    pub until: Option<Bound>,
    /// When the host may update.
    #[serde(with = "text")]
    pub opens_at: Timestamp,
}

impl Waves {
    /// Waves with these times; the first bound should be of seed 0.
    pub fn new(bounds: impl IntoIterator<Item = (u32, Timestamp)>) -> Self {
        Self(bounds.into_iter().collect())
    }

    /// Whether every host may update at once.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The bounds as they are in the document, seeds ascending.
    pub fn bounds(&self) -> impl ExactSizeIterator<Item = Bound> {
        self.0.iter().map(|(&seed, &time)| Bound { seed, time })
    }

    /// When hosts of that seed may update; `None`: at any time.
    pub fn ready_at(&self, seed: u32) -> Option<Timestamp> {
        self.turn(seed).map(|turn| turn.opens_at)
    }

    /// When hosts of that seed may update, and how that comes about; `None`: at any time.
    ///
    /// A later seed never has an earlier turn, and every turn lies between the times of its wave, also if someone
    /// wrote times that do not ascend: a time then counts as the latest before it. Nobody's turn is before the first
    /// time. A seed that is a bound belongs to the wave before it, whose end is the same time.
    pub fn turn(&self, seed: u32) -> Option<Turn> {
        let bounds = self.ascending();
        let before = bounds.partition_point(|bound| bound.seed < seed);
        let index = before.saturating_sub(1);
        let from = *bounds.get(index)?;
        let until = bounds.get(index + 1).copied();
        let waves = bounds.iter().filter(|bound| bound.seed < SEEDS).count().max(1);
        let opens_at = until.map_or(from.time, |until| from.between(until, seed));
        Some(Turn { seed, wave: (index + 1).min(waves), waves, from, until, opens_at })
    }

    /// These waves with a pause in them; `None` if that leads out of time.
    ///
    /// A wave that is under way is cut in two: hosts whose turn has come keep it, the next seed's moves with the
    /// rest by the length of the pause.
    pub(crate) fn with_pause(&self, pause: Timestamp, end: Timestamp) -> Option<Self> {
        let length = SignedDuration::from_nanos_i128(end.as_nanosecond() - pause.as_nanosecond());
        let moved = |time: Timestamp| if time > pause { time.checked_add(length).ok() } else { Some(time) };
        let seeds: Vec<u32> = (0..SEEDS).collect();
        let had_turn = |seed: &u32| self.ready_at(*seed).is_some_and(|time| time <= pause);
        let count = u32::try_from(seeds.partition_point(had_turn)).expect("no more than there are seeds");
        let cut = (1..SEEDS).contains(&count).then(|| [count - 1, count]);
        let cut = cut
            .into_iter()
            .flatten()
            .filter_map(|seed| self.turn(seed))
            .map(|turn| (turn.seed, turn.opens_at));
        let bounds = self.ascending().into_iter().map(|bound| (bound.seed, bound.time)).chain(cut);
        bounds.map(|(seed, time)| Some((seed, moved(time)?))).collect::<Option<_>>().map(Self)
    }

    /// The bounds, none with a time before that of a lower seed.
    fn ascending(&self) -> Vec<Bound> {
        let latest = |latest: &mut Option<Timestamp>, (&seed, &time): (&u32, &Timestamp)| {
            let time = latest.map_or(time, |latest| latest.max(time));
            *latest = Some(time);
            Some(Bound { seed, time })
        };
        self.0.iter().scan(None, latest).collect()
    }
}

impl Bound {
    /// The time of a seed by its distance from this bound, in whole seconds after it. (Update reference, 2.3: the
    /// original took the seed itself for the distance, so that most hosts waited for the end of their wave.)
    fn between(self, until: Self, seed: u32) -> Timestamp {
        let span = until.time.as_nanosecond() - self.time.as_nanosecond();
        let position = seed.saturating_sub(self.seed).min(until.seed - self.seed);
        let seconds = span * i128::from(position) / (i128::from(until.seed - self.seed) * NANOSECONDS);
        let seconds = i64::try_from(seconds).expect("seconds between two timestamps");
        self.time + SignedDuration::from_secs(seconds)
    }
}

impl fmt::Display for Turn {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seed, wave, waves, from, until, opens_at } = self;
        write!(formatter, "seed {seed} is in wave {wave} of {waves}, ")?;
        match until {
            None => write!(formatter, "which opens to all seeds from {} at {opens_at}", from.seed),
            Some(until) => write!(
                formatter,
                "which opens to seeds {} to {} from {} to {}: {} of {} seeds into it, at {opens_at}",
                from.seed,
                until.seed,
                from.time,
                until.time,
                seed.saturating_sub(from.seed),
                until.seed - from.seed,
            ),
        }
    }
}

impl Serialize for Waves {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(seed, time)| (seed.to_string(), time.to_string())))
    }
}

impl<'de> Deserialize<'de> for Waves {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let map = text::unique_map(deserializer, "waves: seed", parse_seed)?;
        Ok(Self(map.into_iter().map(|(seed, text::Text(time))| (seed, time)).collect()))
    }
}

fn parse_seed(text: &str) -> Result<u32, String> {
    let decimal = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let seed = if decimal { text.parse().ok() } else { None };
    seed.ok_or_else(|| format!("waves: '{text}' is not a seed, a decimal number below 4294967296"))
}
