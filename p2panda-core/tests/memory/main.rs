//! How much memory input can make a device hold: at most 64 MiB for any megabyte, whoever wrote it.
//!
//! A peer accepts the segments into a store on disk, answers from the view, and opens the store
//! anew to load the document. `P2PANDA_MEMORY=1 cargo test --test memory -- --nocapture` prints the
//! peaks, `P2PANDA_MEMORY=automerge` (very slow) beside those of Automerge alone.
//!
//! What is no stream of segments, [`others`], is read by the one function that reads it.
#![allow(clippy::unwrap_used, clippy::cast_possible_truncation)]

mod bombs;
mod forge;
mod others;

use std::{
    collections::BTreeSet,
    sync::{Mutex, PoisonError},
    time::Instant as Clock,
};

use forge::Forge;
use p2panda_core::{
    AcceptError, DocumentDescriptor, EntityId, Festival, Identity, LogId, Replica, Segment,
    Stopped, Tip, VerifiedSegment,
    schema::Instant,
    store::{NoResume, RedbStore},
    view::{Fact, ResourceFacts},
};
use peak_alloc::PeakAlloc;
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng as _};

#[global_allocator]
static HEAP: PeakAlloc = PeakAlloc;

const MIB: usize = 1 << 20;
const LIMIT: usize = 64 * MIB;

/// What the gate is expected to say of an input.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Expected {
    Valid,
    Refused,
}

/// Logs of one user, at most a megabyte of payloads.
type Input = Vec<(p2panda_core::Incarnation, Vec<Vec<u8>>)>;

fn open(folder: &std::path::Path, identity: &Identity) -> Replica {
    let store = RedbStore::open(folder.join("store")).unwrap();
    Replica::open(Box::new(store), identity.clone(), Box::new(NoResume)).unwrap()
}

fn user() -> Identity {
    Identity::from_secret(&[7; 32])
}

fn festival() -> Festival {
    Festival::found(&user(), &mut ChaCha20Rng::seed_from_u64(1))
}

fn descriptor() -> DocumentDescriptor {
    let (festival, user) = (festival().id(), user().user());
    DocumentDescriptor { festival, user, label: String::new() }
}

/// What the records are about.
fn stage() -> EntityId {
    EntityId::new(descriptor().id(), "stage".parse().unwrap())
}

/// What a peak, or a store, must not exceed: of less than a megabyte, as much less, so that an input of which
/// only a part is tried can fail too.
fn check(name: &str, bytes: usize, peak: usize) {
    let limit = LIMIT / MIB * bytes.max(MIB / 8);
    assert!(peak <= limit, "{name}: {peak} bytes for {bytes}, at most {limit}");
}

fn is_printed() -> bool {
    std::env::var_os("P2PANDA_MEMORY").is_some()
}

/// The segments in which an input arrives.
fn segments(input: Input) -> Vec<Segment> {
    segments_of(&descriptor(), input)
}

fn segments_of(descriptor: &DocumentDescriptor, input: Input) -> Vec<Segment> {
    let (user, document) = (user(), descriptor.id());
    let mut segments = Vec::new();
    for (incarnation, log) in input {
        let log_id = LogId { document, incarnation };
        let mut tip = Tip::start(&log_id);
        let mut rest = log.into_iter().peekable();
        while rest.peek().is_some() {
            let (mut entries, mut size) = (Vec::new(), 0);
            while let Some(payload) = rest.next_if(|payload| {
                let is_first = entries.is_empty();
                let block = (tip.length + entries.len() as u64) % p2panda_core::BLOCK;
                is_first || (size + payload.len() <= p2panda_core::MAX_SEGMENT && block != 0)
            }) {
                size += payload.len();
                entries.push(payload);
            }
            let segment = VerifiedSegment::sign(&user, log_id, &tip, entries).unwrap();
            tip = *segment.end();
            segments.push(segment.into_segment());
        }
    }
    segments
}

/// What a policy would ask, of all resources at once: the positions of their records, and what
/// those had seen of each other. How many facts there are, and the most seen by one.
fn ask_about_records(replica: &Replica) -> (usize, usize) {
    let view = replica.view(festival().id());
    let (mut cursor, mut resources) = (0, BTreeSet::new());
    loop {
        let changes = view.changes(cursor, 512).unwrap();
        let Some((newest, _)) = changes.last() else { break };
        cursor = *newest;
        for (_, id) in changes.iter().filter(|(_, id)| id.local.is_record()) {
            resources.extend(view.resource_of(id).unwrap());
        }
    }
    let facts = resources.iter().filter_map(|id| view.facts(id).unwrap());
    let facts: Vec<ResourceFacts> = facts.collect();
    let mut most = 0;
    for facts in &facts {
        if let [first, .., last] = &facts.records[..] {
            let seen = [first, last].map(|fact| fact.position.seen().len());
            let precedes = |fact: &&Fact| fact.position.precedes(&last.position);
            let before = facts.records.iter().filter(precedes).count();
            assert!(before <= 2 * (seen[1] + 1), "{before} records before the last");
            most = most.max(seen[0]).max(seen[1]);
        }
    }
    (facts.iter().map(|facts| facts.records.len()).sum(), most)
}

