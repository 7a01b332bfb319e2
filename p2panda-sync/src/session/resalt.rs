//! Comparisons that begin again, and what a peer may cost by them.

use super::{Context, budget, exchange::Exchange};
use crate::{
    error::{PeerFault, SyncError},
    sketch::Salt,
    wire::{Message, Resalt, Token},
};

impl Exchange {
    /// Accepting: the comparison of a festival begins again, under another salt where there is a
    /// reason to believe that logs collide.
    pub(super) fn resalt(
        &mut self,
        place: u64,
        fresh: bool,
        cx: &mut Context<'_>,
    ) -> Result<(), SyncError> {
        let salt = match fresh.then(|| cx.sketches.fresh_salt(cx.now)).flatten() {
            Some(salt) => salt,
            None => cx.sketches.salt(cx.now),
        };
        let message = self.begin_again(place, salt, fresh, cx)?;
        self.queue.push_back(Message::Resalt(message));
        Ok(())
    }

    fn begin_again(
        &mut self,
        place: u64,
        salt: Salt,
        is_asked: bool,
        cx: &mut Context<'_>,
    ) -> Result<Resalt, SyncError> {
        let common = self.commons.get_mut(&place).ok_or(PeerFault::Unexpected("RESALT"))?;
        // A salt that has had its day is nobody's fault.
        if common.salt != salt && is_asked {
            let logs = common.sketch(cx)?.len();
            self.charge(budget::salt(logs), cx)?;
        }
        self.restart(place, salt);
        let common = self.commons.get_mut(&place).ok_or(PeerFault::Unexpected("RESALT"))?;
        let sums = common.sums(cx, &self.refusals)?;
        Ok(Resalt { place, sketch: Some((Token(salt.0), sums.into())) })
    }

    /// The comparison of a festival begins again under a salt.
    pub(super) fn restart(&mut self, place: u64, salt: Salt) {
        let Some(common) = self.commons.get_mut(&place) else { return };
        let same = common.salt == salt;
        common.restart(salt);
        self.wishes.forget(place);
        self.withheld.remove(&place);
        if !same {
            self.forget_told(place);
            self.refusals.forget_keys(place);
        }
    }

    /// Lets the peer cause so much work, unless it has caused enough.
    pub(super) fn charge(&mut self, work: u64, cx: &mut Context<'_>) -> Result<(), SyncError> {
        match &cx.peer {
            Some(peer) => cx.sketches.peers.charge(peer, cx.now, work),
            None => self.budget.charge(cx.now, work),
        }
    }
}
