//! Two signed chains of one log: what proves them, and where they cut the log.

use p2panda_core::{
    Chain, ForkEvidence, ForkProof, LogId, PayloadHash, Run, Tip, VerifiedSegment, codec,
};
use serde_json::{Value, json};

use crate::{
    Topic, hex, invalid,
    user::{SECRET, ada, descriptor, log, sign_head, user},
    valid,
};

/// A payload that means nothing: a letter and a number.
fn payload(branch: char, number: usize) -> Vec<u8> {
    format!("{branch}{number}").into_bytes()
}

fn payloads(branch: char, count: usize) -> Vec<Vec<u8>> {
    (0..count).map(|number| payload(branch, number)).collect()
}

/// A signed run of a branch from a tip.
fn run(log: &LogId, from: &Tip, branch: char, count: usize) -> Run {
    let hashes: Vec<_> =
        payloads(branch, count).iter().map(|bytes| PayloadHash::of(bytes)).collect();
    let end = from.after_hashes(&hashes);
    Run { hashes, signature: sign_head(&SECRET, log, &end) }
}

/// A proof that two branches part at a tip.
pub(crate) fn proof(at: Tip, left: usize, right: usize) -> ForkProof {
    let log = log(descriptor().id(), 1);
    let mut runs = [run(&log, &at, 'a', left), run(&log, &at, 'b', right)];
    runs.sort_by_key(|run| run.hashes[0]);
    ForkProof { log, at, runs }
}

fn tip(length: u64) -> Tip {
    let log = log(descriptor().id(), 1);
    if length == 0 { Tip::start(&log) } else { Tip { length, chain: Chain::from_bytes([5; 32]) } }
}

pub(crate) fn topic() -> Topic {
    let mut cases = Vec::new();
    for (name, proof) in [
        ("parting at the start", proof(tip(0), 1, 1)),
        ("parting later", proof(tip(77), 1, 1)),
        ("runs of different lengths", proof(tip(1), 1, 5)),
        ("whole blocks", proof(tip(128), 128, 128)),
        ("the last entry of a block", proof(tip(127), 1, 1)),
        ("up to the multiple of 128", proof(tip(100), 28, 3)),
    ] {
        cases.push(valid(&format!("proof: {name}"), fields(&proof.to_bytes())));
    }
    wrong(&mut cases);
    misshapen(&mut cases);
    evidence(&mut cases);
    cuts(&mut cases);
    let mut topic = Topic::new(
        "equivocation",
        "Fork proofs by `author`, each with the log and length at which it cuts; evidence of forks, which \
         needs nothing else; and logs of which \
         two chains are known. The latter give segments (length before, payloads, signature), cuts \
         (length before, payloads, proof) and proofs; in whatever order they come, each again \
         until nothing changes, the log ends at `length`, where it is cut or not.",
        cases,
    );
    topic.shared.insert("author".into(), hex(user().as_bytes()).into());
    topic.shared.insert("document".into(), hex(descriptor().id().as_bytes()).into());
    topic
}

fn fields(bytes: &[u8]) -> Value {
    json!({"proof": hex(bytes)})
}

