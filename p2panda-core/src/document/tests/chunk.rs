//! A change chunk taken apart and put together again, with any of its parts changed.

use rand_chacha::{ChaCha20Rng, rand_core::Rng as _};

use super::*;

pub(super) struct Chunk {
    pub(super) dependencies: Vec<Vec<u8>>,
    pub(super) actor: Vec<u8>,
    pub(super) sequence: u64,
    pub(super) start: u64,
    pub(super) time: i64,
    pub(super) message: Vec<u8>,
    pub(super) others: Vec<Vec<u8>>,
    pub(super) columns: Vec<(u64, Column)>,
    pub(super) rest: Vec<u8>,
}

/// A column by its runs, as far as it has any.
#[derive(Clone)]
pub(super) enum Column {
    Runs(Vec<Run>),
    Counts(Vec<u64>),
    Raw(Vec<u8>),
}

#[derive(Clone)]
pub(super) enum Run {
    Repeat(i64, Item),
    Literal(Vec<Item>),
    Null(u64),
}

#[derive(Clone)]
pub(super) enum Item {
    Unsigned(u64),
    Signed(i64),
    Text(Vec<u8>),
}

/// All columns that Automerge's changes can have.
const SPECS: [u64; 16] =
    [1, 2, 17, 19, 21, 52, 66, 86, 87, 112, 113, 115, 148, 165, 21 | 8, 66 | 8];

struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn take(&mut self, length: u64) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(usize::try_from(length).unwrap());
        self.0 = rest;
        taken
    }

    fn unsigned(&mut self) -> u64 {
        let (mut value, mut shift) = (0, 0);
        loop {
            let byte = self.take(1)[0];
            value |= u64::from(byte & 0x7f) << shift;
            shift += 7;
            if byte & 0x80 == 0 {
                return value;
            }
        }
    }

    fn signed(&mut self) -> i64 {
        let (mut value, mut shift) = (0_i64, 0);
        loop {
            let byte = self.take(1)[0];
            value |= i64::from(byte & 0x7f) << shift;
            shift += 7;
            if byte & 0x80 == 0 {
                return if shift < 64 && byte & 0x40 != 0 { value | -1 << shift } else { value };
            }
        }
    }

    fn item(&mut self, spec: u64) -> Item {
        match spec % 8 {
            3 => Item::Signed(self.signed()),
            5 => {
                let length = self.unsigned();
                Item::Text(self.take(length).to_vec())
            }
            _ => Item::Unsigned(self.unsigned()),
        }
    }
}

