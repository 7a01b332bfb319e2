//! Sketches that were kept, loaded and gone on with, against sketches made anew.

use std::sync::{Arc, Mutex};

use p2panda_core::{
    DocumentDescriptor, Festival, Identity, Incarnation, LogId, Tip, VerifiedSegment,
    store::{Batch, CommitId, Entry as Row, MemoryStore, NoResume, Store, StoreError, Table},
};
use rand_chacha::{ChaCha20Rng, rand_core::Rng as _, rand_core::SeedableRng as _};

use super::*;

/// A store that stays when a process is killed, as far as the disk has it.
#[derive(Clone)]
struct Disk(Arc<Mutex<MemoryStore>>);

impl Disk {
    fn new() -> Self {
        Self(Arc::new(Mutex::new(MemoryStore::buffered())))
    }

    /// The power fails: some of what was not flushed is lost.
    fn crash(&self, random: u64) {
        let mut store = self.0.lock().unwrap();
        let (durable, last) = (store.durable().0, self.last(&store));
        let kept = CommitId(durable + random % (last - durable + 1));
        *store = store.after_crash(kept);
    }

    fn last(&self, store: &MemoryStore) -> u64 {
        // The number of the next commit is one more than that of the last.
        store.clone().commit(Batch::new()).unwrap().0 - 1
    }
}

impl Store for Disk {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.0.lock().unwrap().get(table, key)
    }

    fn range(
        &self,
        table: Table,
        start: &[u8],
        end: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<Row>, StoreError> {
        self.0.lock().unwrap().range(table, start, end, limit)
    }

    fn commit(&mut self, batch: Batch) -> Result<CommitId, StoreError> {
        self.0.lock().unwrap().commit(batch)
    }

    fn flush(&mut self) -> Result<(), StoreError> {
        self.0.lock().unwrap().flush()
    }

    fn durable(&self) -> CommitId {
        self.0.lock().unwrap().durable()
    }
}

struct Author {
    identity: Identity,
    descriptor: DocumentDescriptor,
    log: LogId,
    /// Ends of chains to go on from: more than one, and the author lies.
    ends: Vec<Tip>,
}

impl Author {
    fn new(festival: FestivalId, rng: &mut ChaCha20Rng) -> Self {
        let identity = Identity::generate(rng);
        let descriptor =
            DocumentDescriptor { festival, user: identity.user(), label: String::new() };
        let log = LogId { document: descriptor.id(), incarnation: Incarnation::random(rng) };
        Self { identity, descriptor, log, ends: vec![Tip::start(&log)] }
    }

    /// Writes behind the last entry, or seldom behind an earlier one.
    fn write(&mut self, replica: &mut Replica, rng: &mut ChaCha20Rng) {
        let lies = rng.next_u32().is_multiple_of(12);
        let at = if lies { below(rng, self.ends.len()) } else { self.ends.len() - 1 };
        let payloads = (0..1 + below(rng, 3)).map(|_| rng.next_u64().to_be_bytes().to_vec());
        let segment =
            VerifiedSegment::sign(&self.identity, self.log, &self.ends[at], payloads.collect());
        let segment = segment.unwrap();
        self.ends.push(*segment.end());
        drop(replica.accept(&self.descriptor, segment.into_segment()));
    }
}

fn below(rng: &mut ChaCha20Rng, end: usize) -> usize {
    rng.next_u32() as usize % end
}