fn wrong(cases: &mut Vec<Value>) {
    let good = || proof(tip(100), 2, 3);
    let mut add = |name: &str, reason: &str, edit: &dyn Fn(&mut ForkProof)| {
        let mut proof = good();
        edit(&mut proof);
        cases.push(invalid(&format!("proof: {name}"), reason, fields(&proof.to_bytes())));
    };
    let log = good().log;
    add("runs in the other order", "parting", &|proof| proof.runs.swap(0, 1));
    add("one run twice", "parting", &|proof| proof.runs[1] = proof.runs[0].clone());
    add("a run that begins as the other and goes on", "parting", &|proof| {
        let branch = if proof.runs[0] == run(&log, &proof.at, 'a', 2) { 'a' } else { 'b' };
        proof.runs = [run(&log, &proof.at, branch, 1), run(&log, &proof.at, branch, 2)];
    });
    add("an empty run", "length", &|proof| proof.runs[0].hashes.clear());
    add("two empty runs", "length", &|proof| {
        proof.runs.iter_mut().for_each(|run| run.hashes.clear())
    });
    add("a run across a multiple of 128", "length", &|proof| {
        for run_of in &mut proof.runs {
            let branch = if *run_of == run(&log, &proof.at, 'a', 2) { 'a' } else { 'b' };
            *run_of = run(&log, &proof.at, branch, 29);
        }
    });
    add("behind the longest log", "length", &|proof| proof.at.length = 1 << 32);
    add("another chain before it", "signature", &|proof| {
        proof.at.chain = Chain::from_bytes([6; 32])
    });
    add("another length", "signature", &|proof| proof.at.length -= 1);
    add("another incarnation", "signature", &|proof| {
        proof.log.incarnation = p2panda_core::Incarnation::from_bytes([2; 8]);
    });
    for at in 0..2 {
        add(
            ["the first head is not signed", "the second head is not signed"][at],
            "signature",
            &|proof| {
                let mut bytes = *proof.runs[at].signature.as_bytes();
                bytes[5] ^= 1;
                proof.runs[at].signature = p2panda_core::Signature::from_bytes(bytes);
            },
        );
        add(["a hash of the first run", "a hash of the second run"][at], "signature", &|proof| {
            let last = proof.runs[at].hashes.len() - 1;
            proof.runs[at].hashes[last] = PayloadHash::of(b"other");
        });
    }
    add("heads signed by somebody else", "signature", &|proof| {
        for run in &mut proof.runs {
            run.signature = sign_head(&[8; 32], &proof.log, &run.end(&proof.at));
        }
    });
}

/// Proofs with all that ties them to their author and the start of the log.
fn evidence(cases: &mut Vec<Value>) {
    let of = |length: usize| {
        let prefix: Vec<_> =
            payloads('p', length).iter().map(|bytes| PayloadHash::of(bytes)).collect();
        let at = tip(0).after_hashes(&prefix);
        ForkEvidence { descriptor: descriptor(), prefix, proof: proof(at, 1, 2) }
    };
    let fields = |evidence: &ForkEvidence| json!({"evidence": hex(evidence.to_bytes())});
    for length in [0, 1, 3, 130] {
        let name = format!("evidence: parting after {length} entries");
        cases.push(valid(&name, fields(&of(length))));
    }
    let mut add = |name: &str, reason: &str, edit: &dyn Fn(&mut ForkEvidence)| {
        let mut evidence = of(3);
        edit(&mut evidence);
        cases.push(invalid(&format!("evidence: {name}"), reason, fields(&evidence)));
    };
    add("a hash left out", "chain", &|evidence| {
        evidence.prefix.remove(1);
    });
    add("a hash too many", "chain", &|evidence| evidence.prefix.push(evidence.prefix[0]));
    add("another label", "document", &|evidence| evidence.descriptor.label.push('x'));
    add("another user", "document", &|evidence| {
        evidence.descriptor.user = p2panda_core::UserId::from_bytes([3; 32]);
    });
    add("a proof that proves nothing", "signature", &|evidence| {
        evidence.proof.runs[1].signature = evidence.proof.runs[0].signature;
    });
    let mut bytes = of(1).to_bytes();
    bytes.push(0);
    let fields = json!({"evidence": hex(bytes)});
    cases.push(invalid("evidence: a byte behind it", "encoding", fields));
}

fn misshapen(cases: &mut Vec<Value>) {
    let good = proof(tip(100), 2, 3);
    let bytes = good.to_bytes();
    let ForkProof { log, at, runs: [a, b] } = &good;
    let (document, incarnation) = (log.document, log.incarnation);
    let seven = codec::encode(&(
        document,
        incarnation,
        at.length,
        at.chain,
        &a.hashes,
        a.signature,
        &b.hashes,
    ));
    let mut long_integer = bytes.clone();
    let place = 1 + 34 + 9;
    assert_eq!(long_integer[place..place + 2], [0x18, 100]);
    long_integer.splice(place..place + 2, [0x19, 0, 100]);
    let mut text = bytes.clone();
    text[1] = 0x78;
    for (name, reason, bytes) in [
        ("without the second signature", "shape", seven),
        ("a byte behind it", "encoding", [&bytes[..], &[0]].concat()),
        ("cut off", "shape", bytes[..bytes.len() - 1].to_vec()),
        ("a length that is not shortest", "encoding", long_integer),
        ("text in place of the document", "shape", text),
        ("nothing", "shape", vec![]),
    ] {
        cases.push(invalid(&format!("proof: {name}"), reason, fields(&bytes)));
    }
}

