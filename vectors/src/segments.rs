//! Segments: what a log takes in.

use p2panda_core::{LogId, Tip, UserId};
use serde_json::{Value, json};

use crate::{
    Topic, hex, invalid,
    user::{SECRET, descriptor, log, sign_head, user},
    valid,
};

/// A payload: a byte, so many times.
type Repeated = (u8, usize);

struct Segment {
    author: UserId,
    log: LogId,
    held: Tip,
    from: u64,
    payloads: Vec<Repeated>,
    signature: [u8; 64],
}

impl Segment {
    /// Rightly signed, continuing a log of which `held` entries are there.
    fn new(held: u64, payloads: &[Repeated]) -> Self {
        Self::by(&SECRET, held, payloads)
    }

    fn by(signer: &[u8; 32], held: u64, payloads: &[Repeated]) -> Self {
        let log = log(descriptor().id(), 1);
        let chain = p2panda_core::Chain::from_bytes([5; 32]);
        let held = if held == 0 { Tip::start(&log) } else { Tip { length: held, chain } };
        let whole: Vec<Vec<u8>> = payloads.iter().map(|(byte, size)| vec![*byte; *size]).collect();
        let signature = *sign_head(signer, &log, &held.after(&whole)).as_bytes();
        Self {
            author: user(),
            log,
            held,
            from: held.length,
            payloads: payloads.to_vec(),
            signature,
        }
    }

    fn fields(&self) -> Value {
        let payloads = self.payloads.iter().map(|(byte, size)| match size {
            0..=32 => json!(hex(vec![*byte; *size])),
            size => json!({"byte": byte, "times": size}),
        });
        json!({
            "author": hex(self.author.as_bytes()),
            "document": hex(self.log.document.as_bytes()),
            "incarnation": hex(self.log.incarnation.as_bytes()),
            "held": {"length": self.held.length, "chain": hex(self.held.chain.as_bytes())},
            "from": self.from,
            "payloads": payloads.collect::<Vec<_>>(),
            "signature": hex(self.signature),
        })
    }
}

pub(crate) fn topic() -> Topic {
    let kib = 1024;
    let ones = |count: usize| vec![(1, 1); count];
    let mut cases = Vec::new();
    for (name, held, payloads) in [
        ("one entry, the first", 0, ones(1)),
        ("several entries", 0, vec![(1, 3), (2, 100), (3, 32)]),
        ("going on", 17, ones(3)),
        ("128 entries, a whole block", 0, ones(128)),
        ("up to the next multiple of 128", 100, ones(28)),
        ("a whole block from a multiple of 128", 128, ones(128)),
        ("one entry before a multiple", 127, ones(1)),
        ("a payload of 60 KiB", 0, vec![(1, 60 * kib)]),
        ("64 KiB in all", 0, vec![(1, 32 * kib), (2, 32 * kib)]),
        ("up to the longest log", (1 << 32) - 1, ones(1)),
    ] {
        cases.push(valid(name, Segment::new(held, &payloads).fields()));
    }
    for (name, reason, held, payloads) in [
        ("no entries", "empty", 0, vec![]),
        ("no entries in a log that goes on", "empty", 5, vec![]),
        ("an empty payload", "payload size", 0, vec![(1, 1), (1, 0)]),
        ("a payload of 60 KiB and a byte", "payload size", 0, vec![(1, 60 * kib + 1)]),
        ("64 KiB and a byte in all", "too large", 0, vec![(1, 32 * kib), (2, 32 * kib), (3, 1)]),
        ("three payloads of 30 KiB", "too large", 0, vec![(1, 30 * kib); 3]),
        ("129 entries", "misaligned", 0, ones(129)),
        ("across a multiple of 128", "misaligned", 127, ones(2)),
        ("a block that begins in another", "misaligned", 100, ones(29)),
        ("beyond the longest log", "misaligned", 1 << 32, ones(1)),
    ] {
        cases.push(invalid(name, reason, Segment::new(held, &payloads).fields()));
    }
    for (name, from) in [("a gap", 18), ("entries held already", 16), ("from the start again", 0)] {
        let segment = Segment { from, ..Segment::new(17, &ones(1)) };
        cases.push(invalid(name, "not contiguous", segment.fields()));
    }
    let good = || Segment::new(17, &[(1, 3), (2, 3)]);
    let mut changed =
        vec![("signed by another user", { Segment::by(&[8; 32], 17, &[(1, 3), (2, 3)]) })];
    let mut segment = good();
    segment.payloads[0] = (9, 3);
    changed.push(("another payload", segment));
    let mut segment = good();
    segment.payloads.pop();
    changed.push(("the last entry left out", segment));
    let mut segment = good();
    segment.payloads.swap(0, 1);
    changed.push(("entries swapped", segment));
    let mut segment = good();
    segment.held.chain = p2panda_core::Chain::from_bytes([6; 32]);
    changed.push(("another chain before it", segment));
    let mut segment = good();
    segment.log.incarnation = p2panda_core::Incarnation::from_bytes([2; 8]);
    changed.push(("another incarnation", segment));
    let mut segment = good();
    (segment.held.length, segment.from) = (16, 16);
    changed.push(("another length", segment));
    let mut segment = good();
    segment.signature[63] ^= 0x80;
    changed.push(("a response that is too large", segment));
    for (name, segment) in changed {
        cases.push(invalid(name, "signature", segment.fields()));
    }
    Topic::new(
        "segments",
        "Segments offered to a log of which `held` is there. A payload is its bytes, or one byte so many times.",
        cases,
    )
}
