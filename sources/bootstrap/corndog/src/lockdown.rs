//! How far the kernel is locked down.

use modeled_types::Lockdown;
use snafu::{OptionExt, Snafu};

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The kernel is locked down as far as is wanted.
    Nothing,
    /// The kernel is locked down further than is wanted. That lasts until the next boot.
    Keep {
        /// What is in force.
        active: Lockdown,
    },
    /// The kernel is to be locked down further.
    Raise,
}

/// What the kernel says is not understood.
#[derive(Debug, PartialEq, Eq, Snafu)]
#[snafu(display("find the mode in brackets in '{}'", text.trim()))]
pub struct Unreadable {
    text: String,
}

/// Compares what is wanted with what is in force; `text` is that of the kernel's file, such as
/// `none [integrity] confidentiality`.
pub fn decide(text: &str, wanted: Lockdown) -> Result<Step, Unreadable> {
    let active = active(text).context(UnreadableSnafu { text })?;
    Ok(match active.cmp(&wanted) {
        std::cmp::Ordering::Equal => Step::Nothing,
        std::cmp::Ordering::Greater => Step::Keep { active },
        std::cmp::Ordering::Less => Step::Raise,
    })
}

fn active(text: &str) -> Option<Lockdown> {
    let mut words = text.split_whitespace();
    words.find_map(|word| word.strip_prefix('[')?.strip_suffix(']')?.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use Lockdown::{Confidentiality, Integrity, None};

    #[test]
    fn lockdown_only_rises() {
        for (text, wanted, expected) in [
            ("[none] integrity confidentiality\n", None, Step::Nothing),
            ("[none] integrity confidentiality\n", Integrity, Step::Raise),
            ("[none] integrity confidentiality\n", Confidentiality, Step::Raise),
            ("none [integrity] confidentiality\n", None, Step::Keep { active: Integrity }),
            ("none [integrity] confidentiality\n", Confidentiality, Step::Raise),
            ("none integrity [confidentiality]\n", Integrity, Step::Keep { active: Confidentiality }),
            ("none integrity [confidentiality]\n", Confidentiality, Step::Nothing),
        ] {
            assert_eq!(decide(text, wanted), Ok(expected), "{text} {wanted}");
        }
        for text in ["", "none integrity", "[full]"] {
            assert!(decide(text, None).is_err(), "{text}");
        }
    }
}
