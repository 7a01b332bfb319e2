//! Input that is no stream of segments: archives, proofs of forks, and a store's own file.

use p2panda_core::{
    DocumentDescriptor, EntityId, ForkEvidence, ForkProof, Incarnation, LogId, PayloadHash,
    Replica, Run, Seal, Segment, Tip, VerifiedSegment,
    store::{MemoryStore, NoResume, RedbStore, Store as _, Table},
};

use crate::{
    HEAP, Input, MIB, ask_about_records, bombs, check, descriptor, festival,
    forge::{Forge, incarnation},
    is_printed, open, segments, segments_of, stage, user,
};

pub(crate) fn measure() {
    archive("an archive of fields", bombs::fields);
    archive("an archive of a crowd's records", bombs::a_crowd_with_records);
    hostile_archives();
    proofs();
    a_fork_that_cuts_all();
    decisions_in_their_document();
    evidence();
    damaged_files();
}

/// The peak of what `work` holds.
fn peak(name: &str, bytes: usize, work: impl FnOnce()) {
    assert!(bytes <= MIB, "{name} has {bytes} bytes");
    HEAP.reset_peak_usage();
    let before = HEAP.current_usage();
    work();
    let peak = HEAP.peak_usage().saturating_sub(before);
    if is_printed() {
        println!("{name:50} {bytes:>8} bytes: {:>6.1} MiB", peak as f64 / MIB as f64);
    }
    check(name, bytes, peak);
}

fn made(make: impl FnOnce(&mut Forge) -> Input) -> Input {
    make(&mut Forge::new(user().user()))
}

fn archive(name: &str, make: impl FnOnce(&mut Forge) -> Input) {
    let mut input = made(make);
    // Frames and heads take some room.
    let mut size = 0;
    // What others depend on comes last.
    for (_, log) in input.iter_mut().rev() {
        log.retain(|payload| {
            size += payload.len() + 5 + 160;
            size <= MIB - 1_000
        });
    }
    let mut file = Vec::new();
    {
        let store = Box::new(MemoryStore::new());
        let mut holder = Replica::open(store, user(), Box::new(NoResume)).unwrap();
        holder.join(&festival()).unwrap();
        for segment in segments(input) {
            holder.accept(&descriptor(), segment).unwrap();
        }
        holder.flush().unwrap();
        holder.export(festival().id(), &mut file).unwrap();
    }
    let folder = tempfile::tempdir().unwrap();
    peak(name, file.len(), || {
        let mut reader = open(folder.path(), &user());
        let imported = reader.import(&mut &file[..]).unwrap();
        assert!(imported.refused.is_empty() && imported.new > 10, "{imported:?}");
    });
}

/// Frames that promise more than they hold, and as many parts in each as there is room for.
fn hostile_archives() {
    let mut begin = Vec::new();
    let store = Box::new(MemoryStore::new());
    let mut holder = Replica::open(store, user(), Box::new(NoResume)).unwrap();
    holder.join(&festival()).unwrap();
    holder.export(festival().id(), &mut begin).unwrap();
    // All but the last frame: its kind, length and the count.
    begin.truncate(begin.len() - 6);
    let descriptor = descriptor();
    let document = (descriptor.festival, descriptor.user, descriptor.label.as_str());
    let document = p2panda_core::codec::encode(&document);
    let frame = |kind: u8, body: &[u8]| {
        let length = u32::try_from(body.len()).unwrap().to_be_bytes();
        [&[kind][..], &length, body].concat()
    };
    // A list of incarnation, length before, empty entries, and what is no signature.
    let empty_entries = {
        let mut body = vec![0x84, 0x48, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0x99, 0xff, 0xff];
        body.resize(body.len() + 0xffff, 0x40);
        body.push(0x40);
        body
    };
    let long_list = [&[0x84, 0x48, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0x9b][..], &[0xff; 8]].concat();
    let nested = vec![0x81; 60_000];
    let bodies =
        [("empty entries", empty_entries), ("a long list", long_list), ("nested lists", nested)];
    for (name, body) in bodies {
        let mut file = [&begin[..], &frame(2, &document)].concat();
        let segment = frame(3, &body);
        while file.len() + segment.len() <= MIB {
            file.extend_from_slice(&segment);
        }
        let folder = tempfile::tempdir().unwrap();
        peak(&format!("an archive: {name}"), file.len(), || {
            let mut reader = open(folder.path(), &user());
            let error = reader.import(&mut &file[..]).unwrap_err();
            assert!(error.imported.refusals > 0 && error.imported.documents == 1, "{error:?}");
        });
    }
    for kind in [3, 4, 200] {
        let file = [&begin[..], &[kind], &[0xff; 4], &vec![7; MIB / 2]].concat();
        let folder = tempfile::tempdir().unwrap();
        peak(&format!("an archive: a frame of kind {kind} without end"), file.len(), || {
            assert!(open(folder.path(), &user()).import(&mut &file[..]).is_err());
        });
    }
}

