//! Servers that are slow, broken or hostile, each with the error that it ends in.

#![allow(clippy::unwrap_used, reason = "tests may panic")]

use jiff::Timestamp;
use repository::{Error, FetchError, Kind, Limits, RangeError, Repository, Source};
use std::io::Read;
use std::num::NonZeroU64;
use std::ops::Range;
use std::time::{Duration, Instant};
use test_repository::{Answer, Place, Publisher, Request, Server, impatient, later, text};

/// A file whose pieces can be told from each other.
fn content() -> Vec<u8> {
    (0..200_000_u32).flat_map(u32::to_le_bytes).collect()
}

fn place() -> Place {
    Place::of(&Publisher::new().with_file("x", content()))
}

fn is_x(request: &Request) -> bool {
    request.path.contains(".x")
}

/// A server that answers as told for one kind of path and well for the rest.
fn server(
    place: &Place,
    on: fn(&Request) -> bool,
    answer: impl Fn(&Request) -> Answer + Send + Sync + 'static,
) -> Server {
    Server::new(&place.repository(), move |request| if on(request) { answer(request) } else { Answer::Good })
}

#[test]
fn a_good_server_is_asked_once_for_each_file_over_one_connection() {
    let place = place();
    let server = Server::good(&place.repository());
    let repository = Repository::load(&place.source(&server.url)).unwrap();
    assert_eq!(repository.read_target("x", 1 << 20).unwrap(), content());
    let paths: Vec<_> = server.requests().into_iter().map(|request| request.path).collect();
    assert_eq!(
        paths[..4],
        [
            "/metadata/2.root.json",
            "/metadata/timestamp.json",
            "/metadata/10.snapshot.json",
            "/metadata/10.targets.json"
        ]
    );
    assert_eq!(paths.len(), 5);
    assert_eq!(server.connections(), 1);
    assert!(server.requests().iter().all(|request| request.query.is_empty()));
}

#[test]
fn bad_servers_end_in_errors_that_say_what_is_wrong() {
    let timestamp: fn(&Request) -> bool = |request| request.path.ends_with("timestamp.json");
    let root: fn(&Request) -> bool = |request| request.path.ends_with("2.root.json");
    for (on, answer, kind, requests, expected) in [
        (timestamp, Answer::Status(500), Kind::Network, 4, "timestamp.json: the server answered 500"),
        (timestamp, Answer::Status(503), Kind::Network, 4, "the server answered 503"),
        (timestamp, Answer::Status(429), Kind::Network, 4, "the server answered 429"),
        (timestamp, Answer::Status(400), Kind::Network, 1, "the server answered 400"),
        (
            timestamp,
            Answer::Status(403),
            Kind::Network,
            1,
            "timestamp.json is not there: the server answered 403",
        ),
        (
            timestamp,
            Answer::Status(404),
            Kind::Network,
            1,
            "timestamp.json is not there: the server answered 404",
        ),
        (
            timestamp,
            Answer::Status(410),
            Kind::Network,
            1,
            "timestamp.json is not there: the server answered 410",
        ),
        (timestamp, Answer::Silence(Duration::from_millis(400)), Kind::Network, 4, "the server is too slow"),
        (timestamp, Answer::Drip(Duration::from_millis(20)), Kind::Network, 4, "the server is too slow"),
        (timestamp, Answer::Cut(10), Kind::Network, 4, "timestamp.json"),
        (
            timestamp,
            Answer::Endless,
            Kind::Trust,
            1,
            "the timestamp of the repository is longer than 1048576 bytes",
        ),
        (
            timestamp,
            Answer::Other(b"<html>".to_vec()),
            Kind::Trust,
            1,
            "read the timestamp of the repository: expected value",
        ),
        // A root that cannot be fetched is not one that is not there: it would hide a rotation of keys.
        (root, Answer::Status(500), Kind::Network, 4, "fetch the root of the repository"),
        (root, Answer::Silence(Duration::from_millis(400)), Kind::Network, 4, "the server is too slow"),
        (root, Answer::Endless, Kind::Trust, 1, "the root of the repository is longer than 1048576 bytes"),
    ] {
        let place = place();
        let case = format!("{answer:?}");
        let server = server(&place, on, move |_| answer.clone());
        let error = Repository::load(&place.source(&server.url)).unwrap_err();
        assert!(text(&error).contains(expected), "{case}: {}", text(&error));
        assert_eq!(error.kind(), kind, "{case}: {}", text(&error));
        let asked = server.requests().into_iter().filter(on).count();
        assert_eq!(asked, requests, "{case}");
    }
    let place = place();
    let error = Repository::load(&place.source("http://127.0.0.1:9")).unwrap_err();
    assert_eq!(error.kind(), Kind::Network, "{}", text(&error));
    let error = Repository::load(&place.source("ftp://127.0.0.1")).unwrap_err();
    assert!(text(&error).contains("which begins with file, http or https"), "{}", text(&error));
}

