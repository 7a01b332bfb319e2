//! Blobs: asked for after everything else, and sent when nothing else is to be sent.
//!
//! ```text
//! BLOB_WANT ->            the last piece, which proves the size; or pieces from a number on
//!           <- BLOB       piece by piece, each with its proof
//! BLOB_WANT ->            without a blob: the opener of one exchange wants nothing more
//! DONE     <->            what was asked for is sent, and what came is durable
//! ```

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use p2panda_core::{
    BlobError, BlobId, BlobPiece, BlobProgress, FestivalId, MAX_BLOB, store::StoreError,
};

use super::{Context, Session, exchange::Exchange, report::SyncEvent};
use crate::{
    error::{PeerFault, SyncError},
    wire::{Blob, BlobWant, Message},
};

/// Pieces of all blobs that are asked for and have not come.
const WINDOW: usize = 16;

/// The most requests that wait for a peer that asks and does not read.
const MAX_REQUESTS: usize = 64;

/// The most blobs that wait to be asked for.
const MAX_WANTED: usize = 1 << 16;

/// The most blobs of which the peer is told later that they have come.
const MAX_DENIED: usize = 4096;

/// Which blobs, of those that the festivals in common refer to, are fetched.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum BlobPolicy {
    /// None.
    #[default]
    None,
    /// All that are no larger than so many bytes.
    UpTo(u64),
    /// These, however large.
    Named(BTreeSet<BlobId>),
}

impl BlobPolicy {
    fn wants(&self, blob: &BlobId) -> bool {
        match self {
            Self::None => false,
            Self::UpTo(_) => true,
            Self::Named(some) => some.contains(blob),
        }
    }

    /// The largest blob that is taken.
    fn limit(&self) -> u64 {
        match self {
            Self::UpTo(bytes) => MAX_BLOB.min(*bytes),
            Self::None | Self::Named(_) => MAX_BLOB,
        }
    }
}

/// What an exchange has to do with blobs.
#[derive(Debug, Default)]
pub(super) struct Blobs {
    policy: BlobPolicy,
    /// Those to fetch, each with the place of a festival that refers to it.
    wanted: BTreeMap<BlobId, u64>,
    /// What was asked for: pieces, or the last one where the size is not known.
    asked: BTreeSet<(BlobId, Option<u32>)>,
    /// Those that the peer does not have, or that are too large.
    lacking: BTreeSet<BlobId>,
    /// Where the views stood when they were looked at.
    looked: BTreeMap<FestivalId, u64>,
    /// What the peer asked for.
    requests: VecDeque<Request>,
    /// Those that the peer was told not to be here, and how many were whole here then.
    denied: (BTreeSet<BlobId>, u64),
    /// The peer has begun with blobs, so it has caught up.
    begun: bool,
    /// The peer skips what is said of blobs.
    deaf: bool,
    /// Nothing more is wanted, as far as this side can tell, and the peer knows that.
    over: bool,
}

#[derive(Debug)]
struct Request {
    place: u64,
    blob: BlobId,
    limit: u64,
    first: Option<u32>,
    count: u32,
}

impl Blobs {
    pub(super) fn fetch(&mut self, policy: BlobPolicy) {
        self.policy = policy;
    }

    /// Nothing that was asked for is outstanding, on either side.
    pub(super) fn is_quiet(&self) -> bool {
        self.asked.is_empty() && self.requests.is_empty()
    }

    pub(super) const fn is_over(&self) -> bool {
        self.over
    }

    /// The peer has taken care of all that was sent. If it did not answer, it knows nothing of
    /// blobs.
    pub(super) fn must_be_answered(&mut self) {
        if !self.asked.is_empty() {
            self.asked.clear();
            self.wanted.clear();
            self.deaf = true;
        }
    }
}

impl Session {
    /// Fetches blobs by this policy, once both sides have caught up: for who drives a session by
    /// hand, before it is used.
    pub fn fetch_blobs(&mut self, policy: BlobPolicy) {
        self.policy = policy;
    }
}

impl Exchange {
    /// What is to be said of blobs: nothing before both sides have caught up.
    pub(super) fn next_blob(&mut self, cx: &mut Context<'_>) -> Result<Option<Message>, SyncError> {
        if !self.caught_up && !self.blobs.begun {
            return Ok(None);
        }
        if let Some(blob) = self.answer(cx)? {
            return Ok(Some(Message::Blob(blob)));
        }
        let keeps = cx.replica.blobs().is_some();
        if keeps
            && !self.blobs.deaf
            && let Some(want) = self.want_blob(cx)?
        {
            return Ok(Some(Message::BlobWant(want)));
        }
        if !self.blobs.over && self.blobs.is_quiet() {
            self.blobs.over = true;
            // The accepting side may want some: its DONE tells when it has them.
            if keeps && self.opener && !self.is_live() {
                let (limit, count) = (0, 0);
                let end = BlobWant { place: 0, blob: None, limit, first: None, count };
                return Ok(Some(Message::BlobWant(end)));
            }
        }
        Ok(None)
    }

