//! A device in a test: its replica, and a clock that the test sets.

#![allow(dead_code, reason = "every test program uses a part of it")]

use interchange::{ImportReport, Schedule, import};
use p2panda_core::schema::{FestivalInfo, Instant};
use p2panda_core::store::{MemoryStore, NoResume, Store};
use p2panda_core::{Festival, FestivalId, Identity, LogId, Replica, Tip};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng as _;

pub(crate) struct Peer {
    pub(crate) replica: Replica,
    pub(crate) festival: FestivalId,
    pub(crate) rng: ChaCha20Rng,
    pub(crate) now: Instant,
}

pub(crate) fn identity(seed: u64) -> Identity {
    Identity::generate(&mut ChaCha20Rng::seed_from_u64(seed))
}

impl Peer {
    /// A device with an empty store that founds a festival.
    pub(crate) fn founder(seed: u64) -> (Self, Festival) {
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        let mut replica = open(Box::new(MemoryStore::new()), &identity(seed));
        let now = Instant::from_millis(1_577_000_000_000);
        let info = FestivalInfo { title: "A festival".into(), ..FestivalInfo::default() };
        let festival = replica.create_festival(&info, now, &mut rng).unwrap();
        let id = festival.id();
        (Self { replica, festival: id, rng, now }, festival)
    }

    /// A device of the user of this seed that joins a festival.
    pub(crate) fn joining(festival: &Festival, user: u64, device: u64) -> Self {
        Self::on(Box::new(MemoryStore::new()), festival, user, device)
    }

    pub(crate) fn on(store: Box<dyn Store>, festival: &Festival, user: u64, device: u64) -> Self {
        let mut replica = open(store, &identity(user));
        replica.join(festival).unwrap();
        let rng = ChaCha20Rng::seed_from_u64(1_000 + device);
        let now = Instant::from_millis(1_577_000_000_000);
        Self { replica, festival: festival.id(), rng, now }
    }

    pub(crate) fn import(&mut self, schedule: &Schedule) -> ImportReport {
        let Self { replica, festival, rng, now } = self;
        import(replica, *festival, schedule, *now, rng, &mut |_| {}).unwrap()
    }

    pub(crate) fn export(&self) -> Schedule {
        interchange::export(&self.replica.view(self.festival)).unwrap()
    }

    pub(crate) fn logs(&self) -> Vec<(LogId, Tip)> {
        self.replica.logs(self.festival).unwrap()
    }

    /// Both hold afterwards what either held.
    pub(crate) fn meet(&mut self, other: &mut Self) {
        other.pull(self);
        self.pull(other);
    }

    fn pull(&mut self, from: &Self) {
        for (log, _) in from.logs() {
            let mut at = self.replica.held(&log).unwrap().map_or(0, |tip| tip.length);
            let descriptor = from.replica.descriptor(&log.document).unwrap().unwrap();
            while let Some(segment) = from.replica.segment(&log, at).unwrap() {
                at = segment.end().length;
                self.replica.accept(&descriptor, segment.into_segment()).unwrap();
            }
        }
        self.replica.flush().unwrap();
        assert_eq!(self.replica.stopped_logs(self.festival).unwrap(), []);
    }

    pub(crate) fn assert_same(&self, other: &Self) {
        let (a, b) = (&self.replica, &other.replica);
        assert_eq!(a.fingerprint_logs().unwrap(), b.fingerprint_logs().unwrap());
        assert_eq!(a.fingerprint_view().unwrap(), b.fingerprint_view().unwrap());
    }
}

pub(crate) fn open(store: Box<dyn Store>, identity: &Identity) -> Replica {
    Replica::open(store, identity.clone(), Box::new(NoResume)).unwrap()
}
