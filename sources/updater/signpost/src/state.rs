//! The state machine: bits, commands, and what each command makes of the bits.

use partitions::Attributes;
use serde::{Deserialize, Serialize};
use snafu::{OptionExt, Snafu, ensure};
use std::fmt;

/// How often a new set may be started before it has proved itself: one boot may be cut short, and a second, by no
/// fault of the set.
pub const TRIES: u8 = 3;

/// Priority of the set that is to boot next, and of the one behind it. With 0 a set never boots.
const FIRST: u8 = 2;
const SECOND: u8 = 1;

/// One of the two sets of partitions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum SetName {
    /// The set whose partitions come first in the table.
    A,
    /// The other.
    B,
}

impl SetName {
    /// The other set.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::A => Self::B,
            Self::B => Self::A,
        }
    }
}

impl fmt::Display for SetName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::A => "A",
            Self::B => "B",
        })
    }
}

/// What the table says of booting, and which set runs. Bits of the attributes that mean nothing here are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct BootState {
    /// The set that runs.
    pub active: SetName,
    /// Attributes of the running set's BOOT partition.
    pub running: Attributes,
    /// Attributes of the other set's BOOT partition; none on a disk with one set.
    pub other: Option<Attributes>,
    /// Attributes of the PRIVATE partition.
    pub private: Attributes,
}

/// What can be asked of the state (update, section 6.4). The inactive set is the one that does not run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Command {
    /// The running set has proved itself: it needs no tries any more.
    MarkSuccessfulBoot,
    /// The inactive set is about to be written: it must not boot.
    ClearInactive,
    /// The inactive set is completely written and checked: it may be activated, with [`TRIES`] tries.
    MarkInactiveValid,
    /// The inactive set, valid and never booted, is the next to boot.
    UpgradeToInactive,
    /// The running set stays the next to boot; a valid inactive set can be activated again.
    CancelUpgrade,
    /// The inactive set, which has booted before, is the next to boot.
    RollbackToInactive,
}

/// A command that would harm the host, or that has nothing to act on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Snafu)]
#[allow(missing_docs)]
pub enum Refusal {
    #[snafu(display("{command}: the disk has one set of partitions, so there is no inactive set"))]
    OneSet { command: Command },
    #[snafu(display(
        "{command}: set {running} runs and has not proved itself yet; set {other} is what the host falls back to. \
         Wait until the boot is marked successful"
    ))]
    OnlyFallback { command: Command, running: SetName, other: SetName },
    #[snafu(display(
        "{command}: set {running} runs, has not proved itself and has no tries left; without set {other} nothing \
         would boot. Wait until the boot is marked successful"
    ))]
    NothingLeft { command: Command, running: SetName, other: SetName },
    #[snafu(display(
        "{command}: set {set} is in use: priority {priority}, {tries} tries left, successful {successful}. Clear it \
         before it is written"
    ))]
    InUse { command: Command, set: SetName, priority: u8, tries: u8, successful: bool },
    #[snafu(display("{command}: set {set} was not marked valid, so nobody vouches for what it holds"))]
    NotValid { command: Command, set: SetName },
    #[snafu(display("{command}: set {set} has not proved itself in any boot"))]
    NeverSucceeded { command: Command, set: SetName },
}

impl BootState {
    /// The set that GRUB would boot now, if any: of the sets with a priority that are successful or have tries left,
    /// the one with the greatest priority; of equals, A. The rule of GRUB's module `gptprio`.
    pub fn next(&self) -> Option<SetName> {
        let candidates = [SetName::A, SetName::B].into_iter().filter(|set| self.of(*set).is_some_and(boots));
        // Of equal keys `max_by_key` takes the last.
        candidates.rev().max_by_key(|set| self.of(*set).map(Attributes::priority))
    }

    /// What a start of the host makes of the state: the set that runs then, which has paid a try unless it has
    /// proved itself. None if no set boots.
    pub fn started(&self) -> Option<Self> {
        let next = self.next()?;
        let mut state = self.seen_from(next);
        if !state.running.is_successful() {
            state.running = state.running.with_tries_left(state.running.tries_left() - 1);
        }
        Some(state)
    }