fn run(segment: &Segment) -> Run {
    let Seal::Signature(signature) = segment.seal else { panic!("signed by a head") };
    let hashes = segment.payloads.iter().map(|payload| PayloadHash::of(payload)).collect();
    Run { hashes, signature }
}

/// A proof that a log parts after a place, with runs of so many hashes.
fn fork(log: LogId, at: &Tip, hashes: u64) -> ForkProof {
    let branch = |branch: u64| {
        let payloads = (0..hashes).map(|n| (branch << 32 | n).to_be_bytes().to_vec()).collect();
        run(&VerifiedSegment::sign(&user(), log, at, payloads).unwrap().into_segment())
    };
    ForkProof::between(log, at, branch(1), branch(2)).unwrap()
}

/// As many proofs as fit, large and small, of logs that nobody holds.
fn proofs() {
    for hashes in [1, 128] {
        let (mut proofs, mut size) = (Vec::new(), 0);
        for n in 1.. {
            let log = LogId { document: descriptor().id(), incarnation: incarnation(n) };
            let bytes = fork(log, &Tip::start(&log), hashes).to_bytes();
            size += bytes.len();
            if size > MIB {
                size -= bytes.len();
                break;
            }
            proofs.push(bytes);
        }
        let folder = tempfile::tempdir().unwrap();
        peak(&format!("fork proofs of {hashes} hashes"), size, || {
            let mut replica = open(folder.path(), &user());
            replica.join(&festival()).unwrap();
            for bytes in &proofs {
                let proof = ForkProof::from_bytes(bytes).unwrap();
                replica.accept_fork(&descriptor(), proof).unwrap();
            }
            replica.flush().unwrap();
        });
    }
}

/// A megabyte arrives, and then the proof that none of it counts but the first entry.
fn a_fork_that_cuts_all() {
    type Make = fn(&mut Forge) -> Input;
    for (name, make) in
        [("fields", bombs::fields as Make), ("a crowd's records", bombs::a_crowd_with_records)]
    {
        let input = made(make);
        let bytes = input.iter().flat_map(|(_, log)| log).map(Vec::len).sum();
        let (incarnation, log) = input.last().unwrap();
        let log_id = LogId { document: descriptor().id(), incarnation: *incarnation };
        let at = match log.len() {
            1 => Tip::start(&log_id),
            _ => Tip::start(&log_id).after(&log[..1]),
        };
        let proof = fork(log_id, &at, 2);
        let segments = segments(input);
        let folder = tempfile::tempdir().unwrap();
        peak(&format!("{name}, and a fork that cuts them"), bytes, || {
            let mut replica = open(folder.path(), &user());
            replica.join(&festival()).unwrap();
            for segment in segments {
                replica.accept(&descriptor(), segment).unwrap();
            }
            replica.accept_fork(&descriptor(), proof).unwrap();
            assert_eq!(replica.held(&log_id).unwrap().map_or(0, |tip| tip.length), at.length);
            replica.flush().unwrap();
        });
    }
}