    /// The peer asks for a blob, or says that it wants no more.
    pub(super) fn serve_blob(&mut self, want: &BlobWant) -> Result<(), SyncError> {
        self.blobs.begun = true;
        let Some(blob) = want.blob else { return Ok(()) };
        if !self.commons.contains_key(&want.place) {
            return Err(PeerFault::Unexpected("BLOB_WANT").into());
        }
        let malformed = PeerFault::Message("BLOB_WANT");
        let number = |number| u32::try_from(number).map_err(|_| malformed.clone());
        let (place, limit, count) = (want.place, want.limit, number(want.count)?);
        let first = want.first.map(number).transpose()?;
        if count == 0 || count as usize > WINDOW {
            return Err(malformed.into());
        }
        if self.blobs.requests.len() >= MAX_REQUESTS {
            return Err(PeerFault::TooMany("wishes for blobs").into());
        }
        self.blobs.requests.push_back(Request { place, blob, limit, first, count });
        Ok(())
    }

    /// The next answer to what the peer has asked for.
    fn answer(&mut self, cx: &mut Context<'_>) -> Result<Option<Blob>, SyncError> {
        let Some(request) = self.blobs.requests.front_mut() else { return self.have_now(cx) };
        let blob = request.blob;
        let say = |size| Blob { blob, size, index: 0, bytes: Vec::new().into() };
        // A blob is served to those alone who know a festival that refers to it.
        let festival = self.commons.get(&request.place).map(|common| common.festival);
        let refers = match festival {
            Some(festival) => !cx.replica.view(festival).entities_with(&blob)?.is_empty(),
            None => false,
        };
        let piece = match cx.replica.blobs() {
            Some(blobs) if refers => match request.first {
                Some(index) => blobs.piece(&blob, index).map_err(own)?,
                None => blobs.last_piece(&blob).map_err(own)?,
            },
            _ => None,
        };
        let Some(BlobPiece { size, index, bytes }) = piece else {
            self.blobs.requests.pop_front();
            if self.blobs.denied.0.len() < MAX_DENIED {
                self.blobs.denied.0.insert(blob);
            }
            return Ok(Some(say(None)));
        };
        if size > request.limit {
            self.blobs.requests.pop_front();
            return Ok(Some(say(Some(size))));
        }
        match &mut request.first {
            Some(first) if request.count > 1 => {
                (*first, request.count) = (*first + 1, request.count - 1);
            }
            _ => drop(self.blobs.requests.pop_front()),
        }
        Ok(Some(Blob { blob, size: Some(size), index: u64::from(index), bytes: bytes.into() }))
    }

    /// A blob that the peer was denied has come in the meantime.
    fn have_now(&mut self, cx: &mut Context<'_>) -> Result<Option<Blob>, SyncError> {
        let cursor = cx.replica.blob_cursor();
        let (denied, seen) = &mut self.blobs.denied;
        let Some(blobs) = cx.replica.blobs().filter(|_| *seen != cursor) else { return Ok(None) };
        for blob in denied.iter().copied() {
            if let BlobProgress::Whole { size } = blobs.progress(&blob).map_err(own)? {
                denied.remove(&blob);
                let bytes = Vec::new().into();
                return Ok(Some(Blob { blob, size: Some(size), index: 0, bytes }));
            }
        }
        *seen = cursor;
        Ok(None)
    }

