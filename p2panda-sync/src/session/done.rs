//! How the two sides know that all is exchanged.

use super::{Context, exchange::Exchange};
use crate::{
    error::{PeerFault, SyncError},
    wire::{Done, Message, Token},
};

/// How often the fingerprints may disagree at the end before the two sides give up.
const MAX_RECHECKS: u32 = 4;

impl Exchange {
    /// Before both have caught up, every `DONE` answers something. On a live link it is the
    /// acknowledgement.
    pub(super) fn next_done(&mut self, cx: &mut Context<'_>) -> Result<Option<Message>, SyncError> {
        let says_news = self.told < Some(self.owed);
        if !says_news || !(self.awaited || self.caught_up) || !self.owes_nothing() {
            return Ok(None);
        }
        self.awaited = false;
        self.told = Some(self.taken);
        let says_check = !self.opener && self.differed && !self.caught_up;
        let check = if says_check { self.check(cx)? } else { None };
        Ok(Some(Message::Done(Done { messages: self.taken, check })))
    }

    /// What all logs of the festivals in common hash to, without those that one of us refuses;
    /// `None` where they have changed by other hands.
    fn check(&mut self, cx: &mut Context<'_>) -> Result<Option<Token>, SyncError> {
        if self.disturbed || !self.parted.is_empty() {
            return Ok(None);
        }
        let mut parts = Vec::new();
        for common in self.commons.values_mut() {
            let fingerprint = common.fingerprint_without(self.refusals.theirs.keys(), cx)?;
            parts.push(fingerprint.0);
        }
        let parts: Vec<&[u8]> = parts.iter().map(|part| &part[..]).collect();
        Ok(Some(self.hashes.token("p2panda 1 sync check", &parts)))
    }

    pub(super) fn peer_is_done(
        &mut self,
        done: &Done,
        cx: &mut Context<'_>,
    ) -> Result<(), SyncError> {
        if done.messages > self.sent || (!self.opener && done.check.is_some()) {
            return Err(PeerFault::Message("DONE").into());
        }
        if done.messages >= self.asked {
            self.name_wishes(cx)?;
            self.wishes.must_be_served(cx.replica)?;
            #[cfg(feature = "blobs")]
            self.blobs.must_be_answered();
        }
        if !self.caught_up {
            cx.report.answered();
        }
        self.heard = Some(done.messages);
        self.awaited = true;
        if let Some(theirs) = done.check
            && done.messages >= self.asked
            && self.owes_nothing()
        {
            self.flush(cx)?;
            self.look_for_changes(cx)?;
            if self.check(cx)?.is_some_and(|ours| ours != theirs) {
                tracing::debug!("the logs are not equal");
                self.recheck()?;
            }
        }
        Ok(())
    }

    /// All was exchanged that the sketches told of, and yet the logs are not equal: some collide
    /// under the salt.
    fn recheck(&mut self) -> Result<(), SyncError> {
        self.rechecks += 1;
        if self.rechecks > MAX_RECHECKS {
            return Err(SyncError::NoProgress);
        }
        self.ask_to_compare_again();
        Ok(())
    }
}
