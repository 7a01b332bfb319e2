//! What a session tells: events while it goes on, and totals.

use std::collections::{BTreeMap, VecDeque};

use p2panda_core::{FestivalId, LogId, UserId};
use tracing::debug;

use crate::wire::{FRAME_HEADER, Message};

/// Events that wait; beyond, `Received` is dropped: the totals have it.
const MAX_EVENTS: usize = 1024;

/// Something that happened in a session. Events are for people and logs; nothing depends on them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SyncEvent {
    /// The peer proved that it knows these festivals, which are exchanged from here on.
    Met {
        /// The festivals in common.
        festivals: Vec<FestivalId>,
    },
    /// The peer proved which user it is, on an encrypted link where something differs or that stays.
    Peer {
        /// The user.
        user: UserId,
    },
    /// Entries that were new here.
    Received {
        /// The festival.
        festival: FestivalId,
        /// The log.
        log: LogId,
        /// How many entries.
        entries: u64,
    },
    /// The author of a log, or somebody with the author's key, signed two chains: the log now counts
    /// here up to where they part, and both sides have the proof.
    Cut {
        /// The festival.
        festival: FestivalId,
        /// The log.
        log: LogId,
        /// The length at which it is cut.
        at: u64,
    },
    /// The two sides hold a log differently and could not find out where it parts. It is left alone
    /// for the rest of the session.
    Parted {
        /// The festival.
        festival: FestivalId,
        /// The log.
        log: LogId,
    },
    /// The peer neither takes nor gives a log. It is left out for the rest of the session.
    Refused {
        /// The festival.
        festival: FestivalId,
        /// The log.
        log: LogId,
    },
    /// A blob is here, whole and durable.
    #[cfg(feature = "blobs")]
    Blob {
        /// The blob.
        blob: p2panda_core::BlobId,
        /// Its size in bytes.
        size: u64,
    },
    /// Both sides hold, durably, all that the other held. On a live link this comes again after
    /// every later exchange.
    CaughtUp {
        /// The totals up to here.
        stats: Stats,
        /// The festivals in common in which our user's own documents were among it, whatever these
        /// are: both sides keep all, and nothing that may be our user's was left out. In these, after
        /// an opening, [`allow_decisions_in`](p2panda_core::Replica::allow_decisions_in) is right.
        own: Vec<FestivalId>,
    },
}

/// What a session cost and moved. Bytes are counted as framed: each frame with the three bytes
/// of its length.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// How often this side had to wait for an answer before it could go on.
    pub round_trips: u64,
    /// Bytes sent.
    pub bytes_sent: u64,
    /// Bytes received.
    pub bytes_received: u64,
    /// Bytes sent to find out what differs and to ask for it: everything but `PUSH`, `FORK` and
    /// `PROOF`.
    pub metadata_sent: u64,
    /// Bytes received for that.
    pub metadata_received: u64,
    /// Segments sent.
    pub segments_sent: u64,
    /// Segments received, known ones too.
    pub segments_received: u64,
    /// Entries sent.
    pub entries_sent: u64,
    /// Entries received that were new.
    pub entries_received: u64,
    /// Signatures that had to be checked.
    pub signatures_checked: u64,
    /// Logs that were cut where two chains of theirs part.
    pub logs_cut: u64,
    /// Logs that the two sides hold differently, and that were left alone.
    pub logs_parted: u64,
}

/// Totals, and the events that nobody has fetched yet.
#[derive(Debug, Default)]
pub(super) struct Report {
    pub(super) stats: Stats,
    pub(super) events: VecDeque<SyncEvent>,
    /// Entries that the peer brought, by festival, since it was asked last what the peer holds.
    pub(super) news: BTreeMap<FestivalId, u64>,
    /// Whether the peer has to answer something before this side can go on.
    asked: bool,
}

impl Report {
    pub(super) fn event(&mut self, event: SyncEvent) {
        debug!(?event);
        if let SyncEvent::Received { festival, entries, .. } = &event {
            *self.news.entry(*festival).or_default() += entries;
        }
        if self.events.len() < MAX_EVENTS || !matches!(event, SyncEvent::Received { .. }) {
            self.events.push_back(event);
        }
    }

    pub(super) fn sent(&mut self, message: &Message, bytes: usize) {
        let bytes = FRAME_HEADER + bytes as u64;
        self.stats.bytes_sent += bytes;
        if message.is_metadata() {
            self.stats.metadata_sent += bytes;
        }
    }

    pub(super) fn received(&mut self, message: Option<&Message>, bytes: usize) {
        let bytes = FRAME_HEADER + bytes as u64;
        self.stats.bytes_received += bytes;
        if message.is_none_or(Message::is_metadata) {
            self.stats.metadata_received += bytes;
        }
    }

    /// Something was sent, or will be, that the peer has to answer.
    pub(super) const fn turn(&mut self) {
        self.asked = true;
    }

    /// The peer's answer came.
    pub(super) const fn answered(&mut self) {
        if self.asked {
            self.stats.round_trips += 1;
            self.asked = false;
        }
    }
}
