//! Numbers with a range of their own.

use crate::text::made_of;
use crate::{Kind, Refusal, Scalar};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// Defines a type that wraps one integer of a range up to 2147483647.
macro_rules! integer_type {
    ($(#[$meta:meta])* $name:ident, least: $least:literal, rule: $rule:literal) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "i32", into = "i32")]
        pub struct $name(i32);

        impl $name {
            /// The number.
            pub fn get(self) -> i32 {
                self.0
            }
        }

        impl TryFrom<i32> for $name {
            type Error = Refusal;

            fn try_from(number: i32) -> Result<Self, Refusal> {
                if number >= $least { Ok(Self(number)) } else { Err(Refusal::new(Self::RULE)) }
            }
        }

        impl From<$name> for i32 {
            fn from(value: $name) -> i32 {
                value.0
            }
        }

        impl Scalar for $name {
            const NAME: &'static str = stringify!($name);
            const RULE: &'static str = $rule;
            const KIND: Kind = Kind::Integer;

            fn json_schema() -> Value {
                json!({"type": "integer", "minimum": $least, "maximum": i32::MAX})
            }
        }
    };
}

integer_type! {
    /// A count or duration that cannot be negative.
    NonNegativeInteger, least: 0, rule: "must be an integer from 0 to 2147483647"
}

integer_type! {
    /// How many pods share one GPU in turns; one would be no sharing.
    TimeSlicingReplicas, least: 2, rule: "must be an integer from 2 to 2147483647"
}

integer_type! {
    /// Seconds in which a boot must have proved itself; less would be no time to boot in.
    HealthDeadline, least: 10, rule: "must be an integer from 10 to 2147483647"
}

/// A percentage, given as a number or as its text; it prints in the form it was given.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Value", into = "Value")]
pub struct IntegerPercent {
    percent: u8,
    given: Value,
}

impl IntegerPercent {
    /// The percentage, 0 to 100.
    pub fn get(&self) -> u8 {
        self.percent
    }
}

impl TryFrom<Value> for IntegerPercent {
    type Error = Refusal;

    fn try_from(given: Value) -> Result<Self, Refusal> {
        let number = match &given {
            Value::Number(number) => number.as_u64(),
            Value::String(text) if made_of(text, usize::MAX, |b| b.is_ascii_digit()) => text.parse().ok(),
            _ => None,
        };
        match number.and_then(|n| u8::try_from(n).ok()) {
            Some(percent @ 0..=100) => Ok(Self { percent, given }),
            _ => Err(Refusal::new(Self::RULE)),
        }
    }
}

impl From<IntegerPercent> for Value {
    fn from(value: IntegerPercent) -> Value {
        value.given
    }
}

impl Scalar for IntegerPercent {
    const NAME: &'static str = "IntegerPercent";
    const RULE: &'static str = "must be an integer from 0 to 100, as a number or as text";
    const KIND: Kind = Kind::IntegerOrText;

    fn json_schema() -> Value {
        json!({"anyOf": [
            {"type": "integer", "minimum": 0, "maximum": 100},
            {"type": "string", "pattern": "^0*([0-9]|[1-9][0-9]|100)$"},
        ]})
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::json_rows;

    #[test]
    fn integers_keep_to_their_range() {
        json_rows::<NonNegativeInteger>(
            &[json!(0), json!(2_147_483_647)],
            &[json!(-1), json!(2_147_483_648_u32), json!("1"), json!(1.5), json!(true), json!(null)],
        );
        json_rows::<HealthDeadline>(&[json!(10), json!(300)], &[json!(9), json!(-1), json!("300")]);
        json_rows::<TimeSlicingReplicas>(&[json!(2), json!(10)], &[json!(1), json!(0), json!("2")]);
    }

    #[test]
    fn percentages_keep_their_form() {
        json_rows::<IntegerPercent>(
            &[json!(0), json!(100), json!("42"), json!("0"), json!("100"), json!("007")],
            &[
                json!(-1),
                json!(101),
                json!(""),
                json!("101"),
                json!("+5"),
                json!("-1"),
                json!("5%"),
                json!(1.5),
                json!(true),
                json!([]),
            ],
        );
    }
}