#[test]
fn a_root_that_is_forbidden_is_one_that_is_not_there() {
    for status in [403, 404, 410] {
        let place = place();
        let server =
            server(&place, |request| request.path.ends_with("2.root.json"), move |_| Answer::Status(status));
        Repository::load(&place.source(&server.url)).unwrap();
    }
}

#[test]
fn a_transfer_goes_on_where_it_broke_off() {
    let place = place();
    // Each answer breaks off: ten failures, but never three in a row without progress.
    let server =
        server(&place, is_x, |request| if request.before < 10 { Answer::Cut(70_000) } else { Answer::Good });
    let repository = Repository::load(&place.source(&server.url)).unwrap();
    assert_eq!(repository.read_target("x", 1 << 20).unwrap(), content());
    let ranges: Vec<_> = server.requests().into_iter().filter(is_x).map(|request| request.range).collect();
    assert_eq!(ranges[..3], [None, Some((70_000, None)), Some((140_000, None))]);
}

#[test]
fn a_transfer_goes_on_with_a_server_that_has_no_ranges() {
    let place = place();
    let server =
        server(&place, is_x, |request| if request.before == 0 { Answer::Cut(70_000) } else { Answer::Whole });
    let repository = Repository::load(&place.source(&server.url)).unwrap();
    assert_eq!(repository.read_target("x", 1 << 20).unwrap(), content());
}

#[test]
fn a_server_that_brings_nothing_new_is_given_up() {
    let place = place();
    let server =
        server(
            &place,
            is_x,
            |request| if request.before == 0 { Answer::Cut(70_000) } else { Answer::Cut(10) },
        );
    let repository = Repository::load(&place.source(&server.url)).unwrap();
    let error = repository.read_target("x", 1 << 20).unwrap_err();
    assert_eq!(error.kind(), Kind::Network, "{}", text(&error));
    assert_eq!(server.requests().into_iter().filter(is_x).count(), 4);
}

#[test]
fn wrong_answers_in_the_middle_are_found_out() {
    let other = Answer::Other(vec![0; 800_000]);
    for (second, expected) in [
        (Answer::Range("bytes 0-9/800000".into()), "\"bytes 0-9/800000\" for the bytes from 70000"),
        (Answer::Range(String::new()), "\"\" for the bytes from 70000"),
        (other, "x is damaged: its SHA-256 is"),
    ] {
        let place = place();
        let server =
            server(
                &place,
                is_x,
                move |request| {
                    if request.before == 0 { Answer::Cut(70_000) } else { second.clone() }
                },
            );
        let repository = Repository::load(&place.source(&server.url)).unwrap();
        let error = repository.read_target("x", 1 << 20).unwrap_err();
        assert!(text(&error).contains(expected), "{}", text(&error));
    }
}

/// A part of `x`. What goes wrong on the way is inside the error of a read.
fn read_range(repository: &Repository, range: Range<u64>) -> Result<Vec<u8>, RangeError> {
    let mut bytes = Vec::new();
    match repository.open_range("x", range)?.read_to_end(&mut bytes) {
        Ok(_) => Ok(bytes),
        Err(error) => {
            let source = *error.into_inner().unwrap().downcast().unwrap();
            Err(RangeError::Part { name: "x".into(), source })
        }
    }
}

#[test]
fn parts_of_a_target_come_as_they_were_asked_for() {
    let place = place();
    let server = Server::good(&place.repository());
    for url in [&place.url(), &server.url] {
        let repository = Repository::load(&place.source(url)).unwrap();
        let content = content();
        for range in [0..1, 0..800_000, 799_999..800_000, 65_000..140_000, 5..5] {
            let expected = &content[range.start..range.end];
            let part = read_range(&repository, range.start as u64..range.end as u64).unwrap();
            assert_eq!(part, expected, "{range:?}");
        }
        let error = read_range(&repository, 799_999..800_001).unwrap_err();
        assert!(matches!(error, RangeError::Outside { length: 800_000, .. }), "{error}");
    }
}

#[test]
fn parts_may_be_read_by_several_threads() {
    let place = place();
    let server = Server::good(&place.repository());
    let repository = Repository::load(&place.source(&server.url)).unwrap();
    let content = content();
    std::thread::scope(|scope| {
        for start in (0..800_000).step_by(200_000) {
            let (repository, expected) = (&repository, &content[start..start + 200_000]);
            scope.spawn(move || {
                let range = start as u64..start as u64 + 200_000;
                assert_eq!(read_range(repository, range).unwrap(), expected);
            });
        }
    });
}

