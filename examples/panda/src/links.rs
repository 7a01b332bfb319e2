//! How this device is linked with others: encrypted, over TCP or WebSocket.

use std::net::SocketAddr;

use anyhow::{Context as _, Result, anyhow};
use p2panda_sync::{HANDSHAKE_PATIENCE, LinkError, LinkKey, NoiseTcp, NoiseWebSocket, Transport};
use tokio::net::{TcpListener, TcpStream};

use crate::{cli::ServeArgs, home};

pub(crate) type Link = Box<dyn Transport + Send>;

/// Connects to an address: HOST:PORT, or ws://HOST:PORT.
pub(crate) async fn connect(address: &str, key: &LinkKey) -> Result<Link> {
    let mut rng = home::rng()?;
    let link = if address.contains("://") {
        NoiseWebSocket::connect(address, key, &mut rng).await.map(|link| Box::new(link) as Link)
    } else {
        NoiseTcp::connect(address, key, &mut rng).await.map(|link| Box::new(link) as Link)
    };
    link.map_err(|error| no_link(error, address))
}

/// Connects to the first of a peer's addresses that answers.
pub(crate) async fn connect_to_any(addresses: &[SocketAddr], key: &LinkKey) -> Result<Link> {
    let link = NoiseTcp::connect(addresses, key, &mut home::rng()?).await;
    let shown = || addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    Ok(Box::new(link.map_err(|error| no_link(error, &shown()))?))
}

/// Where others connect to.
pub(crate) struct Listeners {
    tcp: TcpListener,
    websocket: Option<TcpListener>,
}

/// A connection that was accepted, and nothing said yet.
pub(crate) struct Caller {
    stream: TcpStream,
    pub(crate) address: SocketAddr,
    is_websocket: bool,
}

impl Listeners {
    pub(crate) async fn bind(args: &ServeArgs) -> Result<Self> {
        let tcp = listen(&args.listen, "--listen").await?;
        let websocket = match &args.websocket {
            Some(address) => Some(listen(address, "--websocket").await?),
            None => None,
        };
        Ok(Self { tcp, websocket })
    }

    /// The addresses listened on: TCP, and WebSocket where it was asked for.
    pub(crate) fn addresses(&self) -> Result<(SocketAddr, Option<SocketAddr>)> {
        let address =
            |listener: &TcpListener| listener.local_addr().context("the address cannot be told");
        Ok((address(&self.tcp)?, self.websocket.as_ref().map(address).transpose()?))
    }

    pub(crate) async fn accept(&self) -> std::io::Result<Caller> {
        let websocket = async {
            match &self.websocket {
                Some(listener) => listener.accept().await,
                None => std::future::pending().await,
            }
        };
        let ((stream, address), is_websocket) = tokio::select! {
            accepted = self.tcp.accept() => (accepted?, false),
            accepted = websocket => (accepted?, true),
        };
        Ok(Caller { stream, address, is_websocket })
    }
}

impl Caller {
    /// Makes a link of the connection.
    pub(crate) async fn link(self, key: &LinkKey) -> Result<Link> {
        let mut rng = home::rng()?;
        Ok(if self.is_websocket {
            Box::new(NoiseWebSocket::accept(self.stream, key, &mut rng).await?)
        } else {
            Box::new(NoiseTcp::accept(self.stream, key, &mut rng).await?)
        })
    }
}

async fn listen(address: &str, option: &str) -> Result<TcpListener> {
    TcpListener::bind(address)
        .await
        .with_context(|| format!("cannot listen on {address}; take another {option} ADDRESS:PORT"))
}

fn no_link(error: LinkError, address: &str) -> anyhow::Error {
    use std::io::ErrorKind::{ConnectionRefused, InvalidInput};
    let advice = match &error {
        LinkError::Handshake => format!(
            "{address} does not speak as a panda does; is another program behind it, or another \
             version of panda?"
        ),
        LinkError::Closed => {
            format!("{address} closed before a link was made; is another program behind it?")
        }
        LinkError::TooSlow { .. } => format!(
            "{address} does not answer within {} seconds; see that it is right, and that both \
             devices are on one network",
            HANDSHAKE_PATIENCE.as_secs()
        ),
        LinkError::Transport(error) => match error.kind() {
            InvalidInput => format!(
                "{address:?} is no address; write HOST:PORT, as in 192.168.1.7:7420, or \
                 ws://HOST:PORT"
            ),
            ConnectionRefused => format!(
                "nobody serves at {address}; there, run `panda serve --listen ADDRESS:PORT`"
            ),
            _ => format!("{address} cannot be reached"),
        },
    };
    anyhow!(error).context(advice)
}