/// Everything that is held in sums has to be what it would be if it were made anew.
fn check(sketches: &mut Sketches, replica: &Replica, festival: FestivalId) {
    let ours = sketches.fingerprint_without(replica, festival, []).unwrap();
    let logs = logs(replica, festival).unwrap();
    let mut sum = LogSum::default();
    logs.iter().for_each(|(log, entry)| sum.add(log, entry));
    assert_eq!(ours, sum.fingerprint());
    for ((of, salt), kept) in &sketches.sketches {
        assert_eq!(*of, festival);
        let sums = kept.sums();
        let mut anew = Sketch::new(Keys::new(*salt, &festival), &logs);
        anew.syndromes(sums.syndromes.sums().len());
        anew.cells(sums.cells.cells().len());
        assert_eq!(sums.to_bytes(), anew.sums().to_bytes());
        if let Form::Whole(sketch) = &kept.form {
            assert!(sketch.iter().eq(anew.iter()));
        }
    }
    for log in logs.keys() {
        assert_eq!(sketches.entry(replica, festival, log).unwrap(), logs.get(log).copied());
    }
}

#[test]
fn what_was_kept_and_loaded_is_what_would_be_made_anew() {
    let (mut gone_on, mut made_anew, mut cuts) = (0, 0, 0);
    for seed in 0..40 {
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        let festival = Festival::found(&Identity::generate(&mut rng), &mut rng);
        let id = festival.id();
        let (disk, user) = (Disk::new(), Identity::generate(&mut rng));
        let open = || {
            let store = Box::new(disk.clone());
            Replica::open(store, user.clone(), Box::new(NoResume)).unwrap()
        };
        let mut replica = open();
        replica.join(&festival).unwrap();
        let mut sketches = Sketches::new(&mut rng);
        let mut authors: Vec<_> = (0..6).map(|_| Author::new(id, &mut rng)).collect();
        let salts = [1, 2, 3].map(|byte| Salt([byte; 8]));
        let mut now = Duration::ZERO;
        check(&mut sketches, &replica, id);
        for _ in 0..60 {
            now += Duration::from_secs(1);
            match below(&mut rng, 12) {
                0..=4 => {
                    let author = below(&mut rng, authors.len());
                    authors[author].write(&mut replica, &mut rng);
                }
                5 => replica.flush().unwrap(),
                6 => {
                    let author = below(&mut rng, authors.len());
                    replica.forget(authors[author].descriptor.user).unwrap();
                    authors[author] = Author::new(id, &mut rng);
                }
                7 => {
                    let (salt, count) = (salts[below(&mut rng, 3)], below(&mut rng, 40));
                    sketches.sums(&replica, id, salt, count).unwrap();
                }
                8 => {
                    let (salt, count) = (salts[below(&mut rng, 3)], below(&mut rng, 200));
                    sketches.sketch(&replica, id, salt).unwrap().cells(count);
                }
                9 => sketches.keep(now, &mut replica).unwrap(),
                _ => {
                    // Closed, dropped, or killed by a power cut.
                    let how = below(&mut rng, 3);
                    if how == 0 {
                        sketches.keep(now, &mut replica).unwrap();
                        replica.close(&mut rng).unwrap();
                    } else {
                        drop(replica);
                    }
                    if how == 2 {
                        disk.crash(rng.next_u64());
                    }
                    replica = open();
                    sketches = Sketches::new(&mut rng);
                    sketches.fingerprint_without(&replica, id, []).unwrap();
                    let map = &sketches.maps[&id];
                    *(if map.logs.is_none() { &mut gone_on } else { &mut made_anew }) += 1;
                    assert!(how != 0 || map.logs.is_none(), "closed cleanly");
                }
            }
            check(&mut sketches, &replica, id);
        }
        cuts += replica.forks(id).unwrap().len();
    }
    assert!(gone_on > 50 && made_anew > 50 && cuts > 20, "{gone_on} {made_anew} {cuts}");
}

