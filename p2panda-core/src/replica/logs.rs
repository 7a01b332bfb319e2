//! Serving logs: what a peer may be sent, always only what is durable.

use crate::{
    hash::{Domain, hasher},
    id::{FestivalId, LogId},
    log::{
        BLOCK, Chain, MAX_SEGMENT, PayloadHash, Run, Seal, StoredSegment, Tip, VerifiedSegment,
        block_end,
    },
    replica::{Replica, damaged},
    store::{StoreError, Table, prefix_end},
};

/// A segment's key: its log and the length at its end, so that the segment that holds an entry
/// is the first one after it.
pub(super) fn segment_key(log: &LogId, end: u64) -> Vec<u8> {
    [&log.to_bytes()[..], &end.to_be_bytes()].concat()
}

/// A stored segment with where it starts.
struct Held {
    from: u64,
    segment: StoredSegment,
}

impl Held {
    fn end(&self) -> u64 {
        self.from + self.segment.payloads().len() as u64
    }
}

impl Replica {
    /// Every log held of a festival, by id, up to what is durable.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn logs(&self, festival: FestivalId) -> Result<Vec<(LogId, Tip)>, StoreError> {
        let mut logs = Vec::new();
        self.for_each_log(festival, |log, state| {
            let durable =
                self.unflushed.get(&log).map_or_else(|| Some(state.tip()), |(_, tip)| *tip);
            logs.extend(durable.map(|tip| (log, tip)));
        })?;
        Ok(logs)
    }

    /// The durable tip of a log; `None` where it is unknown.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn tip(&self, log: &LogId) -> Result<Option<Tip>, StoreError> {
        match self.unflushed.get(log) {
            Some((_, tip)) => Ok(*tip),
            None => self.held(log),
        }
    }

    /// The tip of a log, entries that are not durable yet included.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn held(&self, log: &LogId) -> Result<Option<Tip>, StoreError> {
        let Some(descriptor) = self.descriptor(&log.document)? else { return Ok(None) };
        let state = self.log_state(descriptor.festival, log)?;
        Ok(state.map(|state| state.tip()))
    }

    /// The chain value of a log at a length; `None` beyond what is held.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn chain_at(&self, log: &LogId, length: u64) -> Result<Option<Chain>, StoreError> {
        if length == 0 {
            return Ok(Some(Chain::start(log)));
        }
        let Some(held) = self.segment_with(log, length - 1)? else { return Ok(None) };
        let inside = usize::try_from(length - held.from).map_err(damaged)?;
        let payloads = held.segment.payloads().take(inside);
        Ok(Some(payloads.fold(held.segment.0, |chain, payload| chain.after(payload))))
    }

    /// The next segment of a log from a length: as many entries as one segment takes, up to a
    /// signed head that is durable. `None` where nothing follows.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn segment(&self, log: &LogId, from: u64) -> Result<Option<VerifiedSegment>, StoreError> {
        let durable = self.tip(log)?.map_or(0, |tip| tip.length);
        if from >= durable {
            return Ok(None);
        }
        let Some(chain) = self.chain_at(log, from)? else { return Ok(None) };
        let start = Tip { length: from, chain };
        let mut payloads: Vec<Vec<u8>> = Vec::new();
        let mut size = 0;
        let mut sealed = None;
        let mut at = from;
        let mut tip = start;
        while at < durable && (at == from || !at.is_multiple_of(BLOCK)) {
            let Some(held) = self.segment_with(log, at)? else { break };
            let skip = usize::try_from(at - held.from).map_err(damaged)?;
            let more: usize = held.segment.payloads().skip(skip).map(<[u8]>::len).sum();
            if (sealed.is_some() && size + more > MAX_SEGMENT) || held.end() > durable {
                break;
            }
            size += more;
            for payload in held.segment.payloads().skip(skip) {
                tip = tip.after(&[payload]);
                payloads.push(payload.to_vec());
            }
            at = held.end();
            sealed = Some(held.segment.2);
        }
        let seal = match sealed {
            None => return Ok(None),
            Some(Some(signature)) => Seal::Signature(signature),
            Some(None) => {
                let missing = || damaged("a cut log has no fork proof");
                Seal::Fork(Box::new(self.fork_proof(log)?.ok_or_else(missing)?.into_proof()))
            }
        };
        Ok(Some(VerifiedSegment::from_store(*log, start, payloads, tip, seal)))
    }

    /// The payload hashes of a log from a length up to the last signed head in the same block of
    /// 128 entries: what a peer that holds another branch needs to find where the two part. `None`
    /// where nothing follows there.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn run(&self, log: &LogId, from: u64) -> Result<Option<Run>, StoreError> {
        let mut hashes = Vec::new();
        let mut at = from;
        let mut seal = None;
        while at < block_end(from) {
            let Some(held) = self.segment_with(log, at)? else { break };
            let skip = usize::try_from(at - held.from).map_err(damaged)?;
            hashes.extend(held.segment.payloads().skip(skip).map(PayloadHash::of));
            at = held.end();
            seal = Some(held.segment.2);
        }
        Ok(match seal {
            None => None,
            Some(Some(signature)) => Some(Run { hashes, signature }),
            Some(None) => self.fork_proof(log)?.map(|proof| proof.run_after(hashes)),
        })
    }

    /// The stored segment that holds an entry.
    fn segment_with(&self, log: &LogId, entry: u64) -> Result<Option<Held>, StoreError> {
        let (start, end) = (segment_key(log, entry + 1), prefix_end(&log.to_bytes()));
        let Some((key, bytes)) =
            self.store.range(Table::Segments, &start, end.as_deref(), 1)?.pop()
        else {
            return Ok(None);
        };
        let segment = StoredSegment::from_bytes(&bytes).map_err(damaged)?;
        let end = key.last_chunk().map(|bytes| u64::from_be_bytes(*bytes));
        let from = end.and_then(|end| end.checked_sub(segment.payloads().len() as u64));
        let from = from.ok_or_else(|| damaged("a segment's key is malformed"))?;
        Ok((from <= entry).then_some(Held { from, segment }))
    }

    /// The entries of a log from one length to another.
    pub(super) fn payloads(
        &self,
        log: &LogId,
        from: u64,
        to: u64,
    ) -> Result<Vec<Vec<u8>>, StoreError> {
        let mut payloads = Vec::new();
        let mut at = from;
        while at < to {
            let missing = || damaged(format!("entry {at} of a log is missing"));
            let held = self.segment_with(log, at)?.ok_or_else(missing)?;
            let skip = usize::try_from(at - held.from).map_err(damaged)?;
            let take = usize::try_from(to - at).unwrap_or(usize::MAX);
            payloads.extend(held.segment.payloads().skip(skip).take(take).map(<[u8]>::to_vec));
            at = held.end();
        }
        Ok(payloads)
    }

    /// One hash of all logs held: their ids, lengths and chain values.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn fingerprint_logs(&self) -> Result<[u8; 32], StoreError> {
        let mut hash = hasher(Domain::LogSet);
        for festival in self.festivals()? {
            hash.update(festival.id().as_bytes());
            self.for_each_log(festival.id(), |log, state| {
                hash.update(&log.to_bytes());
                hash.update(&state.length.to_be_bytes());
                hash.update(state.chain.as_bytes());
                hash.update(&[u8::from(state.is_cut)]);
            })?;
        }
        Ok(*hash.finalize().as_bytes())
    }

    /// One hash of all rows of the views.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn fingerprint_view(&self) -> Result<[u8; 32], StoreError> {
        let mut hash = hasher(Domain::View);
        self.for_each_entry(Table::Rows, |(key, row)| {
            for part in [key, row] {
                hash.update(&(part.len() as u64).to_be_bytes());
                hash.update(&part);
            }
            Ok(())
        })?;
        Ok(*hash.finalize().as_bytes())
    }
}
