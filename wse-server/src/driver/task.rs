//! The driver of a connection in a task of its own: over any byte stream, or over a channel to a server that owns the socket.
use crate::{
    connection::{Connection, dispatch, fetch_if_room},
    shard::Shard,
    transport::{FromPeer, ToPeer, Transport},
};
use std::{
    rc::Rc,
    time::{Duration, Instant},
};
use tokio::time::{sleep_until, timeout};
use wse_core::session::Transmit;

/// Where a loop with nothing due looks again.
const FAR: Duration = Duration::from_secs(3600);
/// How long a peer that reads nothing holds up the end of its connection.
const LAST_FLUSH: Duration = Duration::from_secs(2);

/// Runs a connection to its end.
pub(crate) async fn run(shard: Rc<Shard>, connection: Rc<Connection>, transport: Transport) {
    let Transport { mut from_peer, mut to_peer } = transport;
    let timer = sleep_until(tokio::time::Instant::now() + FAR);
    tokio::pin!(timer);
    let mut end = None;
    loop {
        end = end.or(dispatch(&shard, &connection));
        fill(&shard, &connection, &mut to_peer);
        if connection.session().is_closed() {
            let _ = timeout(LAST_FLUSH, to_peer.flush_all()).await;
            break;
        }
        fetch_if_room(&shard, &connection);
        let (reads, due) = {
            let session = connection.session();
            (session.reads(), session.poll_timeout())
        };
        timer.as_mut().reset(due.unwrap_or_else(|| Instant::now() + FAR).into());
        tokio::select! {
            biased;
            sent = to_peer.flush(), if to_peer.has_pending() => if let Err(error) = sent {
                connection.session().handle_lost(Instant::now(), None, &error.to_string());
                end = end.or(dispatch(&shard, &connection));
                break;
            },
            () = connection.woken() => {}
            received = from_peer.recv(), if reads => handle(&shard, &connection, &mut to_peer, received),
            () = &mut timer => connection.session().handle_timeout(Instant::now()),
        }
    }
    if let Some(end) = end {
        end.tell(&connection);
    }
    to_peer.end(from_peer).await;
}

/// Moves what waits into the transport, as far as it takes it.
fn fill(shard: &Shard, connection: &Connection, to_peer: &mut ToPeer) {
    let now = Instant::now();
    while to_peer.has_room() {
        let next = connection.session().poll_transmit(now);
        match next {
            Some(Transmit::Plain(frame)) => to_peer.frame(&frame),
            Some(Transmit::Own(frame)) => to_peer.frame(&shard.pack(connection, frame)),
            Some(Transmit::Topic(chunk)) => to_peer.chunk(&chunk),
            Some(Transmit::Close { code, reason }) => return to_peer.close(code, &reason),
            None => return,
        }
    }
}

fn handle(shard: &Shard, connection: &Connection, to_peer: &mut ToPeer, received: FromPeer) {
    let (mut session, now) = (connection.session(), Instant::now());
    match received {
        FromPeer::Text(mut text) => session.handle_text(now, &mut text),
        FromPeer::Binary(bytes) => session.handle_binary(now, &bytes, &mut shard.inflater.borrow_mut()),
        FromPeer::Ping(payload) => {
            session.handle_control(now);
            to_peer.pong(&payload);
        }
        FromPeer::Pong => session.handle_control(now),
        FromPeer::Close { code, reason } => session.handle_close(now, code, &reason),
        FromPeer::Fault { code, reason } => session.handle_lost(now, Some(code), &reason),
        FromPeer::Gone(reason) => session.handle_lost(now, None, &reason),
    }
}