/// Where decisions belong, what they had seen of each other counts.
fn decisions_in_their_document() {
    let label = bombs::record_name(stage().to_string().as_bytes()).replace('#', "decisions/");
    let decisions = DocumentDescriptor { label, ..descriptor() };
    let input = made(bombs::a_crowd_that_decides);
    let bytes = input.iter().flat_map(|(_, log)| log).map(Vec::len).sum();
    let count: usize = input.iter().map(|(_, log)| 2 * log.len()).sum();
    let segments = segments_of(&decisions, input);
    let folder = tempfile::tempdir().unwrap();
    peak("decisions of a crowd on one resource", bytes, || {
        let mut replica = open(folder.path(), &user());
        replica.join(&festival()).unwrap();
        for segment in segments {
            replica.accept(&decisions, segment).unwrap();
        }
        // The stage's own document makes its owner known.
        let mut first = Forge::new(user().user());
        for segment in super::segments(bombs::apart_of(&mut first, 1_000)) {
            replica.accept(&descriptor(), segment).unwrap();
        }
        replica.flush().unwrap();
        let (facts, most_seen) = ask_about_records(&replica);
        assert_eq!(facts, count);
        assert!(most_seen > count / 10, "{most_seen} of {count}");
    });
}

fn evidence() {
    let log = LogId { document: descriptor().id(), incarnation: Incarnation::from_bytes([1; 8]) };
    let prefix: Vec<_> = (0..30_000_u32).map(|n| PayloadHash::of(&n.to_be_bytes())).collect();
    let at = Tip::start(&log).after_hashes(&prefix);
    let proof = fork(log, &at, 1);
    let bytes = ForkEvidence { descriptor: descriptor(), prefix, proof }.to_bytes();
    peak("evidence of a fork", bytes.len(), || {
        ForkEvidence::from_bytes(&bytes).unwrap().verify().unwrap();
    });
}

/// A store's file in which bytes were changed, most of them where its layout is said.
fn damaged_files() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    {
        let mut replica = open(folder.path(), &user());
        replica.join(&festival()).unwrap();
        let mut forge = Forge::new(user().user());
        let mut input = bombs::a_crowd_with_records(&mut forge);
        // As much as a file of a megabyte has room for.
        let few = input.split_off(input.len() - 180);
        for segment in segments(few) {
            replica.accept(&descriptor(), segment).unwrap();
        }
        replica.flush().unwrap();
    }
    let whole = std::fs::read(&path).unwrap();
    let used = whole.iter().rposition(|byte| *byte != 0).unwrap();
    let mut worst = (0, 0);
    let mut refused = 0;
    for round in 0..300_usize {
        let mut bytes = whole.clone();
        let at = if round < 200 { round * 320 / 200 } else { round * 7919 % used };
        // Flipped, or as large as it can be.
        bytes[at] = if round % 2 == 0 { bytes[at] ^ 0x80 } else { 0xff };
        std::fs::write(&path, &bytes).unwrap();
        drop(bytes);
        HEAP.reset_peak_usage();
        let before = HEAP.current_usage();
        match RedbStore::open(&path) {
            Ok(store) => {
                store.range(Table::Rows, &[], None, usize::MAX).unwrap();
                let replica = Replica::open(Box::new(store), user(), Box::new(NoResume)).unwrap();
                let id = EntityId::new(descriptor().id(), "stage".parse().unwrap());
                replica.view(festival().id()).facts(&id).unwrap();
            }
            Err(_) => refused += 1,
        }
        let peak = HEAP.peak_usage().saturating_sub(before);
        worst = worst.max((peak, at));
    }
    assert!(refused > 50, "{refused} of 300 refused");
    let (worst, at) = worst;
    if is_printed() {
        println!(
            "{:50} {:>8} bytes: {:>6.1} MiB at most, with byte {at} changed; {refused} of 300 refused",
            "a damaged store",
            whole.len(),
            worst as f64 / MIB as f64
        );
    }
    check("a damaged store", whole.len().min(MIB), worst);
}
