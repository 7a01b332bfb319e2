//! The edit history of a real schedule, as an importer writes it, and the ways to take it in.

use std::{io::Read as _, path::PathBuf};

use automerge::{Automerge, Change};
use interchange::{Schedule, edits};
use p2panda_core::{
    DocumentDescriptor, Festival, Identity, Replica, Segment,
    schema::Instant,
    store::{MemoryStore, NoResume},
};
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng as _};

/// All that an importer signed while it followed a schedule: several labelled documents.
pub struct History {
    festival: Festival,
    documents: Vec<(DocumentDescriptor, Vec<Segment>)>,
}

/// Where the real schedules are, which are no part of this repository.
fn data() -> PathBuf {
    let beside = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data"));
    std::env::var_os("P2PANDA_DATA").map_or(beside, PathBuf::from).join("36c3/edits.jsonl.gz")
}

fn open(key: u8, festival: &Festival) -> Replica {
    let identity = Identity::from_secret(&[key; 32]);
    let mut replica = Replica::open(Box::new(MemoryStore::new()), identity, Box::new(NoResume))
        .expect("memory does not fail");
    replica.join(festival).expect("memory does not fail");
    replica
}

impl History {
    /// The first revisions of the schedule of the 36C3, imported one after the other.
    ///
    /// # Errors
    /// Where the file is, if it is not there.
    ///
    /// # Panics
    /// Where the file is damaged or the library refuses what it wrote.
    pub fn congress(revisions: usize) -> Result<Self, PathBuf> {
        let path = data();
        let Ok(bytes) = std::fs::read(&path) else { return Err(path) };
        let mut plain = Vec::new();
        let mut decoder = flate2::read::MultiGzDecoder::new(&*bytes);
        decoder.read_to_end(&mut plain).expect("a whole gzip file");

        let mut rng = ChaCha20Rng::seed_from_u64(3);
        let festival = Festival::found(&Identity::from_secret(&[1; 32]), &mut rng);
        let mut importer = open(1, &festival);
        let mut schedule = Schedule { acronym: "36c3".into(), ..Schedule::default() };
        for revision in edits::Revisions::new(&*plain).take(revisions) {
            let revision = revision.expect("a revision");
            edits::apply(&mut schedule, &revision);
            let now = Instant::from_millis(revision.at);
            let import = interchange::import(
                &mut importer,
                festival.id(),
                &schedule,
                now,
                &mut rng,
                &mut |_| {},
            );
            import.expect("an import");
        }

        let mut documents = Vec::new();
        for (log, _) in importer.logs(festival.id()).expect("memory does not fail") {
            let descriptor = importer.descriptor(&log.document).expect("memory does not fail");
            let mut segments = Vec::new();
            let mut held = 0;
            while let Some(segment) = importer.segment(&log, held).expect("memory does not fail") {
                held = segment.end().length;
                segments.push(segment.into_segment());
            }
            documents.push((descriptor.expect("a log's document is known"), segments));
        }
        Ok(Self { festival, documents })
    }

    /// How many documents there are, and how many entries in all.
    #[must_use]
    pub fn size(&self) -> (usize, usize) {
        let entries = |(_, segments): &(_, Vec<Segment>)| -> usize {
            segments.iter().map(|segment| segment.payloads.len()).sum()
        };
        (self.documents.len(), self.documents.iter().map(entries).sum())
    }

    /// A fresh replica takes it all in: head signatures, the gate, the view's rows.
    ///
    /// # Panics
    /// Where the replica refuses any of it.
    #[must_use]
    pub fn accept(&self) -> Replica {
        let mut replica = open(2, &self.festival);
        for (descriptor, segments) in &self.documents {
            for segment in segments {
                replica.accept(descriptor, segment.clone()).expect("a rightly signed log");
            }
        }
        replica.flush().expect("memory does not fail");
        replica
    }

    /// The baseline: Automerge documents take the same changes in, each document's all at once,
    /// which is the fastest, without any check.
    ///
    /// # Panics
    /// Where Automerge refuses the changes.
    #[must_use]
    pub fn apply(&self) -> Vec<Automerge> {
        let apply = |(_, segments): &(_, Vec<Segment>)| {
            let payloads = segments.iter().flat_map(|segment| &segment.payloads);
            let changes = payloads.map(|bytes| Change::from_bytes(bytes.clone()));
            let changes = changes.collect::<Result<Vec<_>, _>>().expect("changes");
            let mut document = Automerge::new();
            document.apply_changes(changes).expect("changes in order");
            document
        };
        self.documents.iter().map(apply).collect()
    }
}
