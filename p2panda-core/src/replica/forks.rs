//! Forks of logs: taking proofs in, cutting logs where their chains part, and what was cut off.

use std::collections::{BTreeSet, HashMap};

use crate::{
    codec,
    id::{FestivalId, LogId, UserId},
    log::{
        Chain, DocumentDescriptor, ForkProof, Run, Seal, StoredSegment, Tip, VerifiedFork,
        VerifiedSegment,
    },
    replica::{
        AcceptError, Accepted, LogState, Replica, accept::put_state, damaged, logs::segment_key,
    },
    store::{Batch, StoreError, Table, prefix_end},
};

/// How many proofs are kept of a log whose chain does not reach their place yet.
pub const MAX_KEPT_FORKS: usize = 4;

/// How many proofs a document may have before those that do not act yet are left out.
const MAX_DOCUMENT_FORKS: usize = 256;

/// The most bytes that are kept of what a fork cut off another user's log.
const MAX_CUT: usize = 1 << 20;

/// What became of a fork proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ForkOutcome {
    /// It acts here: the log now counts up to there and no further.
    Cut {
        /// The length at which the log is cut.
        at: u64,
    },
    /// The log was cut there, or before, already.
    Known {
        /// The length at which the log is cut.
        at: u64,
    },
    /// The log held here does not reach its place yet: it was kept, if there was room, and acts
    /// when the chain arrives that it is about.
    Unknown,
    /// The log held here has another chain at its place, so the two chains held here and there part
    /// before it.
    OtherChain,
}

/// A log that is cut because its author, or somebody with the author's key, signed two chains.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fork {
    /// The log.
    pub log: LogId,
    /// Its author.
    pub author: UserId,
    /// Where the chains part: the log counts up to there.
    pub at: Tip,
    /// What this device held behind it, by branch.
    pub branches: Vec<CutBranch>,
}

/// Entries behind a parting that no longer count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CutBranch {
    /// Where the branch ends. Its chain value names it.
    pub end: Tip,
    /// How many entries are kept, from the parting on.
    pub entries: u64,
}

/// A segment that was set aside: the chain value before it, its key and where it ends.
struct Aside {
    start: Chain,
    key: Vec<u8>,
    end: Tip,
}

/// A branch of a cut log, as it is kept.
#[derive(Default)]
pub(super) struct Lost {
    /// The entries from the parting on, oldest first.
    pub(super) payloads: Vec<Vec<u8>>,
    /// The keys of the segments that hold them and no other branch's.
    pub(super) keys: Vec<Vec<u8>>,
}

impl Replica {
    /// Takes in a proof that a log's author signed two chains. Where it acts, the log is cut and
    /// what depended on the rest stops to count, durably when this returns.
    ///
    /// # Errors
    /// [`AcceptError`], with nothing kept.
    pub fn accept_fork(
        &mut self,
        descriptor: &DocumentDescriptor,
        proof: ForkProof,
    ) -> Result<ForkOutcome, AcceptError> {
        let log = proof.log;
        self.check_descriptor(descriptor, &log)?;
        let state = self.log_state(descriptor.festival, &log)?;
        if let Some(state) = state.as_ref().filter(|state| state.is_cut)
            && state.length <= proof.at.length
        {
            return Ok(ForkOutcome::Known { at: state.length });
        }
        let proof = proof.verify(&descriptor.user)?;
        self.leave(&log, &descriptor.user)?;
        let at = *proof.at();
        let held = state.as_ref().map_or(0, |state| state.length);
        if at.length > held {
            // Of documents that nothing is held of, proofs would be kept without bound.
            if self.descriptor(&log.document)?.is_some() {
                self.keep_fork(&proof)?;
            }
            return Ok(ForkOutcome::Unknown);
        }
        if self.chain_at(&log, at.length)? != Some(at.chain) {
            return Ok(ForkOutcome::OtherChain);
        }
        self.cut(descriptor, state, &proof, None)?;
        Ok(ForkOutcome::Cut { at: at.length })
    }

