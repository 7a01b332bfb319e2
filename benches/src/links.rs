use std::sync::Mutex;

use bytes::Bytes;
use futures::{SinkExt as _, StreamExt as _};
use p2panda_sync::{LinkKey, MAX_FRAME, NoiseTcp, NoiseWebSocket, TcpTransport, Transport};
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng as _};
use tokio::{
    net::{TcpListener, TcpStream},
    runtime::Runtime,
};

type Ends = Mutex<[Box<dyn Transport + Send>; 2]>;

/// Links between two ends on this machine: encrypted ones, and plain TCP to compare them with.
pub struct Links {
    runtime: Runtime,
    plain: Ends,
    noise: Ends,
    websocket: Ends,
    frame: Bytes,
}

impl Links {
    /// Makes one of each.
    #[must_use]
    pub fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("the system gives a runtime");
        let plain = runtime.block_on(async {
            let (here, there) = connected().await;
            ends(TcpTransport::new(here).expect(OPEN), TcpTransport::new(there).expect(OPEN))
        });
        let noise = runtime.block_on(encrypted());
        let noise = ends(noise.0, noise.1);
        let websocket = runtime.block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.expect(OPEN);
            let url = format!("ws://{}", listener.local_addr().expect(OPEN));
            let (ada, bob) = keys();
            let (mut one, mut two) = (rng(1), rng(2));
            let accept = async {
                NoiseWebSocket::accept(listener.accept().await.expect(OPEN).0, &bob, &mut two).await
            };
            let connect = NoiseWebSocket::connect(&url, &ada, &mut one);
            let (here, there) = tokio::join!(connect, accept);
            ends(here.expect(OPEN), there.expect(OPEN))
        });
        Self { runtime, plain, noise, websocket, frame: vec![7; MAX_FRAME].into() }
    }

    /// Carries this many of the largest frames over plain TCP; how many bytes that were.
    pub fn plain(&self, frames: usize) -> usize {
        self.carry(&self.plain, frames)
    }

    /// The same over an encrypted link.
    pub fn noise(&self, frames: usize) -> usize {
        self.carry(&self.noise, frames)
    }

    /// The same over an encrypted link in a WebSocket.
    pub fn websocket(&self, frames: usize) -> usize {
        self.carry(&self.websocket, frames)
    }

    /// Connects over TCP and goes no further.
    pub fn connect(&self) -> (TcpStream, TcpStream) {
        self.runtime.block_on(connected())
    }

    /// Connects over TCP and makes an encrypted link.
    pub fn handshake(&self) -> (NoiseTcp, NoiseTcp) {
        self.runtime.block_on(encrypted())
    }

    fn carry(&self, ends: &Ends, frames: usize) -> usize {
        let mut ends = ends.lock().expect("no measurement has panicked");
        let [here, there] = &mut *ends;
        let send = async {
            for _ in 0..frames {
                here.feed(self.frame.clone()).await.expect(OPEN);
            }
            here.flush().await.expect(OPEN);
        };
        let receive = async {
            let mut bytes = 0;
            for _ in 0..frames {
                bytes += there.next().await.expect(OPEN).expect(OPEN).len();
            }
            bytes
        };
        self.runtime.block_on(async { tokio::join!(send, receive).1 })
    }
}

impl Default for Links {
    fn default() -> Self {
        Self::new()
    }
}

const OPEN: &str = "the loopback carries what it is given";

fn rng(seed: u64) -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(seed)
}

fn keys() -> (LinkKey, LinkKey) {
    (LinkKey::generate(&mut rng(3)), LinkKey::generate(&mut rng(4)))
}

fn ends<T: Transport + Send + 'static>(here: T, there: T) -> Ends {
    Mutex::new([Box::new(here), Box::new(there)])
}

async fn connected() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect(OPEN);
    let address = listener.local_addr().expect(OPEN);
    let (here, there) = tokio::join!(TcpStream::connect(address), listener.accept());
    (here.expect(OPEN), there.expect(OPEN).0)
}

async fn encrypted() -> (NoiseTcp, NoiseTcp) {
    let (ada, bob) = keys();
    let (mut one, mut two) = (rng(1), rng(2));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect(OPEN);
    let address = listener.local_addr().expect(OPEN);
    let accept =
        async { NoiseTcp::accept(listener.accept().await.expect(OPEN).0, &bob, &mut two).await };
    let (here, there) = tokio::join!(NoiseTcp::connect(address, &ada, &mut one), accept);
    (here.expect(OPEN), there.expect(OPEN))
}
