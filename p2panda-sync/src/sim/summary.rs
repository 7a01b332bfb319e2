//! What came of a run, as plain data.

use std::{collections::BTreeMap, fmt, time::Duration};

use serde::{Deserialize, Serialize};

use super::PeerId;

/// What a run came to. Times are virtual, in milliseconds since the start.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// The scenario's name.
    pub scenario: String,
    /// The seed.
    pub seed: u64,
    /// One hash over every event of the run, in base 16.
    pub transcript: String,
    /// How many peers there were, and how many of them hostile.
    pub peers: (usize, usize),
    /// When the network was healed: from here on nobody writes, nothing is lost and all are there.
    pub healed_ms: u64,
    /// When all honest peers held the same.
    pub converged_ms: u64,
    /// In how many rounds after the healing, in each of which every link is used once.
    pub rounds: u32,
    /// How many there may be since a hostile peer last gave something new away: one more than there are links between the two peers farthest apart.
    pub allowed_rounds: u32,
    /// How long it took, with all links live, until what the founders then wrote was everywhere, in
    /// milliseconds. Neither this nor what it cost is part of the other figures.
    pub live_ms: u64,
    /// Logs of all festivals in the end, each counted once.
    pub logs: u64,
    /// Entries in all logs.
    pub entries: u64,
    /// Bytes of payload in all logs.
    pub payload_bytes: u64,
    /// Everything that went over links.
    pub traffic: Traffic,
    /// What of it went over links after the healing.
    pub healing: Traffic,
    /// How entries spread until the network was healed.
    pub spread: Spread,
    /// How often an honest peer became active after at least 100 ms of rest.
    pub wake_ups: u64,
    /// How often a device lost power or was switched off.
    pub restarts: u64,
    /// What each hostile peer did and cost.
    pub hostile: Vec<Cost>,
    /// The network over time.
    pub samples: Vec<Sample>,
    /// The application's figures, in the end.
    pub figures: BTreeMap<String, u64>,
}

/// What went over links. Bytes are counted as framed, whether or not they arrived.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Traffic {
    /// Bytes sent.
    pub bytes: u64,
    /// Bytes of them in frames that bring entries or fork proofs.
    pub content: u64,
    /// Frames sent.
    pub frames: u64,
    /// Connections made.
    pub connections: u64,
    /// Ends of connections that came to their end in order.
    pub completed: u64,
    /// Ends that were cut or given up, which is nobody's fault.
    pub interrupted: u64,
    /// Ends that blamed the peer.
    pub blamed: u64,
}

/// How entries got from their authors to the honest peers that follow their festival, before the
/// network was healed in the end. Times are from when an entry was durable at its author to when it
/// was at a peer, in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spread {
    /// Entries times the peers that each had to get to.
    pub due: u64,
    /// How many of these got there.
    pub delivered: u64,
    /// How many got there after [`Change::MendAll`](super::Change::MendAll) that had been written
    /// before it. They are left out of the times that follow.
    pub held_up: u64,
    /// Half of them in at most so long.
    pub p50_ms: u64,
    /// Nine in ten.
    pub p90_ms: u64,
    /// 99 in a hundred.
    pub p99_ms: u64,
    /// All that got there.
    pub longest_ms: u64,
    /// How long it took until the last of those held up was everywhere; `None` where there were none,
    /// or one is still missing somewhere.
    pub mended_ms: Option<u64>,
}

/// What a hostile peer cost the honest ones.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cost {
    /// The peer.
    pub peer: PeerId,
    /// What it did, in one word.
    pub how: String,
    /// Connections between it and honest peers.
    pub connections: u64,
    /// How often an honest peer blamed and dropped it.
    pub blamed: u64,
    /// Frames that honest peers received from it.
    pub frames_received: u64,
    /// Bytes that honest peers received from it.
    pub bytes_received: u64,
    /// Bytes that honest peers sent to it.
    pub bytes_sent: u64,
    /// The longest connection that was for one exchange only, in milliseconds.
    pub longest_ms: u64,
}

/// The honest peers at one moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sample {
    /// When.
    pub ms: u64,
    /// How many honest peers were switched on.
    pub online: usize,
    /// Plurality: how many different sets of logs they held, of the festival where there were most.
    pub distinct: usize,
    /// How many of its followers held the most common of these sets.
    pub agreeing: usize,
    /// Bytes sent until then.
    pub bytes: u64,
    /// The application's figures.
    pub figures: BTreeMap<String, u64>,
}

impl Summary {
    /// The highest plurality at any time.
    #[must_use]
    pub fn plurality(&self) -> usize {
        self.samples.iter().map(|sample| sample.distinct).max().unwrap_or_default()
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Traffic { bytes, frames, connections, blamed, .. } = self.traffic;
        write!(
            f,
            "{}, seed {}: {} peers ({} hostile), {} logs, {} entries, {} payload bytes; {} bytes in \
             {frames} frames over {connections} connections ({blamed} ends blamed); {} wake-ups, \
             {} restarts; up to {} views; healed at {} s, equal after {} of {} rounds and {} ms, pushed to all in {} ms",
            self.scenario,
            self.seed,
            self.peers.0,
            self.peers.1,
            self.logs,
            self.entries,
            self.payload_bytes,
            bytes,
            self.wake_ups,
            self.restarts,
            self.plurality(),
            self.healed_ms / 1000,
            self.rounds,
            self.allowed_rounds,
            self.converged_ms - self.healed_ms,
            self.live_ms,
        )?;
        for (name, figure) in &self.figures {
            write!(f, ", {name} {figure}")?;
        }
        Ok(())
    }
}

/// Something did not hold: what, and how to see it again.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "scenario {scenario:?}, seed {seed}, after {:.6} s: {what}\n  repeat with: {command}",
    at.as_secs_f64()
)]
pub struct Failure {
    /// The scenario's name.
    pub scenario: String,
    /// The seed.
    pub seed: u64,
    /// The virtual time.
    pub at: Duration,
    /// What did not hold.
    pub what: String,
    /// The command that repeats it.
    pub command: String,
}

/// Milliseconds of a virtual time.
pub(crate) fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
