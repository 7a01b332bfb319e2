//! Archives, whole and damaged.

use p2panda_core::{Seal, VerifiedSegment, codec};
use serde_json::{Value, json};

use crate::{
    Topic,
    equivocation::proof,
    hex, invalid,
    payloads::writing::{Past, id, one, put, two},
    user::{ada, descriptor, festival, log},
    valid,
};

const MAGIC: &[u8] = b"p2panda archive 1\n";

/// A frame: its kind, its length and its body.
fn frame(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len()).unwrap_or(u32::MAX);
    [&[kind], &length.to_be_bytes()[..], body].concat()
}

fn file(frames: &[Vec<u8>]) -> Vec<u8> {
    let count = u64::try_from(frames.len()).unwrap_or(u64::MAX);
    [MAGIC, &frames.concat(), &frame(0, &codec::encode(&count))].concat()
}

fn festival_frame() -> Vec<u8> {
    frame(1, &festival().to_bytes())
}

fn document_frame(label: &str) -> Vec<u8> {
    let of = descriptor();
    frame(2, &codec::encode(&(of.festival, of.user, label)))
}

/// The segments of the logs of a past in the document with this label.
fn segment_frames(label: &str, past: &Past) -> Vec<Vec<u8>> {
    let mut of = descriptor();
    label.clone_into(&mut of.label);
    let mut incarnations: Vec<u8> = past.0.iter().map(|(incarnation, _)| *incarnation).collect();
    incarnations.sort_unstable();
    incarnations.dedup();
    let frames = incarnations.into_iter().map(|incarnation| {
        let entries = past.0.iter().filter(|(other, _)| *other == incarnation);
        let payloads: Vec<Vec<u8>> = entries.map(|(_, payload)| payload.clone()).collect();
        let log = log(of.id(), incarnation);
        let start = p2panda_core::Tip::start(&log);
        let segment = VerifiedSegment::sign(&ada(), log, &start, payloads).expect("within bounds");
        frame(3, &segment_body(&segment.into_segment()))
    });
    frames.collect()
}

fn segment_body(segment: &p2panda_core::Segment) -> Vec<u8> {
    let mut body = vec![0x84];
    body.extend(codec::encode(&(segment.log.incarnation, segment.from))[1..].iter());
    body.push(0x80 | u8::try_from(segment.payloads.len()).unwrap_or(0x17).min(0x17));
    for payload in &segment.payloads {
        body.extend(bytes(payload));
    }
    let Seal::Signature(signature) = &segment.seal else { return body };
    body.extend(bytes(signature.as_bytes()));
    body
}

/// The frame of a cut: the entries before it that no signed head ends with, and the proof.
fn cut_frame(from: u64, payloads: &[Vec<u8>], proof: &p2panda_core::ForkProof) -> Vec<u8> {
    let mut body = vec![0x83];
    body.extend(codec::encode(&from));
    body.push(0x80 | u8::try_from(payloads.len()).unwrap_or(0x17).min(0x17));
    for payload in payloads {
        body.extend(bytes(payload));
    }
    body.extend(proof.to_bytes());
    frame(4, &body)
}

/// Where the first log of the small festival stands after its entry.
fn tip_of_one() -> p2panda_core::Tip {
    let start = p2panda_core::Tip::start(&log(descriptor().id(), 1));
    start.after(&[&one().0[0].1])
}

/// A byte string in CBOR.
fn bytes(content: &[u8]) -> Vec<u8> {
    let [high, low] = u16::try_from(content.len()).unwrap_or(u16::MAX).to_be_bytes();
    let head = match content.len() {
        0..24 => vec![0x40 | low],
        24..256 => vec![0x58, low],
        _ => vec![0x59, high, low],
    };
    [&head[..], content].concat()
}

/// The frames of a small festival.
fn frames() -> Vec<Vec<u8>> {
    let mut frames = vec![festival_frame(), document_frame("")];
    frames.extend(segment_frames("", &two()));
    frames
}

/// What an archive amounts to: documents, entries, refused frames.
fn amounts(bytes: &[u8], documents: u64, entries: u64, refused: u64) -> Value {
    json!({"bytes": hex(bytes), "documents": documents, "entries": entries, "refused": refused})
}

pub(crate) fn topic() -> Topic {
    let mut cases = whole();
    cases.extend(cut());
    cases.extend(refused());
    cases.extend(ended());
    Topic::new(
        "archives",
        "Archives. A valid one is read to its end and nothing in it is refused. Of the others \
         `ends` says why reading ends early; where it does not, `refused` frames are left out. \
         `documents` and `entries` are what is read all the same.",
        cases,
    )
}

