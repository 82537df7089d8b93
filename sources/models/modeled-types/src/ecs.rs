//! Types of the ECS agent.

use crate::choice::choice_type;
use crate::kubernetes::is_duration;
use crate::text::{made_of, require, text_type};
use crate::{Kind, Refusal, Scalar};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// Longest name and value of an instance attribute (ECS API reference, `Attribute`).
const ATTRIBUTE_BYTES: usize = 128;

text_type! {
    /// Name of an instance attribute (ECS API reference, `Attribute`), without the backslash.
    EcsAttributeKey,
    rule: "must be 1 to 128 ASCII letters, digits, '.', '_', '/' and '-'",
    schema: json!({"type": "string", "pattern": "^[A-Za-z0-9._/-]{1,128}$"}),
    check: |text| {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b"._/-".contains(&b);
        require(made_of(text, ATTRIBUTE_BYTES, allowed), EcsAttributeKey::RULE)
    }
}

text_type! {
    /// Value of an instance attribute (ECS API reference, `Attribute`).
    EcsAttributeValue,
    rule: "must be 1 to 128 ASCII letters, digits, blanks and '.', '@', ':', '_', '/', '\\', '-', without a blank \
           at either end",
    schema: json!({
        "type": "string",
        "maxLength": ATTRIBUTE_BYTES,
        "pattern": "^[A-Za-z0-9.@:_/\\\\-]([A-Za-z0-9.@:_/\\\\ -]*[A-Za-z0-9.@:_/\\\\-])?$",
    }),
    check: |text| {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b".@:_/\\- ".contains(&b);
        let good = made_of(text, ATTRIBUTE_BYTES, allowed) && text.trim_matches(' ').len() == text.len();
        require(good, EcsAttributeValue::RULE)
    }
}

text_type! {
    /// A duration as Go writes it, with its parts from hours down to nanoseconds in order.
    EcsDurationValue,
    rule: "must be a duration such as '1h30m' or '500ms'; its parts are h, m, s, ms, us, ns in this order",
    schema: json!({
        "type": "string",
        "minLength": 1,
        "pattern": "^([0-9]+(\\.[0-9]+)?h)?([0-9]+(\\.[0-9]+)?m)?([0-9]+(\\.[0-9]+)?s)?([0-9]+(\\.[0-9]+)?ms)?\
                    ([0-9]+(\\.[0-9]+)?[uµ]s)?([0-9]+(\\.[0-9]+)?ns)?$",
    }),
    check: |text| {
        let units = [&["h"][..], &["m"], &["s"], &["ms"], &["us", "µs"], &["ns"]];
        require(is_duration(text, &units), EcsDurationValue::RULE)
    }
}

choice_type! {
    /// How much the ECS agent writes to its log.
    EcsAgentLogLevel {
        /// Everything.
        Debug = "debug",
        /// Changes of state.
        Info = "info",
        /// What someone should look at.
        Warn = "warn",
        /// What failed.
        Error = "error",
        /// What stops the agent.
        Crit = "crit",
    }
}

choice_type! {
    /// When the ECS agent pulls an image.
    EcsAgentImagePullBehavior {
        /// Pull; use the local copy where that fails.
        Default = "default",
        /// Pull; fail where that fails.
        Always = "always",
        /// Pull only what no earlier task on the instance has pulled.
        Once = "once",
        /// Use the local copy where there is one.
        PreferCached = "prefer-cached",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::rows;

    #[test]
    fn attributes() {
        let (longest, too_long) = ("a".repeat(128), "a".repeat(129));
        rows::<EcsAttributeKey>(&["a", "a.b_c/d-E1", &longest], &["", "a b", "a\\b", "a:b", &too_long]);
        rows::<EcsAttributeValue>(
            &["a b", "\\", "a@b:c", &longest],
            &["", " a", "a ", " ", "%", "ä", &too_long],
        );
    }

    #[test]
    fn durations() {
        rows::<EcsDurationValue>(
            &["3h", "1h30m", "1.5s", "20ms", "5us", "5µs", "1h2m3s4ms5us6ns"],
            &["", "5", "1m1h", "1..5s", "1ns1us", ".5s", "1.s", "-1s", "1d"],
        );
    }

    #[test]
    fn agent_choices() {
        rows::<EcsAgentLogLevel>(&["debug", "info", "warn", "error", "crit"], &["", "trace", "Info"]);
        rows::<EcsAgentImagePullBehavior>(&["default", "always", "once", "prefer-cached"], &["", "never"]);
    }
}