    /// The attributes of a set's BOOT partition; none for B on a disk with one set.
    pub fn of(&self, set: SetName) -> Option<Attributes> {
        if set == self.active { Some(self.running) } else { self.other }
    }

    /// Whether any boot of the disk has ever succeeded.
    pub fn has_boot_ever_succeeded(&self) -> bool {
        self.private.has_ever_succeeded()
    }

    /// Whether the running set has proved itself, in this boot or an earlier one.
    pub fn is_proven(&self) -> bool {
        self.running.is_successful()
    }

    /// Whether the other set is marked valid, and neither boots by itself nor ever did.
    pub fn is_other_valid(&self) -> bool {
        self.other
            .is_some_and(|other| !other.is_successful() && other.tries_left() > 0 && other.priority() == 0)
    }

    /// Whether the other set boots next and has not proved itself.
    pub fn is_other_on_trial(&self) -> bool {
        self.next() == Some(self.active.other()) && self.other.is_some_and(|other| !other.is_successful())
    }

    /// The state after a command; the same one where the command changes nothing.
    pub fn apply(&self, command: Command) -> Result<Self, Refusal> {
        if command == Command::MarkSuccessfulBoot {
            return Ok(self.marked_successful());
        }
        let other = self.other.context(OneSetSnafu { command })?;
        match command {
            Command::MarkSuccessfulBoot => Ok(self.marked_successful()),
            Command::ClearInactive => self.cleared(other),
            Command::MarkInactiveValid => self.marked_valid(other),
            Command::UpgradeToInactive => self.upgraded(other),
            Command::CancelUpgrade => self.cancelled(other),
            Command::RollbackToInactive => self.rolled_back(other),
        }
    }

    /// A successful set needs no tries. With none it costs no write at the next start, by any rule that counts tries
    /// of successful sets too. A set that runs and has no priority would not be found again.
    fn marked_successful(&self) -> Self {
        let running = with_some_priority(self.running.with_successful(true).with_tries_left(0));
        Self { running, private: self.private.with_ever_succeeded(true), ..*self }
    }

    fn cleared(&self, other: Attributes) -> Result<Self, Refusal> {
        let command = Command::ClearInactive;
        ensure!(
            self.is_proven() || !boots(other),
            OnlyFallbackSnafu { command, running: self.active, other: self.inactive() }
        );
        let cleared = other.with_priority(0).with_tries_left(0).with_successful(false);
        Ok(self.with(self.kept(), cleared))
    }

    fn marked_valid(&self, other: Attributes) -> Result<Self, Refusal> {
        let command = Command::MarkInactiveValid;
        ensure!(other.priority() == 0 && !other.is_successful(), in_use(command, self.inactive(), other));
        Ok(self.with(self.running, other.with_tries_left(TRIES)))
    }

    fn upgraded(&self, other: Attributes) -> Result<Self, Refusal> {
        let (command, set) = (Command::UpgradeToInactive, self.inactive());
        ensure!(other.priority() == 0 && !other.is_successful(), in_use(command, set, other));
        ensure!(other.tries_left() > 0, NotValidSnafu { command, set });
        ensure!(self.is_proven(), OnlyFallbackSnafu { command, running: self.active, other: set });
        Ok(self.with(self.running.with_priority(SECOND), other.with_priority(FIRST)))
    }

    /// A set that was good before stays as fallback; one that was never good must not boot by itself. Neither is
    /// changed when it would not boot next anyway.
    fn cancelled(&self, other: Attributes) -> Result<Self, Refusal> {
        let command = Command::CancelUpgrade;
        if other.priority() == 0 || other.is_successful() && self.next() == Some(self.active) {
            return Ok(*self);
        }
        let running = self.running.with_priority(FIRST);
        let (running_set, set) = (self.active, self.inactive());
        ensure!(
            boots(running) || !boots(other),
            NothingLeftSnafu { command, running: running_set, other: set }
        );
        let priority = if other.is_successful() { SECOND } else { 0 };
        Ok(self.with(running, other.with_priority(priority)))
    }

