//! Inputs that cost a device as much as they can.

use automerge::legacy::OpId;
use p2panda_core::{
    EntityId, Incarnation, LocalId,
    schema::{Answer, Decision, Instant, PolicySpec, Record, Span, Terms, Withdrawal},
};

use crate::{
    Input, MIB,
    forge::{Forge, MAP, NULL, incarnation, op},
    stage,
};

const W: Incarnation = Incarnation::from_bytes([1; 8]);

/// Payloads of one log until a megabyte is full; each call makes one, or none.
fn log(mut next: impl FnMut(u64) -> Option<Vec<u8>>) -> Input {
    let (mut log, mut size) = (Vec::new(), 0);
    for n in 0.. {
        let Some(payload) = next(n) else { break };
        size += payload.len();
        if size > MIB {
            break;
        }
        log.push(payload);
    }
    vec![(W, log)]
}

/// Short names, each once.
fn name(mut n: u64) -> String {
    const LETTERS: &[u8] = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";
    let mut name = String::new();
    loop {
        name.push(char::from(LETTERS[(n % 64) as usize]));
        n /= 64;
        if n == 0 {
            return name;
        }
    }
}

/// The entity `e`, and a field `t` of it whose last value is `last`.
struct Entity {
    map: OpId,
    last: Option<OpId>,
}

impl Entity {
    fn new(forge: &mut Forge, log: &mut Vec<Vec<u8>>) -> Self {
        log.push(forge.change(W, &[], vec![op(None, "e", MAP, vec![])]));
        Self { map: forge.id(1, W), last: None }
    }

    /// A change with these operations, paid for by a text in `t`.
    fn paid(&mut self, forge: &mut Forge, operations: Vec<automerge::legacy::Op>) -> Vec<u8> {
        let pred = self.last.take().into_iter().collect();
        let last = forge.start(W, &[]) + operations.len() as u64;
        let payload = forge.paid(W, operations, (Some(self.map.clone()), "t"), pred);
        self.last = Some(forge.id(last, W));
        payload
    }
}

/// What of a megabyte a slow input takes: all of it where the peaks are printed. The limit goes
/// with it.
fn slow() -> usize {
    if std::env::var_os("P2PANDA_MEMORY").is_some() { MIB } else { MIB / 4 }
}

const MANY: u64 = 4_000;

/// As many maps as a payload takes.
const MAPS: u64 = 1_000;

/// Changes in the entity, each with what `operations` makes from a number and its first counter.
fn in_entity(
    forge: &mut Forge,
    mut operations: impl FnMut(&Forge, u64, &OpId, u64) -> Vec<automerge::legacy::Op>,
) -> Input {
    let mut first = Vec::new();
    let mut entity = Entity::new(forge, &mut first);
    log(|n| {
        Some(first.pop().unwrap_or_else(|| {
            let start = forge.start(W, &[]);
            let operations = operations(forge, n, &entity.map.clone(), start);
            entity.paid(forge, operations)
        }))
    })
}

pub(crate) fn one_place(forge: &mut Forge) -> Input {
    let mut last = None;
    in_entity(forge, |forge, n, map, start| {
        let pred = last.replace(forge.id(start, W)).into_iter().collect();
        let _ = n;
        vec![op(Some(map.clone()), "x", NULL, pred)]
    })
}

pub(crate) fn fields(forge: &mut Forge) -> Input {
    in_entity(forge, |_, n, map, _| {
        (0..MANY)
            .map(|m| op(Some(map.clone()), &format!("f{}", name(n * MANY + m)), NULL, vec![]))
            .collect()
    })
}

pub(crate) fn long_names(forge: &mut Forge) -> Input {
    in_entity(forge, |_, n, map, _| {
        (0..350)
            .map(|m| op(Some(map.clone()), &format!("{:0>128}", name(n * 350 + m)), NULL, vec![]))
            .collect()
    })
}

pub(crate) fn one_name_in_many_maps(forge: &mut Forge) -> Input {
    let long = "n".repeat(128);
    in_entity(forge, |forge, n, map, start| {
        let mut operations = Vec::new();
        for m in 0..300 {
            let made = start + operations.len() as u64;
            operations.push(op(Some(map.clone()), &name(1_000 + n * 300 + m), MAP, vec![]));
            operations.push(op(Some(forge.id(made, W)), &long, NULL, vec![]));
        }
        operations
    })
}

