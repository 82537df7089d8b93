//! A repository over `https`, directly and through a proxy.

#![allow(clippy::unwrap_used, reason = "tests may panic")]

use repository::{Limits, Proxy, Repository, Source};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use std::io::{BufRead, BufReader, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::thread;
use test_repository::{Place, Publisher, Server, text};

/// A name that only the proxy knows.
const NAME: &str = "updates.test";

/// A repository behind a server that talks TLS.
struct Scene {
    place: Place,
    /// Keeps the plain server, to which all is handed on.
    _server: Server,
    port: u16,
    certificate: PathBuf,
    folder: tempfile::TempDir,
}

impl Scene {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (certificate, key) = certificate(folder.path(), "server");
        let place = Place::of(&Publisher::new().with_file("x", "content"));
        let server = Server::good(&place.repository());
        let plain = server.url.trim_start_matches("http://").to_owned();
        let chain = vec![CertificateDer::from_pem_file(&certificate).unwrap()];
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config =
            ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let config = config.with_no_client_auth();
        let config =
            Arc::new(config.with_single_cert(chain, PrivateKeyDer::from_pem_file(&key).unwrap()).unwrap());
        let port = listen(move |stream| {
            let mut tls =
                BufReader::new(StreamOwned::new(ServerConnection::new(config.clone()).unwrap(), stream));
            while let Some(head) = head(&mut tls) {
                let mut upstream = TcpStream::connect(&plain)?;
                upstream.write_all(head.as_bytes())?;
                upstream.shutdown(Shutdown::Write)?;
                std::io::copy(&mut upstream, tls.get_mut())?;
                tls.get_mut().flush()?;
            }
            Ok(())
        });
        Self { place, _server: server, port, certificate, folder }
    }

    fn source(&self, host: &str) -> Source {
        let mut source = self.place.source(&format!("https://{host}:{}", self.port));
        source.ca_bundle.clone_from(&self.certificate);
        // What fails here fails at once; what does not may take its time on a busy machine.
        source.limits = Limits { attempts: 1, ..Limits::default() };
        source
    }
}

/// A certificate for the test's names, signed by itself, and its key.
fn certificate(folder: &Path, name: &str) -> (PathBuf, PathBuf) {
    let [certificate, key] = ["crt", "key"].map(|kind| folder.join(format!("{name}.{kind}")));
    let names = format!("subjectAltName=DNS:localhost,DNS:{NAME}");
    let mut openssl = Command::new("openssl");
    openssl.args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]);
    openssl.args([
        "-days",
        "2",
        "-subj",
        "/CN=test",
        "-addext",
        &names,
        "-addext",
        "basicConstraints=CA:FALSE",
    ]);
    let made = openssl.arg("-keyout").arg(&key).arg("-out").arg(&certificate).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    (certificate, key)
}

/// Talks to whoever connects, as long as the test runs.
fn listen(talk: impl Fn(TcpStream) -> std::io::Result<()> + Send + Sync + 'static) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let talk = Arc::new(talk);
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let talk = Arc::clone(&talk);
            // A client that goes away, or does not trust the certificate, ends its connection.
            thread::spawn(move || drop(talk(stream)));
        }
    });
    port
}

/// The next request, without a body; nothing at the end.
fn head(stream: &mut impl BufRead) -> Option<String> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if stream.read_line(&mut head).ok()? == 0 {
            return None;
        }
    }
    Some(head)
}

/// A proxy that leads every name to the loopback interface, and what it was asked.
fn proxy() -> (u16, Arc<Mutex<Vec<String>>>) {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let of_thread = Arc::clone(&asked);
    let port = listen(move |client| {
        let mut reader = BufReader::new(client.try_clone()?);
        let Some(head) = head(&mut reader) else { return Ok(()) };
        let line = head.lines().next().unwrap().to_owned();
        let port: u16 = line.split([':', ' ']).nth(2).unwrap().parse().unwrap();
        of_thread.lock().unwrap().push(line);
        let server = TcpStream::connect(("127.0.0.1", port))?;
        (&client).write_all(b"HTTP/1.1 200 Connection established\r\n\r\n")?;
        let (mut up, mut from_client) = (server.try_clone()?, reader);
        thread::spawn(move || {
            drop(std::io::copy(&mut from_client, &mut up));
            up.shutdown(Shutdown::Write)
        });
        std::io::copy(&mut &server, &mut &client).map(drop)
    });
    (port, asked)
}

#[test]
fn a_server_is_believed_if_its_certificate_is_known() {
    let scene = Scene::new();
    let repository = Repository::load(&scene.source("localhost")).unwrap_or_else(|e| panic!("{}", text(&e)));
    assert_eq!(repository.read_target("x", 100).unwrap(), b"content");

    let (other, _) = certificate(scene.folder.path(), "other");
    let error = Repository::load(&Source { ca_bundle: other, ..scene.source("localhost") }).unwrap_err();
    assert!(text(&error).contains("certificate"), "{}", text(&error));
    // The certificate is for names, not for this address.
    let error = Repository::load(&scene.source("127.0.0.1")).unwrap_err();
    assert!(text(&error).contains("certificate"), "{}", text(&error));
}

#[test]
fn https_goes_through_the_proxy_and_exceptions_do_not() {
    let scene = Scene::new();
    let (port, asked) = proxy();
    let through = Proxy::new(&format!("http://127.0.0.1:{port}"), &["localhost".to_owned()]).unwrap();

    let source = Source { proxy: Some(through.clone()), ..scene.source(NAME) };
    let repository = Repository::load(&source).unwrap_or_else(|e| panic!("{}", text(&e)));
    assert_eq!(repository.read_target("x", 100).unwrap(), b"content");
    let lines = std::mem::take(&mut *asked.lock().unwrap());
    let expected = format!("CONNECT {NAME}:{} HTTP/1.1", scene.port);
    assert!(!lines.is_empty() && lines.iter().all(|line| *line == expected), "{lines:?}");

    let source = Source { proxy: Some(through), ..scene.source("localhost") };
    Repository::load(&source).unwrap_or_else(|e| panic!("{}", text(&e)));
    assert_eq!(*asked.lock().unwrap(), [""; 0]);
}