    fn rolled_back(&self, other: Attributes) -> Result<Self, Refusal> {
        let (command, set) = (Command::RollbackToInactive, self.inactive());
        ensure!(other.is_successful(), NeverSucceededSnafu { command, set });
        if self.next() == Some(set) && other.priority() > self.running.priority() {
            return Ok(*self);
        }
        Ok(self.with(self.running.with_priority(SECOND), other.with_priority(FIRST)))
    }

    fn inactive(&self) -> SetName {
        self.active.other()
    }

    /// The running set, which is about to be the only one.
    fn kept(&self) -> Attributes {
        if self.is_proven() { with_some_priority(self.running) } else { self.running }
    }

    fn with(&self, running: Attributes, other: Attributes) -> Self {
        Self { running, other: Some(other), ..*self }
    }

    /// The same bits when this set runs, which is there.
    fn seen_from(&self, active: SetName) -> Self {
        match self.other {
            Some(other) if active != self.active => {
                Self { active, running: other, other: Some(self.running), ..*self }
            }
            _ => *self,
        }
    }
}

/// Whether GRUB takes a set with these attributes into account.
fn boots(attributes: Attributes) -> bool {
    attributes.priority() > 0 && (attributes.is_successful() || attributes.tries_left() > 0)
}

fn with_some_priority(attributes: Attributes) -> Attributes {
    attributes.with_priority(attributes.priority().max(SECOND))
}

fn in_use(
    command: Command,
    set: SetName,
    attributes: Attributes,
) -> InUseSnafu<Command, SetName, u8, u8, bool> {
    let (priority, tries, successful) =
        (attributes.priority(), attributes.tries_left(), attributes.is_successful());
    InUseSnafu { command, set, priority, tries, successful }
}