/// The case that took Automerge's own store to 110 MB: each map takes the last one's place.
pub(crate) fn maps_in_turn(forge: &mut Forge) -> Input {
    let mut last: Option<OpId> = None;
    in_entity(forge, |forge, _, map, start| {
        let mut operations = Vec::new();
        for _ in 0..MAPS / 2 {
            let made = forge.id(start + operations.len() as u64, W);
            let pred = last.replace(made.clone()).into_iter().collect();
            operations.push(op(Some(map.clone()), "x", MAP, pred));
            operations.push(op(Some(made), "y", NULL, vec![]));
        }
        operations
    })
}

pub(crate) fn maps(forge: &mut Forge) -> Input {
    in_entity(forge, |_, n, map, _| {
        (0..MAPS)
            .map(|m| op(Some(map.clone()), &format!("f{}", name(n * MAPS + m)), MAP, vec![]))
            .collect()
    })
}

pub(crate) fn deep(forge: &mut Forge) -> Input {
    in_entity(forge, |forge, n, map, start| {
        let mut operations = Vec::new();
        for m in 0..MAPS / 8 {
            let mut at = map.clone();
            for depth in 0..7 {
                let key = if depth == 0 { format!("f{}", name(n * MAPS + m)) } else { "d".into() };
                operations.push(op(Some(at), &key, MAP, vec![]));
                at = forge.id(start + operations.len() as u64 - 1, W);
            }
            operations.push(op(Some(at), "d", NULL, vec![]));
        }
        operations
    })
}

pub(crate) fn entities(forge: &mut Forge) -> Input {
    in_entity(forge, |_, n, _, _| {
        (0..MAPS).map(|m| op(None, &format!("f{}", name(n * MAPS + m)), MAP, vec![])).collect()
    })
}

pub(crate) fn deleted(forge: &mut Forge) -> Input {
    use automerge::legacy::OpType;
    in_entity(forge, |forge, n, _, start| {
        let key = |m| format!("f{}", name(n / 2 * MAPS + m));
        if n % 2 == 1 {
            return (0..MAPS).map(|m| op(None, &key(m), MAP, vec![])).collect();
        }
        // Those of the change before, whose text came last.
        let before = start.saturating_sub(MAPS + 1);
        if n == 0 || before < 2 {
            return vec![];
        }
        let key = |m| format!("f{}", name((n - 1) / 2 * MAPS + m));
        (0..MAPS)
            .map(|m| op(None, &key(m), OpType::Delete, vec![forge.id(before + m, W)]))
            .collect()
    })
}

pub(crate) fn twice(forge: &mut Forge) -> Input {
    let mut before: Option<u64> = None;
    in_entity(forge, |forge, n, map, start| {
        let pair = n / 2;
        let first = before.take();
        if first.is_none() {
            before = Some(start);
        }
        (0..MANY)
            .map(|m| {
                let pred = first.map(|first| forge.id(first + m, W)).into_iter().collect();
                // Numbered by pairs, the first change being the entity's.
                let key = format!(
                    "f{}",
                    name((if first.is_some() { pair - 1 } else { pair }) * MANY + m)
                );
                op(Some(map.clone()), &key, NULL, pred)
            })
            .collect()
    })
}

pub(crate) fn records(forge: &mut Forge) -> Input {
    use automerge::{ScalarValue, legacy::OpType};
    // The others in their shadow: each record's row says what its change had seen.
    let mut input = in_a_row_of(forge, MIB / 3);
    let mut size: usize = input.iter().flat_map(|(_, log)| log).map(Vec::len).sum();
    let head = forge.last(input.last().unwrap().0).unwrap();
    let mut log = Vec::new();
    let mut n = 0_u64;
    loop {
        let operations = (0..600).map(|_| {
            n += 1;
            let content = n.to_be_bytes().to_vec();
            let key = record_name(&content);
            op(None, &key, OpType::Put(ScalarValue::Bytes(content)), vec![])
        });
        let payload = forge.change(W, &[head], operations.collect());
        size += payload.len();
        if size > MIB {
            break;
        }
        log.push(payload);
    }
    input.push((W, log));
    input
}

/// Thousands of incarnations, each of which has seen all before it and puts a few records. The
/// first arrives last: all of it comes to be in one batch.
pub(crate) fn a_crowd_with_records(forge: &mut Forge) -> Input {
    let resource = stage();
    let request = EntityId::new(resource.document, "#x".parse().unwrap());
    a_crowd(forge, |n| {
        let (resource, request) = (resource.clone(), request.clone());
        Record::Withdrawal(Withdrawal { resource, request, reason: n.to_string() })
    })
}

