//! When a host's turn comes.

#![allow(clippy::unwrap_used, reason = "tests may panic")]

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use update_metadata::{ExpirationPolicy, Offset, SEEDS, WavePolicy, Waves};

const DEFAULT: &str = include_str!("../../../../tools/pubsys/policies/waves/default-waves.toml");
const ACCELERATED: &str = include_str!("../../../../tools/pubsys/policies/waves/accelerated-waves.toml");
const SLOW_ROLL: &str = include_str!("../../../../tools/pubsys/policies/waves/slow-roll-waves.toml");
const OHNO: &str = include_str!("../../../../tools/pubsys/policies/waves/ohno-waves.toml");
const EXPIRATION: &str = include_str!("../../../../tools/pubsys/policies/repo-expiration/2w-2w-1w.toml");

const START: &str = "2031-03-02T08:00:00Z";

fn start() -> Timestamp {
    START.parse().unwrap()
}

/// Minutes after the start.
fn minutes(time: Timestamp) -> i64 {
    time.duration_since(start()).as_mins()
}

fn waves(bounds: &[(u32, i64)]) -> Waves {
    Waves::new(bounds.iter().map(|&(seed, minutes)| (seed, start() + SignedDuration::from_mins(minutes))))
}

#[test]
fn shipped_policies_become_the_documented_waves_and_an_end() {
    const H: i64 = 60;
    const D: i64 = 24 * 60;
    for (policy, bounds) in [
        (
            DEFAULT,
            &[
                (0, H),
                (20, 4 * H),
                (102, D),
                (307, 2 * D),
                (819, 4 * D),
                (1228, 5 * D),
                (1843, 6 * D),
                (2048, 7 * D),
            ][..],
        ),
        (ACCELERATED, &[(0, H), (61, 4 * H), (245, 8 * H), (819, 16 * H), (1638, D), (2048, 32 * H)]),
        (
            SLOW_ROLL,
            &[
                (0, H),
                (20, D),
                (102, 3 * D),
                (307, 7 * D),
                (819, 9 * D),
                (1228, 12 * D),
                (1843, 13 * D),
                (2048, 14 * D),
            ],
        ),
        (OHNO, &[(0, 30), (102, 60), (512, 120), (1024, 150), (1843, 180), (2048, 210)]),
    ] {
        let mut policy = WavePolicy::parse(policy).unwrap();
        assert_eq!(policy.waves(start()).unwrap(), waves(bounds));
        // Without its end it is the documented policy.
        policy.finish_after = None;
        assert_eq!(policy.waves(start()).unwrap(), waves(&bounds[..bounds.len() - 1]));
        let text = toml::to_string(&policy).unwrap();
        assert_eq!(WavePolicy::parse(&text).unwrap(), policy);
    }
}

#[test]
fn a_bad_policy_is_refused() {
    let wave = |start: &str, percentage: i64| {
        format!("[[waves]]\nstart_after = '{start}'\nfleet_percentage = {percentage}\n")
    };
    for (text, error) in [
        (String::new(), "missing field `waves`"),
        ("waves = []\nfinish_after = '1 day'".into(), "has an end, but no waves"),
        (wave("1 hour", 0), "wave 1 of the policy has 0 %"),
        (wave("1 hour", 101), "wave 1 of the policy has 101 %"),
        (wave("1 hour", -1), "-1"),
        (wave("1 fortnight", 100), "'1 fortnight' is neither a time"),
        (wave("1 hour", 50) + &wave("2 hours", 50), "wave 2 of the policy has 50 % of the fleet, no more"),
        (wave("1 hour", 50) + &wave("2 hours", 99), "ends at 99 % of the fleet; it must be 100"),
        (
            wave("2 hours", 50) + &wave("120 minutes", 100),
            "wave 2 of the policy begins at 2031-03-02T10:00:00Z",
        ),
        (wave("2 hours", 50) + &wave("2031-03-02T09:00:00Z", 100), "wave 2 of the policy begins at"),
        (
            "finish_after = '1 hour'\n".to_owned() + &wave("1 hour", 100),
            "is over at 2031-03-02T09:00:00Z, not after",
        ),
        (wave("4000000000 weeks", 100), "compute when wave 1 of the policy begins"),
        ("color = 1\n".to_owned() + &wave("1 hour", 100), "unknown field `color`"),
    ] {
        let error_of = WavePolicy::parse(&text).and_then(|policy| policy.waves(start())).unwrap_err();
        let source = std::error::Error::source(&error_of).map(ToString::to_string).unwrap_or_default();
        let found = format!("{error_of}: {source}");
        assert!(found.contains(error), "{text}\n{found}\n  has no {error}");
    }
    let at_once = WavePolicy::parse("waves = []").unwrap().waves(start()).unwrap();
    assert!(at_once.is_empty());
}