/// What is known of a log.
#[derive(Default)]
struct Known(Vec<Value>);

impl Known {
    fn segment(&mut self, from: &Tip, payloads: Vec<Vec<u8>>) -> Tip {
        let log = log(descriptor().id(), 1);
        let segment = VerifiedSegment::sign(&ada(), log, from, payloads).expect("within bounds");
        let end = *segment.end();
        let hexes: Vec<String> = segment.payloads().iter().map(hex).collect();
        let signature = sign_head(&SECRET, &log, &end);
        self.0.push(json!({"segment": [from.length, hexes, hex(signature.as_bytes())]}));
        end
    }

    fn proof(&mut self, proof: &ForkProof) {
        self.0.push(json!({"proof": hex(proof.to_bytes())}));
    }

    fn cut(&mut self, from: &Tip, payloads: &[Vec<u8>], proof: &ForkProof) {
        let hexes: Vec<String> = payloads.iter().map(hex).collect();
        self.0.push(json!({"cut": [from.length, hexes, hex(proof.to_bytes())]}));
    }

    /// The case: where the log ends, and whether it is cut there.
    fn ends(self, name: &str, length: u64, is_cut: bool) -> Value {
        valid(&format!("cut: {name}"), json!({"known": self.0, "length": length, "cut": is_cut}))
    }
}

fn cuts(cases: &mut Vec<Value>) {
    let start = tip(0);
    let common = || payloads('c', 3);
    let mut known = Known::default();
    known.segment(&start, common());
    cases.push(known.ends("one chain", 3, false));

    let mut known = Known::default();
    let at = known.segment(&start, common());
    known.segment(&at, payloads('a', 2));
    known.segment(&at, payloads('b', 1));
    cases.push(known.ends("two branches", 3, true));

    let mut known = Known::default();
    known.segment(&start, [common(), payloads('a', 1)].concat());
    known.segment(&start, [common(), payloads('b', 2)].concat());
    cases.push(known.ends("two branches that part within segments", 3, true));

    let mut known = Known::default();
    known.segment(&start, payloads('a', 1));
    known.segment(&start, payloads('b', 1));
    cases.push(known.ends("two branches from the start", 0, true));

    let mut known = Known::default();
    known.segment(&start, common());
    known.segment(&start, common()[..2].to_vec());
    cases.push(known.ends("two heads of one chain", 3, false));

    let mut known = Known::default();
    let at = known.segment(&start, common());
    known.proof(&proof(at, 1, 1));
    cases.push(known.ends("a proof and no branch", 3, true));

    let mut known = Known::default();
    let at = known.segment(&start, common());
    known.proof(&proof(at, 1, 1));
    known.segment(&at, payloads('a', 5));
    cases.push(known.ends("a proof and one branch", 3, true));

    let mut known = Known::default();
    known.segment(&start, common());
    known.proof(&proof(Tip { length: 2, ..tip(5) }, 1, 1));
    cases.push(known.ends("a proof of another chain does not act", 3, false));

    let mut known = Known::default();
    known.segment(&start, common());
    known.proof(&proof(tip(9), 1, 1));
    cases.push(known.ends("a proof of a place that the log does not reach", 3, false));

    let mut known = Known::default();
    let at = known.segment(&start, common());
    known.proof(&proof(at, 1, 1));
    known.proof(&proof(start.after(&payloads('c', 1)), 2, 2));
    cases.push(known.ends("of two proofs that act the lower counts", 1, true));

    let mut known = Known::default();
    let at = known.segment(&start, common());
    let middle = known.segment(&at, payloads('a', 2));
    known.segment(&middle, payloads('d', 2));
    known.segment(&middle, payloads('e', 2));
    known.segment(&at, payloads('b', 4));
    cases.push(known.ends("three branches: the lowest parting counts", 3, true));

    let mut known = Known::default();
    let at = start.after(&common());
    known.cut(&start, &common(), &proof(at, 2, 2));
    cases.push(known.ends("a proof in place of the last head's signature", 3, true));

    let mut known = Known::default();
    let at = known.segment(&start, payloads('c', 128));
    known.segment(&at, payloads('a', 1));
    known.segment(&at, payloads('b', 1));
    cases.push(known.ends("a parting at a multiple of 128", 128, true));
}
