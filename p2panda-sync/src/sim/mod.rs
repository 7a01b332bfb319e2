//! A seeded simulator of whole networks: real replicas and real sessions over links that lose,
//! delay and cut, on devices that fail, among peers that lie. For the tests of applications too.
//!
//! A [`Scenario`] says who takes part, who meets whom and what happens; an [`App`] writes and says
//! what has to hold. Time is virtual, and chance comes from the seed alone: the same seed gives the
//! same run, event by event, and a [`Failure`] says how to repeat it.
//!
//! ```
//! use std::time::Duration;
//! use p2panda_core::{EditError, schema::Event};
//! use p2panda_sync::sim::{App, Change, Hostile, Link, Peer, Scenario, Turn};
//!
//! /// Whoever's turn it is adds an event.
//! struct Planning;
//!
//! impl App for Planning {
//!     fn act(&mut self, turn: Turn<'_>) -> Result<(), EditError> {
//!         let event = Event { title: "A concert".into(), ..Event::default() };
//!         let Turn { replica, festivals, now, random, .. } = turn;
//!         replica.edit(festivals[0], now, random, |edit| edit.create(&event).map(|_| ()))
//!     }
//! }
//!
//! let mut scenario = Scenario::new("three friends and a prankster");
//! let lake = scenario.festival();
//! let [ada, bob, cleo] = [(); 3].map(|()| {
//!     scenario.peer(Peer::new([lake]).acting_every(Duration::from_secs(10)))
//! });
//! let prankster = scenario.peer(Peer::new([lake]).hostile(Hostile::Garbage));
//! scenario.link(ada, bob, Link::wlan());
//! scenario.link(bob, cleo, Link { loss: 0.05, ..Link::mobile() });
//! scenario.link(prankster, cleo, Link::wlan());
//! scenario.at(Duration::from_secs(20), Change::Crash(bob));
//! scenario.at(Duration::from_secs(40), Change::Come(bob));
//! scenario.lasting(Duration::from_secs(60));
//!
//! let summary = scenario.run(7, &mut Planning).unwrap();
//! assert!(summary.rounds <= 3, "two links lie between Ada and Cleo");
//! assert_eq!(scenario.run(7, &mut Planning).unwrap(), summary);
//! ```
//!
//! [`named`] has scenarios that are ready to be played: camps, a congress, a city, a siege, a mesh.
//!
//! # What is checked
//!
//! In any scenario, without an application's doing:
//!
//! - after every step: every entry that a peer serves or stores anew is on a chain that its author
//!   signed, verified again from what is stored; no log of an honest author is ever cut; no honest
//!   peer is blamed by another for anything but a damaged frame; equal logs give equal views; no
//!   frame is over the limit, and no session sends without end.
//! - once healed: all honest peers that follow a festival and are linked hold the same logs and the
//!   same view of it within as many rounds as there are links between them, and one more, counted
//!   from when a hostile peer last gave away something new.
//! - in the end: that is what a naive exchange of everything comes to; nothing is lost that an
//!   honest author had written durably; stores hold no more than a fixed factor of the entries
//!   accepted; who sends random bytes was blamed, who stalls was given up in time, and no hostile
//!   peer was sent more than everything a few times over for each connection. And with all links
//!   live, what is written then is pushed to everybody without another connection.
//!
//! What an application checks beyond that is its [`App::check`].

mod app;
mod check;
mod connection;
mod device;
mod disk;
mod events;
mod heal;
mod health;
mod hostile;
mod link;
pub mod named;
mod oracle;
mod parting;
mod peer;
mod random;
mod scenario;
mod spread;
mod summary;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
mod world;

pub use app::{App, Carry, Turn};
pub use hostile::Hostile;
pub use link::{Carriage, Link};
pub use peer::{FestivalNo, Peer, PeerId};
pub use random::Random;
pub use scenario::{Change, Chaos, Scenario};
pub use summary::{Cost, Failure, Sample, Spread, Summary, Traffic};