#[test]
fn expirations_are_counted_from_the_start() {
    let policy = ExpirationPolicy::parse(EXPIRATION).unwrap();
    let expirations = policy.expirations(start()).unwrap();
    let days = |time| minutes(time) / (24 * 60);
    assert_eq!([expirations.snapshot, expirations.targets, expirations.timestamp].map(days), [14, 14, 7]);
    for text in ["", "snapshot_expiration = '1 day'", &EXPIRATION.replace("1 week", "1 year")] {
        assert!(ExpirationPolicy::parse(text).is_err(), "{text}");
    }
}

#[test]
fn offsets_are_times_or_spans() {
    for (text, after) in [
        ("0 hours", 0),
        ("1 minute", 1),
        ("90 minutes", 90),
        ("1 hour", 60),
        ("in 2 hours", 120),
        ("1 days", 1440),
        ("in 2 weeks", 20_160),
        ("2031-03-02T08:07:00Z", 7),
        ("2031-03-02T10:07:00+02:00", 7),
    ] {
        let offset: Offset = text.parse().unwrap();
        assert_eq!(minutes(offset.from(start()).unwrap()), after, "{text}");
        assert_eq!(offset.to_string().parse::<Offset>().unwrap(), offset, "{text}");
    }
    for text in [
        "",
        "in",
        "1",
        "hour",
        "-1 hours",
        "+1 hours",
        "1.5 hours",
        "1 hour 2",
        "4294967296 weeks",
        "in in 1 day",
    ] {
        assert!(text.parse::<Offset>().is_err(), "{text}");
    }
}

#[test]
fn a_turn_is_the_distance_from_the_start_of_its_wave() {
    let three = waves(&[(0, 0), (100, 60), (300, 100)]);
    let ended = waves(&[(0, 0), (100, 60), (300, 100), (2048, 300)]);
    let late = waves(&[(50, 10), (150, 20)]);
    let twisted = waves(&[(0, 60), (100, 30), (200, 90)]);
    for (waves, seed, after, explained) in [
        // Nobody before the first wave, which the documents let seed 0 do.
        (&three, 0, 0, "wave 1 of 3, which opens to seeds 0 to 100"),
        (&three, 50, 30, "wave 1 of 3"),
        (&three, 100, 60, "seed 100 is in wave 1 of 3"),
        (&three, 200, 80, "wave 2 of 3"),
        (&three, 250, 90, ": 150 of 200 seeds into it, at 2031-03-02T09:30:00Z"),
        (&three, 300, 100, "wave 2 of 3"),
        (&three, 301, 100, "wave 3 of 3, which opens to all seeds from 300 at 2031-03-02T09:40:00Z"),
        (&three, 2047, 100, "wave 3 of 3"),
        (&three, u32::MAX, 100, "wave 3 of 3"),
        (&ended, 300, 100, "wave 2 of 3"),
        (&ended, 1174, 200, "wave 3 of 3, which opens to seeds 300 to 2048"),
        (&ended, 2047, 299, "wave 3 of 3"),
        (&ended, 2048, 300, "wave 3 of 3"),
        (&ended, u32::MAX, 300, "wave 3 of 3, which opens to all seeds from 2048"),
        (&late, 0, 10, "seed 0 is in wave 1 of 2"),
        (&late, 100, 15, "50 of 100 seeds into it"),
        // Times that do not ascend count as the latest before them.
        (&twisted, 50, 60, "wave 1 of 3"),
        (&twisted, 150, 75, "wave 2 of 3"),
    ] {
        let turn = waves.turn(seed).unwrap();
        assert_eq!(minutes(turn.opens_at), after, "seed {seed}: {turn}");
        assert!(turn.to_string().contains(explained), "{turn}\n  has no {explained}");
        let json = serde_json::to_string(&turn).unwrap();
        assert_eq!(serde_json::from_str::<update_metadata::Turn>(&json).unwrap(), turn);
    }
    assert_eq!(Waves::default().ready_at(7), None);
}

