//! The devices that peers are while a scenario runs.

use std::{collections::BTreeMap, time::Duration};

use p2panda_core::{Identity, OpenError, Replica, schema::Instant, store::StoreError};

use super::{
    Peer, PeerId, Random,
    disk::{Disk, Tokens},
};
use crate::Sketches;

/// Noon of a summer's day: what all wall clocks show at the start, their skew apart.
const EPOCH_MS: i64 = 1_751_371_200_000;

/// A peer while a scenario runs.
pub(crate) struct Device {
    pub(crate) config: Peer,
    pub(crate) identity: Identity,
    pub(crate) disk: Disk,
    tokens: Tokens,
    /// `None` while it is switched off.
    pub(crate) replica: Option<Replica>,
    /// What an equivocator shows to every other peer.
    pub(crate) twin: Option<Replica>,
    /// The sketches of the one and of the other.
    sketches: [Sketches; 2],
    /// What its monotonic clock shows at the start.
    uptime: Duration,
    /// Nobody connects to, or is served by, whom it blames, until then; and how often it did.
    pub(crate) blamed: BTreeMap<PeerId, (Duration, u32)>,
    pub(crate) backup: Option<Disk>,
    pub(crate) turns: u32,
    pub(crate) last_activity: Option<Duration>,
}

impl Device {
    pub(crate) fn new(config: Peer, identity: Identity, random: &mut Random) -> Self {
        Self {
            config,
            identity,
            disk: Disk::new(),
            tokens: Tokens::default(),
            replica: None,
            twin: None,
            sketches: [Sketches::new(random), Sketches::new(random)],
            uptime: random.between(Duration::ZERO, Duration::from_secs(86_400)),
            blamed: BTreeMap::new(),
            backup: None,
            turns: 0,
            last_activity: None,
        }
    }

    pub(crate) const fn is_honest(&self) -> bool {
        self.config.hostile.is_none()
    }

    /// What its monotonic clock shows.
    pub(crate) fn clock(&self, now: Duration) -> Duration {
        self.uptime + scaled(now, 1_000_000 + self.config.drift, 1_000_000)
    }

    /// When its monotonic clock will show this.
    pub(crate) fn when(&self, clock: Duration) -> Duration {
        let since = clock.saturating_sub(self.uptime);
        scaled(since, 1_000_000, 1_000_000 + self.config.drift) + Duration::from_micros(2)
    }

    /// What its wall clock shows.
    pub(crate) fn wall(&self, now: Duration) -> Instant {
        let passed = scaled(now, 1_000_000 + self.config.drift, 1_000_000).as_millis();
        let passed = i64::try_from(passed).unwrap_or(i64::MAX);
        let shown = EPOCH_MS.saturating_add(passed).saturating_add(self.config.skew);
        Instant::from_millis(shown)
    }

    pub(crate) fn switch_on(&mut self, random: &mut Random) -> Result<(), OpenError> {
        let tokens = Box::new(self.tokens.clone());
        let replica = Replica::open(Box::new(self.disk.clone()), self.identity.clone(), tokens)?;
        self.replica = Some(replica);
        self.sketches = [Sketches::new(random), Sketches::new(random)];
        Ok(())
    }

    /// Whether it pushes everything over every live link.
    pub(crate) fn flood(&mut self, floods: bool) {
        self.sketches.iter_mut().for_each(|sketches| sketches.links.set_flooding(floods));
    }

    /// Switches off in order.
    pub(crate) fn close(&mut self, random: &mut Random) -> Result<(), StoreError> {
        self.twin = None;
        self.replica.take().map_or(Ok(()), |replica| replica.close(random))
    }

    /// The power fails: what was not flushed may be gone, and so are single-use names.
    pub(crate) fn crash(&mut self, random: &mut Random) {
        self.replica = None;
        self.twin = None;
        self.disk = self.disk.after_power_failure(random);
        self.tokens = Tokens::default();
    }

    /// No power failure is to come any more.
    pub(crate) fn disarm(&mut self) {
        self.disk.disarm();
    }

    /// Puts the backup in the place of what is there.
    pub(crate) fn restore(&mut self) -> bool {
        let Some(backup) = self.backup.take() else { return false };
        self.replica = None;
        self.twin = None;
        self.disk = backup;
        true
    }

    /// Becomes two devices that go on with one incarnation, each believing to be the only one.
    pub(crate) fn split(&mut self, random: &mut Random) -> Result<(), OpenError> {
        self.close(random)?;
        let (disk, tokens) = (self.disk.copy(), self.tokens.copy());
        self.switch_on(random)?;
        let twin = Replica::open(Box::new(disk), self.identity.clone(), Box::new(tokens))?;
        self.twin = Some(twin);
        Ok(())
    }

    /// The replica that it shows to a peer.
    pub(crate) fn shown_to(&mut self, other: PeerId) -> Option<(&mut Replica, &mut Sketches)> {
        let [first, second] = &mut self.sketches;
        match &mut self.twin {
            Some(twin) if other.0 % 2 == 1 => Some((twin, second)),
            _ => Some((self.replica.as_mut()?, first)),
        }
    }

    /// Whether it has to do with a peer at this time.
    pub(crate) fn shuns(&self, other: PeerId, now: Duration) -> bool {
        self.blamed.get(&other).is_some_and(|(until, _)| *until > now)
    }
}

fn scaled(time: Duration, by: i64, of: i64) -> Duration {
    let micros = time.as_micros() * u128::from(by.unsigned_abs()) / u128::from(of.unsigned_abs());
    Duration::from_micros(u64::try_from(micros).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_runs_fast_shows_a_deadline_early_but_never_too_early() {
        for drift in [-100_000, -50, 0, 50, 100_000] {
            let mut random = Random::new(1);
            let config = Peer::new([]).with_clock(5, drift);
            let identity = Identity::generate(&mut random);
            let device = Device::new(config, identity, &mut random);
            for secs in [0, 1, 30, 3_600] {
                let shown = device.clock(Duration::from_secs(7)) + Duration::from_secs(secs);
                let when = device.when(shown);
                assert!(device.clock(when) >= shown);
                assert!(device.clock(when) <= shown + Duration::from_micros(5));
            }
        }
    }
}
