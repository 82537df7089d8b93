//! Values that are texts in a document: read by `FromStr`, written by `Display`; and maps whose keys are such texts.

use serde::de::{DeserializeOwned, Deserializer, Error as _, MapAccess, Visitor};
use serde::{Deserialize, Serializer};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt::{self, Display};
use std::marker::PhantomData;
use std::str::FromStr;

pub(crate) fn serialize<T: Display, S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

pub(crate) fn deserialize<'de, T, D>(deserializer: D) -> Result<T, D::Error>
where
    T: FromStr,
    T::Err: Display,
    D: Deserializer<'de>,
{
    String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
}

/// Has types read and written as texts wherever they stand in a document.
macro_rules! by_text {
    ($($kind:ty),+) => {$(
        impl serde::Serialize for $kind {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                $crate::text::serialize(self, serializer)
            }
        }

        impl<'de> serde::Deserialize<'de> for $kind {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                $crate::text::deserialize(deserializer)
            }
        }
    )+};
}
pub(crate) use by_text;

/// The same for a value that may be missing.
pub(crate) mod option {
    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer, Serializer};
    use std::fmt::Display;
    use std::str::FromStr;

    #[allow(clippy::ref_option)]
    pub(crate) fn serialize<T: Display, S: Serializer>(
        value: &Option<T>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match value {
            Some(value) => serializer.collect_str(value),
            None => serializer.serialize_none(),
        }
    }

    pub(crate) fn deserialize<'de, T, D>(deserializer: D) -> Result<Option<T>, D::Error>
    where
        T: FromStr,
        T::Err: Display,
        D: Deserializer<'de>,
    {
        let text = Option::<String>::deserialize(deserializer)?;
        text.map(|text| text.parse().map_err(D::Error::custom)).transpose()
    }
}

/// A value of a map that is a text in the document.
pub(crate) struct Text<T>(pub(crate) T);

impl<'de, T> Deserialize<'de> for Text<T>
where
    T: FromStr,
    T::Err: Display,
{
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserialize(deserializer).map(Self)
    }
}

/// Reads a map, and refuses a key that is there twice: which of the two was meant cannot be told. Keys that are
/// written differently and mean the same are the same key.
pub(crate) fn unique_map<'de, K, V, E, D>(
    deserializer: D,
    what: &'static str,
    parse: fn(&str) -> Result<K, E>,
) -> Result<BTreeMap<K, V>, D::Error>
where
    K: Ord + Display,
    V: DeserializeOwned,
    E: Display,
    D: Deserializer<'de>,
{
    struct UniqueMap<K, V, E>(&'static str, fn(&str) -> Result<K, E>, PhantomData<V>);

    impl<'de, K, V, E> Visitor<'de> for UniqueMap<K, V, E>
    where
        K: Ord + Display,
        V: DeserializeOwned,
        E: Display,
    {
        type Value = BTreeMap<K, V>;

        fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(formatter, "a map from {}s", self.0)
        }

        fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Self::Value, A::Error> {
            let Self(what, parse, _) = self;
            let mut map = BTreeMap::new();
            while let Some(text) = access.next_key::<String>()? {
                let key = parse(&text).map_err(A::Error::custom)?;
                match map.entry(key) {
                    Entry::Occupied(entry) => {
                        return Err(A::Error::custom(format!("{what} {} is given twice", entry.key())));
                    }
                    Entry::Vacant(entry) => {
                        let value = access.next_value();
                        entry.insert(value.map_err(|e| A::Error::custom(format!("{what} {text}: {e}")))?);
                    }
                }
            }
            Ok(map)
        }
    }
    deserializer.deserialize_map(UniqueMap(what, parse, PhantomData))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_given_twice_is_named() {
        let read = |text: &str| {
            let mut reader = serde_json::Deserializer::from_str(text);
            unique_map::<u32, Text<u8>, _, _>(&mut reader, "seed", str::parse).map_err(|e| e.to_string())
        };
        assert!(read(r#"{"1": "2", "3": "4"}"#).is_ok_and(|map| map.len() == 2 && map[&3].0 == 4));
        for (text, error) in [
            (r#"{"1": "2", "01": "2"}"#, "seed 1 is given twice at line 1"),
            (r#"{"x": "2"}"#, "invalid digit"),
            (r#"{"1": "256"}"#, "seed 1: number too large"),
            (r#"{"1": 2}"#, "seed 1: invalid type: integer `2`, expected a string"),
            ("[]", "a map from seeds"),
        ] {
            let found = read(text).err().unwrap();
            assert!(found.contains(error), "{text}: {found}");
        }
    }
}