/// The same with decisions on one resource.
pub(crate) fn a_crowd_that_decides(forge: &mut Forge) -> Input {
    a_crowd(forge, |n| decision(stage(), n))
}

/// The same with decisions, each on a resource of its own.
pub(crate) fn a_crowd_with_resources(forge: &mut Forge) -> Input {
    a_crowd(forge, |n| {
        let local = format!("r{n}").parse().unwrap();
        decision(EntityId::new(stage().document, local), n)
    })
}

fn decision(resource: EntityId, n: u64) -> Record {
    let span = Span { starts: Instant::from_millis(0), ends: Instant::from_millis(1) };
    let (event, request) = (resource.clone(), resource.clone());
    Record::Decision(Decision {
        request,
        terms: Terms { event, resource, span, units: 1 },
        policy: PolicySpec::new("manual").hash(),
        answer: Answer::Deny,
        reason: n.to_string(),
    })
}

fn a_crowd(forge: &mut Forge, record: impl Fn(u64) -> Record) -> Input {
    use automerge::{ScalarValue, legacy::OpType};
    let (mut last, mut n) = (None, 0_u64);
    let mut input = incarnations(forge, MIB, |forge, writer| {
        let operations = (0..2).map(|_| {
            n += 1;
            let content = record(n).to_bytes();
            let key = LocalId::of_record(&content);
            op(None, key.as_str(), OpType::Put(ScalarValue::Bytes(content)), vec![])
        });
        let operations = operations.collect();
        let others: Vec<_> = last.into_iter().collect();
        let payload = forge.change(writer, &others, operations);
        last = forge.last(writer);
        payload
    });
    input.reverse();
    input
}

pub(crate) fn record_name(content: &[u8]) -> String {
    let hash = blake3::derive_key("p2panda 1 record", content);
    format!("#{}", data_encoding::BASE32_NOPAD.encode(&hash).to_lowercase())
}

pub(crate) fn texts(forge: &mut Forge) -> Input {
    use automerge::{ScalarValue, legacy::OpType};
    in_entity(forge, |_, n, map, _| {
        let text = OpType::Put(ScalarValue::Str("x".repeat(50_000).into()));
        vec![op(Some(map.clone()), &format!("f{n}"), text, vec![])]
    })
}

/// As many incarnations as fit, each seeing what `others` says.
fn incarnations(
    forge: &mut Forge,
    bytes: usize,
    mut change: impl FnMut(&mut Forge, Incarnation) -> Vec<u8>,
) -> Input {
    let (mut input, mut size) = (Vec::new(), 0);
    for n in 1.. {
        let writer = incarnation(n);
        let payload = change(forge, writer);
        size += payload.len();
        if size > bytes {
            break;
        }
        input.push((writer, vec![payload]));
    }
    input
}

pub(crate) fn apart(forge: &mut Forge) -> Input {
    apart_of(forge, MIB)
}

pub(crate) fn apart_of(forge: &mut Forge, bytes: usize) -> Input {
    let mut n = 0;
    incarnations(forge, bytes, |forge, writer| {
        n += 1;
        forge.change(writer, &[], vec![op(None, &format!("f{}", name(n)), MAP, vec![])])
    })
}

fn in_a_row_of(forge: &mut Forge, bytes: usize) -> Input {
    let mut last = None;
    let mut n = 0;
    incarnations(forge, bytes, |forge, writer| {
        n += 1;
        let others: Vec<_> = last.into_iter().collect();
        let payload =
            forge.change(writer, &others, vec![op(None, &format!("f{}", name(n)), MAP, vec![])]);
        last = forge.last(writer);
        payload
    })
}

pub(crate) fn in_a_row(forge: &mut Forge) -> Input {
    in_a_row_of(forge, MIB)
}

pub(crate) fn at_one_place(forge: &mut Forge) -> Input {
    incarnations(forge, slow(), |forge, writer| {
        forge.change(writer, &[], vec![op(None, "e", MAP, vec![])])
    })
}