fn whole() -> Vec<Value> {
    let good = frames();
    let labelled = {
        let mut frames = good.clone();
        frames.push(document_frame("more"));
        frames.extend(segment_frames("more", &one()));
        frames
    };
    let skipping = {
        let mut frames = good.clone();
        frames.insert(2, frame(128, b"of a later version"));
        frames.push(frame(255, &[]));
        frames
    };
    let longer = {
        let past = one().and(1, &[], vec![put(id(1, 1), "n", 1_i64, &[])]);
        let mut frames = vec![festival_frame(), document_frame("")];
        frames.extend(segment_frames("", &past));
        frames
    };
    vec![
        valid("a festival of which nothing is held", amounts(&file(&[festival_frame()]), 0, 0, 0)),
        valid("two logs of one document", amounts(&file(&good), 1, 2, 0)),
        valid("two entries in one segment", amounts(&file(&longer), 1, 2, 0)),
        valid("two documents", amounts(&file(&labelled), 2, 3, 0)),
        valid("frames of kinds that only add", amounts(&file(&skipping), 1, 2, 0)),
        valid("a document of which nothing is held", {
            amounts(&file(&[festival_frame(), document_frame("")]), 1, 0, 0)
        }),
    ]
}

fn cut() -> Vec<Value> {
    let good = frames();
    let first = vec![one().0[0].1.clone()];
    let start = p2panda_core::Tip::start(&log(descriptor().id(), 1));
    let with = |frames: &[Vec<u8>]| {
        let head = [festival_frame(), document_frame("")];
        file(&[&head[..], frames].concat())
    };
    let at_start = cut_frame(0, &[], &proof(start, 1, 1));
    let behind_a_head = cut_frame(1, &[], &proof(tip_of_one(), 1, 2));
    let with_entries = cut_frame(0, &first, &proof(tip_of_one(), 1, 2));
    let mut elsewhere = proof(start, 1, 1);
    elsewhere.log.document = p2panda_core::DocumentId::from_bytes([1; 32]);
    let mut forged = proof(start, 1, 1);
    forged.runs[0].signature = p2panda_core::Signature::from_bytes([1; 64]);
    let elsewhere = cut_frame(0, &[], &elsewhere);
    let forged = cut_frame(0, &[], &forged);
    let too_late = cut_frame(0, &first, &proof(start, 1, 1));
    vec![
        valid("a log that is cut at its start", amounts(&with(&[at_start]), 1, 0, 0)),
        valid("a log that is cut behind a signed head", {
            amounts(&with(&[good[2].clone(), behind_a_head]), 1, 1, 0)
        }),
        valid("a log that is cut between signed heads", amounts(&with(&[with_entries]), 1, 1, 0)),
        invalid(
            "a cut of another document's log",
            "encoding",
            amounts(&with(&[elsewhere]), 1, 0, 1),
        ),
        invalid("a cut whose proof is forged", "proof", amounts(&with(&[forged]), 1, 0, 1)),
        invalid(
            "a cut whose entries do not lead to it",
            "proof",
            amounts(&with(&[too_late]), 1, 0, 1),
        ),
    ]
}

