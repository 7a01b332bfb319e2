//! One session of the topic's logs between two peers, as CBOR frames; what arrives is stored.

use std::{cell::RefCell, convert::Infallible};

use futures::{SinkExt as _, StreamExt as _, channel::mpsc, sink::Sink, stream::Stream};
use p2panda_core_07::{
    Topic,
    cbor::{decode_cbor, encode_cbor},
    validate_operation,
};
use p2panda_store_07::{SqliteStore, Transaction as _, operations::OperationStore as _};
use p2panda_sync_07::{
    protocols::{TopicLogSync, TopicLogSyncEvent, TopicLogSyncMessage},
    traits::Protocol as _,
};
use peers::{Side, Stamp, Wire};
use tokio::sync::broadcast::{Receiver, channel, error::RecvError};

use crate::{Failure, LogId, Peer, topic};

/// Frames that are under way at once.
const FRAMES: usize = 512;

type Message = TopicLogSyncMessage<LogId>;
type Session = TopicLogSync<Topic, SqliteStore, LogId, LogId>;
type Frame = (Stamp, Vec<u8>);

/// Runs a session without live mode; how many operations were new.
pub(crate) async fn sync(here: &Peer, there: &Peer, wire: &mut Wire) -> Result<usize, Failure> {
    let wire = RefCell::new(wire);
    let (to_there, from_here) = mpsc::channel(FRAMES);
    let (to_here, from_there) = mpsc::channel(FRAMES);
    let (here_events, here_received) = channel(8 * FRAMES);
    let (there_events, there_received) = channel(8 * FRAMES);
    let sessions = async {
        let one = run(
            Session::new(topic(), here.store.clone(), None, here_events),
            sending(to_there, Side::Here, &wire),
            receiving(from_there, Side::Here, &wire),
        );
        let other = run(
            Session::new(topic(), there.store.clone(), None, there_events),
            sending(to_here, Side::There, &wire),
            receiving(from_here, Side::There, &wire),
        );
        tokio::try_join!(one, other)
    };
    let stored = async {
        tokio::try_join!(store(&here.store, here_received), store(&there.store, there_received))
    };
    // Else tokio lets it take fewer events a turn than arrive, and the channel overflows.
    let stored = tokio::task::unconstrained(stored);
    let (_, (here, there)) = tokio::try_join!(sessions, stored)?;
    Ok(here + there)
}

async fn run(
    session: Session,
    mut sink: impl Sink<Message, Error = Failure> + Unpin,
    mut stream: impl Stream<Item = Result<Message, Infallible>> + Unpin,
) -> Result<(), Failure> {
    Ok(session.run(&mut sink, &mut stream).await?)
}

fn sending<'a>(
    frames: mpsc::Sender<Frame>,
    side: Side,
    wire: &'a RefCell<&mut Wire>,
) -> impl Sink<Message, Error = Failure> + Unpin + 'a {
    let encode = move |message: Message| {
        let frame = encode_cbor(&message).map_err(Failure::from);
        let frame = frame.map(|frame| {
            let stamp = wire.borrow_mut().sent(side, frame.len());
            (stamp, frame)
        });
        futures::future::ready(frame)
    };
    frames.sink_map_err(Failure::from).with(encode)
}

fn receiving<'a>(
    frames: mpsc::Receiver<Frame>,
    side: Side,
    wire: &'a RefCell<&mut Wire>,
) -> impl Stream<Item = Result<Message, Infallible>> + Unpin + 'a {
    frames.map(move |(stamp, frame)| {
        wire.borrow_mut().arrived(side, stamp);
        Ok(decode_cbor(&frame[..]).expect("what the other side encoded"))
    })
}

/// Stores what a session received, in one transaction, until the session is over.
async fn store(
    store: &SqliteStore,
    mut events: Receiver<TopicLogSyncEvent<LogId>>,
) -> Result<usize, Failure> {
    let mut received = Vec::new();
    loop {
        match events.recv().await {
            Ok(TopicLogSyncEvent::OperationReceived { operation, .. }) => {
                validate_operation(&*operation)?;
                received.push(operation);
            }
            Ok(_) => {}
            Err(RecvError::Closed) => break,
            Err(RecvError::Lagged(missed)) => return Err(format!("{missed} were missed").into()),
        }
    }
    if received.is_empty() {
        return Ok(0);
    }
    let mut stored = 0;
    let permit = store.begin().await?;
    for operation in received {
        let log = operation.header.extensions;
        stored += usize::from(store.insert_operation(&operation.hash, &operation, &log).await?);
    }
    store.commit(permit).await?;
    Ok(stored)
}
