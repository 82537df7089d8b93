//! The documented layout of a store in files, which migration programs read and write (api.md 6.2): one file for
//! each leaf below `live`, its folders the segments of the key, its content the JSON of the value.

use serde_json::Value;
use settings::Key;
use std::fmt::Write;

/// The folder of committed settings.
pub const LIVE: &str = "live";

/// The file of a key below [`LIVE`]: every byte but letters, digits, `_` and `-` is percent-encoded.
pub fn path_of(key: &Key) -> String {
    let mut path = String::with_capacity(key.as_str().len());
    for segment in key.segments() {
        if !path.is_empty() {
            path.push('/');
        }
        for byte in segment.bytes() {
            if byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-') {
                path.push(byte.into());
            } else {
                write!(path, "%{byte:02X}").expect("writing to a String does not fail");
            }
        }
    }
    path
}

/// The setting that a file below [`LIVE`] is of. Everything else is none: metadata (`KEY.NAME`), which this store
/// has not; `services` and `configuration-files`, which are tables of the image; `os`, which the documented helper
/// library of migrations adds and forgets to take away; names that are no keys, which are ignored as documented.
pub fn key_of(path: &str) -> Option<Key> {
    let segments: Option<Vec<String>> = path.split('/').map(decode).collect();
    let key = Key::from_segments(segments?).ok()?;
    let is_setting = key.as_str().starts_with("settings.");
    // One file, one key: `%61` is not another spelling of `a`.
    (is_setting && path_of(&key) == path).then_some(key)
}

fn decode(segment: &str) -> Option<String> {
    let mut bytes = segment.bytes();
    let mut decoded = Vec::with_capacity(segment.len());
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'%' => {
                let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|d| u8::try_from(d).ok());
                digit(bytes.next()?)? * 16 + digit(bytes.next()?)?
            }
            b'.' => return None,
            other => other,
        });
    }
    String::from_utf8(decoded).ok()
}

/// The content of the file of a value.
pub fn content_of(value: &Value) -> String {
    value.to_string()
}

/// The value in a file; the error says why there is none.
pub fn value_of(content: &[u8]) -> Result<Value, String> {
    match serde_json::from_slice(content) {
        Ok(Value::Null) => Err("null is not the value of a setting".to_owned()),
        Ok(Value::Object(_)) => {
            Err("a table is not the value of a setting; its members are files".to_owned())
        }
        Ok(value) => Ok(value),
        Err(e) => Err(format!("it is not JSON: {e}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn keys_have_the_documented_files() {
        for (key, path) in [
            ("settings.motd", "settings/motd"),
            (
                "settings.kubernetes.node-labels.\"my.label/x\"",
                "settings/kubernetes/node-labels/my%2Elabel%2Fx",
            ),
        ] {
            let key: Key = key.parse().unwrap();
            assert_eq!(path_of(&key), path);
            assert_eq!(key_of(path), Some(key));
        }
    }

    #[test]
    fn what_is_no_setting_is_left_out() {
        for path in [
            "os/version_id",
            "services/ntp/restart-commands",
            "configuration-files/hosts/path",
            "settings/motd.setting-generator",
            "settings/a%2",
            "settings/a%2e",
            "settings/%61",
            "settings/%FF",
            "settings//a",
            "settings",
            "",
            "../settings/a",
        ] {
            assert_eq!(key_of(path), None, "{path}");
        }
    }

    #[test]
    fn files_that_hold_no_leaf_are_refused() {
        for content in ["", "null", "{}", "\"a", "1 2"] {
            assert!(value_of(content.as_bytes()).is_err(), "{content}");
        }
        assert_eq!(value_of(b"[\"a\"]"), Ok(serde_json::json!(["a"])));
    }

    proptest! {
        #[test]
        fn any_path_is_that_of_its_key_or_of_none(path in "[a-z/%.0-9A-F]{0,24}|settings/[a-c%./2E]{1,12}") {
            if let Some(key) = key_of(&path) {
                prop_assert_eq!(path_of(&key), path);
            }
        }
    }
}