fn unsigned(mut value: u64, to: &mut Vec<u8>) {
    while value >= 0x80 {
        to.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    to.push((value & 0x7f) as u8);
}

fn signed(mut value: i64, to: &mut Vec<u8>) {
    loop {
        let byte = (value & 0x7f) as u8;
        value >>= 7;
        if (value == 0 && byte & 0x40 == 0) || (value == -1 && byte & 0x40 != 0) {
            return to.push(byte);
        }
        to.push(byte | 0x80);
    }
}

fn sized(bytes: &[u8], to: &mut Vec<u8>) {
    unsigned(bytes.len() as u64, to);
    to.extend_from_slice(bytes);
}

impl Item {
    fn encode(&self, to: &mut Vec<u8>) {
        match self {
            Self::Unsigned(value) => unsigned(*value, to),
            Self::Signed(value) => signed(*value, to),
            Self::Text(text) => sized(text, to),
        }
    }
}

impl Column {
    fn parse(spec: u64, data: &[u8]) -> Self {
        let mut data = Bytes(data);
        match spec % 8 {
            4 => {
                let mut counts = Vec::new();
                while !data.0.is_empty() {
                    counts.push(data.unsigned());
                }
                Self::Counts(counts)
            }
            7 => Self::Raw(data.0.to_vec()),
            _ => {
                let mut runs = Vec::new();
                while !data.0.is_empty() {
                    runs.push(match data.signed() {
                        0 => Run::Null(data.unsigned()),
                        count @ 1.. => Run::Repeat(count, data.item(spec)),
                        count => Run::Literal((count..0).map(|_| data.item(spec)).collect()),
                    });
                }
                Self::Runs(runs)
            }
        }
    }

    fn encode(&self) -> Vec<u8> {
        let mut data = Vec::new();
        match self {
            Self::Counts(counts) => counts.iter().for_each(|count| unsigned(*count, &mut data)),
            Self::Raw(bytes) => data.extend_from_slice(bytes),
            Self::Runs(runs) => {
                for run in runs {
                    match run {
                        Run::Null(count) => {
                            signed(0, &mut data);
                            unsigned(*count, &mut data);
                        }
                        Run::Repeat(count, item) => {
                            signed(*count, &mut data);
                            item.encode(&mut data);
                        }
                        Run::Literal(items) => {
                            signed(-(items.len() as i64), &mut data);
                            items.iter().for_each(|item| item.encode(&mut data));
                        }
                    }
                }
            }
        }
        data
    }
}

impl Chunk {
    pub(super) fn parse(payload: &[u8]) -> Self {
        let mut bytes = Bytes(&payload[9..]);
        bytes.unsigned(); // length
        let dependencies = (0..bytes.unsigned()).map(|_| bytes.take(32).to_vec()).collect();
        let text = |bytes: &mut Bytes<'_>| {
            let length = bytes.unsigned();
            bytes.take(length).to_vec()
        };
        let actor = text(&mut bytes);
        let (sequence, start, time) = (bytes.unsigned(), bytes.unsigned(), bytes.signed());
        let message = text(&mut bytes);
        let others = (0..bytes.unsigned()).map(|_| text(&mut bytes)).collect();
        let specs: Vec<(u64, u64)> =
            (0..bytes.unsigned()).map(|_| (bytes.unsigned(), bytes.unsigned())).collect();
        let column = |(spec, length)| (spec, Column::parse(spec, bytes.take(length)));
        let columns = specs.into_iter().map(column).collect();
        let rest = bytes.0.to_vec();
        Self { dependencies, actor, sequence, start, time, message, others, columns, rest }
    }

    /// The chunk, with its length and checksum right.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut body = Vec::new();
        unsigned(self.dependencies.len() as u64, &mut body);
        self.dependencies.iter().for_each(|hash| body.extend_from_slice(hash));
        sized(&self.actor, &mut body);
        unsigned(self.sequence, &mut body);
        unsigned(self.start, &mut body);
        signed(self.time, &mut body);
        sized(&self.message, &mut body);
        unsigned(self.others.len() as u64, &mut body);
        self.others.iter().for_each(|actor| sized(actor, &mut body));
        unsigned(self.columns.len() as u64, &mut body);
        let columns: Vec<_> =
            self.columns.iter().map(|(spec, column)| (*spec, column.encode())).collect();
        for (spec, data) in &columns {
            unsigned(*spec, &mut body);
            unsigned(data.len() as u64, &mut body);
        }
        columns.iter().for_each(|(_, data)| body.extend_from_slice(data));
        body.extend_from_slice(&self.rest);
        let mut chunk = vec![0x85, 0x6f, 0x4a, 0x83, 0, 0, 0, 0, 1];
        unsigned(body.len() as u64, &mut chunk);
        chunk.append(&mut body);
        repair_checksum(&mut chunk);
        chunk
    }

    /// Changes one part of it; `hashes` are changes that it could depend on, `actors` whom it could
    /// name.
    pub(super) fn mutate(&mut self, dice: &mut Dice, hashes: &[Vec<u8>], actors: &[Vec<u8>]) {
        match dice.below(24) {
            0 => dice.list(&mut self.dependencies, |dice| match dice.below(4) {
                0 => vec![dice.byte(); 32],
                _ => dice.pick(hashes).clone(),
            }),
            1 => self.actor = dice.pick(actors).clone(),
            2 => self.sequence = dice.number(self.sequence),
            3 => self.start = dice.number(self.start),
            4 => self.time = dice.signed_number(self.time),
            5 => self.message = vec![b'm'; dice.below(3)],
            6 | 7 => dice.list(&mut self.others, |dice| dice.pick(actors).clone()),
            8 => self.rest = vec![dice.byte(); dice.below(3)],
            9 => {
                let spec = *dice.pick(&SPECS);
                let column = Column::Runs(vec![Run::Repeat(1, Item::Unsigned(0))]);
                let at = self.columns.partition_point(|(other, _)| *other < spec);
                self.columns.insert(at, (spec, column));
            }
            10 => {
                let at = dice.below(self.columns.len().max(1));
                if at < self.columns.len() {
                    self.columns.remove(at);
                }
            }
            11 if !self.columns.is_empty() => {
                let at = dice.below(self.columns.len());
                self.columns[at].0 = *dice.pick(&SPECS);
            }
            _ if !self.columns.is_empty() => {
                let at = dice.below(self.columns.len());
                self.columns[at].1.mutate(dice);
            }
            _ => {}
        }
    }
}

