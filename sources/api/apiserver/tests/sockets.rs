//! Real clients on a real socket, most of them hostile.

#![allow(clippy::unwrap_used)]

mod server;

use apiserver::{Limits, start};
use server::TestHost;
use std::path::Path;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

fn limits() -> Limits {
    Limits {
        connections: 4,
        head: Duration::from_millis(200),
        body: Duration::from_millis(200),
        unread: Duration::from_millis(200),
        stop: Duration::from_secs(5),
    }
}

async fn connect(socket: &Path) -> UnixStream {
    for _ in 0..500 {
        if let Ok(stream) = UnixStream::connect(socket).await {
            return stream;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("nobody listens on {}", socket.display());
}

/// Asks once and reads to the end.
async fn ask(socket: &Path, request: &str) -> String {
    let mut stream = connect(socket).await;
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    let read = tokio::time::timeout(Duration::from_secs(10), stream.read_to_string(&mut answer)).await;
    read.expect("the server answers or hangs up").unwrap();
    answer
}

const GET: &str = "GET /settings HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";

#[tokio::test]
async fn a_client_that_sends_no_head_or_no_body_is_dropped() {
    let host = TestHost::new();
    let _server = host.serve(limits());
    let rows = [
        ("", ""),
        ("GET /settings HT", ""),
        ("PATCH /settings HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 10\r\n\r\n{", "408"),
    ];
    for (request, status) in rows {
        let started = Instant::now();
        let answer = ask(&host.socket(), request).await;
        assert!(answer.contains(status), "{request:?}: {answer}");
        assert!(started.elapsed() < Duration::from_secs(5), "{request:?}");
    }
}

#[tokio::test]
async fn an_idle_connection_is_dropped_after_its_request() {
    let host = TestHost::new();
    let _server = host.serve(limits());
    let answer = ask(&host.socket(), "GET /os HTTP/1.1\r\nhost: x\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[tokio::test]
async fn clients_that_dawdle_in_every_place_do_not_keep_others_out() {
    let host = TestHost::new();
    let server = host.serve(limits());
    server.set(&format!("{{\"motd\": \"{}\"}}", "x".repeat(60_000))).await;
    let mut hostile = Vec::new();
    for place in 0..8 {
        let mut stream = connect(&host.socket()).await;
        if place % 2 == 0 {
            // Asks for more than the buffers of a socket hold, and reads nothing of it.
            let many = "GET /settings HTTP/1.1\r\nhost: x\r\n\r\n".repeat(200);
            drop(tokio::time::timeout(Duration::from_millis(50), stream.write_all(many.as_bytes())).await);
        } else {
            stream.write_all(b"GET /se").await.unwrap();
        }
        hostile.push(stream);
    }
    let answer = ask(&host.socket(), GET).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    drop(hostile);
}

#[tokio::test]
async fn too_many_clients_wait_for_their_turn() {
    let host = TestHost::new();
    let _server = host.serve(limits());
    let socket = host.socket();
    let clients: Vec<_> = (0..40)
        .map(|_| {
            let socket = socket.clone();
            tokio::spawn(async move { ask(&socket, GET).await })
        })
        .collect();
    for client in clients {
        assert!(client.await.unwrap().starts_with("HTTP/1.1 200"));
    }
}

#[tokio::test]
async fn a_listener_that_stops_reading_misses_events_and_nobody_else_does() {
    let host = TestHost::new();
    let server = host.serve(limits());
    let mut slow = connect(&host.socket()).await;
    slow.write_all(b"GET /events HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let mut first = [0; 256];
    assert!(slow.read(&mut first).await.unwrap() > 0);
    for id in 0..20_000 {
        server.api.app().events.tell(wire::Event::Lagged { missed: id });
        if id % 100 == 0 {
            tokio::task::yield_now().await;
        }
    }
    let answer = ask(&host.socket(), GET).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[tokio::test]
async fn the_server_finishes_what_runs_and_leaves() {
    let host = TestHost::new();
    let server = host.open();
    let api = server.api.clone();
    std::fs::create_dir_all(host.socket().parent().unwrap()).unwrap();
    let listener = tokio::net::UnixListener::bind(host.socket()).unwrap();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let limits = Limits { head: Duration::from_mins(1), ..limits() };
    let serving = tokio::spawn(apiserver::serve(listener, api, limits, async move { drop(stopped.await) }));
    let _idle = connect(&host.socket()).await;
    server.call("PATCH", "/settings", r#"{"motd": "x"}"#).await;
    let job = server.call("POST", "/tx/commit_and_apply", "").await.number("visco-job");
    let request = format!("GET /jobs/{job}?wait=10 HTTP/1.1\r\nhost: x\r\n\r\n");
    let socket = host.socket();
    let waiting = tokio::spawn(async move { ask(&socket, &request).await });
    while server.api.app().metrics.connections.load(std::sync::atomic::Ordering::Relaxed) < 2 {
        tokio::task::yield_now().await;
    }
    tokio::time::sleep(Duration::from_millis(20)).await;
    stop.send(()).unwrap();
    tokio::time::timeout(Duration::from_secs(4), serving).await.expect("the server leaves").unwrap();
    assert!(waiting.await.unwrap().contains("\"succeeded\""));
}

#[tokio::test]
async fn a_started_server_listens_with_mode_0660() {
    use std::os::unix::fs::PermissionsExt;
    let host = TestHost::new();
    let (root, config) = (host.host(), host.config());
    let server = tokio::spawn(async move { start(&root, config).await });
    assert!(ask(&host.socket(), GET).await.starts_with("HTTP/1.1 200"));
    let mode = std::fs::metadata(host.socket()).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o660);
    server.abort();
}