impl Command {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::MarkSuccessfulBoot,
        Self::ClearInactive,
        Self::MarkInactiveValid,
        Self::UpgradeToInactive,
        Self::CancelUpgrade,
        Self::RollbackToInactive,
    ];
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::MarkSuccessfulBoot => "mark-successful-boot",
            Self::ClearInactive => "clear-inactive",
            Self::MarkInactiveValid => "mark-inactive-valid",
            Self::UpgradeToInactive => "upgrade-to-inactive",
            Self::CancelUpgrade => "cancel-upgrade",
            Self::RollbackToInactive => "rollback-to-inactive",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use proptest::sample::select;

    /// `priority/tries`, then `+` for a set that was successful and `-` for one that was not.
    fn attributes(text: &str) -> Attributes {
        let (numbers, mark) = text.split_at(text.len() - 1);
        let (priority, tries) = numbers.split_once('/').unwrap();
        let attributes = Attributes::NONE.with_priority(priority.parse().unwrap());
        attributes.with_tries_left(tries.parse().unwrap()).with_successful(mark == "+")
    }

    fn text_of(attributes: Attributes) -> String {
        let mark = if attributes.is_successful() { '+' } else { '-' };
        format!("{}/{}{mark}", attributes.priority(), attributes.tries_left())
    }

    /// The running set, then the other if there is one.
    fn state(active: SetName, text: &str) -> BootState {
        let mut sets = text.split(' ').map(attributes);
        let (running, other) = (sets.next().unwrap(), sets.next());
        BootState { active, running, other, private: Attributes::NONE }
    }

    fn sets_of(state: &BootState) -> String {
        let other = state.other.map(|other| format!(" {}", text_of(other)));
        text_of(state.running) + &other.unwrap_or_default()
    }

    const NOT_PROVEN: &str = "has not proved itself yet";
    const IN_USE: &str = "is in use";
    const NOT_VALID: &str = "not marked valid";
    const NEVER: &str = "not proved itself in any boot";
    const NO_TRIES: &str = "has no tries left";
    const ONE_SET: &str = "one set of partitions";

    /// What a life of a host comes through, and the mishaps; what each command makes of it, in the order of
    /// [`Command::ALL`] without the first, which is never refused.
    #[test]
    fn every_command_in_every_state() {
        let rows: &[(&str, &str, &str, [&str; 5])] = &[
            ("a fresh image", "1/0+ 0/0-", "1/0+ 0/0-", ["=", "1/0+ 0/3-", NOT_VALID, "=", NEVER]),
            ("written", "1/0+ 0/3-", "1/0+ 0/3-", ["1/0+ 0/0-", "=", "1/0+ 2/3-", "=", NEVER]),
            ("activated", "1/0+ 2/3-", "1/0+ 2/3-", ["1/0+ 0/0-", IN_USE, IN_USE, "2/0+ 0/3-", NEVER]),
            ("the first boot of B", "2/2- 1/0+", "2/0+ 1/0+", [NOT_PROVEN, IN_USE, IN_USE, "=", "1/2- 2/0+"]),
            ("its last try", "2/0- 1/0+", "2/0+ 1/0+", [NOT_PROVEN, IN_USE, IN_USE, NO_TRIES, "1/0- 2/0+"]),
            ("B is good", "2/0+ 1/0+", "2/0+ 1/0+", ["2/0+ 0/0-", IN_USE, IN_USE, "=", "1/0+ 2/0+"]),
            (
                "rolled back, not yet started",
                "1/0+ 2/0+",
                "1/0+ 2/0+",
                ["1/0+ 0/0-", IN_USE, IN_USE, "2/0+ 1/0+", "="],
            ),
            ("fell back", "1/0+ 2/0-", "1/0+ 2/0-", ["1/0+ 0/0-", IN_USE, IN_USE, "2/0+ 0/0-", NEVER]),
            (
                "the original's cancel took the fallback",
                "2/0+ 0/0+",
                "2/0+ 0/0+",
                ["2/0+ 0/0-", IN_USE, IN_USE, "=", "1/0+ 2/0+"],
            ),
            (
                "the running set has no priority",
                "0/0+ 1/0+",
                "1/0+ 1/0+",
                ["1/0+ 0/0-", IN_USE, IN_USE, "2/0+ 1/0+", "="],
            ),
            (
                "nothing vouches for anything",
                "0/0- 0/0-",
                "1/0+ 0/0-",
                ["=", "0/0- 0/3-", NOT_VALID, "=", NEVER],
            ),
            ("only an unproven set", "1/1- 0/0-", "1/0+ 0/0-", ["=", "1/1- 0/3-", NOT_VALID, "=", NEVER]),
            (
                "written from an unproven set",
                "1/1- 0/3-",
                "1/0+ 0/3-",
                ["1/1- 0/0-", "=", NOT_PROVEN, "=", NEVER],
            ),
            (
                "activated, and nothing else boots",
                "1/0- 2/3-",
                "1/0+ 2/3-",
                [NOT_PROVEN, IN_USE, IN_USE, NO_TRIES, NEVER],
            ),
            (
                "activated from an unproven set",
                "1/1- 2/3-",
                "1/0+ 2/3-",
                [NOT_PROVEN, IN_USE, IN_USE, "2/1- 0/3-", NEVER],
            ),
            ("one set", "1/0+", "1/0+", [ONE_SET; 5]),
            ("one set, not proven", "1/2-", "1/0+", [ONE_SET; 5]),
            ("one set without priority", "0/0-", "1/0+", [ONE_SET; 5]),
        ];
        for (what, before, marked, expected) in rows {
            for active in [SetName::A, SetName::B] {
                if active == SetName::B && !before.contains(' ') {
                    continue;
                }
                let before = state(active, before);
                let after = before.apply(Command::MarkSuccessfulBoot).unwrap();
                assert_eq!((sets_of(&after), after.active), ((*marked).to_owned(), active), "{what}");
                assert!(after.has_boot_ever_succeeded() && after.is_proven());
                assert_eq!(after.apply(Command::MarkSuccessfulBoot), Ok(after), "{what}: twice is once");
                for (command, expected) in Command::ALL[1..].iter().zip(expected) {
                    match before.apply(*command) {
                        Ok(after) if *expected == "=" => assert_eq!(after, before, "{what}: {command}"),
                        Ok(after) => assert_eq!(sets_of(&after), *expected, "{what}: {command}"),
                        Err(refusal) => {
                            let text = refusal.to_string();
                            assert!(text.contains(expected), "{what}: {command}: {text}");
                            assert!(text.starts_with(&command.to_string()), "{text}");
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn the_next_set_is_the_one_with_the_greatest_priority_that_may_boot() {
        for (sets, next) in [
            ("1/0+ 0/0-", Some(SetName::A)),
            ("1/0+ 2/3-", Some(SetName::B)),
            ("1/0+ 2/0-", Some(SetName::A)),
            ("1/0+ 1/0+", Some(SetName::A)),
            ("0/0+ 1/1-", Some(SetName::B)),
            ("0/15+ 0/15+", None),
            ("15/0- 14/0-", None),
            ("15/1- 14/0+", Some(SetName::A)),
            ("1/0+", Some(SetName::A)),
            ("0/1+", None),
        ] {
            let state = state(SetName::A, sets);
            assert_eq!(state.next(), next, "{sets}");
            if state.other.is_some() {
                assert_eq!(state.seen_from(SetName::B).next(), next, "{sets}, seen from B");
            }
        }
    }

    #[test]
    fn a_new_set_is_started_three_times_and_then_the_old_one() {
        let written = state(SetName::A, "1/0+ 0/0-").apply(Command::MarkInactiveValid).unwrap();
        let mut now = written.apply(Command::UpgradeToInactive).unwrap();
        let mut runs = Vec::new();
        for _ in 0..5 {
            now = now.started().unwrap();
            runs.push(now.active);
        }
        assert_eq!(runs, [SetName::B, SetName::B, SetName::B, SetName::A, SetName::A]);
        assert_eq!(sets_of(&now), "1/0+ 2/0-");
    }

    fn any_state() -> impl Strategy<Value = BootState> {
        let active = select(vec![SetName::A, SetName::B]);
        (active, any::<u64>(), any::<Option<u64>>(), any::<u64>()).prop_map(
            |(active, running, other, private)| {
                let active = if other.is_some() { active } else { SetName::A };
                let [running, private] = [running, private].map(Attributes::from_bits);
                BootState { active, running, other: other.map(Attributes::from_bits), private }
            },
        )
    }

    /// A command, or a start of the host.
    fn steps() -> impl Strategy<Value = Vec<Option<Command>>> {
        proptest::collection::vec(proptest::option::of(select(Command::ALL.to_vec())), 0..40)
    }

    fn has_proven_set(state: &BootState) -> bool {
        [Some(state.running), state.other].into_iter().flatten().any(|set| boots(set) && set.is_successful())
    }

    proptest! {
        #[test]
        fn commands_leave_a_set_that_boots(mut now in any_state(), steps in steps()) {
            for command in steps.into_iter().flatten() {
                let after = now.apply(command).unwrap_or(now);
                prop_assert!(now.next().is_none() || after.next().is_some(), "{now:?} {command} {after:?}");
                now = after;
            }
        }

        #[test]
        fn a_host_that_has_a_proven_set_keeps_one(mut now in any_state(), steps in steps()) {
            for step in steps {
                let after = match step {
                    Some(command) => now.apply(command).unwrap_or(now),
                    None => now.started().unwrap_or(now),
                };
                prop_assert!(!has_proven_set(&now) || has_proven_set(&after), "{now:?} {step:?} {after:?}");
                now = after;
            }
        }

        #[test]
        fn other_bits_are_kept(now in any_state(), command in select(Command::ALL.to_vec())) {
            const OURS: u64 = 0x01ff << 48;
            const EVER: u64 = 1 << 57;
            if let Ok(after) = now.apply(command) {
                prop_assert_eq!(after.active, now.active);
                prop_assert_eq!(after.running.bits() & !OURS, now.running.bits() & !OURS);
                let others = |state: &BootState| state.other.map(|other| other.bits() & !OURS);
                prop_assert_eq!(others(&after), others(&now));
                prop_assert_eq!(after.private.bits() & !EVER, now.private.bits() & !EVER);
                prop_assert_eq!(after.apply(command).unwrap_or(after), after, "twice is once");
            }
        }
    }
}
