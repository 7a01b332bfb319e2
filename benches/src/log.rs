//! A log of event edits, and the ways to take it in.

use automerge::{Automerge, Change};
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use p2panda_core::{
    Chain, DocumentDescriptor, Festival, Identity, LocalId, LogId, Replica, Segment, Tip,
    VerifiedSegment,
    schema::{Event, Instant},
    store::{Batch, CommitId, Entry, MemoryStore, NoResume, RedbStore, Store, StoreError, Table},
};
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng as _};

const SECRET: [u8; 32] = [7; 32];
const NOW: Instant = Instant::from_millis(1_700_000_000_000);

/// One author's log, in segments of at most 100 entries and with one signature for each entry.
pub struct OneLog {
    identity: Identity,
    festival: Festival,
    descriptor: DocumentDescriptor,
    log: LogId,
    segments: Vec<(Tip, Segment)>,
    payloads: Vec<Vec<u8>>,
    /// What a log without signed heads would carry: a signature of each entry's chain value.
    signatures: Vec<Signature>,
}

impl OneLog {
    /// A log in which a tenth as many events as there are entries are made, then edited in turn.
    ///
    /// # Panics
    /// Where the library refuses what it wrote.
    #[must_use]
    pub fn new(entries: usize) -> Self {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let identity = Identity::from_secret(&SECRET);
        let mut replica = open(&identity);
        let festival = Festival::found(&identity, &mut rng);
        replica.join(&festival).expect("memory does not fail");
        for at in 0..entries {
            let local: LocalId =
                format!("event{}", at % entries.div_ceil(10)).parse().expect("a name");
            let title = format!("The {at}th title of an event");
            let event = Event { title, summary: "What it is about.".into(), ..Event::default() };
            let put = replica.edit(festival.id(), NOW, &mut rng, |edit| edit.put(&local, &event));
            put.expect("an edit");
        }
        let (log, _) = replica.logs(festival.id()).expect("memory does not fail")[0];
        let descriptor = replica.descriptor(&log.document).expect("memory does not fail");
        let mut payloads: Vec<Vec<u8>> = Vec::new();
        while let Ok(Some(segment)) = replica.segment(&log, payloads.len() as u64) {
            payloads.extend(segment.into_segment().payloads);
        }
        assert_eq!(payloads.len(), entries, "an edit is one entry");
        let mut one = Self {
            identity,
            festival,
            descriptor: descriptor.expect("a log's document is known"),
            log,
            segments: Vec::new(),
            payloads,
            signatures: Vec::new(),
        };
        one.sign();
        one
    }

    fn sign(&mut self) {
        self.segments = self.sign_segments();
        self.signatures = self.sign_entries();
    }

    /// Signs the log: the chain, and one head for each segment.
    ///
    /// # Panics
    /// Never: the segments are small.
    #[must_use]
    pub fn sign_segments(&self) -> Vec<(Tip, Segment)> {
        let mut segments = Vec::new();
        let mut tip = Tip::start(&self.log);
        let mut from = 0;
        while from < self.payloads.len() {
            let block = 128 - from % 128;
            let to = (from + block.min(100)).min(self.payloads.len());
            let entries = self.payloads[from..to].to_vec();
            let segment = VerifiedSegment::sign(&self.identity, self.log, &tip, entries);
            let segment = segment.expect("a small segment");
            let end = *segment.end();
            segments.push((tip, segment.into_segment()));
            (tip, from) = (end, to);
        }
        segments
    }

    /// The baseline: the same chain, and each of its values signed.
    #[must_use]
    pub fn sign_entries(&self) -> Vec<Signature> {
        let key = SigningKey::from_bytes(&SECRET);
        let mut chain = Chain::start(&self.log);
        let sign = |payload: &Vec<u8>| {
            chain = chain.after(payload);
            key.sign(chain.as_bytes())
        };
        self.payloads.iter().map(sign).collect()
    }

    /// How many segments the log has.
    #[must_use]
    pub fn segments(&self) -> usize {
        self.segments.len()
    }

    /// Verifies every segment: the chain, and one signature for each segment.
    #[must_use]
    pub fn verify_segments(&self) -> usize {
        let user = self.identity.user();
        let verify = |(tip, segment): &(Tip, Segment)| segment.clone().verify(tip, &user).is_ok();
        self.segments.iter().filter(|segment| verify(segment)).count()
    }

    /// The baseline: the same chain, and one signature for each entry.
    ///
    /// # Panics
    /// Never: the key is a key.
    #[must_use]
    pub fn verify_entries(&self) -> usize {
        let key = VerifyingKey::from_bytes(self.identity.user().as_bytes()).expect("a user's key");
        let mut chain = Chain::start(&self.log);
        let verify = |(payload, signature): (&Vec<u8>, &Signature)| {
            // A segment is handed over by value too.
            chain = chain.after(&payload.clone());
            key.verify_strict(chain.as_bytes(), signature).is_ok()
        };
        self.payloads.iter().zip(&self.signatures).map(verify).filter(|valid| *valid).count()
    }

    /// A fresh replica takes the log in: verification, the gate, Automerge, the view's rows.
    ///
    /// # Panics
    /// Where the replica refuses the log.
    #[must_use]
    pub fn accept(&self) -> Replica {
        self.accept_into(Box::new(MemoryStore::new()))
    }

    /// The same on disk, with a mark left before each entry is judged, or without.
    ///
    /// # Panics
    /// Where the disk fails.
    #[must_use]
    pub fn accept_on_disk(&self, marks: bool) -> Replica {
        let folder = tempfile::tempdir().expect("a folder");
        let store = RedbStore::open(folder.path().join("store")).expect("a new file");
        self.accept_into(if marks { Box::new(store) } else { Box::new(Unmarked(store)) })
    }

    fn accept_into(&self, store: Box<dyn Store>) -> Replica {
        let identity = Identity::from_secret(&[8; 32]);
        let mut replica =
            Replica::open(store, identity, Box::new(NoResume)).expect("a store that works");
        replica.join(&self.festival).expect("memory does not fail");
        for (_, segment) in &self.segments {
            replica.accept(&self.descriptor, segment.clone()).expect("a rightly signed log");
        }
        replica.flush().expect("memory does not fail");
        replica
    }

    /// The baseline: an Automerge document takes the same changes in, segment by segment, without
    /// any check.
    ///
    /// # Panics
    /// Where Automerge refuses the changes.
    #[must_use]
    pub fn apply(&self) -> Automerge {
        let mut document = Automerge::new();
        for (_, segment) in &self.segments {
            let changes = segment.payloads.iter().map(|bytes| Change::from_bytes(bytes.clone()));
            let changes = changes.collect::<Result<Vec<_>, _>>().expect("changes");
            document.apply_changes(changes).expect("changes in order");
        }
        document
    }
}

/// A store that keeps no marks.
struct Unmarked(RedbStore);

impl Store for Unmarked {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.0.get(table, key)
    }

    fn range(
        &self,
        table: Table,
        start: &[u8],
        end: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<Entry>, StoreError> {
        self.0.range(table, start, end, limit)
    }

    fn commit(&mut self, batch: Batch) -> Result<CommitId, StoreError> {
        self.0.commit(batch)
    }

    fn flush(&mut self) -> Result<(), StoreError> {
        self.0.flush()
    }

    fn durable(&self) -> CommitId {
        self.0.durable()
    }
}

fn open(identity: &Identity) -> Replica {
    Replica::open(Box::new(MemoryStore::new()), identity.clone(), Box::new(NoResume))
        .expect("memory does not fail")
}