/// The peak of what a peer holds while it takes an input in and works with it, in bytes.
fn peak(name: &str, expected: Expected, make: impl FnOnce(&mut Forge) -> Input) {
    let (user, festival, descriptor) = (user(), festival(), descriptor());
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let mut forge = Forge::new(user.user());
    let input = make(&mut forge);
    drop(forge);
    let plain = match std::env::var_os("P2PANDA_MEMORY") {
        Some(value) if value == "automerge" && expected == Expected::Valid => {
            automerge_alone(&input)
        }
        _ => 0,
    };
    let bytes: usize = input.iter().flat_map(|(_, log)| log).map(Vec::len).sum();
    assert!(bytes <= MIB, "{name} has {bytes} bytes");
    let segments = segments(input);

    let folder = tempfile::tempdir().unwrap();
    let start = Clock::now();
    HEAP.reset_peak_usage();
    let before = HEAP.current_usage();
    let mut replica = open(folder.path(), &user);
    replica.join(&festival).unwrap();
    for segment in segments {
        match replica.accept(&descriptor, segment) {
            Ok(_) | Err(AcceptError::Segment(_)) => {}
            Err(error) => panic!("{error}"),
        }
    }
    replica.flush().unwrap();
    let accepted = (HEAP.peak_usage(), start.elapsed());
    let on_disk = std::fs::metadata(folder.path().join("store")).unwrap().len();
    let on_disk = usize::try_from(on_disk).unwrap();
    let stopped = replica.stopped_logs(festival.id()).unwrap();
    match expected {
        Expected::Valid => assert_eq!(stopped, [], "{name}"),
        Expected::Refused => {
            let is_refused = |why: &Stopped| matches!(why, Stopped::Refused(_));
            assert!(stopped.iter().any(|(_, why)| is_refused(why)), "{name}");
        }
    }
    let id = EntityId::new(descriptor.id(), "e".parse().unwrap());
    let fields = replica.view(festival.id()).fields(&id).unwrap();
    drop(fields);
    ask_about_records(&replica);
    assert_eq!(replica.caught(), 0, "{name}");
    drop(replica);

    // Loaded anew: a segment that is held already loads nothing, an honest edit does.
    let start = Clock::now();
    let mut replica = open(folder.path(), &user);
    replica
        .edit(festival.id(), Instant::from_millis(0), &mut rng, |edit| {
            edit.put(&"honest".parse().unwrap(), &p2panda_core::schema::Event::default())
        })
        .map_err(|error: p2panda_core::EditError| panic!("{name}: {error}"))
        .unwrap();
    let peak = HEAP.peak_usage() - before;
    if is_printed() {
        println!(
            "{name:50} {bytes:>8} bytes: Automerge alone {:>6.1} MiB, accepting {:>6.1} MiB in \
             {:>5.2?}, {:>6.1} MiB in all, edit {:>5.2?}, on disk {:>6.1} MiB",
            plain as f64 / MIB as f64,
            accepted.0.saturating_sub(before) as f64 / MIB as f64,
            accepted.1,
            peak as f64 / MIB as f64,
            start.elapsed(),
            on_disk as f64 / MIB as f64,
        );
    }
    check(name, bytes, on_disk);
    check(name, bytes, peak);
}

/// The peak of an Automerge document that takes the same changes in, for comparison.
fn automerge_alone(input: &Input) -> usize {
    HEAP.reset_peak_usage();
    let before = HEAP.current_usage();
    let mut automerge = automerge::Automerge::new();
    for (_, log) in input {
        let changes = log.iter().map(|bytes| automerge::Change::from_bytes(bytes.clone()).unwrap());
        automerge.apply_changes(changes.collect::<Vec<_>>()).unwrap();
    }
    HEAP.peak_usage() - before
}

/// There is one heap: what is measured has it for itself.
static ALONE: Mutex<()> = Mutex::new(());

#[test]
fn a_megabyte_of_anything_else_takes_at_most_64_mebibytes() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    others::measure();
}

#[test]
fn a_megabyte_of_any_segments_takes_at_most_64_mebibytes() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    use Expected::{Refused, Valid};
    peak("nothing", Valid, |_| vec![]);
    peak("changes of one place", Valid, bombs::one_place);
    peak("fields of one entity", Valid, bombs::fields);
    peak("fields with long names", Valid, bombs::long_names);
    peak("one long name in many maps", Valid, bombs::one_name_in_many_maps);
    peak("maps made and filled in turn", Valid, bombs::maps_in_turn);
    peak("maps in one map", Valid, bombs::maps);
    peak("maps eight deep", Valid, bombs::deep);
    peak("entities", Valid, bombs::entities);
    peak("entities made and deleted", Valid, bombs::deleted);
    peak("fields written twice", Valid, bombs::twice);
    peak("records", Valid, bombs::records);
    peak("records of a crowd, in one batch", Valid, bombs::a_crowd_with_records);
    peak("decisions of a crowd on many resources", Valid, bombs::a_crowd_with_resources);
    peak("long texts", Valid, bombs::texts);
    peak("incarnations apart", Valid, bombs::apart);
    peak("incarnations in a row", Valid, bombs::in_a_row);
    peak("incarnations at one place", Valid, bombs::at_one_place);
    peak("pasts that share nothing", Valid, bombs::pasts);
    peak("a run-length bomb in each payload", Refused, bombs::run_lengths);
    peak("a deflate bomb in each payload", Refused, bombs::deflated);
    peak("nesting in each payload", Refused, bombs::nested);
    peak("noise", Refused, bombs::noise);
}
