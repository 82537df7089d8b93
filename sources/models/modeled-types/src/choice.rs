//! Types with a few named values.

use crate::{Kind, Refusal, Scalar};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// Defines an enumeration whose values are written as fixed texts. `("text" | "other")` accepts another text for
/// a value and prints the first.
macro_rules! choice_type {
    (
        $(#[$meta:meta])*
        $name:ident {
            $(#[$first_meta:meta])* $first:ident = $first_text:literal $(| $first_alias:literal)*
            $(, $(#[$variant_meta:meta])* $variant:ident = $text:literal $(| $alias:literal)*)* $(,)?
        }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub enum $name {
            $(#[$first_meta])*
            $first,
            $($(#[$variant_meta])* $variant,)*
        }

        impl $name {
            /// Every value, in the order of its declaration.
            pub const ALL: &'static [Self] = &[Self::$first $(, Self::$variant)*];

            /// The text of the value.
            pub fn as_str(self) -> &'static str {
                match self {
                    Self::$first => $first_text,
                    $(Self::$variant => $text,)*
                }
            }
        }

        impl TryFrom<String> for $name {
            type Error = Refusal;

            fn try_from(text: String) -> Result<Self, Refusal> {
                text.parse()
            }
        }

        impl std::str::FromStr for $name {
            type Err = Refusal;

            fn from_str(text: &str) -> Result<Self, Refusal> {
                match text {
                    $first_text $(| $first_alias)* => Ok(Self::$first),
                    $($text $(| $alias)* => Ok(Self::$variant),)*
                    _ => Err(Refusal::new(Self::RULE)),
                }
            }
        }

        impl From<$name> for String {
            fn from(value: $name) -> String {
                value.as_str().to_owned()
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl Scalar for $name {
            const NAME: &'static str = stringify!($name);
            const RULE: &'static str = concat!("must be one of: ", $first_text $(, ", ", $text)*);
            const KIND: Kind = Kind::Text;

            fn json_schema() -> Value {
                json!({"enum": [$first_text $(, $first_alias)* $(, $text $(, $alias)*)*]})
            }
        }
    };
}
pub(crate) use choice_type;

choice_type! {
    /// How much the kernel lets root change it (`kernel_lockdown(7)`).
    Lockdown {
        /// No restriction.
        None = "none",
        /// Nothing may change the running kernel.
        Integrity = "integrity",
        /// As integrity, and nothing may read its memory either.
        Confidentiality = "confidentiality",
    }
}

choice_type! {
    /// When a bootstrap container or command runs; what has no mode of its own does not.
    #[derive(Default)]
    BootstrapMode {
        /// Never.
        #[default]
        Off = "off",
        /// At the next boot only.
        Once = "once",
        /// At every boot.
        Always = "always",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check;
    use crate::testing::rows;

    #[test]
    fn choices_take_their_texts_only() {
        rows::<Lockdown>(&["none", "integrity", "confidentiality"], &["", "None", "full"]);
        rows::<BootstrapMode>(&["off", "once", "always"], &["", "never"]);
        let refusal = check::<BootstrapMode>(&json!("never")).unwrap_err();
        assert_eq!(refusal.to_string(), "must be one of: off, once, always, not the text 'never'");
    }
}
