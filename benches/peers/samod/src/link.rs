//! A connection of two repositories in one process, whose messages are counted.

use std::{
    convert::Infallible,
    sync::{Arc, Mutex, PoisonError},
};

use futures::{
    FutureExt as _, SinkExt as _, StreamExt as _,
    channel::mpsc::{UnboundedReceiver, UnboundedSender, unbounded},
    future::BoxFuture,
};
use peers::{Side, Stamp, Wire};
use samod::{AcceptorHandle, BackoffConfig, DialError, Dialer, DialerHandle, Repo, Transport};
use url::Url;

use crate::{Failure, QUIET};

type Frame = (Stamp, Vec<u8>);

/// Connects to one repository, again and again.
pub(crate) struct Link {
    acceptor: AcceptorHandle,
    dialer: Option<DialerHandle<Infallible>>,
    wire: Arc<Mutex<Wire>>,
}

impl Link {
    pub(crate) fn new(there: &Repo) -> Result<Self, Failure> {
        let acceptor = there.make_acceptor(Url::parse("memory://there")?)?;
        Ok(Self { acceptor, dialer: None, wire: Arc::default() })
    }

    /// Connects; what travels is counted from here.
    pub(crate) async fn connect(&mut self, here: &Repo) -> Result<(), Failure> {
        self.wire = Arc::default();
        let memory = Memory { acceptor: self.acceptor.clone(), wire: Arc::clone(&self.wire) };
        let dialer = here.dial(BackoffConfig::default(), Arc::new(memory))?;
        dialer.established().await.map_err(|_| "no connection")?;
        self.dialer = Some(dialer);
        Ok(())
    }

    pub(crate) async fn disconnect(&mut self) {
        if let Some(dialer) = self.dialer.take() {
            dialer.close();
        }
        tokio::time::sleep(QUIET).await;
    }

    /// Waits until nothing travels any more.
    pub(crate) async fn settle(&self) {
        let mut before = None;
        loop {
            let now = self.wire().messages();
            if before.replace(now) == Some(now) {
                return;
            }
            tokio::time::sleep(QUIET).await;
        }
    }

    pub(crate) fn wire(&self) -> Wire {
        *self.wire.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Memory {
    acceptor: AcceptorHandle,
    wire: Arc<Mutex<Wire>>,
}

impl Dialer for Memory {
    type Error = Infallible;

    fn url(&self) -> Url {
        Url::parse("memory://there").unwrap_or_else(|_| unreachable!("a URL"))
    }

    fn connect(&self) -> BoxFuture<'static, Result<Transport, DialError<Infallible>>> {
        let (to_there, from_here) = unbounded();
        let (to_here, from_there) = unbounded();
        let theirs = transport(Side::There, to_here, from_here, &self.wire);
        let ours = transport(Side::Here, to_there, from_there, &self.wire);
        let accepted = self.acceptor.accept(theirs).map_err(DialError::transient);
        async move { accepted.map(|_| ours) }.boxed()
    }
}

fn transport(
    side: Side,
    sender: UnboundedSender<Frame>,
    receiver: UnboundedReceiver<Frame>,
    wire: &Arc<Mutex<Wire>>,
) -> Transport {
    let (sent, arrived) = (Arc::clone(wire), Arc::clone(wire));
    let stream = receiver.map(move |(stamp, frame)| {
        arrived.lock().unwrap_or_else(PoisonError::into_inner).arrived(side, stamp);
        Ok::<_, Infallible>(frame)
    });
    let sink = sender.with(move |frame: Vec<u8>| {
        let mut wire = sent.lock().unwrap_or_else(PoisonError::into_inner);
        let stamp = wire.sent(side, frame.len());
        futures::future::ready(Ok::<_, futures::channel::mpsc::SendError>((stamp, frame)))
    });
    Transport::new(stream, sink)
}