#[test]
fn parts_that_are_not_what_was_asked_for_are_refused() {
    for (answer, expected) in [
        (Answer::Whole, "read a part of x: the server gives no ranges"),
        (Answer::Range("bytes 0-999/800000".into()), "for the bytes from 1000 to 2000"),
        (Answer::Range("bytes 1000-2999/800000".into()), "for the bytes from 1000 to 2000"),
        (Answer::Range("bytes 1000-1999".into()), "for the bytes from 1000 to 2000"),
        (Answer::Range("items 1000-1999/800000".into()), "for the bytes from 1000 to 2000"),
        (Answer::Status(416), "416 Range Not Satisfiable"),
        (Answer::Status(404), "is not there"),
        (Answer::Status(500), "the server answered 500"),
    ] {
        let place = place();
        let whole = matches!(answer, Answer::Whole);
        let server = server(&place, is_x, move |_| answer.clone());
        let repository = Repository::load(&place.source(&server.url)).unwrap();
        let error = read_range(&repository, 1000..2000).unwrap_err();
        assert!(text(&error).contains(expected), "{}", text(&error));
        assert_eq!(matches!(error, RangeError::Unsupported { .. }), whole);
    }
}

#[test]
fn a_part_goes_on_where_it_broke_off() {
    let place = place();
    let server =
        server(&place, is_x, |request| if request.before < 5 { Answer::Cut(30_000) } else { Answer::Good });
    let repository = Repository::load(&place.source(&server.url)).unwrap();
    assert_eq!(read_range(&repository, 1000..201_000).unwrap(), content()[1000..201_000]);
    let ranges: Vec<_> = server.requests().into_iter().filter(is_x).map(|request| request.range).collect();
    assert_eq!(ranges[..2], [Some((1000, Some(200_999))), Some((31_000, Some(200_999)))]);
}

#[test]
fn the_first_try_has_no_pause_before_it_and_the_next_have() {
    let place = place();
    let limits = Limits {
        pause: Duration::from_millis(100),
        longest_pause: Duration::from_millis(150),
        ..impatient()
    };
    for (failures, least) in [(0, 0), (1, 100), (2, 250)] {
        let server =
            server(
                &place,
                is_x,
                move |request| {
                    if request.before < failures { Answer::Status(500) } else { Answer::Good }
                },
            );
        let source = Source { limits, ..place.source(&server.url) };
        let repository = Repository::load(&source).unwrap();
        let start = Instant::now();
        repository.read_target("x", 1 << 20).unwrap();
        assert!(start.elapsed() >= Duration::from_millis(least), "{failures}");
        if failures == 0 {
            assert!(start.elapsed() < Duration::from_millis(100), "{:?}", start.elapsed());
        }
    }
}

#[test]
fn downloads_take_no_more_of_the_line_than_they_may() {
    let place = place();
    let server = Server::good(&place.repository());
    let source = Source { bandwidth: NonZeroU64::new(2_000_000), ..place.source(&server.url) };
    let repository = Repository::load(&source).unwrap();
    let start = Instant::now();
    repository.read_target("x", 1 << 20).unwrap();
    assert!(start.elapsed() >= Duration::from_millis(350), "{:?}", start.elapsed());
}

#[test]
fn the_repository_is_told_of_the_host_only_where_that_is_wanted() {
    let place = place();
    let server = Server::good(&place.repository());
    let query = vec![("version".into(), "1.0.0+a".into()), ("seed".into(), "7".into())];
    let repository = Repository::load(&Source { query, ..place.source(&server.url) }).unwrap();
    repository.say("target", "1.1.0");
    repository.read_target("x", 1 << 20).unwrap();
    let requests = server.requests();
    assert!(requests[..4].iter().all(|request| request.query == "seed=7&version=1.0.0%2Ba"), "{requests:?}");
    assert_eq!(requests[4].query, "seed=7&target=1.1.0&version=1.0.0%2Ba");
    // Errors do not repeat it.
    let gone = server_that_lost(&place);
    let query = vec![("seed".into(), "7".into())];
    let error = Repository::load(&Source { query, ..place.source(&gone.url) }).unwrap_err();
    assert!(!text(&error).contains("seed"), "{}", text(&error));
}

fn server_that_lost(place: &Place) -> Server {
    server(place, |request| request.path.ends_with("timestamp.json"), |_| Answer::Status(404))
}