    /// Takes in a run of a log from a length at which both sides have the same chain value, and
    /// cuts the log where it parts from the chain held here.
    ///
    /// # Errors
    /// [`AcceptError`], with nothing kept.
    pub fn accept_run(
        &mut self,
        descriptor: &DocumentDescriptor,
        log: &LogId,
        from: u64,
        run: Run,
    ) -> Result<ForkOutcome, AcceptError> {
        self.check_descriptor(descriptor, log)?;
        let Some(chain) = self.chain_at(log, from)? else { return Ok(ForkOutcome::Unknown) };
        let Some(own) = self.run(log, from)? else { return Ok(ForkOutcome::Unknown) };
        match ForkProof::between(*log, &Tip { length: from, chain }, own, run) {
            Some(proof) => self.accept_fork(descriptor, proof),
            None => Ok(ForkOutcome::Unknown),
        }
    }

    /// The proof by which a log is cut; `None` where it is not.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn fork_proof(&self, log: &LogId) -> Result<Option<VerifiedFork>, StoreError> {
        let Some(descriptor) = self.descriptor(&log.document)? else { return Ok(None) };
        let state = self.log_state(descriptor.festival, log)?;
        let Some(state) = state.filter(|state| state.is_cut) else { return Ok(None) };
        let bytes = self.store.get(Table::Forks, &segment_key(log, state.length))?;
        bytes.map(|bytes| read_fork(&bytes)).transpose()
    }

    /// Whether a log is cut because its author signed two chains.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn is_cut(&self, log: &LogId) -> Result<bool, StoreError> {
        let Some(descriptor) = self.descriptor(&log.document)? else { return Ok(false) };
        Ok(self.log_state(descriptor.festival, log)?.is_some_and(|state| state.is_cut))
    }

    /// The logs of a festival that are cut, by id, with what this device held behind the parting.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn forks(&self, festival: FestivalId) -> Result<Vec<Fork>, StoreError> {
        let mut cut = Vec::new();
        self.for_each_log(festival, |log, state| {
            if state.is_cut {
                cut.push((log, state.tip()));
            }
        })?;
        let mut forks = Vec::with_capacity(cut.len());
        for (log, at) in cut {
            let Some(descriptor) = self.descriptor(&log.document)? else { continue };
            let branches = self.cut_branches(&log, &at)?;
            forks.push(Fork { log, author: descriptor.user, at, branches });
        }
        Ok(forks)
    }

    /// Cuts a log where a proof says, and keeps what stood behind it aside.
    pub(super) fn cut(
        &mut self,
        descriptor: &DocumentDescriptor,
        state: Option<LogState>,
        proof: &VerifiedFork,
        met: Option<VerifiedSegment>,
    ) -> Result<Accepted, AcceptError> {
        let (log, at) = (*proof.log(), *proof.at());
        let festival = descriptor.festival;
        let is_own = descriptor.user == self.user();
        let before = state.unwrap_or_else(|| LogState::empty(Tip::start(&log)));
        let old_proof = if before.is_cut { self.fork_proof(&log)? } else { None };
        let mut batch = Batch::new();
        let mut room = if is_own { usize::MAX } else { self.cut_room(&log)? };
        for (key, held) in self.segments_beyond(&log, &before, old_proof.as_ref(), at.length)? {
            batch.delete(Table::Segments, key);
            let beyond = if held.start().length < at.length {
                let (kept, beyond) = held.cut(proof);
                batch.put(Table::Segments, segment_key(&log, at.length), kept.to_stored());
                beyond
            } else {
                Some(held)
            };
            set_aside(&mut batch, beyond, &mut room);
        }
        // A branch met just now is worth keeping only for an author who may have written it.
        if let Some(met) = met.filter(|_| is_own) {
            set_aside(&mut batch, met.cut(proof).1, &mut room);
        }
        self.put_fork(&mut batch, proof)?;
        batch.put(Table::Documents, *log.document.as_bytes(), codec::encode(descriptor));
        self.leave(&log, &descriptor.user)?;
        let cut = LogState {
            length: at.length,
            chain: at.chain,
            materialised: before.materialised.min(at.length),
            stopped: before.stopped.filter(|_| before.materialised < at.length),
            is_cut: true,
        };
        if before.materialised > at.length {
            self.remake_with(&mut batch, descriptor, Some((&log, &cut)))?;
        } else {
            put_state(&mut batch, festival, &log, &cut);
        }
        let tip = before.tip();
        if before.is_cut {
            self.note_cut(&log);
        }
        self.commit(batch, &[(festival, log, Some(tip).filter(|tip| tip.length > 0))])?;
        // What is served has to be what is held, and the log has just become shorter.
        self.flush()?;
        Ok(Accepted::Cut { at: at.length })
    }

    /// The stored segments of a log that reach beyond a length, with their keys.
    fn segments_beyond(
        &self,
        log: &LogId,
        state: &LogState,
        proof: Option<&VerifiedFork>,
        length: u64,
    ) -> Result<Vec<(Vec<u8>, VerifiedSegment)>, StoreError> {
        let mut found = Vec::new();
        let mut next = segment_key(log, length + 1);
        let end = prefix_end(&log.to_bytes());
        while let Some((key, bytes)) =
            self.store.range(Table::Segments, &next, end.as_deref(), 1)?.pop()
        {
            let stored = StoredSegment::from_bytes(&bytes).map_err(damaged)?;
            let to = key.last_chunk().map(|bytes| u64::from_be_bytes(*bytes));
            let from = to.and_then(|to| to.checked_sub(stored.payloads().len() as u64));
            let from = from.ok_or_else(|| damaged("a segment's key is malformed"))?;
            found.push((key, restored(*log, from, &stored, proof)?));
            next = segment_key(log, found.last().map_or(0, |(_, held)| held.end().length) + 1);
            if next > segment_key(log, state.length) {
                break;
            }
        }
        Ok(found)
    }

    /// How many more bytes of what is cut off a log are kept.
    fn cut_room(&self, log: &LogId) -> Result<usize, StoreError> {
        let kept = self.scan(Table::Cut, &log.to_bytes())?;
        let bytes: usize = kept.iter().map(|(_, bytes)| bytes.len()).sum();
        Ok(MAX_CUT.saturating_sub(bytes))
    }

    /// What is kept of a log behind its parting, by the chain value at its end.
    pub(super) fn cut_branches(&self, log: &LogId, at: &Tip) -> Result<Vec<CutBranch>, StoreError> {
        let aside = self.aside(log)?;
        let goes_on: BTreeSet<Chain> = aside.iter().map(|segment| segment.start).collect();
        let ends = aside.iter().map(|segment| segment.end);
        let mut branches: Vec<CutBranch> = ends
            .filter(|end| !goes_on.contains(&end.chain))
            .map(|end| CutBranch { end, entries: end.length.saturating_sub(at.length) })
            .collect();
        branches.sort_by_key(|branch| branch.end.chain);
        Ok(branches)
    }

    /// What is kept of a branch of a cut log; empty where nothing is.
    pub(super) fn cut_branch(
        &self,
        log: &LogId,
        at: &Tip,
        end: &Chain,
    ) -> Result<Lost, StoreError> {
        let aside = self.aside(log)?;
        let by_end: HashMap<Chain, &Aside> =
            aside.iter().map(|segment| (segment.end.chain, segment)).collect();
        let mut path = Vec::new();
        let mut chain = *end;
        while let Some(segment) = by_end.get(&chain).filter(|_| path.len() < aside.len()) {
            path.push(*segment);
            chain = segment.start;
        }
        if chain != at.chain {
            return Ok(Lost::default());
        }
        let Lost { mut payloads, mut keys } = Lost::default();
        let mut is_shared = false;
        for segment in &path {
            let followers = aside.iter().filter(|other| other.start == segment.end.chain);
            is_shared |= followers.count() > 1;
            if !is_shared {
                keys.push(segment.key.clone());
            }
        }
        for segment in path.iter().rev() {
            let bytes = self.store.get(Table::Cut, &segment.key)?;
            let bytes = bytes.ok_or_else(|| damaged("what was cut off is missing"))?;
            let stored = StoredSegment::from_bytes(&bytes).map_err(damaged)?;
            payloads.extend(stored.payloads().map(<[u8]>::to_vec));
        }
        Ok(Lost { payloads, keys })
    }

    /// The segments that were set aside of a log.
    fn aside(&self, log: &LogId) -> Result<Vec<Aside>, StoreError> {
        let mut aside = Vec::new();
        for (key, bytes) in self.scan(Table::Cut, &log.to_bytes())? {
            let stored = StoredSegment::from_bytes(&bytes).map_err(damaged)?;
            let from = key.get(40..48).and_then(|bytes| bytes.try_into().ok());
            let chain = key.last_chunk::<32>().map(|bytes| Chain::from_bytes(*bytes));
            let (Some(from), Some(chain)) = (from.map(u64::from_be_bytes), chain) else {
                return Err(damaged("a key of what was cut off is malformed"));
            };
            let length = from.saturating_add(stored.payloads().len() as u64);
            aside.push(Aside { start: stored.0, key, end: Tip { length, chain } });
        }
        Ok(aside)
    }

    /// Makes a proof the only one of its log.
    pub(super) fn put_fork(
        &self,
        batch: &mut Batch,
        proof: &VerifiedFork,
    ) -> Result<(), StoreError> {
        for (key, _) in self.scan(Table::Forks, &proof.log().to_bytes())? {
            batch.delete(Table::Forks, key);
        }
        let key = segment_key(proof.log(), proof.at().length);
        batch.put(Table::Forks, key, proof.proof().to_bytes());
        Ok(())
    }

    /// Keeps a proof whose chain may still come.
    fn keep_fork(&mut self, proof: &VerifiedFork) -> Result<(), StoreError> {
        let prefix = segment_key(proof.log(), proof.at().length);
        let key = [&prefix[..], proof.at().chain.as_bytes()].concat();
        let kept = self.scan(Table::Forks, &proof.log().to_bytes())?;
        let of_document = proof.log().document;
        let of_document = self.store.range(
            Table::Forks,
            of_document.as_bytes(),
            prefix_end(of_document.as_bytes()).as_deref(),
            MAX_DOCUMENT_FORKS,
        )?;
        if kept.len() >= MAX_KEPT_FORKS
            || of_document.len() >= MAX_DOCUMENT_FORKS
            || kept.iter().any(|(other, _)| *other == key)
        {
            return Ok(());
        }
        let mut batch = Batch::new();
        batch.put(Table::Forks, key, proof.proof().to_bytes());
        self.store.commit(batch)?;
        self.dirty = true;
        Ok(())
    }

    /// The lowest kept proof whose place lies on the chain of a new segment.
    pub(super) fn kept_fork_within(
        &self,
        new: &VerifiedSegment,
    ) -> Result<Option<VerifiedFork>, StoreError> {
        let mut lowest: Option<VerifiedFork> = None;
        for (_, bytes) in self.scan(Table::Forks, &new.log().to_bytes())? {
            let proof = read_fork(&bytes)?;
            let lower = lowest.as_ref().is_none_or(|low| proof.at().length < low.at().length);
            let inside = proof.at().length.checked_sub(new.start().length);
            let inside = inside.and_then(|inside| usize::try_from(inside).ok());
            let Some(entries) =
                inside.filter(|inside| *inside > 0).and_then(|inside| new.payloads().get(..inside))
            else {
                continue;
            };
            if lower && new.start().after(entries) == *proof.at() {
                lowest = Some(proof);
            }
        }
        Ok(lowest)
    }
}

