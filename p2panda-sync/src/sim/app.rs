//! What an application adds: edits, what must hold, and what is to be measured.

use std::collections::BTreeMap;

use p2panda_core::{EditError, FestivalId, Replica, schema::Instant};

use super::{PeerId, Random};
use crate::SyncEvent;

/// An application on every honest peer of a scenario, with the real replicas in its hands.
///
/// Every method has a default that does nothing; a scenario runs without any with [`Carry`].
pub trait App {
    /// It is a peer's turn to write, as often as [`Peer::acting_every`](super::Peer::acting_every)
    /// says, until the scenario's time is over.
    ///
    /// # Errors
    /// Whatever kept it from writing; but for a power failure of the simulated device, that ends
    /// the run as a failure.
    fn act(&mut self, turn: Turn<'_>) -> Result<(), EditError> {
        let _ = turn;
        Ok(())
    }

    /// A session of a peer has something to tell.
    ///
    /// # Errors
    /// As for [`act`](Self::act).
    fn heard(&mut self, turn: Turn<'_>, event: &SyncEvent) -> Result<(), EditError> {
        let _ = (turn, event);
        Ok(())
    }

    /// Checks what has to hold of a peer's replica at any time. It is called whenever the replica
    /// may have changed.
    ///
    /// # Errors
    /// What does not hold, in words: it ends the run as a failure.
    fn check(&mut self, peer: PeerId, replica: &Replica) -> Result<(), String> {
        let _ = (peer, replica);
        Ok(())
    }

    /// Figures to be kept in the summary, measured over all honest peers that are switched on.
    ///
    /// # Errors
    /// As for [`check`](Self::check).
    fn measure(&mut self, peers: &[(PeerId, &Replica)]) -> Result<BTreeMap<String, u64>, String> {
        let _ = peers;
        Ok(BTreeMap::new())
    }
}

/// The application that writes nothing: peers that only carry what there is.
#[derive(Clone, Copy, Debug, Default)]
pub struct Carry;

impl App for Carry {}

/// A peer's turn.
pub struct Turn<'a> {
    /// Whose turn it is.
    pub peer: PeerId,
    /// Its replica.
    pub replica: &'a mut Replica,
    /// What its wall clock shows, wrong as it may be.
    pub now: Instant,
    /// The festivals of the scenario, by their numbers.
    pub festivals: &'a [FestivalId],
    /// The scenario's randomness. Use no other.
    pub random: &'a mut Random,
}
