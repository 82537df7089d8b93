//! Rows: the transforms, each with its inverse.

use crate::{Layer, Leaves};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use settings::{Key, KeyError};
use std::collections::BTreeMap;

/// One transform. Where nothing is said about going back, it is the exact inverse, and values that were set by hand
/// after the run forward go back with their key.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Row {
    /// A key, or a group with all below it, gets another name.
    Rename {
        /// Its name before.
        from: Key,
        /// Its name after.
        to: Key,
    },
    /// Members of one group become members of another, each with all below it.
    Move {
        /// The group before.
        from: Key,
        /// The group after.
        to: Key,
        /// The members, by the segment that follows the group.
        members: Vec<String>,
    },
    /// Keys that the new version does not have. Going back, what was removed comes back where that is known, else
    /// the value in `back`, else the default of the image.
    Remove {
        /// Exactly these.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        keys: Vec<Key>,
        /// These and all below them.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        prefixes: Vec<Key>,
        /// What comes back, as a generated value, for keys of which nothing is known.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        back: BTreeMap<Key, Value>,
    },
    /// Keys that the old version does not have: nothing forward, removed backward.
    Add {
        /// Exactly these.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        keys: Vec<Key>,
        /// These and all below them.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        prefixes: Vec<Key>,
    },
    /// A value that is exactly the old one becomes the new one, and back; any other stays.
    Replace {
        /// The key.
        key: Key,
        /// The value before.
        old: Value,
        /// The value after.
        new: Value,
    },
    /// The same for a list of texts as a whole.
    ReplaceList {
        /// The key.
        key: Key,
        /// The list before.
        old: Vec<String>,
        /// The list after.
        new: Vec<String>,
    },
    /// Keys whose generator changed: a generated value is dropped, both ways, so that the generator of the image
    /// makes it anew. What was set by hand stays.
    Regenerate {
        /// Exactly these.
        keys: Vec<Key>,
    },
    /// Metadata that the new version adds. Nothing to do: they are tables of the image.
    AddMetadata {
        /// The keys they are of.
        keys: Vec<Key>,
        /// Their names.
        metadata: Vec<String>,
    },
    /// Metadata that the new version does not have. Nothing to do.
    RemoveMetadata {
        /// The keys they are of.
        keys: Vec<Key>,
        /// Their names.
        metadata: Vec<String>,
    },
    /// Metadata with another value. Nothing to do.
    ReplaceMetadata {
        /// The key they are of.
        key: Key,
        /// Their name.
        metadata: String,
        /// The value before.
        old: Value,
        /// The value after.
        new: Value,
    },
    /// Metadata with another list of texts. Nothing to do.
    ReplaceMetadataLists {
        /// The key they are of.
        key: Key,
        /// Their name.
        metadata: String,
        /// The list before.
        old: Vec<String>,
        /// The list after.
        new: Vec<String>,
    },
    /// Nothing.
    NoOp {},
}

/// A leaf whose new name would not be one.
#[derive(Debug)]
pub(crate) struct Misfit {
    pub(crate) key: Key,
    pub(crate) to: Key,
    pub(crate) source: KeyError,
}

impl Row {
    /// Runs it forward on one layer; gives what it removed.
    pub(crate) fn forward(&self, layer: Layer, leaves: &mut Leaves) -> Result<Leaves, Misfit> {
        let mut removed = Leaves::new();
        match self {
            Self::Rename { from, to } => rename(leaves, from, to)?,
            Self::Move { from, to, members } => {
                for (from, to) in pairs(from, to, members) {
                    rename(leaves, &from, &to)?;
                }
            }
            Self::Remove { keys, prefixes, .. } => removed = take(leaves, keys, prefixes),
            Self::Replace { key, old, new } => replace(leaves, key, old, new),
            Self::ReplaceList { key, old, new } => replace(leaves, key, &list(old), &list(new)),
            Self::Regenerate { keys } if layer == Layer::Generated => drop(take(leaves, keys, &[])),
            _ => {}
        }
        Ok(removed)
    }

