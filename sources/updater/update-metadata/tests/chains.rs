//! The way between two versions.

#![allow(clippy::unwrap_used, reason = "tests may panic")]

use proptest::prelude::*;
use semver::Version;
use std::cmp::Reverse;
use update_metadata::{Edge, Migrations, chain};

fn version(minor: u64) -> Version {
    Version::new(1, minor, 0)
}

fn graph(edges: &[(u64, u64, &[&str])]) -> Migrations {
    let edge = |from, to| Edge::new(version(from), version(to)).unwrap();
    edges
        .iter()
        .map(|(from, to, names)| (edge(*from, *to), names.iter().map(ToString::to_string).collect()))
        .collect()
}

#[test]
fn the_shortest_way_is_walked() {
    let line = graph(&[(0, 1, &["a", "b"]), (1, 2, &[]), (2, 3, &["c"])]);
    let dead_end = graph(&[(0, 1, &["a"]), (1, 3, &["b"]), (0, 2, &["trap"])]);
    let long_cut = graph(&[(0, 1, &["a"]), (1, 2, &["b"]), (2, 4, &["c"]), (0, 3, &["d"]), (3, 4, &["e"])]);
    let fewest = graph(&[(0, 1, &["a"]), (1, 3, &["b"]), (0, 2, &["c", "d"]), (2, 3, &["e"])]);
    let highest = graph(&[(0, 1, &["a"]), (1, 3, &["b"]), (0, 2, &["c"]), (2, 3, &["d"])]);
    for (graph, from, to, expected) in [
        (&line, 0, 3, "a b c"),
        (&line, 3, 0, "c b a"),
        (&line, 2, 2, ""),
        (&line, 1, 2, ""),
        (&line, 7, 7, ""),
        (&dead_end, 0, 3, "a b"),
        (&dead_end, 3, 0, "b a"),
        (&dead_end, 0, 2, "trap"),
        (&long_cut, 0, 4, "d e"),
        (&fewest, 0, 3, "a b"),
        (&highest, 0, 3, "c d"),
        (&highest, 3, 0, "d c"),
    ] {
        let found = chain(graph, &version(from), &version(to)).unwrap();
        assert_eq!(found.migrations.join(" "), expected, "{from} -> {to}");
    }
    let back = chain(&line, &version(3), &version(1)).unwrap();
    assert_eq!(
        back.edges.iter().map(ToString::to_string).collect::<Vec<_>>(),
        ["(1.2.0, 1.3.0)", "(1.1.0, 1.2.0)"]
    );
}

#[test]
fn where_there_is_no_way_the_nearest_version_is_named() {
    let graph = graph(&[(0, 1, &[]), (1, 2, &[]), (0, 5, &[]), (4, 5, &[]), (5, 6, &[])]);
    for (from, to, expected) in [
        (0, 4, "find migrations from 1.0.0 to 1.4.0: the manifest's edges lead no further than 1.2.0"),
        (1, 6, "find migrations from 1.1.0 to 1.6.0: the manifest's edges lead no further than 1.2.0"),
        (3, 6, "find migrations from 1.3.0 to 1.6.0: no edge of the manifest leads away from the first"),
        (6, 1, "find migrations from 1.6.0 to 1.1.0: the manifest's edges lead no further than 1.4.0"),
        (6, 3, "find migrations from 1.6.0 to 1.3.0: the manifest's edges lead no further than 1.4.0"),
        (4, 0, "find migrations from 1.4.0 to 1.0.0: no edge of the manifest leads away from the first"),
    ] {
        let found = chain(&graph, &version(from), &version(to)).unwrap_err().to_string();
        assert!(found.starts_with(expected), "{found}");
    }
}

#[test]
fn a_version_of_a_test_release_is_a_version() {
    let edge: Edge = "(1.0.0, 1.1.0-rc.1)".parse().unwrap();
    let next: Edge = "(1.1.0-rc.1, 1.1.0)".parse().unwrap();
    let graph = Migrations::from([(edge, vec!["a".to_owned()]), (next, vec!["b".to_owned()])]);
    assert_eq!(chain(&graph, &version(0), &version(1)).unwrap().migrations, ["a", "b"]);
}

/// Every way from a version up to another, as its edges.
fn all_ways<'a>(graph: &'a Migrations, from: &'a Version, to: &'a Version) -> Vec<Vec<&'a Edge>> {
    if from == to {
        return vec![Vec::new()];
    }
    let steps = graph.keys().filter(|edge| edge.from() == from && edge.to() <= to);
    let with = |edge: &'a Edge| {
        let on = all_ways(graph, edge.to(), to).into_iter();
        on.map(move |way| [vec![edge], way].concat())
    };
    steps.flat_map(with).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn the_chain_is_the_best_of_all_ways(
        edges in proptest::collection::btree_map((0..8_u64, 1..8_u64), 0..4_usize, 0..20),
        from in 0..9_u64,
        to in 0..9_u64,
    ) {
        let graph: Migrations = edges
            .into_iter()
            .map(|((from, step), count)| {
                let edge = Edge::new(version(from), version(from + step)).unwrap();
                let names = (0..count).map(|number| format!("{from}+{step} {number}")).collect();
                (edge, names)
            })
            .collect();
        let (from, to) = (version(from), version(to));
        let (low, high) = (from.clone().min(to.clone()), from.clone().max(to.clone()));
        let names = |way: &[&Edge]| way.iter().flat_map(|edge| graph[*edge].clone()).collect::<Vec<_>>();
        let best = all_ways(&graph, &low, &high).into_iter().min_by_key(|way| {
            (way.len(), names(way).len(), way.iter().map(|edge| Reverse(edge.to().clone())).collect::<Vec<_>>())
        });
        match (chain(&graph, &from, &to), best) {
            (Ok(found), Some(best)) => {
                let (mut edges, mut migrations) = (found.edges, found.migrations);
                if from > to {
                    edges.reverse();
                    migrations.reverse();
                }
                prop_assert_eq!(edges.iter().collect::<Vec<_>>(), best.clone());
                prop_assert_eq!(migrations, names(&best));
            }
            (Err(error), None) => {
                let reached = |other: u64| {
                    let other = version(other);
                    let (a, b) = if from < to { (&from, &other) } else { (&other, &from) };
                    let between = other != from && low <= other && other <= high;
                    between && !all_ways(&graph, a, b).is_empty()
                };
                let mut reached = (0..16).filter(|other| reached(*other)).map(version);
                let nearest = if from < to { reached.next_back() } else { reached.next() };
                prop_assert_eq!(error.nearest, nearest);
            }
            (found, best) => prop_assert!(false, "{:?} against {:?}", found, best),
        }
    }
}