/// Keeps what was cut off, as far as there is room.
fn set_aside(batch: &mut Batch, beyond: Option<VerifiedSegment>, room: &mut usize) {
    let Some(beyond) = beyond else { return };
    let bytes = beyond.to_stored();
    if bytes.len() > *room {
        *room = 0; // what follows has no beginning any more
        return;
    }
    *room -= bytes.len();
    let key = segment_key(beyond.log(), beyond.start().length);
    batch.put(Table::Cut, [&key[..], beyond.end().chain.as_bytes()].concat(), bytes);
}

fn restored(
    log: LogId,
    from: u64,
    stored: &StoredSegment,
    proof: Option<&VerifiedFork>,
) -> Result<VerifiedSegment, StoreError> {
    let start = Tip { length: from, chain: stored.0 };
    let payloads: Vec<Vec<u8>> = stored.payloads().map(<[u8]>::to_vec).collect();
    let end = start.after(&payloads);
    let seal = match (stored.2, proof) {
        (Some(signature), _) => Seal::Signature(signature),
        (None, Some(proof)) => Seal::Fork(Box::new(proof.proof().clone())),
        (None, None) => return Err(damaged("a cut log has no fork proof")),
    };
    Ok(VerifiedSegment::from_store(log, start, payloads, end, seal))
}

fn read_fork(bytes: &[u8]) -> Result<VerifiedFork, StoreError> {
    // Verified before it was stored.
    codec::decode_stored(bytes).map(VerifiedFork::trusted).map_err(damaged)
}