    /// Runs it backward on one layer, of which a run forward removed something.
    pub(crate) fn backward<'a>(
        &'a self,
        layer: Layer,
        leaves: &mut Leaves,
        removed: impl Iterator<Item = (&'a Key, &'a Value)>,
    ) -> Result<(), Misfit> {
        match self {
            Self::Rename { from, to } => rename(leaves, to, from)?,
            Self::Move { from, to, members } => {
                for (from, to) in pairs(from, to, members) {
                    rename(leaves, &to, &from)?;
                }
            }
            Self::Remove { back, .. } => {
                let back = back.iter().filter(|_| layer == Layer::Generated);
                // The first that is there wins: a leaf of today, one of before, then the one of the document.
                for (key, value) in removed.chain(back) {
                    leaves.entry(key.clone()).or_insert_with(|| value.clone());
                }
            }
            Self::Add { keys, prefixes } => drop(take(leaves, keys, prefixes)),
            Self::Replace { key, old, new } => replace(leaves, key, new, old),
            Self::ReplaceList { key, old, new } => replace(leaves, key, &list(new), &list(old)),
            Self::Regenerate { keys } if layer == Layer::Generated => drop(take(leaves, keys, &[])),
            _ => {}
        }
        Ok(())
    }

    /// What makes a row that can be read one that cannot be meant.
    pub(crate) fn check(&self) -> Result<(), String> {
        self.keys().into_iter().try_for_each(is_setting)?;
        match self {
            Self::Rename { from, to } => apart(from, to),
            Self::Move { from, to, members } => {
                apart(from, to)?;
                if members.is_empty() {
                    return Err("it moves no 'members'; name them, or rename the whole group".to_owned());
                }
                let mut both = members.iter().flat_map(|member| [from.child(member), to.child(member)]);
                both.try_for_each(|key| key.map(drop).map_err(|e| format!("'members': {e}")))
            }
            Self::Add { keys, prefixes } => some_keys(keys, prefixes),
            Self::Remove { keys, prefixes, back } => {
                some_keys(keys, prefixes)?;
                back.iter().try_for_each(|(key, value)| {
                    if !is_among(key, keys, prefixes) {
                        return Err(format!("'{key}' in 'back' is not among the keys that are removed"));
                    }
                    is_leaf("back", value)
                })
            }
            Self::Replace { old, new, .. } => {
                is_leaf("old", old)?;
                is_leaf("new", new)?;
                differ(old, new)
            }
            Self::ReplaceList { old, new, .. } => differ(old, new),
            Self::Regenerate { keys } => some_keys(keys, &[]),
            _ => Ok(()),
        }
    }

    fn keys(&self) -> Vec<&Key> {
        match self {
            Self::Rename { from, to } | Self::Move { from, to, .. } => vec![from, to],
            Self::Remove { keys, prefixes, .. } | Self::Add { keys, prefixes } => {
                keys.iter().chain(prefixes).collect()
            }
            Self::Replace { key, .. } | Self::ReplaceList { key, .. } => vec![key],
            Self::Regenerate { keys } => keys.iter().collect(),
            // Metadata are of services, too.
            _ => Vec::new(),
        }
    }
}

fn is_setting(key: &Key) -> Result<(), String> {
    if key.as_str().starts_with("settings.") {
        return Ok(());
    }
    Err(format!("'{key}' is not a setting; settings are named like 'settings.motd'"))
}

fn apart(from: &Key, to: &Key) -> Result<(), String> {
    if from.is_at_or_below(to) || to.is_at_or_below(from) {
        return Err(format!(
            "'{from}' and '{to}' are the same or one below the other, so it cannot be undone"
        ));
    }
    Ok(())
}

fn some_keys(keys: &[Key], prefixes: &[Key]) -> Result<(), String> {
    if keys.is_empty() && prefixes.is_empty() {
        return Err("it names no keys".to_owned());
    }
    Ok(())
}

fn differ<T: PartialEq>(old: &T, new: &T) -> Result<(), String> {
    if old == new { Err("'old' and 'new' are the same".to_owned()) } else { Ok(()) }
}

fn is_leaf(member: &str, value: &Value) -> Result<(), String> {
    let right = "a setting is text, a number, true or false, or a list";
    match value {
        Value::Null | Value::Object(_) => Err(format!("{value} in '{member}' is not a value; {right}")),
        _ => Ok(()),
    }
}

fn is_among(key: &Key, keys: &[Key], prefixes: &[Key]) -> bool {
    keys.contains(key) || prefixes.iter().any(|prefix| key.is_at_or_below(prefix))
}

fn list(items: &[String]) -> Value {
    Value::from(items)
}

/// The members of both groups, which [`Row::check`] found to be keys.
fn pairs<'a>(from: &'a Key, to: &'a Key, members: &'a [String]) -> impl Iterator<Item = (Key, Key)> + 'a {
    members.iter().filter_map(|member| Some((from.child(member).ok()?, to.child(member).ok()?)))
}

/// Renames a key or a group. What stands in the way belongs to the version that is left, and goes.
fn rename(leaves: &mut Leaves, from: &Key, to: &Key) -> Result<(), Misfit> {
    for (key, value) in take(leaves, &[], std::slice::from_ref(from)) {
        let rest = &key.as_str()[from.as_str().len()..];
        let renamed = format!("{to}{rest}").parse();
        let renamed = renamed.map_err(|source| Misfit { key, to: to.clone(), source })?;
        leaves.insert(renamed, value);
    }
    Ok(())
}

fn replace(leaves: &mut Leaves, key: &Key, old: &Value, new: &Value) {
    if let Some(value) = leaves.get_mut(key).filter(|value| *value == old) {
        *value = new.clone();
    }
}

fn take(leaves: &mut Leaves, keys: &[Key], prefixes: &[Key]) -> Leaves {
    leaves.extract_if(.., |key, _| is_among(key, keys, prefixes)).collect()
}
