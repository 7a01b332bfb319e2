//! Replication for p2panda: two replicas meet, and each gets the signed logs that it lacks.
//!
//! A [`Node`] shares a [`Replica`](p2panda_core::Replica) with other peers over any
//! [`Transport`]. Every exchange is a [`Session`], a state machine without sockets, clocks or
//! threads; a node drives one for each link, as a future on whatever executor it is spawned on.
//!
//! Payloads are opaque here: nothing is stored without its chain and its author's signature, and
//! what entries mean is neither known nor asked. A peer that merely carries a festival replicates
//! it like any other.
//!
//! ```
//! use futures::{executor::block_on, future::try_join};
//! use p2panda_core::schema::{FestivalInfo, Instant};
//! use p2panda_core::store::{MemoryStore, NoResume};
//! use p2panda_core::{Identity, Replica};
//! use p2panda_sync::{Node, StoppedClock, memory};
//! # use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng as _};
//! # let mut rng = ChaCha20Rng::seed_from_u64(7);
//!
//! let open = |identity| Replica::open(Box::new(MemoryStore::new()), identity, Box::new(NoResume));
//! let mut ada = open(Identity::generate(&mut rng))?;
//! let mut bob = open(Identity::generate(&mut rng))?;
//! let info = FestivalInfo { title: "Lake Festival".into(), ..FestivalInfo::default() };
//! let festival = ada.create_festival(&info, Instant::from_millis(0), &mut rng)?;
//! bob.join(&festival)?; // with a ticket from Ada
//!
//! let ada = Node::new(ada, StoppedClock, rng.clone());
//! let bob = Node::new(bob, StoppedClock, rng);
//! let (here, there) = memory(8);
//! let (stats, _) = block_on(try_join(bob.sync(here), ada.accept(there)))?;
//!
//! assert_eq!(stats.segments_received, 1);
//! let info = bob.with(|bob| bob.view(festival.id()).info())?;
//! assert_eq!(info.unwrap().title, "Lake Festival");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # How an exchange goes
//!
//! ```text
//! opener                                   accepting side
//! GREET  ->         a nonce, along with the link's own greeting
//!        <- HELLO   festivals, blinded, and a sketch of the logs of each
//! OPEN   ->         those in common, with proof; equal ones are done with
//! WANT, PUSH ->     what the opener lacks, by the sketch; what the accepting side lacks
//!        <- PUSH
//! DONE  <->         all is durable, and the fingerprints agree
//! ```
//!
//! The sketch ([`sketch`]) tells up to eight differing logs out of any number, so that such peers are
//! equal after one round trip and some 200 bytes besides the entries. Where more differ, the opener
//! says about how many, and gets sketches of that size: two round trips. What differs completely is
//! told log by log, or sent at once to a peer that holds nothing.
//!
//! After that a live link stays open and passes on what either side learns. Among many peers the
//! links that push make a tree; over the others a few bytes tell of what there is, and it is asked
//! for where the tree has failed. Now and then both sides compare again. A session that is cut at
//! any byte is gone on with by the next one, as every segment that came is stored at once.
//!
//! # What is where
//!
//! | | |
//! |---|---|
//! | [`Node`] | a replica, its links, its wake-ups |
//! | [`Session`] | one exchange: the contract between it and its driver stands on the type |
//! | [`Sketches`], [`sketch`] | what finds out which logs differ, and its mathematics |
//! | [`Transport`] | frames to and from a peer: [`memory`], and what the features bring |
//! | [`SyncError`] | why an exchange ended early, and whose [`Fault`] it was |
//!
//! | feature | brings |
//! |---|---|
//! | `blobs` | images and files: `BlobPolicy`, `Node::fetch_blobs` |
//! | `noise` | `NoiseTransport`: encrypted and authenticated links over any transport |
//! | `tokio` | `TokioClock`; with `noise`, `NoiseTcp` and links over any stream of bytes |
//! | `websocket` | `NoiseWebSocket`: the same in a WebSocket |
//! | `lan` | `Announcement` and `LanSearch`: peers in the local network, by multicast DNS |
//! | `tcp` | `TcpTransport`: plain TCP, for tests alone |
//! | `sim` | a simulator of whole networks, for tests |
//!
//! None is on by default. Nothing but the transports knows an async runtime.

mod admission;
mod driver;
mod error;
mod health;
mod live;
mod node;
mod peers;
mod session;
#[cfg(feature = "sim")]
pub mod sim;
pub mod sketch;
mod sketches;
mod transport;
mod wire;

pub use admission::{Admission, Admit, Newcomer, Quotas};
pub use error::{Advice, Fault, PeerFault, SyncError};
pub use health::{DocumentHealth, Health, Holder, MAX_HEALTH_PEERS, PeerHealth};
pub use node::{Changes, Clock, Node, StoppedClock};
pub use peers::{PeerId, Peers, Standing};
#[cfg(feature = "blobs")]
pub use session::BlobPolicy;
pub use session::{Input, Output, PATIENCE, Role, Session, Stats, SyncEvent};
pub use sketches::Sketches;
#[cfg(feature = "tcp")]
pub use transport::TcpTransport;
#[cfg(feature = "tokio")]
pub use transport::TokioClock;
#[cfg(feature = "lan")]
pub use transport::{Announcement, LanPeer, LanSearch, MAX_LAN_PEERS};
#[cfg(all(feature = "noise", feature = "tokio"))]
pub use transport::{ByteStream, NoiseTcp};
#[cfg(feature = "noise")]
pub use transport::{HANDSHAKE_PATIENCE, LinkError, LinkKey, NoiseTransport};
pub use transport::{KnownAs, MemoryTransport, Transport, memory};
#[cfg(feature = "websocket")]
pub use transport::{NoiseWebSocket, WebSocket};
pub use wire::MAX_FRAME;
