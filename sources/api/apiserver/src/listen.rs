//! Connections: how many, how slow, and how they end.

use crate::guard::Guarded;
use crate::{Peer, api};
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, watch};

/// How long to wait after a failed accept: it fails when the process is out of file descriptors, and trying
/// again at once would only burn the processor.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// Largest head of a request: the longest query of keys, not a way to fill memory.
const MAX_HEAD: usize = 64 << 10;

/// What connections may take up.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// How many clients are served at a time; more of them wait in the socket's own queue.
    pub connections: u32,
    /// How long a client may take to send the head of a request, and may stay idle between two.
    pub head: Duration,
    /// How long a client may take to send the body of a request.
    pub body: Duration,
    /// How long a client may leave an answer unread before it is dropped.
    pub unread: Duration,
    /// How long running requests may take once the server is told to stop.
    pub stop: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 256,
            head: Duration::from_secs(30),
            body: Duration::from_secs(30),
            unread: Duration::from_secs(30),
            stop: Duration::from_secs(5),
        }
    }
}

/// Serves connections until `stop` is done, then ends them: those that are idle at once, the others after their
/// request, or when [`Limits::stop`] has passed.
pub async fn serve(listener: UnixListener, api: api::Api, limits: Limits, stop: impl Future<Output = ()>) {
    let slots = Arc::new(Semaphore::new(limits.connections as usize));
    let (stopping, _) = watch::channel(false);
    tokio::select! {
        () = accept(&listener, &api, limits, &slots, &stopping) => {}
        () = stop => {}
    }
    drop(listener);
    stopping.send_replace(true);
    let ended = async {
        drop(slots.acquire_many(limits.connections).await);
        api.app().jobs.idle().await;
    };
    if tokio::time::timeout(limits.stop, ended).await.is_err() {
        tracing::warn!("requests or jobs still ran when the server stopped");
    }
}

async fn accept(
    listener: &UnixListener,
    api: &api::Api,
    limits: Limits,
    slots: &Arc<Semaphore>,
    stopping: &watch::Sender<bool>,
) {
    loop {
        let slot = slots.clone().acquire_owned().await.expect("the semaphore is never closed");
        match listener.accept().await {
            Ok((stream, _)) => {
                let (api, stopping) = (api.clone(), stopping.subscribe());
                tokio::spawn(async move {
                    let open = &api.app().metrics.connections;
                    open.fetch_add(1, Ordering::Relaxed);
                    serve_one(stream, &api, limits, stopping).await;
                    open.fetch_sub(1, Ordering::Relaxed);
                    drop(slot);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn serve_one(stream: UnixStream, api: &api::Api, limits: Limits, mut stopping: watch::Receiver<bool>) {
    let peer = match Peer::of(&stream) {
        Ok(peer) => peer,
        Err(error) => return tracing::warn!(%error, "ask who a client is"),
    };
    let service = service_fn(|request| async move {
        let answer: api::Answered = Ok(api.answer(peer, request.map(axum::body::Body::new)).await);
        answer
    });
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head)
        .max_buf_size(MAX_HEAD)
        .serve_connection(TokioIo::new(Guarded::new(stream, limits.unread)), service);
    tokio::pin!(connection);
    let stopped = async { drop(stopping.wait_for(|stopping| *stopping).await) };
    let served = tokio::select! {
        served = &mut connection => Some(served),
        () = stopped => None,
    };
    let served = if let Some(served) = served {
        served
    } else {
        connection.as_mut().graceful_shutdown();
        connection.await
    };
    if let Err(error) = served {
        tracing::debug!(%error, "a connection broke");
    }
}
