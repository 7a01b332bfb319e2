//! What a session tells: events while it goes on, and totals.

use p2panda_core::{FestivalId, LogId};

/// Something that happened in a session. Events are for people and logs; nothing depends on them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SyncEvent {
    /// The peer proved that it knows these festivals, which are exchanged from here on.
    Met {
        /// The festivals in common.
        festivals: Vec<FestivalId>,
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
    /// The peer holds another chain of a log than we do: its author, or somebody with the author's
    /// key, signed two. It is left alone for the rest of the session.
    Parted {
        /// The festival.
        festival: FestivalId,
        /// The log.
        log: LogId,
    },
    /// Both sides hold, durably, all that the other held. On a live link this comes again after
    /// every later exchange.
    CaughtUp {
        /// The totals up to here.
        stats: Stats,
    },
}

/// What a session cost and moved. Bytes are counted as framed: each frame with the four bytes of
/// its length.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// How often this side had to wait for an answer before it could go on.
    pub round_trips: u64,
    /// Bytes sent.
    pub bytes_sent: u64,
    /// Bytes received.
    pub bytes_received: u64,
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
    /// Logs of which the peer holds another chain.
    pub logs_parted: u64,
}