#[test]
fn a_salt_serves_for_a_day_of_running_or_for_two_dozen_openings() {
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let mut replica = {
        let store = Box::new(MemoryStore::new());
        Replica::open(store, Identity::generate(&mut rng), Box::new(NoResume)).unwrap()
    };
    let hour = Duration::from_secs(60 * 60);
    let mut sketches = Sketches::new(&mut rng);
    let first = sketches.salt(hour);
    assert_eq!(sketches.salt(hour * 25 - Duration::from_secs(1)), first);
    let second = sketches.salt(hour * 25);
    assert_ne!(second, first);
    assert_ne!(sketches.salt(hour * 50), second);

    // Over openings, whatever their clocks say.
    let mut last = None;
    let mut openings = Vec::new();
    for opening in 0..60 {
        let mut sketches = Sketches::new(&mut rng);
        sketches.follow(&replica).unwrap();
        let now = Duration::from_secs(opening * 7 % 5);
        let salt = sketches.salt(now);
        match last == Some(salt) {
            true => *openings.last_mut().unwrap() += 1,
            false => openings.push(1),
        }
        last = Some(salt);
        sketches.keep(now, &mut replica).unwrap();
    }
    assert_eq!(openings[..2], [24, 24]);
    // Time that passes while it runs counts too.
    let mut sketches = Sketches::new(&mut rng);
    sketches.follow(&replica).unwrap();
    let salt = sketches.salt(Duration::ZERO);
    sketches.keep(hour * 20, &mut replica).unwrap();
    let mut sketches = Sketches::new(&mut rng);
    sketches.follow(&replica).unwrap();
    assert_ne!(sketches.salt(Duration::ZERO), salt);
}

#[test]
fn garbage_in_place_of_what_was_kept_is_made_anew() {
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let festival = Festival::found(&Identity::generate(&mut rng), &mut rng);
    let store = Box::new(MemoryStore::new());
    let mut replica =
        Replica::open(store, Identity::generate(&mut rng), Box::new(NoResume)).unwrap();
    replica.join(&festival).unwrap();
    Author::new(festival.id(), &mut rng).write(&mut replica, &mut rng);
    let mut sketches = Sketches::new(&mut rng);
    sketches.sums(&replica, festival.id(), Salt([1; 8]), 16).unwrap();
    sketches.salt(Duration::ZERO);
    sketches.keep(Duration::ZERO, &mut replica).unwrap();
    for (of, name) in [(None, "salt 1"), (Some(festival.id()), "sketches 1")] {
        let right = replica.kept(of, name).unwrap().unwrap();
        for at in 0..right.len() {
            // Shorter, longer, and bent. What is not garbage may be believed: the store is ours.
            for bytes in [&right[..at], &[&right[..], &[0]].concat()] {
                replica.keep(of, name, bytes).unwrap();
                let mut sketches = Sketches::new(&mut rng);
                check(&mut sketches, &replica, festival.id());
            }
            let mut bent = right.clone();
            bent[at] ^= 0x80;
            replica.keep(of, name, &bent).unwrap();
            let mut sketches = Sketches::new(&mut rng);
            sketches.sums(&replica, festival.id(), Salt([1; 8]), 16).unwrap();
        }
        replica.keep(of, name, &right).unwrap();
    }
}

#[test]
fn sketches_are_kept_for_so_many_salts_of_peers_and_for_ours_in_every_festival() {
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let user = Identity::generate(&mut rng);
    let store = Box::new(MemoryStore::new());
    let mut replica = Replica::open(store, user.clone(), Box::new(NoResume)).unwrap();
    let festivals: Vec<_> = (0..3).map(|_| Festival::found(&user, &mut rng)).collect();
    festivals.iter().for_each(|festival| replica.join(festival).unwrap());
    let mut sketches = Sketches::new(&mut rng);
    let own = sketches.salt(Duration::ZERO);
    let peers = (0..20).map(|byte| Salt([byte; 8]));
    for salt in std::iter::once(own).chain(peers) {
        for festival in &festivals {
            sketches.sketch(&replica, festival.id(), salt).unwrap();
        }
    }
    assert_eq!(sketches.sketches.len(), 3 * (MAX_SALTS + 1));
    for salt in [own, Salt([4; 8]), Salt([19; 8])] {
        assert!(festivals.iter().all(|of| sketches.sketches.contains_key(&(of.id(), salt))));
    }
}
