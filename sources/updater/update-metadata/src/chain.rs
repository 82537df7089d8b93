//! Which migrations lie between two versions.

use crate::edge::Edge;
use crate::manifest::Migrations;
use semver::Version;
use snafu::Snafu;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// The way from a version to another.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Chain {
    /// The edges in the order they are walked; of a way back, each is walked from its higher version.
    pub edges: Vec<Edge>,
    /// The migrations in the order they are run.
    pub migrations: Vec<String>,
}

/// There is no way.
#[derive(Debug, Clone, PartialEq, Eq, Snafu)]
#[snafu(display("find migrations from {from} to {to}: {}", Nearest(nearest.as_ref())))]
pub struct ChainError {
    /// Where it should begin.
    pub from: Version,
    /// Where it should lead.
    pub to: Version,
    /// How far the edges lead on the way; `None`: no edge leads there at all.
    pub nearest: Option<Version>,
}

struct Nearest<'a>(Option<&'a Version>);

impl fmt::Display for Nearest<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(version) => write!(formatter, "the manifest's edges lead no further than {version}"),
            None => {
                formatter.write_str("no edge of the manifest leads away from the first in that direction")
            }
        }
    }
}

/// The way on from a version to the goal: how many edges and migrations, and the next version.
struct Way<'a> {
    edges: usize,
    migrations: usize,
    next: Option<(&'a Edge, &'a [String])>,
}

/// The shortest way from one version to another over all edges; of several the one with the fewest migrations, then
/// the one with the higher steps. A way back is the way forward in reverse. Between equal versions nothing lies.
pub fn chain(migrations: &Migrations, from: &Version, to: &Version) -> Result<Chain, ChainError> {
    let (low, high) = if from <= to { (from, to) } else { (to, from) };
    let ways = ways_to(migrations, low, high);
    let mut chain = Chain::default();
    let mut way = ways.get(low);
    if way.is_none() {
        let nearest = if from <= to { farthest(migrations, low, high) } else { ways.into_keys().next() };
        let nearest = nearest.filter(|version| *version != from).cloned();
        return Err(ChainError { from: from.clone(), to: to.clone(), nearest });
    }
    while let Some((edge, names)) = way.and_then(|way| way.next) {
        chain.edges.push(edge.clone());
        chain.migrations.extend_from_slice(names);
        way = ways.get(edge.to());
    }
    if from > to {
        chain.edges.reverse();
        chain.migrations.reverse();
    }
    Ok(chain)
}

/// The best way to `high` of every version from `low` that has one. Edges only lead upwards, so that going through
/// them from the top down has every way on known before it is needed.
fn ways_to<'a>(
    migrations: &'a Migrations,
    low: &'a Version,
    high: &'a Version,
) -> BTreeMap<&'a Version, Way<'a>> {
    let mut ways = BTreeMap::from([(high, Way { edges: 0, migrations: 0, next: None })]);
    for (edge, names) in migrations.iter().rev().filter(|(edge, _)| edge.from() >= low) {
        let Some(on) = ways.get(edge.to()) else { continue };
        let way =
            Way { edges: on.edges + 1, migrations: on.migrations + names.len(), next: Some((edge, names)) };
        // Of the edges of a version the one with the higher step comes first.
        if ways.get(edge.from()).is_none_or(|best| way.cost() < best.cost()) {
            ways.insert(edge.from(), way);
        }
    }
    ways
}

impl Way<'_> {
    fn cost(&self) -> (usize, usize) {
        (self.edges, self.migrations)
    }
}

/// The highest version, `high` at most, to which edges lead from `low`.
fn farthest<'a>(migrations: &'a Migrations, low: &'a Version, high: &Version) -> Option<&'a Version> {
    let mut reached = BTreeSet::from([low]);
    for edge in migrations.keys().filter(|edge| edge.to() <= high) {
        if reached.contains(edge.from()) {
            reached.insert(edge.to());
        }
    }
    reached.into_iter().next_back()
}
