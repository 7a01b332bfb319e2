//! Why a session ended early, and whose fault it was.

use std::{io, time::Duration};

use p2panda_core::{ForkError, LogId, SegmentError, store::StoreError};

/// Why a session did not come to its end. What had been received before stays stored.
#[derive(Debug, thiserror::Error)]
pub enum SyncError {
    /// The peer broke the protocol, or sent what nobody signed.
    #[error("the peer misbehaved: {0}")]
    Peer(#[from] PeerFault),
    /// The two sides follow no festival in common.
    #[error("no festival in common: one of you needs the other's ticket first")]
    NoFestivalInCommon,
    /// The peer speaks another version of the protocol.
    #[error(
        "the peer speaks version {theirs} of the protocol; the older of the two needs an update"
    )]
    Version {
        /// The peer's version.
        theirs: u8,
    },
    /// The connection ended before everything was exchanged. The next session goes on from there.
    #[error("the connection ended before everything was exchanged; try again to go on")]
    Interrupted,
    /// Nothing came from the peer, nor was anything taken by it, for that long.
    #[error("the peer has been silent for {} seconds", after.as_secs())]
    Stalled {
        /// How long.
        after: Duration,
    },
    /// The transport failed.
    #[error("the connection failed: {0}")]
    Transport(#[from] io::Error),
    /// The peer has done enough for us for now.
    #[error("the peer is busy; try again in {} seconds", retry_after.as_secs())]
    Busy {
        /// How long to wait.
        retry_after: Duration,
    },
    /// The peer has failed too often, or did what no honest peer does: nothing is exchanged with it
    /// until then.
    #[error("the peer has failed too often; nothing is exchanged with it for a while")]
    BackOff {
        /// Until when, by the clock of the node.
        until: Duration,
    },
    /// The two sides could not find out what differs, or not in time.
    #[error("what differs could not be found out; try again later")]
    NoProgress,
    /// Our own store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The festivals in common have more logs here than one session may compare.
    #[error("{logs} logs are more than one session can compare")]
    TooManyLogs {
        /// How many logs.
        logs: usize,
    },
}

/// Who has to change something before another attempt makes sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The peer: drop it, and do not come back soon.
    Peer,
    /// This device: report it to the user.
    Own,
    /// The connection: try again.
    Link,
    /// Both do what they should, and yet do not fit together.
    Neither,
}

/// What to do about a peer after a session with it has failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Advice {
    /// Connect again at once: the next session goes on where this one was cut.
    Retry,
    /// Connect again, but not before so long.
    BackOff(Duration),
    /// Do not connect again without a reason.
    Drop,
}

/// How long to leave a peer alone after sessions that led to nothing.
const PAUSE: Duration = Duration::from_secs(60);

/// After so many sessions without progress a peer is left alone for a while.
const MAX_FRUITLESS: u32 = 3;

impl SyncError {
    /// What to do next. `fruitless` is how many sessions with the peer, this one included, have
    /// ended in an error without bringing a single entry.
    #[must_use]
    pub fn advice(&self, fruitless: u32) -> Advice {
        match self {
            Self::Peer(_) | Self::NoFestivalInCommon | Self::Version { .. } => Advice::Drop,
            Self::Busy { retry_after } => Advice::BackOff(*retry_after),
            Self::NoProgress | Self::BackOff { .. } | Self::Store(_) | Self::TooManyLogs { .. } => {
                Advice::BackOff(PAUSE)
            }
            Self::Interrupted | Self::Stalled { .. } | Self::Transport(_) => {
                Self::pause(fruitless).map_or(Advice::Retry, Advice::BackOff)
            }
        }
    }

    /// How long to leave a peer alone after so many sessions that led to nothing: from the third on a
    /// minute, and twice as long with each, up to an hour.
    pub(crate) fn pause(fruitless: u32) -> Option<Duration> {
        let more = fruitless.checked_sub(MAX_FRUITLESS)?;
        Some(PAUSE * 2_u32.saturating_pow(more.min(6)))
    }

    /// Whose fault it was, which tells what to do.
    #[must_use]
    pub const fn fault(&self) -> Fault {
        match self {
            Self::Peer(_) => Fault::Peer,
            Self::NoFestivalInCommon
            | Self::Version { .. }
            | Self::Busy { .. }
            | Self::BackOff { .. }
            | Self::NoProgress => Fault::Neither,
            Self::Interrupted | Self::Stalled { .. } | Self::Transport(_) => Fault::Link,
            Self::Store(_) | Self::TooManyLogs { .. } => Fault::Own,
        }
    }
}

/// What a peer did that no honest peer does.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PeerFault {
    /// A frame over the limit of its type.
    #[error("a frame of {size} bytes, at most {limit} are allowed")]
    TooLarge {
        /// Its size in bytes.
        size: usize,
        /// What is allowed.
        limit: usize,
    },
    /// A frame that is not a message of its type.
    #[error("{0} is not a well-formed message")]
    Message(&'static str),
    /// A message that does not belong here.
    #[error("{0} does not belong at this point of a session")]
    Unexpected(&'static str),
    /// It named a festival without proof of knowing it.
    #[error("it does not know the festival that it named")]
    Proof,
    /// Its proof of who it is was made for another link, for the other end of this one, or not by
    /// the user whom it names.
    #[error("it is not the user that it says it is")]
    User,
    /// It pushed into a festival that is not among those in common.
    #[error("it pushed into a festival that is not in common")]
    Festival,
    /// A segment that does not hold: nothing of it was kept.
    #[error("a segment of log {log:?} was refused: {error}")]
    Segment {
        /// The log.
        log: LogId,
        /// Why it was refused.
        error: SegmentError,
    },
    /// What was said to be a fork proof proves nothing.
    #[error("a fork proof of log {log:?} was refused: {error}")]
    Fork {
        /// The log.
        log: LogId,
        /// Why it was refused.
        error: ForkError,
    },
    /// A log's first segment came with another document's descriptor.
    #[error("log {0:?} came with the descriptor of another document")]
    Descriptor(LogId),
    /// What came as a piece of a blob is none: nothing of it was kept.
    #[cfg(feature = "blobs")]
    #[error("what it sent as a piece of blob {0} is none")]
    Blob(p2panda_core::BlobId),
    /// More than one session may cost.
    #[error("more {0} than a session may have")]
    TooMany(&'static str),
    /// It offered entries and said it was done without sending them.
    #[error("it offered entries of {logs} logs and did not send them")]
    Undelivered {
        /// How many logs.
        logs: usize,
    },
}
