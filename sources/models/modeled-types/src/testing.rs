//! Table checks shared by the tests of all types.

use crate::{Scalar, check};
use serde_json::Value;

/// Checks that `T` takes each text and prints it back the same, and refuses each other text.
pub(crate) fn rows<T: Scalar>(accepted: &[&str], refused: &[&str]) {
    let values = |texts: &[&str]| texts.iter().map(|&t| Value::from(t)).collect::<Vec<_>>();
    json_rows::<T>(&values(accepted), &values(refused));
}

/// As [`rows`], with values of any JSON form.
pub(crate) fn json_rows<T: Scalar>(accepted: &[Value], refused: &[Value]) {
    for value in accepted {
        normalised::<T>(value, value);
    }
    for value in refused {
        let refusal = check::<T>(value).err().unwrap_or_else(|| panic!("{} took {value}", T::NAME));
        assert!(refusal.0.starts_with("must ") && !refusal.0.contains("invalid type"), "{refusal}");
    }
}

/// Checks that `T` takes a value and prints it as `printed`.
pub(crate) fn normalised<T: Scalar>(value: &Value, printed: &Value) {
    let typed: T = check(value).unwrap_or_else(|e| panic!("{} refused {value}: {e}", T::NAME));
    assert_eq!(serde_json::to_value(typed).unwrap(), *printed, "{}", T::NAME);
}
