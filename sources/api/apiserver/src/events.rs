//! What happened, told to everyone who listens.

use axum::body::{Body, Bytes};
use hyper::body::Frame;
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{broadcast, mpsc};
use wire::Event;

/// How many events a slow listener may fall behind before it misses some.
const BACKLOG: usize = 256;
/// How many events wait in the buffer of one connection.
const BUFFER: usize = 16;
/// How often a quiet stream says that it is alive, so that a listener that has gone is noticed.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// The events of this server.
#[derive(Clone, Debug)]
pub struct Events(broadcast::Sender<Event>);

impl Default for Events {
    fn default() -> Self {
        Self(broadcast::Sender::new(BACKLOG))
    }
}

impl Events {
    /// Tells everyone who listens.
    pub fn tell(&self, event: Event) {
        // Nobody may be listening; then there is nobody to tell.
        drop(self.0.send(event));
    }

    /// A stream of events from now on, in the form of `text/event-stream`.
    pub fn stream(&self) -> Body {
        let (sender, receiver) = mpsc::channel(BUFFER);
        tokio::spawn(forward(self.0.subscribe(), sender));
        Body::new(EventBody(receiver))
    }
}

/// Ends when the listener has gone or the server stops.
async fn forward(mut events: broadcast::Receiver<Event>, listener: mpsc::Sender<Bytes>) {
    let mut next = Bytes::from_static(b": listening\n\n");
    while listener.send(next).await.is_ok() {
        next = match tokio::time::timeout(HEARTBEAT, events.recv()).await {
            Ok(Ok(event)) => render(&event),
            Ok(Err(RecvError::Lagged(missed))) => render(&Event::Lagged { missed }),
            Ok(Err(RecvError::Closed)) => return,
            Err(_) => Bytes::from_static(b": alive\n\n"),
        };
    }
}

fn render(event: &Event) -> Bytes {
    let data = serde_json::to_string(event).expect("events are JSON");
    format!("event: {}\ndata: {data}\n\n", event.kind()).into()
}

struct EventBody(mpsc::Receiver<Bytes>);

impl hyper::body::Body for EventBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_recv(context).map(|data| data.map(|data| Ok(Frame::data(data))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt;

    #[tokio::test]
    async fn a_listener_that_falls_behind_is_told_so_and_goes_on() {
        let events = Events::default();
        let mut stream = events.stream();
        let told = BACKLOG as u64 * 4;
        for commit in 0..told {
            events.tell(Event::TrialEnded { commit, confirmed: true, undone_by: None });
        }
        let (mut missed, mut seen) = (0, 0);
        while missed + seen < told {
            let frame = stream.frame().await.unwrap().unwrap().into_data().unwrap();
            let text = String::from_utf8(frame.to_vec()).unwrap();
            let Some(data) = text.lines().find_map(|line| line.strip_prefix("data: ")) else { continue };
            match serde_json::from_str(data).unwrap() {
                Event::Lagged { missed: more } => missed += more,
                Event::TrialEnded { .. } => seen += 1,
                other => panic!("nobody told {other:?}"),
            }
        }
        assert!(missed > 0, "the backlog is bounded");
        assert!(seen >= BACKLOG as u64 - 1, "what is in the backlog is told: {seen}");
    }
}
