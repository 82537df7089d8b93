//! Running migrations on settings, in memory.

use crate::error::{Error, RunProgramSnafu, RunRowsSnafu};
use crate::{Content, Migration, program};
use datastore::{Commit, Edit, Layer as StoreLayer, Snapshot};
use migrations::{Direction, Document, Layer, Leaves, Removed, State, views};
use snafu::ResultExt;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// What runs need beside the settings.
#[derive(Clone, Debug)]
pub struct Runner {
    /// Which way they go.
    pub direction: Direction,
    /// A folder for the files of programs, which does not exist yet.
    pub scratch: PathBuf,
    /// What earlier runs forward removed, by the names of the migrations.
    pub removed: BTreeMap<String, Removed>,
}

/// Runs migrations in their order. Programs see the defaults of the old image, too, but what becomes of those is of no
/// use to anybody: the new image brings its own.
pub fn run(
    runner: &Runner,
    migrations: &[Migration],
    defaults: Leaves,
    state: &mut State,
) -> Result<(), Error> {
    let mut defaults = State { generated: defaults, ..State::default() };
    let nothing = Removed::default();
    for Migration { name, content } in migrations {
        let direction = runner.direction;
        match content {
            Content::Rows(document) => {
                let removed = runner.removed.get(name).unwrap_or(&nothing);
                document
                    .run(direction, &mut defaults, &nothing)
                    .and_then(|_| document.run(direction, state, removed))
                    .context(RunRowsSnafu { name, direction })?;
            }
            Content::Program(program) => {
                let views = views::of(&defaults.generated, state);
                let after =
                    views.iter().map(|view| program::run(program, direction, &view.leaves, &runner.scratch));
                let after: Vec<Leaves> =
                    after.collect::<Result<_, _>>().context(RunProgramSnafu { name, direction })?;
                *state = views::state_after(state, &views, &after);
                defaults.generated = after.into_iter().next().unwrap_or_default();
            }
        }
        tracing::info!(name, %direction, "ran a migration");
    }
    Ok(())
}

/// The stored settings as migrations see them: the defaults, and the state.
pub(crate) fn read(snapshot: &Snapshot) -> (Leaves, State) {
    let leaves = |layer| -> Leaves {
        snapshot.layer(layer).map(|(key, leaf)| (key.clone(), (*leaf.value).clone())).collect()
    };
    let mut state = State::default();
    for layer in Layer::ALL {
        *state.layer_mut(layer) = leaves(store_layer(layer));
    }
    (leaves(StoreLayer::Default), state)
}

/// What leads from one state to the other.
pub(crate) fn edits(before: &State, after: &State) -> Vec<Edit> {
    let mut edits = Vec::new();
    for layer in Layer::ALL {
        let (old, new) = (before.layer(layer), after.layer(layer));
        let layer = store_layer(layer);
        let gone = old.keys().filter(|key| !new.contains_key(*key));
        edits.extend(gone.map(|key| Edit { layer, key: key.clone(), value: None }));
        let set = new.iter().filter(|(key, value)| old.get(*key) != Some(value));
        edits.extend(set.map(|(key, value)| Edit { layer, key: key.clone(), value: Some(value.clone()) }));
    }
    edits
}

/// What the migrations of an earlier commit removed, by their names. It is found by running them once more on what
/// the commit replaced; rows look at no leaf but their own, so that is enough. A migration that is unknown today or a
/// program ends the search: what it did is not known.
pub(crate) fn removed_by(commit: &Commit, known: &BTreeMap<&str, &Document>) -> BTreeMap<String, Removed> {
    let mut state = State::default();
    for change in &commit.changes {
        let layer = Layer::ALL.into_iter().find(|layer| store_layer(*layer) == change.layer);
        if let Some((layer, old)) = layer.zip(change.old.clone()) {
            state.layer_mut(layer).insert(change.key.clone(), old);
        }
    }
    let mut found = BTreeMap::new();
    for name in &commit.marks {
        let Some(Ok(removed)) = known.get(name.as_str()).map(|document| document.forward(&mut state)) else {
            tracing::info!(name, "what an earlier migration removed after this one is not known any more");
            break;
        };
        found.insert(name.clone(), removed);
    }
    found
}

fn store_layer(layer: Layer) -> StoreLayer {
    match layer {
        Layer::Generated => StoreLayer::Generated,
        Layer::UserData => StoreLayer::UserData,
        Layer::Api => StoreLayer::Api,
    }
}

/// Where programs find their settings, in memory on a machine.
pub(crate) fn scratch(host: &host::Host) -> PathBuf {
    host.path(Path::new("/run/visco/migration"))
}