impl Column {
    fn mutate(&mut self, dice: &mut Dice) {
        match self {
            Self::Raw(bytes) => dice.list(bytes, Dice::byte),
            Self::Counts(counts) => match dice.below(2) {
                0 => dice.list(counts, |dice| dice.number(3)),
                _ if counts.is_empty() => {}
                _ => {
                    let at = dice.below(counts.len());
                    counts[at] = dice.number(counts[at]);
                }
            },
            Self::Runs(runs) if runs.is_empty() || dice.below(4) == 0 => {
                let copy = runs.clone();
                dice.list(runs, |dice| match dice.below(3) {
                    0 => Run::Null(dice.number(1)),
                    1 if !copy.is_empty() => dice.pick(&copy).clone(),
                    _ => Run::Repeat(dice.signed_number(1), Item::Unsigned(dice.number(1))),
                });
            }
            Self::Runs(runs) => {
                let at = dice.below(runs.len());
                match &mut runs[at] {
                    Run::Null(count) => *count = dice.number(*count),
                    Run::Repeat(count, item) => match dice.below(2) {
                        0 => *count = dice.signed_number(*count),
                        _ => item.mutate(dice),
                    },
                    Run::Literal(items) => match dice.below(3) {
                        0 => {
                            let copy = items.clone();
                            let new = |dice: &mut Dice| match copy.is_empty() {
                                true => Item::Unsigned(dice.number(0)),
                                false => dice.pick(&copy).clone(),
                            };
                            dice.list(items, new);
                        }
                        _ if items.is_empty() => {}
                        _ => {
                            let at = dice.below(items.len());
                            items[at].mutate(dice);
                        }
                    },
                }
            }
        }
    }
}

impl Item {
    fn mutate(&mut self, dice: &mut Dice) {
        match self {
            Self::Unsigned(value) => *value = dice.number(*value),
            Self::Signed(value) => *value = dice.signed_number(*value),
            Self::Text(text) => match dice.below(4) {
                0 => {
                    *text =
                        [&b""[..], b"e", b"title", b"place", b"x", b"\xff"][dice.below(6)].to_vec()
                }
                1 => text.resize(dice.below(200), b'n'),
                _ => dice.list(text, Dice::byte),
            },
        }
    }
}

/// Where the choices come from.
pub(super) struct Dice(pub(super) ChaCha20Rng);

impl Dice {
    pub(super) fn below(&mut self, end: usize) -> usize {
        self.0.next_u32() as usize % end
    }

    fn byte(&mut self) -> u8 {
        self.0.next_u32().to_le_bytes()[0]
    }

    pub(super) fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }

    /// Another number: near, small, or at a bound.
    fn number(&mut self, value: u64) -> u64 {
        match self.below(8) {
            0 => value.wrapping_add(1),
            1 => value.wrapping_sub(1),
            2 | 3 => self.below(8) as u64,
            4 => 1 << self.below(64),
            5 => u64::MAX >> self.below(64),
            6 => [4096, 4097, 1 << 20, 1 << 31, u64::from(u32::MAX)][self.below(5)],
            _ => value ^ (1 << self.below(8)),
        }
    }

    fn signed_number(&mut self, value: i64) -> i64 {
        let number = self.number(value.cast_unsigned()).cast_signed();
        if self.below(4) == 0 { number.wrapping_neg() } else { number }
    }

    /// Inserts, removes, repeats or swaps an element.
    fn list<T: Clone>(&mut self, list: &mut Vec<T>, new: impl FnOnce(&mut Self) -> T) {
        if list.is_empty() || self.below(3) == 0 {
            let at = self.below(list.len() + 1);
            let new = new(self);
            return list.insert(at, new);
        }
        let (at, other) = (self.below(list.len()), self.below(list.len()));
        match self.below(4) {
            0 => drop(list.remove(at)),
            1 => list.insert(at, list[other].clone()),
            2 => list.swap(at, other),
            _ => list[at] = new(self),
        }
    }
}

pub(super) fn repair_checksum(payload: &mut [u8]) {
    use sha2::Digest as _;
    let sum = sha2::Sha256::digest(&payload[8..]);
    payload[4..8].copy_from_slice(&sum[..4]);
}

#[test]
fn a_chunk_is_put_together_as_it_was() {
    let (_, first) = document();
    assert_eq!(Chunk::parse(&first).encode(), first);
}
