//! No request makes the server panic or answer that it failed itself; one that is refused changes nothing.
//!
//! An input is a line `METHOD PATH`, and the body after it.
#![no_main]

use apiserver::api::{Api, BodyLimit};
use apiserver::{Config, Peer, Published, VARIANT_FILE};
use axum::body::Body;
use axum::http::{HeaderValue, Method, Request, Response, Uri, header::CONTENT_TYPE};
use defaults::Catalog;
use host::Host;
use http_body_util::BodyExt;
use libfuzzer_sys::fuzz_target;
use serde_json::{Value, json};
use std::cell::OnceCell;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use tokio::runtime::Runtime;

const VARIANT: &str = "aws-k8s-1.28";

/// How long a request may take; one that waits for what never happens (a job, an event) is let go.
const PATIENCE: Duration = Duration::from_millis(500);

const PEER: Peer = Peer { uid: 0, gid: 0, pid: 0 };

struct Server {
    api: Api,
    runtime: Runtime,
    _folder: TempDir,
}

thread_local! {
    static SERVER: OnceCell<Server> = const { OnceCell::new() };
}

fuzz_target!(|input: &[u8]| {
    let end = input.iter().position(|byte| *byte == b'\n').unwrap_or(input.len());
    let (head, body) = input.split_at(end);
    let Some((method, uri)) = std::str::from_utf8(head).ok().and_then(|head| head.split_once(' ')) else {
        return;
    };
    let (Ok(method), Ok(uri)) = (method.parse::<Method>(), uri.parse::<Uri>()) else { return };
    // Actions act on the machine, and what is applied is a program's work: neither is parsing.
    if uri.path().starts_with("/actions") || uri.path().contains("apply") {
        return;
    }
    let body = body.strip_prefix(b"\n").unwrap_or_default().to_vec();
    SERVER.with(|server| {
        let server = server.get_or_init(Server::new);
        server.runtime.block_on(server.check(method, uri, body));
    });
});

impl Server {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let host = Host::new(folder.path());
        let variant = Catalog::embedded().variant(VARIANT).expect("a variant");
        let release = format!("VARIANT_ID={VARIANT}\nVERSION_ID=1.0.0\n");
        for (path, text) in [(VARIANT_FILE, variant.to_toml()), ("/usr/lib/os-release", release)] {
            let path = host.path(path);
            std::fs::create_dir_all(path.parent().expect("a folder above")).expect("the folder of a file");
            std::fs::write(path, text).expect("a file of the image");
        }
        let config = Config { datastore_path: "/".into(), socket_path: "/socket".into(), socket_gid: None };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        // Nothing runs the jobs: the target starts none.
        let (app, _) = runtime.block_on(async { apiserver::open(&host, &config) }).expect("a server");
        Self { api: Api::new(Arc::new(app), BodyLimit::default()), runtime, _folder: folder }
    }

    async fn check(&self, method: Method, uri: Uri, body: Vec<u8>) {
        self.begin().await;
        let before = self.state().await;
        let what = format!("{method} {uri}");
        let mut request = Request::new(Body::from(body));
        *request.method_mut() = method;
        *request.uri_mut() = uri;
        request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let Ok(response) = tokio::time::timeout(PATIENCE, self.send(request)).await else { return };
        let status = response.status();
        assert!(!status.is_server_error(), "{what} is answered {status}: {}", text(response).await);
        if status.is_client_error() {
            let after = self.state().await;
            let same = Arc::ptr_eq(&before.0, &after.0) && before.1 == after.1;
            assert!(same, "{what} is answered {status} and changed something");
        }
    }

    /// Leaves one transaction open, with one edit.
    async fn begin(&self) {
        for tx in self.transactions().await {
            self.ask(Method::DELETE, &format!("/tx?tx={tx}"), Value::Null).await;
        }
        self.ask(Method::PATCH, "/settings", json!({ "motd": "before" })).await;
    }

    /// Everything that a refused request must leave alone.
    async fn state(&self) -> (Arc<Published>, Vec<(String, Value)>) {
        let mut pending = Vec::new();
        for tx in self.transactions().await {
            let edits = self.ask(Method::GET, &format!("/tx?tx={tx}"), Value::Null).await;
            pending.push((tx, edits));
        }
        (self.api.app().snapshot(), pending)
    }

    async fn transactions(&self) -> Vec<String> {
        let names = self.ask(Method::GET, "/tx/list", Value::Null).await;
        let names = names.as_array().expect("a list of names").iter();
        names.map(|name| name.as_str().expect("a name").to_owned()).collect()
    }

    async fn ask(&self, method: Method, uri: &str, body: Value) -> Value {
        let request = Request::builder().method(method).uri(uri).header(CONTENT_TYPE, "application/json");
        let request = request.body(Body::from(body.to_string())).expect("a right request");
        let response = self.send(request).await;
        assert!(response.status().is_success(), "{uri} is answered {}", response.status());
        serde_json::from_str(&text(response).await).unwrap_or_default()
    }

    async fn send(&self, request: Request<Body>) -> Response<Body> {
        self.api.answer(PEER, request).await
    }
}

async fn text(response: Response<Body>) -> String {
    let body = response.into_body().collect().await.expect("a whole body");
    String::from_utf8_lossy(&body.to_bytes()).into_owned()
}