fn refused() -> Vec<Value> {
    let good = frames();
    let with = |at: usize, frame: Vec<u8>| {
        let mut frames = good.clone();
        frames[at] = frame;
        file(&frames)
    };
    let flipped = |at: usize, byte: usize| {
        let mut frame = good[at].clone();
        let byte = if byte == 0 { frame.len() - 1 } else { byte };
        frame[byte] ^= 1;
        with(at, frame)
    };
    let without = |at: usize| {
        let mut frames = good.clone();
        frames.remove(at);
        file(&frames)
    };
    let other =
        codec::encode(&(p2panda_core::FestivalId::from_bytes([1; 32]), descriptor().user, ""));
    let gap = {
        let log = log(descriptor().id(), 1);
        let tip = p2panda_core::Tip { length: 1, chain: p2panda_core::Chain::from_bytes([1; 32]) };
        let payload = one().0[0].1.clone();
        let segment = VerifiedSegment::sign(&ada(), log, &tip, vec![payload]);
        segment.expect("within bounds").into_segment()
    };
    let empty_segment = {
        let mut segment = gap.clone();
        segment.payloads.clear();
        segment
    };
    let second = p2panda_core::Festival::from_bytes(&festival().to_bytes()).expect("valid");
    let reason = |name: &str, reason: &str, bytes: &[u8], (documents, entries, refused)| {
        invalid(name, reason, amounts(bytes, documents, entries, refused))
    };
    vec![
        reason("a bit of a signature", "signature", &flipped(2, 0), (1, 1, 1)),
        reason("a bit of a payload", "signature", &flipped(2, 80), (1, 1, 1)),
        reason("a bit of the document's user", "document", &flipped(1, 60), (1, 0, 2)),
        reason("no document", "no document", &without(1), (0, 0, 2)),
        reason("a document of another festival", "document", &with(1, frame(2, &other)), (0, 0, 3)),
        reason("a document that is no array", "encoding", &with(1, frame(2, b"\xa0")), (0, 0, 3)),
        reason(
            "a label of 65 bytes",
            "label",
            &with(1, document_frame(&"x".repeat(65))),
            (0, 0, 3),
        ),
        reason("a segment that is no array", "encoding", &with(2, frame(3, b"\x00")), (1, 1, 1)),
        reason(
            "a segment with a byte behind it",
            "encoding",
            &{
                let mut body = good[2][5..].to_vec();
                body.push(0);
                with(2, frame(3, &body))
            },
            (1, 1, 1),
        ),
        reason("a segment behind a gap", "gap", &with(2, frame(3, &segment_body(&gap))), (1, 1, 1)),
        reason(
            "a segment without entries",
            "empty",
            &with(2, frame(3, &segment_body(&empty_segment))),
            (1, 1, 1),
        ),
        reason("a second festival", "festival", &with(3, frame(1, &second.to_bytes())), (1, 1, 1)),
    ]
}

fn ended() -> Vec<Value> {
    let good = frames();
    let whole = file(&good);
    let ends = |name: &str, ends: &str, bytes: &[u8], documents: u64, entries: u64| {
        let mut fields = amounts(bytes, documents, entries, 0);
        fields["ends"] = ends.into();
        invalid(name, ends, fields)
    };
    let start = MAGIC.len() + good[0].len();
    let last = whole.len() - 6;
    let cut = |end: usize| &whole[..end];
    let mut newer = whole.clone();
    newer[16] = b'2';
    let unknown = [cut(last), &frame(77, &[]), &frame(0, &[0x05])].concat();
    let long = [cut(last), &[3, 0, 1, 8, 1]].concat();
    let huge = [cut(last), &[2, 0xff, 0xff, 0xff, 0xff]].concat();
    let skipped = [cut(last), &[200, 0xff, 0xff, 0xff, 0xff], &[0; 9]].concat();
    let mut forged = festival().to_bytes();
    let at = forged.len() - 1;
    forged[at] ^= 1;
    vec![
        ends("nothing", "not an archive", &[], 0, 0),
        ends("another kind of file", "not an archive", b"{\"schedule\": {}}    ", 0, 0),
        ends("a magic line cut off", "not an archive", cut(10), 0, 0),
        ends("a later format", "newer format", &newer, 0, 0),
        ends("cut off behind the magic line", "truncated", MAGIC, 0, 0),
        ends("cut off within the festival", "truncated", cut(40), 0, 0),
        ends("cut off behind the festival", "truncated", cut(start), 0, 0),
        ends("cut off within a frame's head", "truncated", cut(start + 3), 0, 0),
        ends("cut off before the last frame", "truncated", cut(last), 1, 2),
        ends("cut off within the last frame", "truncated", cut(whole.len() - 1), 1, 2),
        ends("a critical frame of a later version", "newer frame", &unknown, 1, 2),
        ends("a segment's frame beyond 66 KiB", "damaged", &long, 1, 2),
        ends("a document's frame of 4 GiB", "damaged", &huge, 1, 2),
        ends("a frame to be skipped that does not end", "truncated", &skipped, 1, 2),
        ends("a byte behind the last frame", "damaged", &[&whole[..], &[0]].concat(), 1, 2),
        ends(
            "a wrong number of frames",
            "damaged",
            &[cut(last), &frame(0, &[0x03])].concat(),
            1,
            2,
        ),
        ends(
            "the last frame with more in it",
            "damaged",
            &[cut(last), &frame(0, &[0x04, 0x00])].concat(),
            1,
            2,
        ),
        ends("no festival", "damaged", &file(&good[1..]), 0, 0),
        ends("a festival in another name", "festival", &file(&[frame(1, &forged)]), 0, 0),
        ends("frames without a last one", "damaged", &file(&[]), 0, 0),
    ]
}
