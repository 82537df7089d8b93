//! The API of a host through the port of a virtual machine, a socket playing the port.
#![allow(clippy::unwrap_used, reason = "tests may panic")]

use api_bridge::{Link, Role};
use hostlab::http::Connection;
use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tests::{TestHost, programs};
use tokio::net::UnixListener;

/// Long enough for any of this on a busy machine.
const LIMIT: Duration = Duration::from_mins(1);

/// A host, the program `api-bridge` on it, and a developer's end.
struct Bridged {
    host: TestHost,
    folder: TempDir,
    guest: Child,
}

impl Bridged {
    fn new() -> Self {
        let host = TestHost::boot("metal-dev", None);
        let build = ["build", "--quiet", "--locked", "--package", "api-bridge"];
        assert!(Command::new(env!("CARGO")).args(build).status().unwrap().success());
        let folder = TempDir::with_prefix("visco").unwrap();
        let (port, clients) = (folder.path().join("port"), folder.path().join("api.sock"));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let (port, clients) = runtime
            .block_on(async {
                std::io::Result::Ok((UnixListener::bind(port)?, UnixListener::bind(clients)?))
            })
            .unwrap();
        std::thread::spawn(move || {
            let link = Link::new(Role::Opener, 1);
            // The link outlives each guest, as that of a virtual machine does.
            let guests = async {
                loop {
                    // A guest that is killed may end it with an error.
                    drop(link.run(port.accept().await.unwrap().0).await);
                }
            };
            runtime.block_on(async {
                tokio::select! {
                    () = guests => {}
                    _ = api_bridge::listen(&link, &clients) => {}
                }
            });
        });
        let guest = start_guest(&host, folder.path());
        let bridged = Self { host, folder, guest };
        bridged.wait_until_it_answers();
        bridged
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("api.sock")
    }

    fn wait_until_it_answers(&self) {
        let started = Instant::now();
        while self.get("/os").is_err() {
            assert!(started.elapsed() < LIMIT, "the API never answered");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn get(&self, uri: &str) -> std::io::Result<Vec<u8>> {
        let mut connection = Connection::open(&self.socket())?;
        connection.limit(LIMIT)?;
        connection.succeed("GET", uri, "").map(|answer| answer.body)
    }

    fn client(&self, words: &[&str]) -> String {
        let socket = self.socket();
        let words = ["--socket-path", socket.to_str().unwrap()].into_iter().chain(words.iter().copied());
        let ended = Command::new(self.host.lab.host.path("/usr/bin/apiclient")).args(words).output().unwrap();
        assert!(ended.status.success(), "{ended:?}");
        String::from_utf8(ended.stdout).unwrap()
    }

    /// Kills the guest's end in the middle of whatever it does, and starts another.
    fn restart_guest(&mut self) {
        self.guest.kill().unwrap();
        self.guest.wait().unwrap();
        self.guest = start_guest(&self.host, self.folder.path());
    }
}

impl Drop for Bridged {
    fn drop(&mut self) {
        drop(self.guest.kill());
        drop(self.guest.wait());
    }
}

fn start_guest(host: &TestHost, folder: &Path) -> Child {
    let mut guest = Command::new(programs().join("api-bridge"));
    guest.arg("--root").arg(host.lab.host.root()).arg("--port").arg(folder.join("port"));
    guest.args(["--log-level", "error"]).spawn().unwrap()
}

#[test]
fn a_client_outside_sets_and_reads_and_many_do_so_at_once() {
    let bridged = Bridged::new();
    bridged.client(&["set", "motd=from outside"]);
    assert_eq!(bridged.host.file("/etc/motd"), "from outside\n");
    let document = bridged.get("/openapi.json").unwrap();
    assert!(document.len() > 30_000, "{} bytes are no large body", document.len());
    std::thread::scope(|scope| {
        let asking = || {
            for _ in 0..20 {
                assert!(bridged.get("/openapi.json").unwrap() == document);
                assert!(bridged.client(&["get", "settings.motd"]).contains("from outside"));
            }
        };
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(asking)).collect();
        for thread in threads {
            thread.join().unwrap();
        }
    });
}

#[test]
fn an_event_stream_stays_open_beside_other_requests_and_ends_with_the_guest() {
    let mut bridged = Bridged::new();
    let mut events = UnixStream::connect(bridged.socket()).unwrap();
    events.set_read_timeout(Some(LIMIT)).unwrap();
    events.write_all(b"GET /events HTTP/1.1\r\nhost: localhost\r\n\r\n").unwrap();
    let mut text = String::new();
    let mut chunk = [0; 4096];
    // Without its head nobody listens yet.
    while !text.contains("\r\n\r\n") {
        let count = events.read(&mut chunk).unwrap();
        assert_ne!(count, 0, "{text}");
        text.push_str(&String::from_utf8_lossy(&chunk[..count]));
    }
    bridged.client(&["set", "motd=watched"]);
    while !text.contains("settings.motd") {
        let count = events.read(&mut chunk).unwrap();
        assert_ne!(count, 0, "{text}");
        text.push_str(&String::from_utf8_lossy(&chunk[..count]));
    }
    bridged.restart_guest();
    let ended = loop {
        match events.read(&mut chunk) {
            Ok(0) => break Ok(()),
            Err(error) => break Err(error.kind()),
            Ok(_) => {}
        }
    };
    assert!(matches!(ended, Ok(()) | Err(ErrorKind::ConnectionReset)), "{ended:?}");
    bridged.wait_until_it_answers();
    assert!(bridged.client(&["get", "settings.motd"]).contains("watched"));
}

#[test]
fn the_guest_may_restart_in_the_middle_of_answers_and_so_may_the_server() {
    let mut bridged = Bridged::new();
    let document = bridged.get("/openapi.json").unwrap();
    for _ in 0..5 {
        let socket = bridged.socket();
        // A thread that was late, and asks only once the new guest is there, sees no end.
        let restarted = Arc::new(AtomicBool::new(false));
        let busy: Vec<_> = (0..4)
            .map(|_| {
                let (socket, restarted) = (socket.clone(), restarted.clone());
                std::thread::spawn(move || {
                    let mut whole = 0;
                    // Until the guest goes: what comes before is whole, whatever comes is no other's.
                    while !restarted.load(Ordering::Relaxed)
                        && let Ok(answer) = Connection::open(&socket).and_then(|mut connection| {
                            connection.limit(LIMIT)?;
                            connection.exchange("GET", "/openapi.json", "")
                        })
                    {
                        assert_eq!(answer.status, 200);
                        whole = whole.max(answer.body.len());
                    }
                    whole
                })
            })
            .collect();
        std::thread::sleep(Duration::from_millis(50));
        bridged.restart_guest();
        restarted.store(true, Ordering::Relaxed);
        for thread in busy {
            let whole = thread.join().unwrap();
            assert!(whole == 0 || whole == document.len(), "{whole}");
        }
        bridged.wait_until_it_answers();
    }
    bridged.host.reboot();
    bridged.wait_until_it_answers();
    assert!(bridged.get("/openapi.json").unwrap() == document);
}