#[test]
fn a_spread_wave_has_no_jump() {
    for policy in [DEFAULT, ACCELERATED, SLOW_ROLL, OHNO] {
        let waves = WavePolicy::parse(policy).unwrap().waves(start()).unwrap();
        let mut times: Vec<_> = (0..SEEDS).map(|seed| waves.ready_at(seed).unwrap()).collect();
        assert!(times.is_sorted());
        times.dedup();
        assert_eq!(times.len(), 2048, "every seed has a turn of its own");
    }
}

/// Any map: seeds and times in any order, small ones often so that bounds meet.
fn any_waves() -> impl Strategy<Value = Waves> {
    let seed = prop_oneof![0..8_u32, 0..SEEDS + 2, any::<u32>()];
    let second = prop_oneof![0..100_i64, 0..10_000_000_i64, -377_705_023_201..=253_402_207_200_i64];
    proptest::collection::btree_map(seed, second, 1..8).prop_map(|map| {
        Waves::new(map.into_iter().map(|(seed, at)| (seed, Timestamp::from_second(at).unwrap())))
    })
}

/// A policy with its end or without.
fn any_policy() -> impl Strategy<Value = WavePolicy> {
    let wave = (1..100_u32, 1..100_000_u32);
    (proptest::collection::btree_map(1..100_u32, 1..50_000_u32, 0..6), wave, any::<bool>()).prop_map(
        |(map, (_, last), ended)| {
            let mut at = 0;
            let text: Vec<String> = map
                .into_iter()
                .chain([(100, last)])
                .map(|(percentage, span)| {
                    at += span;
                    format!("[[waves]]\nstart_after = '{at} minutes'\nfleet_percentage = {percentage}\n")
                })
                .collect();
            let end = if ended { format!("finish_after = '{} minutes'\n", at + last) } else { String::new() };
            WavePolicy::parse(&(end + &text.concat())).unwrap()
        },
    )
}

proptest! {
    #[test]
    fn turns_do_not_descend_and_stay_in_their_wave(waves in any_waves(), near in 0..SEEDS, far in any::<u32>()) {
        let seeds = [near, near.saturating_sub(1), near + 1, far, far.saturating_sub(1), far.saturating_add(1)];
        let bounds = waves.bounds().flat_map(|bound| [bound.seed, bound.seed.saturating_add(1)]);
        let mut seeds: Vec<u32> = seeds.into_iter().chain(bounds).chain([0, SEEDS, u32::MAX]).collect();
        seeds.sort_unstable();
        let turns: Vec<_> = seeds.iter().map(|seed| waves.turn(*seed).unwrap()).collect();
        prop_assert!(turns.iter().map(|turn| turn.opens_at).is_sorted());
        for turn in &turns {
            prop_assert!(turn.opens_at >= turn.from.time);
            prop_assert!(turn.until.is_none_or(|until| turn.opens_at <= until.time));
            prop_assert!(turn.wave >= 1 && turn.wave <= turn.waves);
        }
        let latest = waves.bounds().map(|bound| bound.time).max();
        prop_assert_eq!(waves.ready_at(u32::MAX).max(latest), latest);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_policy_keeps_its_promise(policy in any_policy()) {
        let waves = policy.waves(start()).unwrap();
        for (index, wave) in policy.waves.iter().enumerate() {
            let begins = wave.start_after.from(start()).unwrap();
            let before = if index == 0 { 0 } else { policy.waves[index - 1].fleet_percentage * SEEDS / 100 };
            // At its begin all of the wave before have had their turn, and of the wave itself at most its first.
            let ready = (0..SEEDS).filter(|seed| waves.ready_at(*seed).unwrap() <= begins).count();
            let all_at_once = index + 1 == policy.waves.len() && policy.finish_after.is_none();
            let expected = if all_at_once { 2048 } else { before as usize + 1 };
            prop_assert_eq!(ready, expected, "wave {}", index + 1);
        }
        let last = policy.finish_after.unwrap_or(policy.waves.last().unwrap().start_after);
        prop_assert!((0..SEEDS).all(|seed| waves.ready_at(seed).unwrap() <= last.from(start()).unwrap()));
    }
}