    /// The next request of ours.
    fn want_blob(&mut self, cx: &mut Context<'_>) -> Result<Option<BlobWant>, SyncError> {
        self.look_for_blobs(cx)?;
        let limit = self.blobs.policy.limit();
        let Some(blobs) = cx.replica.blobs() else { return Ok(None) };
        let state = &mut self.blobs;
        let mut whole = Vec::new();
        let mut want = None;
        for (blob, place) in &state.wanted {
            let (blob, place) = (*blob, *place);
            let room = WINDOW.saturating_sub(state.asked.len());
            if room == 0 {
                break;
            }
            match blobs.progress(&blob).map_err(own)? {
                // Another session may have brought it.
                BlobProgress::Whole { .. } => whole.push(blob),
                BlobProgress::Absent => {
                    if state.asked.insert((blob, None)) {
                        want = Some(BlobWant {
                            place,
                            blob: Some(blob),
                            limit,
                            first: None,
                            count: 1,
                        });
                        break;
                    }
                }
                BlobProgress::Partial { .. } => {
                    let missing = blobs.missing(&blob, WINDOW + state.asked.len()).map_err(own)?;
                    let run =
                        next_run(missing, room, |index| state.asked.contains(&(blob, Some(index))));
                    let Some((first, count)) = run else { continue };
                    for index in first..first + count {
                        blobs.ask(&blob, index);
                        state.asked.insert((blob, Some(index)));
                    }
                    let (first, count) = (Some(u64::from(first)), u64::from(count));
                    want = Some(BlobWant { place, blob: Some(blob), limit, first, count });
                    break;
                }
            }
        }
        for blob in whole {
            state.wanted.remove(&blob);
        }
        Ok(want)
    }

    /// Looks which blobs are referred to, where that may have changed.
    fn look_for_blobs(&mut self, cx: &mut Context<'_>) -> Result<(), SyncError> {
        if self.blobs.policy == BlobPolicy::None {
            return Ok(());
        }
        for (place, common) in &self.commons {
            let view = cx.replica.view(common.festival);
            let cursor = view.cursor()?;
            if self.blobs.looked.insert(common.festival, cursor) == Some(cursor) {
                continue;
            }
            for blob in view.blobs()? {
                let state = &mut self.blobs;
                if state.policy.wants(&blob)
                    && !state.lacking.contains(&blob)
                    && state.wanted.len() < MAX_WANTED
                    && let Some(blobs) = cx.replica.blobs()
                    && !blobs.has(&blob)
                {
                    state.wanted.insert(blob, *place);
                }
            }
        }
        Ok(())
    }

    /// Takes in a piece, or what the peer says in its place.
    pub(super) fn take_blob(
        &mut self,
        answer: Blob,
        cx: &mut Context<'_>,
    ) -> Result<(), SyncError> {
        let Blob { blob, size, index, bytes } = answer;
        let state = &mut self.blobs;
        if bytes.is_empty() {
            let mine = (blob, None)..=(blob, Some(u32::MAX));
            let asked: Vec<_> = state.asked.range(mine).copied().collect();
            if size.is_some() && asked.is_empty() {
                // It is there now.
                state.lacking.remove(&blob);
                state.looked.clear();
                return Ok(());
            }
            for asked in asked {
                state.asked.remove(&asked);
            }
            state.wanted.remove(&blob);
            if state.lacking.len() < MAX_WANTED {
                state.lacking.insert(blob);
            }
            return Ok(());
        }
        let unexpected = PeerFault::Unexpected("BLOB");
        let (Some(size), Ok(index)) = (size, u32::try_from(index)) else {
            return Err(PeerFault::Message("BLOB").into());
        };
        let is_last = BlobPiece::count(size) == Some(index.saturating_add(1));
        let was_asked = state.asked.remove(&(blob, Some(index)))
            || (is_last && state.asked.remove(&(blob, None)));
        if !was_asked || size > state.policy.limit() {
            return Err(unexpected.into());
        }
        let Some(blobs) = cx.replica.blobs() else { return Ok(()) };
        let piece = BlobPiece { size, index, bytes: bytes.into_vec() };
        match blobs.insert(&blob, &piece) {
            Ok(new) => {
                if new && let BlobProgress::Whole { size } = blobs.progress(&blob).map_err(own)? {
                    self.blobs.wanted.remove(&blob);
                    cx.report.event(SyncEvent::Blob { blob, size });
                }
                Ok(())
            }
            Err(BlobError::Garbage(blob)) => Err(PeerFault::Blob(blob).into()),
            Err(error) => Err(own(error)),
        }
    }
}

/// The first run of missing pieces that were not asked for: its first, and how many.
fn next_run(missing: Vec<u32>, room: usize, is_asked: impl Fn(u32) -> bool) -> Option<(u32, u32)> {
    let mut free = missing.into_iter().filter(|index| !is_asked(*index));
    let first = free.next()?;
    let more = free.zip(1_u32..).take_while(|(index, step)| *index == first + step);
    let more = u32::try_from(more.take(room.saturating_sub(1)).count()).ok()?;
    Some((first, 1 + more))
}

fn own(error: BlobError) -> SyncError {
    StoreError::from(error).into()
}
