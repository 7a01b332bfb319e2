//! What this side asks the peer for: by the keys of a sketch, as that is what it knows.

use std::collections::BTreeMap;

use p2panda_core::{LogId, Replica};

use crate::{
    error::{PeerFault, SyncError},
    sketch::Fp,
    wire::Stand,
};

/// The most logs that are asked for and not yet delivered.
const MAX_ASKED: usize = 1024;

/// The most logs that wait to be asked for.
const MAX_WISHES: usize = 1 << 20;

/// A log to ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Wish {
    /// Which one it is, if that is known.
    pub(super) log: Option<LogId>,
    /// The length that the peer has, or is believed to have.
    pub(super) until: u64,
    /// What is asked for is the proof that cuts it.
    pub(super) fork: bool,
}

/// Wishes by place and key; of the key, the bits that a `VECTOR` brings name the log well enough.
#[derive(Debug, Default)]
pub(super) struct Wishes {
    wanted: BTreeMap<(u64, u64), (Fp, Wish)>,
    asked: BTreeMap<(u64, u64), (Fp, Wish)>,
}

impl Wishes {
    pub(super) fn is_empty(&self) -> bool {
        self.wanted.is_empty() && self.asked.is_empty()
    }

    /// Whether one more may be asked for.
    pub(super) fn has_room(&self) -> bool {
        self.asked.len() < MAX_ASKED && !self.wanted.is_empty()
    }

    pub(super) fn want(&mut self, place: u64, key: Fp, wish: Wish) -> Result<(), PeerFault> {
        if self.wanted.len() >= MAX_WISHES {
            return Err(PeerFault::TooMany("logs"));
        }
        self.wanted.insert((place, Stand::short(key)), (key, wish));
        Ok(())
    }

    pub(super) fn is_asked(&self, place: u64, key: Fp) -> bool {
        self.asked.contains_key(&(place, Stand::short(key)))
    }

    /// The place of the next wish.
    pub(super) fn next_place(&self) -> Option<u64> {
        self.wanted.keys().next().map(|(place, _)| *place)
    }

    /// The next wish of a place, to be asked for or dropped.
    pub(super) fn next(&mut self, place: u64) -> Option<(Fp, Wish)> {
        let key = *self.wanted.range((place, 0)..=(place, u64::MAX)).next()?.0;
        self.wanted.remove(&key)
    }

    pub(super) fn ask(&mut self, place: u64, key: Fp, wish: Wish) {
        self.asked.insert((place, Stand::short(key)), (key, wish));
    }

    /// What was asked for without knowing which log it is.
    pub(super) fn unnamed(&self) -> Vec<(u64, Fp)> {
        let unnamed = self.asked.iter().filter(|(_, (_, wish))| wish.log.is_none());
        unnamed.map(|((place, _), (key, _))| (*place, *key)).collect()
    }

    /// Says which log it is.
    pub(super) fn name(&mut self, place: u64, key: Fp, log: LogId) {
        if let Some((_, wish)) = self.asked.get_mut(&(place, Stand::short(key))) {
            wish.log = Some(log);
        }
    }

    /// A log has come, as far as it is held now.
    pub(super) fn came(
        &mut self,
        place: u64,
        key: Fp,
        log: &LogId,
        replica: &Replica,
    ) -> Result<(), SyncError> {
        let at = (place, Stand::short(key));
        if let Some((_, wish)) = self.asked.get_mut(&at) {
            wish.log = Some(*log);
            if is_served(wish, replica)? {
                self.asked.remove(&at);
            }
        }
        Ok(())
    }

    /// Wishes no more for a log; whether it was wished for.
    pub(super) fn drop(&mut self, place: u64, key: Fp) -> bool {
        let at = (place, Stand::short(key));
        self.wanted.remove(&at).is_some() | self.asked.remove(&at).is_some()
    }

    /// Wishes nothing more of a festival: its keys are about to change.
    pub(super) fn forget(&mut self, place: u64) {
        self.wanted.retain(|(of, _), _| *of != place);
        self.asked.retain(|(of, _), _| *of != place);
    }

    /// The peer says that it has sent what was asked for. Others may have sent it before, and then
    /// it was not sent again.
    pub(super) fn must_be_served(&mut self, replica: &Replica) -> Result<(), SyncError> {
        for (at, (key, wish)) in std::mem::take(&mut self.asked) {
            if !is_served(&wish, replica)? {
                self.asked.insert(at, (key, wish));
            }
        }
        if self.asked.is_empty() {
            Ok(())
        } else {
            Err(PeerFault::Undelivered { logs: self.asked.len() }.into())
        }
    }
}

/// Whether what was wished for is held.
pub(super) fn is_served(wish: &Wish, replica: &Replica) -> Result<bool, SyncError> {
    let Some(log) = &wish.log else { return Ok(false) };
    let held = replica.held(log)?.map_or(0, |tip| tip.length);
    if !wish.fork && held >= wish.until {
        return Ok(true);
    }
    let proof = replica.fork_proof(log)?;
    Ok(proof.is_some_and(|proof| !wish.fork || proof.at().length <= wish.until))
}
