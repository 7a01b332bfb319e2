//! The peers of a scenario, before it runs.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Hostile;

/// A peer of a scenario, in the order in which they were added.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
pub struct PeerId(pub usize);

/// A festival of a scenario, in the order in which they were added.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
pub struct FestivalNo(pub usize);

/// One device that takes part.
///
/// ```
/// use std::time::Duration;
/// use p2panda_sync::sim::{Hostile, Peer, Scenario};
///
/// let mut scenario = Scenario::new("two of us, and one of them");
/// let lake = scenario.festival();
/// scenario.peer(Peer::new([lake]).acting_every(Duration::from_secs(20)));
/// scenario.peer(Peer::new([lake]).with_clock(-3_600_000, 200));
/// scenario.peer(Peer::new([lake]).hostile(Hostile::Equivocate));
/// ```
#[derive(Clone, Debug)]
pub struct Peer {
    pub(crate) follows: Vec<FestivalNo>,
    pub(crate) acts: Option<Duration>,
    /// Milliseconds by which its wall clock is ahead.
    pub(crate) skew: i64,
    /// By how many millionths its clocks run faster.
    pub(crate) drift: i64,
    pub(crate) device_of: Option<PeerId>,
    pub(crate) hostile: Option<Hostile>,
}

impl Peer {
    /// An honest peer that follows these festivals and only carries them.
    #[must_use]
    pub fn new(follows: impl IntoIterator<Item = FestivalNo>) -> Self {
        let follows = follows.into_iter().collect();
        Self { follows, acts: None, skew: 0, drift: 0, device_of: None, hostile: None }
    }

    /// The application gets its turn there about this often.
    #[must_use]
    pub const fn acting_every(mut self, every: Duration) -> Self {
        self.acts = Some(every);
        self
    }

    /// Its wall clock is ahead by so many milliseconds, and its clocks run faster by so many
    /// millionths (at most 100,000, up or down).
    #[must_use]
    pub const fn with_clock(mut self, ahead_ms: i64, faster_ppm: i64) -> Self {
        self.skew = ahead_ms;
        self.drift = if faster_ppm > 100_000 {
            100_000
        } else if faster_ppm < -100_000 {
            -100_000
        } else {
            faster_ppm
        };
        self
    }

    /// It is another device of an earlier peer's user.
    #[must_use]
    pub const fn device_of(mut self, peer: PeerId) -> Self {
        self.device_of = Some(peer);
        self
    }

    /// It is out for harm.
    #[must_use]
    pub const fn hostile(mut self, how: Hostile) -> Self {
        self.hostile = Some(how);
        self
    }
}
