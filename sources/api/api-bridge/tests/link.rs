//! Both ends of a link, an echo server behind it.
#![allow(clippy::unwrap_used, reason = "tests may panic")]

use api_bridge::{Link, MAX_STREAMS, Role};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::timeout;

/// Long enough for any of this on a busy machine.
const LIMIT: Duration = Duration::from_mins(1);

/// The guest's end over `port`, with an echo server behind it that answers in small pieces.
fn guest(port: DuplexStream, life: u32) -> JoinHandle<()> {
    tokio::spawn(async move {
        let link = Link::new(Role::Acceptor, life);
        let serving = async {
            let mut streams = JoinSet::new();
            loop {
                let stream = link.accept().await;
                let (near, mut far) = duplex(1000);
                streams.spawn(async move { stream.carry(near).await });
                streams.spawn(async move {
                    let (mut reader, mut writer) = tokio::io::split(&mut far);
                    tokio::io::copy(&mut reader, &mut writer).await?;
                    writer.shutdown().await
                });
            }
        };
        tokio::select! {
            _ = link.run(port) => {}
            () = serving => {}
        }
    })
}

/// The developer's end over `port`.
fn developer(port: DuplexStream) -> (Link, JoinHandle<()>) {
    let link = Link::new(Role::Opener, 1);
    let runner = link.clone();
    (link, tokio::spawn(async move { drop(runner.run(port).await) }))
}

/// A connection through the link.
async fn connect(link: &Link) -> DuplexStream {
    let stream = timeout(LIMIT, async {
        loop {
            if let Ok(stream) = link.open().await {
                return stream;
            }
            tokio::task::yield_now().await;
        }
    });
    let stream = stream.await.unwrap();
    let (near, far) = duplex(1000);
    tokio::spawn(async move { stream.carry(near).await });
    far
}

/// Sends `length` bytes and reads them back, after the sending half was closed.
async fn echo(client: DuplexStream, length: usize, seed: usize) {
    let sent: Vec<u8> = (0..length).map(|n| u8::try_from((n * 31 + seed) % 256).unwrap()).collect();
    let (mut reader, mut writer) = tokio::io::split(client);
    let expected = sent.clone();
    let writing = tokio::spawn(async move {
        writer.write_all(&sent).await.unwrap();
        writer.shutdown().await.unwrap();
    });
    let mut back = Vec::new();
    timeout(LIMIT, reader.read_to_end(&mut back)).await.unwrap().unwrap();
    assert!(back == expected, "{} bytes of {length} came back", back.len());
    writing.await.unwrap();
}

#[tokio::test]
async fn many_connections_at_once_each_get_their_own_bytes() {
    let (near, far) = duplex(5000);
    let (link, _running) = developer(near);
    let _guest = guest(far, 2);
    let mut clients = JoinSet::new();
    // More than there may be at once: the rest waits its turn.
    for seed in 0..2 * MAX_STREAMS {
        let link = link.clone();
        clients.spawn(async move { echo(connect(&link).await, 10_000 * (seed % 7), seed).await });
    }
    while let Some(ended) = clients.join_next().await {
        ended.unwrap();
    }
}

#[tokio::test]
async fn a_large_body_goes_through() {
    let (near, far) = duplex(64 << 10);
    let (link, _running) = developer(near);
    let _guest = guest(far, 2);
    echo(connect(&link).await, 20 << 20, 5).await;
}

#[tokio::test]
async fn a_client_that_does_not_read_stalls_nobody_else() {
    let (near, far) = duplex(5000);
    let (link, _running) = developer(near);
    let _guest = guest(far, 2);
    let mut stuck = connect(&link).await;
    // It writes until nothing moves: everything between it and itself is full.
    let filling = async { while stuck.write_all(&[7; 1000]).await.is_ok() {} };
    timeout(Duration::from_millis(300), filling).await.unwrap_err();
    for seed in 0..5 {
        echo(connect(&link).await, 300_000, seed).await;
    }
}

#[tokio::test]
async fn a_connection_stays_open_while_others_come_and_go() {
    let (near, far) = duplex(5000);
    let (link, _running) = developer(near);
    let _guest = guest(far, 2);
    let mut events = connect(&link).await;
    for round in 0..20u8 {
        echo(connect(&link).await, 1000, usize::from(round)).await;
        events.write_all(&[round]).await.unwrap();
        let mut back = [0];
        timeout(LIMIT, events.read_exact(&mut back)).await.unwrap().unwrap();
        assert_eq!(back, [round]);
    }
}

#[tokio::test]
async fn garbage_before_the_first_greeting_is_passed_over() {
    let (near, mut far) = duplex(5000);
    let (link, _running) = developer(near);
    far.write_all(&[b'x'; 3000]).await.unwrap();
    far.write_all(b"\0SeaBIOS\r\n\0\0half a fra").await.unwrap();
    let _guest = guest(far, 2);
    echo(connect(&link).await, 1000, 1).await;
}

/// A guest dies while frames go both ways, half of one on the wire; the wire itself stays, as a virtual machine's
/// port does, and a new guest takes it over.
#[tokio::test]
async fn a_guest_that_restarts_in_the_middle_of_a_frame_is_met_again() {
    let (near, wire) = duplex(300);
    let (link, _running) = developer(near);
    let (mut wire_in, mut wire_out) = tokio::io::split(wire);
    for life in 2..12 {
        let (mut plug, far) = duplex(300);
        let guest = guest(far, life);
        let carried = tokio::io::join(&mut wire_in, &mut wire_out);
        let client = connect_through(&link, &mut plug, carried, life).await;
        guest.abort();
        drop(guest.await);
        drop(plug);
        drop(client);
    }
    let (mut plug, far) = duplex(300);
    let _guest = guest(far, 99);
    let last = async {
        // A stream that was still opened to the guest before is cut off.
        while busy(&link, 1).await.is_err() {}
        echo(connect(&link).await, 50_000, 3).await;
    };
    let mut wire = tokio::io::join(&mut wire_in, &mut wire_out);
    tokio::select! {
        () = last => {}
        _ = tokio::io::copy_bidirectional(&mut plug, &mut wire) => panic!("the wire ended"),
    }
}

/// Joins the plug of a guest to the wire until some bytes were echoed through it, then stops at once, wherever the
/// frames are; gives the client that was cut off.
async fn connect_through(
    link: &Link,
    plug: &mut DuplexStream,
    mut wire: impl tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
    life: u32,
) -> DuplexStream {
    let served = async {
        loop {
            if let Ok(client) = busy(link, life).await {
                return client;
            }
        }
    };
    tokio::select! {
        client = timeout(LIMIT, served) => client.unwrap(),
        _ = tokio::io::copy_bidirectional(plug, &mut wire) => panic!("the wire ended"),
    }
}

/// A client that sends more than it reads, until it stops being served or has had enough.
async fn busy(link: &Link, life: u32) -> std::io::Result<DuplexStream> {
    let mut client = connect(link).await;
    let mut back = vec![0; 100];
    for _ in 0..life {
        client.write_all(&[3; 500]).await?;
        client.read_exact(&mut back).await?;
    }
    Ok(client)
}
