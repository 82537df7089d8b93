//! A fleet of hosts, and when each of them takes a release.

use jiff::Timestamp;
use serde::Serialize;
use snafu::{Snafu, ensure};
use std::fmt;
use update_metadata::{SEEDS, Waves};

/// Most steps of a curve: eleven years of hours. More would be a mistake in a policy, and no table to read.
const MAX_STEPS: u64 = 100_000;

/// The hosts, and how they look for updates.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Fleet {
    /// How many there are.
    pub(super) hosts: u64,
    /// Seconds from one check to the next.
    pub(super) check_interval_secs: u64,
    /// A check is up to so many seconds late, at random each time.
    pub(super) check_jitter_secs: u64,
    /// Seconds that are counted together.
    pub(super) step_secs: u64,
    /// The same number makes the same fleet.
    pub(super) random_seed: u64,
}

/// A fleet that makes no sense, or a curve too long to look at.
#[derive(Debug, PartialEq, Eq, Snafu)]
pub(crate) enum SimulationError {
    #[snafu(display("hosts must look for updates more often than never: the check interval is 0"))]
    NoInterval,
    #[snafu(display(
        "a jitter of {jitter} s is longer than the check interval, {interval} s: checks would overlap"
    ))]
    LongJitter { jitter: u64, interval: u64 },
    #[snafu(display("a step of 0 seconds counts nothing"))]
    NoStep,
    #[snafu(display(
        "the last host would update {last} s after the start, more than {MAX_STEPS} steps of {step} s; \
         take longer steps, or a start nearer to the policy's times"
    ))]
    TooLong { last: u64, step: u64 },
}

/// What happens in each step.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Curve {
    /// How many hosts there are.
    pub(super) hosts: u64,
    /// Seconds of a step; the first one begins with the release.
    pub(super) step_secs: u64,
    /// What each host fetches, if it is known.
    pub(super) delta_bytes: Option<u64>,
    /// Up to the one in which the last host updates.
    pub(super) steps: Vec<Step>,
}

/// How many hosts it happens to in a step.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub(super) struct Step {
    /// Their turn comes.
    pub(super) released: u64,
    /// They look for updates, and take this one.
    pub(super) updated: u64,
}

/// Sends every host of a fleet through a release. A host has one of [`SEEDS`] seeds, so that when its turn comes is
/// looked up; its checks begin at a random moment of the interval, and it updates with the first one from its turn on.
pub(super) fn simulate(
    waves: &Waves,
    start: Timestamp,
    fleet: &Fleet,
    delta_bytes: Option<u64>,
) -> Result<Curve, SimulationError> {
    let Fleet { hosts, check_interval_secs: interval, check_jitter_secs: jitter, step_secs, .. } = *fleet;
    ensure!(interval > 0, NoIntervalSnafu);
    ensure!(jitter <= interval, LongJitterSnafu { jitter, interval });
    ensure!(step_secs > 0, NoStepSnafu);
    // A turn before the start is open from the start on.
    let turn = |seed| waves.ready_at(seed).map_or(0, |time| time.duration_since(start).as_secs().max(0));
    let turns: Vec<u64> = (0..SEEDS).map(|seed| turn(seed).unsigned_abs()).collect();
    let last = turns.iter().max().map_or(0, |last| last + interval + jitter);
    ensure!(last / step_secs < MAX_STEPS, TooLongSnafu { last, step: step_secs });

    let mut random = SplitMix(fleet.random_seed);
    let mut curve = Curve { hosts, step_secs, delta_bytes, steps: Vec::new() };
    for _ in 0..hosts {
        let seed = random.below(u64::from(SEEDS));
        let ready = turns[usize::try_from(seed).expect("below the number of seeds")];
        let check = first_check(ready, interval, jitter, &mut random);
        curve.step(ready).released += 1;
        curve.step(check).updated += 1;
    }
    Ok(curve)
}

/// The first check from that second on. Checks are an interval apart and each of them up to `jitter` late; when the
/// first of them is, is random.
fn first_check(ready: u64, interval: u64, jitter: u64, random: &mut SplitMix) -> u64 {
    // How long after the earliest second in which a check that may be in time can fall due one does.
    let mut due = random.below(interval);
    loop {
        let check = due + random.below(jitter + 1);
        if check >= jitter {
            return ready + (check - jitter);
        }
        due += interval;
    }
}