/// Clocks share what they have in common, so here are as many as possible that have nothing in
/// common: of each of many writers, every past has seen another change.
pub(crate) fn pasts(forge: &mut Forge) -> Input {
    const WRITERS: u64 = 1_024;
    const LEVELS: u64 = 5;
    let mut input: Input = Vec::new();
    let mut hashes = vec![vec![]; LEVELS as usize];
    for n in 0..WRITERS {
        let writer = incarnation(n + 1);
        let mut log = Vec::new();
        for level in 0..LEVELS {
            log.push(forge.change(
                writer,
                &[],
                vec![op(None, &format!("f{}-{level}", name(n)), MAP, vec![])],
            ));
            hashes[level as usize].push(forge.last(writer).unwrap());
        }
        input.push((writer, log));
    }
    // Of each 16 writers who share a leaf, one at each level: all leaves differ.
    let mut size: usize = input.iter().flat_map(|(_, log)| log).map(Vec::len).sum();
    let mut seen: Vec<_> = Vec::new();
    for (level, hashes) in hashes.iter().enumerate() {
        let collector = incarnation(WRITERS + 1 + level as u64);
        let mut log = Vec::new();
        let every: Vec<_> = hashes.iter().skip(level).step_by(16).copied().collect();
        for (n, chunk) in every.chunks(31).enumerate() {
            let key = format!("c{level}-{n}");
            log.push(forge.change(collector, chunk, vec![op(None, &key, MAP, vec![])]));
        }
        size += log.iter().map(Vec::len).sum::<usize>();
        seen.push(forge.last(collector).unwrap());
        input.push((collector, log));
    }
    // Every pair of those, again and again.
    for n in WRITERS + 100.. {
        let writer = incarnation(n);
        let pair = [seen[n as usize % seen.len()], seen[(n as usize / seen.len()) % seen.len()]];
        if pair[0] == pair[1] {
            continue;
        }
        let payload = forge.change(writer, &pair, vec![]);
        size += payload.len();
        if size > MIB {
            return input;
        }
        input.push((writer, vec![payload]));
    }
    input
}

/// Payloads that nobody would parse, each in a log of its own: a log ends at the first.
fn hostile(payload: impl Fn(u64) -> Vec<u8>) -> Input {
    let (mut input, mut size) = (Vec::new(), 0);
    for n in 1.. {
        let payload = payload(n);
        size += payload.len();
        if size > MIB {
            return input;
        }
        input.push((incarnation(n), vec![payload]));
    }
    input
}

fn chunk(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut chunk = vec![0x85, 0x6f, 0x4a, 0x83, 0, 0, 0, 0, kind];
    let mut length = body.len();
    while length >= 0x80 {
        chunk.push((length & 0x7f) as u8 | 0x80);
        length >>= 7;
    }
    chunk.push(length as u8);
    chunk.extend_from_slice(body);
    chunk
}

fn frame(n: u64) -> Vec<u8> {
    let mut body = vec![0, 40]; // no dependencies
    body.extend_from_slice(p2panda_core::Identity::from_secret(&[7; 32]).user().as_bytes());
    body.extend_from_slice(incarnation(n).as_bytes());
    body.extend_from_slice(&[1, 1, 0, 0, 0]); // sequence, start, time, message, other actors
    body
}

pub(crate) fn run_lengths(_: &mut Forge) -> Input {
    hostile(|n| {
        let mut body = frame(n);
        let run = |value: &[u8]| [&[0x80, 0x80, 0xc0, 0x00], value].concat(); // 2^20 times
        let columns = [(21_u8, run(b"\x01k")), (66, run(&[1])), (86, run(&[0]))];
        body.push(3);
        for (spec, data) in &columns {
            body.extend_from_slice(&[*spec, data.len() as u8]);
        }
        columns.iter().for_each(|(_, data)| body.extend_from_slice(data));
        chunk(1, &body)
    })
}

pub(crate) fn deflated(_: &mut Forge) -> Input {
    // Stored blocks that decompress to themselves are enough: nothing of type 2 is decompressed.
    hostile(|n| chunk(2, &[&frame(n)[..], &[0x78; 60_000]].concat()))
}

pub(crate) fn nested(forge: &mut Forge) -> Input {
    let forge = std::cell::RefCell::new(forge);
    hostile(|n| {
        let mut forge = forge.borrow_mut();
        let writer = incarnation(n);
        let mut operations = vec![op(None, "e", MAP, vec![])];
        for depth in 1..1_000 {
            operations.push(op(Some(forge.id(depth, writer)), "d", MAP, vec![]));
        }
        forge.paid(writer, operations, (None, "x"), vec![])
    })
}

pub(crate) fn noise(_: &mut Forge) -> Input {
    hostile(|n| (0..60_000_u64).map(|at| (at.wrapping_mul(n | 1) >> 3) as u8).collect())
}
