//! The one source of chance in a simulation.

use std::{convert::Infallible, time::Duration};

use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng as _};
use rand_core::{Rng as _, TryCryptoRng, TryRng};

/// Randomness from a seed: the same seed gives the same numbers, on every machine.
#[derive(Clone, Debug)]
pub struct Random(ChaCha20Rng);

impl Random {
    /// The numbers of a seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(ChaCha20Rng::seed_from_u64(seed))
    }

    /// True with this probability, from 0 to 1.
    pub fn chance(&mut self, probability: f64) -> bool {
        // Numbers are drawn only where they matter, so that what cannot happen changes nothing.
        probability > 0.0 && f64::from(self.next_u32()) < probability * f64::from(u32::MAX)
    }

    /// A number below `end`; 0 where there is none.
    pub fn below(&mut self, end: u64) -> u64 {
        // The bias is far below anything that a simulation could show.
        if end == 0 { 0 } else { self.next_u64() % end }
    }

    /// An index below `end`; 0 where there is none.
    pub fn index(&mut self, end: usize) -> usize {
        usize::try_from(self.below(end as u64)).unwrap_or(0)
    }

    /// One of these, if there is any.
    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> Option<&'a T> {
        from.get(self.index(from.len()))
    }

    /// A time between two, in whole microseconds; `from` where they are in the wrong order.
    pub fn between(&mut self, from: Duration, to: Duration) -> Duration {
        let micros = u64::try_from(to.saturating_sub(from).as_micros()).unwrap_or(u64::MAX);
        from + Duration::from_micros(self.below(micros.saturating_add(1)))
    }

    /// Half as long to one and a half times as long: keeps timers from falling into step.
    pub fn about(&mut self, time: Duration) -> Duration {
        self.between(time / 2, time + time / 2)
    }
}

impl TryRng for Random {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        self.0.try_next_u32()
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        self.0.try_next_u64()
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        self.0.try_fill_bytes(bytes)
    }
}

impl TryCryptoRng for Random {}