/// Random enough for a fleet, and the same on every machine: `SplitMix64` (Steele, Lea, Flood: "Fast splittable
/// pseudorandom number generators", OOPSLA 2014, figure 18).
struct SplitMix(u64);

impl SplitMix {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`, all as likely as 64 bits can tell.
    fn below(&mut self, bound: u64) -> u64 {
        let scaled = (u128::from(self.next()) * u128::from(bound)) >> 64;
        u64::try_from(scaled).expect("the upper half of a product")
    }
}

impl Curve {
    fn step(&mut self, second: u64) -> &mut Step {
        let index = usize::try_from(second / self.step_secs).expect("below the most steps of a curve");
        if self.steps.len() <= index {
            self.steps.resize(index + 1, Step::default());
        }
        &mut self.steps[index]
    }

    /// The hosts of all steps up to each one, this one included.
    pub(super) fn totals(&self) -> impl Iterator<Item = Step> {
        self.steps.iter().scan(Step::default(), |total, step| {
            total.released += step.released;
            total.updated += step.updated;
            Some(*total)
        })
    }

    /// The step in which most hosts update, and how many do.
    pub(super) fn peak(&self) -> (usize, u64) {
        let updated = self.steps.iter().map(|step| step.updated).enumerate();
        updated.rev().max_by_key(|(_, updated)| *updated).unwrap_or_default()
    }

    /// Seconds from the start to the end of a step.
    fn end_of(&self, index: usize) -> u64 {
        (index as u64 + 1) * self.step_secs
    }

    fn percent(&self, hosts: u64) -> f64 {
        share(hosts, self.hosts) * 100.0
    }

    fn bytes(&self, updated: u64) -> Option<u128> {
        self.delta_bytes.map(|delta| u128::from(delta) * u128::from(updated))
    }
}

/// A part of a whole. Hosts are so few that a float has them all.
#[allow(clippy::cast_precision_loss)]
pub(super) fn share(part: u64, whole: u64) -> f64 {
    part as f64 / whole.max(1) as f64
}

/// `1d 02:30`
pub(super) struct Elapsed(pub(super) u64);

impl fmt::Display for Elapsed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let minutes = self.0 / 60;
        let text = format!("{}d {:02}:{:02}", minutes / 1440, minutes / 60 % 24, minutes % 60);
        formatter.pad(&text)
    }
}

/// `12.3 GiB`
pub(super) struct Bytes(pub(super) u128);

impl fmt::Display for Bytes {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut tenths = self.0 * 10;
        let mut units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"].into_iter().peekable();
        let mut unit = units.next().unwrap_or_default();
        while tenths >= 10_240 && units.peek().is_some() {
            tenths /= 1024;
            unit = units.next().unwrap_or_default();
        }
        formatter.pad(&format!("{}.{} {unit}", tenths / 10, tenths % 10))
    }
}

impl fmt::Display for Curve {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let served = |updated| self.bytes(updated).map(|bytes| Bytes(bytes).to_string()).unwrap_or_default();
        let heads = ["until", "released", "%", "updated", "%", "in this step"];
        let [until, released, of_released, updated, of_updated, now] = heads;
        let bytes = if self.delta_bytes.is_some() { "served" } else { "" };
        let line = format!(
            "{until:>9} {released:>10} {of_released:>6} {updated:>10} {of_updated:>6} {now:>12} {bytes:>12}"
        );
        writeln!(formatter, "{}", line.trim_end())?;
        for (index, (total, step)) in self.totals().zip(&self.steps).enumerate() {
            let line = format!(
                "{:>9} {:>10} {:>6.2} {:>10} {:>6.2} {:>12} {:>12}",
                Elapsed(self.end_of(index)),
                total.released,
                self.percent(total.released),
                total.updated,
                self.percent(total.updated),
                step.updated,
                served(step.updated),
            );
            writeln!(formatter, "{}", line.trim_end())?;
        }

        let (index, updated) = self.peak();
        let until = Elapsed(self.end_of(index));
        let percent = self.percent(updated);
        write!(formatter, "peak: {updated} hosts ({percent:.2} %) in the step until {until}")?;
        if let Some(bytes) = self.bytes(updated) {
            let rate = Bytes(bytes / u128::from(self.step_secs));
            write!(formatter, ", {} or {rate}/s", Bytes(bytes))?;
        }
        let all = |has: fn(&Step) -> u64| {
            let index = self.totals().position(|total| has(&total) == self.hosts);
            Elapsed(index.map_or(0, |index| self.end_of(index)))
        };
        write!(formatter, "\nall released after {}, ", all(|step| step.released))?;
        write!(formatter, "all updated after {}", all(|step| step.updated))?;
        if let Some(bytes) = self.bytes(self.hosts) {
            write!(formatter, ", {} in all", Bytes(bytes))?;
        }
        writeln!(formatter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::SignedDuration;
    use proptest::prelude::*;
    use update_metadata::WavePolicy;

    const POLICIES: [&str; 4] = [
        include_str!("../../policies/waves/default-waves.toml"),
        include_str!("../../policies/waves/accelerated-waves.toml"),
        include_str!("../../policies/waves/slow-roll-waves.toml"),
        include_str!("../../policies/waves/ohno-waves.toml"),
    ];

    fn start() -> Timestamp {
        "2031-03-02T08:00:00Z".parse().unwrap()
    }

    fn fleet(hosts: u64) -> Fleet {
        Fleet { hosts, check_interval_secs: 3600, check_jitter_secs: 900, step_secs: 3600, random_seed: 1 }
    }

    fn at_once() -> Waves {
        Waves::default()
    }

    /// How far from a share of `hosts` that many independent hosts may be, but for one case in ten million.
    fn tolerance(hosts: u64, share: f64) -> f64 {
        5.3 * (share * (1.0 - share) / share_base(hosts)).sqrt() + 1e-9
    }

    #[allow(clippy::cast_precision_loss)]
    fn share_base(hosts: u64) -> f64 {
        hosts as f64
    }

    #[test]
    fn a_fleet_follows_its_policy() {
        for policy in POLICIES {
            let policy = WavePolicy::parse(policy).unwrap();
            let fleet = Fleet { step_secs: 60, ..fleet(200_000) };
            let curve = simulate(&policy.waves(start()).unwrap(), start(), &fleet, None).unwrap();
            let totals: Vec<Step> = curve.totals().collect();
            for waves in policy.waves.windows(2) {
                // When a wave begins, the one before is over.
                let begins = waves[1].start_after.span().unwrap().as_mins();
                let released = totals[usize::try_from(begins).unwrap()].released;
                let share = share(released, fleet.hosts);
                let expected = f64::from(waves[0].fleet_percentage * SEEDS / 100 + 1) / f64::from(SEEDS);
                let off = (share - expected).abs();
                // A minute more than the moment of the wave: up to one per cent of the fleet in the emergency policy.
                assert!(
                    off <= tolerance(fleet.hosts, expected) + 0.02,
                    "{expected} expected, {share} released"
                );
            }
            assert_eq!(totals.last().unwrap().updated, fleet.hosts);
        }
    }

    #[test]
    fn a_release_over_a_week_comes_in_no_jumps() {
        let policy = WavePolicy::parse(POLICIES[0]).unwrap();
        let curve = simulate(&policy.waves(start()).unwrap(), start(), &fleet(200_000), None).unwrap();
        let most = curve.steps.iter().map(|step| step.released.max(step.updated)).max().unwrap();
        // The steepest wave has 30 % in a day.
        let expected = 0.30 / 24.0;
        assert!(share(most, 200_000) < expected + 2.0 * tolerance(200_000, expected), "{most}");
    }

    #[test]
    fn checks_spread_what_is_released_at_once() {
        // Without jitter the checks of an interval are spread evenly; with it, as evenly.
        for jitter in [0, 1200, 3600] {
            let fleet = Fleet { step_secs: 360, check_jitter_secs: jitter, ..fleet(200_000) };
            let curve = simulate(&at_once(), start(), &fleet, None).unwrap();
            assert_eq!(curve.steps[0].released, 200_000);
            if jitter == 0 {
                assert_eq!(curve.steps.len(), 10);
                for step in &curve.steps {
                    let off = (share(step.updated, 200_000) - 0.1).abs();
                    assert!(off < tolerance(200_000, 0.1), "{step:?}");
                }
            }
            let first = share(curve.steps[0].updated, 200_000);
            assert!((first - 0.1).abs() < tolerance(200_000, 0.1) + 0.003, "jitter {jitter}: {first}");
        }
    }

    #[test]
    fn the_same_seed_is_the_same_fleet() {
        let run =
            |random_seed| simulate(&at_once(), start(), &Fleet { random_seed, ..fleet(1000) }, None).unwrap();
        assert_eq!(run(7), run(7));
        assert_ne!(run(7), run(8));
        // The first numbers of the reference implementation with that state.
        let mut random = SplitMix(1_234_567);
        let first: Vec<u64> = (0..3).map(|_| random.next()).collect();
        assert_eq!(first, [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423]);
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        let late = Waves::new([(0, start() + SignedDuration::from_hours(24 * 365 * 20))]);
        for (waves, fleet, error) in [
            (at_once(), Fleet { check_interval_secs: 0, ..fleet(1) }, "hosts must look for updates"),
            (at_once(), Fleet { check_jitter_secs: 3601, ..fleet(1) }, "a jitter of 3601 s is longer"),
            (at_once(), Fleet { step_secs: 0, ..fleet(1) }, "a step of 0 seconds"),
            (late, fleet(1), "the last host would update 630724500 s after the start"),
        ] {
            let found = simulate(&waves, start(), &fleet, None).unwrap_err().to_string();
            assert!(found.starts_with(error), "{found}");
        }
    }

    #[test]
    fn the_table_shows_hosts_and_bytes() {
        let steps = vec![Step { released: 30, updated: 10 }, Step { released: 10, updated: 30 }];
        let curve = Curve { hosts: 40, step_secs: 3600, delta_bytes: Some(3 << 20), steps };
        assert_eq!(
            curve.to_string(),
            "    until   released      %    updated      % in this step       served\n\
             \x200d 01:00         30  75.00         10  25.00           10     30.0 MiB\n\
             \x200d 02:00         40 100.00         40 100.00           30     90.0 MiB\n\
             peak: 30 hosts (75.00 %) in the step until 0d 02:00, 90.0 MiB or 25.5 KiB/s\n\
             all released after 0d 02:00, all updated after 0d 02:00, 120.0 MiB in all\n"
        );
        let plain = Curve { delta_bytes: None, ..curve }.to_string();
        assert!(!plain.contains("served") && !plain.contains("iB") && !plain.contains(" \n"), "{plain}");
    }

    #[test]
    fn bytes_are_rounded_down_to_a_tenth() {
        for (bytes, text) in [(0, "0.0 B"), (1023, "1023.0 B"), (1024, "1.0 KiB"), (1_610_612_735, "1.4 GiB")]
        {
            assert_eq!(Bytes(bytes).to_string(), text);
        }
        assert!(Bytes(u128::from(u64::MAX) * 10_000_000).to_string().ends_with("EiB"));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn the_curve_is_a_fleet_that_updates_in_time(
            bounds in proptest::collection::btree_map(0..SEEDS + 1, -10_000..200_000_i64, 0..6),
            interval in 1..20_000_u64,
            jitter in 0..=100_u64,
            step in 30..5_000_u64,
            hosts in 1..2_000_u64,
            random_seed in any::<u64>(),
        ) {
            let waves = Waves::new(bounds.iter().map(|(seed, at)| (*seed, start() + SignedDuration::from_secs(*at))));
            let jitter = interval * jitter / 100;
            let fleet = Fleet {
                hosts, check_interval_secs: interval, check_jitter_secs: jitter, step_secs: step, random_seed,
            };
            let curve = simulate(&waves, start(), &fleet, None).unwrap();
            let totals: Vec<Step> = curve.totals().collect();
            prop_assert_eq!(totals.last(), Some(&Step { released: hosts, updated: hosts }));
            // Nobody updates before its turn, and everybody with the first check after it.
            let late = usize::try_from((interval + jitter) / step + 1).unwrap();
            for (index, total) in totals.iter().enumerate() {
                prop_assert!(total.updated <= total.released);
                let earlier = index.checked_sub(late).map_or(0, |earlier| totals[earlier].released);
                prop_assert!(total.updated >= earlier, "{} updated, {} were due", total.updated, earlier);
            }
            // Turns are within the waves.
            let last = bounds.values().max().copied().unwrap_or(0).max(0).unsigned_abs();
            let released = curve.steps.iter().rposition(|step| step.released > 0).unwrap();
            prop_assert!(released as u64 <= last / step);
            prop_assert_eq!(curve.steps.iter().map(|step| step.updated).max().unwrap(), curve.peak().1);
        }
    }
}
