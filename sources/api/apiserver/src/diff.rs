//! What a transaction would change.

use crate::App;
use datastore::{Edit, Snapshot};
use settings::{Key, View};
use std::collections::{BTreeMap, BTreeSet};
use wire::{Diff, DiffChange, DiffFile, DiffService};

impl App {
    /// What committing and applying edits would do.
    pub fn diff(&self, edits: &[Edit]) -> Diff {
        let before = self.snapshot();
        let after = before.with(edits, before.head() + 1);
        let changes = edits.iter().filter_map(|edit| change(&before, &after, edit)).collect();
        let services = self.affected(edits.iter().map(|edit| &edit.key));
        let names: BTreeSet<&String> = services
            .iter()
            .filter_map(|service| self.image.variant.services.get(&service.name))
            .flat_map(|service| &service.configuration_files)
            .collect();
        let file = |name: &String| {
            let file = self.image.variant.configuration_files.get(name)?;
            Some(DiffFile { name: name.clone(), path: file.path.clone() })
        };
        Diff { changes, files: names.into_iter().filter_map(file).collect(), services }
    }

    fn affected<'a>(&self, keys: impl Iterator<Item = &'a Key>) -> Vec<DiffService> {
        let variant = &self.image.variant;
        let mut affected: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for key in keys {
            for service in variant.metadata.affected_services(key).unwrap_or_default() {
                affected.entry(service).or_default().insert(key.as_str());
            }
        }
        let service = |(name, keys): (&str, BTreeSet<&str>)| DiffService {
            name: name.to_owned(),
            keys: keys.into_iter().map(str::to_owned).collect(),
            restart_commands: variant
                .services
                .get(name)
                .map(|service| service.restart_commands.clone())
                .unwrap_or_default(),
        };
        affected.into_iter().map(service).collect()
    }
}

fn change(before: &Snapshot, after: &Snapshot, edit: &Edit) -> Option<DiffChange> {
    let Edit { layer, key, value } = edit;
    let old = before.in_layer(*layer, key).map(|leaf| (*leaf.value).clone());
    let effective = |state: &Snapshot| state.get(key).cloned();
    (old != *value).then(|| DiffChange {
        key: key.to_string(),
        layer: layer.name().to_owned(),
        old,
        new: value.clone(),
        effective_old: effective(before),
        effective_new: effective(after),
    })
}