#[test]
fn a_clock_that_cannot_be_right_is_said() {
    let expired = Publisher { timestamp_expires: later(-1), ..Publisher::new() };
    for (publisher, built, expected) in [
        (&Publisher::new(), later(24), "the clock looks wrong: it says"),
        (&expired, later(-20 * 365 * 24), "the clock looks wrong: it says"),
        (&expired, later(-24), "the timestamp of the repository expired on"),
    ] {
        let place = Place::of(publisher);
        let source = Source { built: Some(built), ..place.source(&place.url()) };
        let error = Repository::load(&source).unwrap_err();
        assert!(text(&error).starts_with(expected), "{}", text(&error));
    }
    // A clock that was ahead once: expiry is judged by the later time, and a fresh repository loads.
    let place = Place::of(&Publisher::new());
    Repository::load(&place.source(&place.url())).unwrap();
    let known = |time: Timestamp| {
        std::fs::write(place.trust().join("latest_known_time.json"), serde_json::to_vec(&time).unwrap())
            .unwrap();
    };
    known(later(24));
    Repository::load(&place.source(&place.url())).unwrap();
    known(later(8 * 24));
    let error = Repository::load(&place.source(&place.url())).unwrap_err();
    assert!(matches!(error, Error::ClockBack { .. }), "{}", text(&error));
    assert_eq!(error.kind(), Kind::Clock);
}

#[test]
fn a_damaged_trust_store_is_set_aside_and_the_rest_of_it_still_protects() {
    let publisher = Publisher::new();
    for damaged in ["timestamp.json", "snapshot.json", "latest_known_time.json"] {
        let place = Place::of(&publisher);
        publisher.next().write(&place.repository());
        Repository::load(&place.source(&place.url())).unwrap();
        std::fs::write(place.trust().join(damaged), "{\"sig").unwrap();
        let repository = Repository::load(&place.source(&place.url())).unwrap();
        assert_eq!(
            repository.set_aside(),
            [place.trust().canonicalize().unwrap().join(format!("{damaged}.damaged"))]
        );
        assert!(Repository::load(&place.source(&place.url())).unwrap().set_aside().is_empty());
        publisher.write(&place.repository());
        let error = Repository::load(&place.source(&place.url())).unwrap_err();
        assert!(matches!(error, Error::RolledBack { .. }), "{damaged}: {}", text(&error));
    }
}

#[test]
fn what_was_seen_is_kept_even_if_the_rest_of_the_repository_was_not_in_order() {
    let publisher = Publisher::new();
    let place = Place::of(&publisher);
    publisher.next().write(&place.repository());
    place.tamper("metadata/11.snapshot.json", "1.0.0", "1.0.1");
    let error = Repository::load(&place.source(&place.url())).unwrap_err();
    assert!(matches!(error, Error::Mixed { .. }), "{}", text(&error));
    publisher.write(&place.repository());
    let error = Repository::load(&place.source(&place.url())).unwrap_err();
    assert!(matches!(error, Error::RolledBack { offered: 10, seen: 11, .. }), "{}", text(&error));
}

#[test]
fn a_full_disk_and_a_trust_store_that_is_none_are_said() {
    let place = place();
    std::fs::write(place.trust(), "a file").unwrap();
    let error = Repository::load(&place.source(&place.url())).unwrap_err();
    assert!(text(&error).starts_with("prepare the trust store"), "{}", text(&error));
    assert_eq!(error.kind(), Kind::Host);
    std::fs::remove_file(place.trust()).unwrap();
    let repository = Repository::load(&place.source(&place.url())).unwrap();
    let mut full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let error = repository.copy_target("x", &mut full).unwrap_err();
    assert_eq!(error.kind(), Kind::NoSpace, "{}", text(&error));
}

#[test]
fn https_without_certificates_is_said_before_anything_is_sent() {
    let place = place();
    for (content, expected) in
        [(None, "read the certificates in"), (Some("x"), "has no certificate to check")]
    {
        let ca_bundle = place.path("certificates");
        if let Some(content) = content {
            std::fs::write(&ca_bundle, content).unwrap();
        }
        let source = Source { ca_bundle, ..place.source("https://127.0.0.1:9") };
        let error = Repository::load(&source).unwrap_err();
        assert!(text(&error).contains(expected), "{}", text(&error));
        assert_eq!(error.kind(), Kind::Host);
    }
}

#[test]
fn a_missing_file_of_a_folder_is_named() {
    let place = place();
    let repository = Repository::load(&place.source(&place.url())).unwrap();
    std::fs::remove_dir_all(place.repository().join("targets")).unwrap();
    let error = repository.read_target("x", 1 << 20).unwrap_err();
    assert!(
        matches!(error, Error::FetchTarget { source: FetchError::NotFound { .. }, .. }),
        "{}",
        text(&error)
    );
}
