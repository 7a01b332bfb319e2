//! A change chunk in its parts, so that each can be broken by itself.

use sha2::{Digest as _, Sha256};

/// The parts of a change chunk, as they stand in its bytes.
#[derive(Clone, Debug)]
#[allow(missing_docs, reason = "the names are those of the specification")]
pub struct Chunk {
    pub kind: u8,
    pub dependencies: Vec<Vec<u8>>,
    pub actor: Vec<u8>,
    pub sequence: u64,
    pub start: u64,
    pub time: i64,
    pub message: Vec<u8>,
    pub others: Vec<Vec<u8>>,
    pub columns: Vec<(u64, Vec<u8>)>,
    pub extra: Vec<u8>,
}

/// An unsigned LEB128 integer.
pub fn unsigned(mut value: u64, to: &mut Vec<u8>) {
    while value >= 0x80 {
        to.push(value.to_le_bytes()[0] | 0x80);
        value >>= 7;
    }
    to.push(value.to_le_bytes()[0]);
}

/// A signed LEB128 integer.
pub fn signed(mut value: i64, to: &mut Vec<u8>) {
    loop {
        let byte = value.to_le_bytes()[0] & 0x7f;
        value >>= 7;
        if (value == 0 && byte & 0x40 == 0) || (value == -1 && byte & 0x40 != 0) {
            to.push(byte);
            return;
        }
        to.push(byte | 0x80);
    }
}

fn sized(bytes: &[u8], to: &mut Vec<u8>) {
    unsigned(bytes.len() as u64, to);
    to.extend(bytes);
}

/// The whole chunk around a body: magic, checksum, type and length.
#[must_use]
pub fn frame(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut hashed = vec![kind];
    sized(body, &mut hashed);
    let hash = Sha256::digest(&hashed);
    [&[0x85, 0x6f, 0x4a, 0x83], &hash[..4], &hashed].concat()
}

struct Bytes<'a>(&'a [u8]);

impl Bytes<'_> {
    fn take(&mut self, length: usize) -> Vec<u8> {
        let (taken, rest) = self.0.split_at(length);
        self.0 = rest;
        taken.to_vec()
    }

    fn unsigned(&mut self) -> u64 {
        let mut value = 0;
        for shift in (0..).step_by(7) {
            let byte = self.take(1)[0];
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                break;
            }
        }
        value
    }

    fn signed(&mut self) -> i64 {
        let before = self.0.len();
        let value = self.unsigned();
        let bits = 7 * (before - self.0.len());
        let unused = u32::try_from(64_usize.saturating_sub(bits)).unwrap_or(0);
        (value.cast_signed() << unused) >> unused
    }

    fn length(&mut self) -> usize {
        usize::try_from(self.unsigned()).unwrap_or(usize::MAX)
    }

    fn sized(&mut self) -> Vec<u8> {
        let length = self.length();
        self.take(length)
    }
}

impl Chunk {
    /// The parts of a chunk that Automerge wrote.
    ///
    /// # Panics
    /// If it did not.
    #[must_use]
    pub fn parse(payload: &[u8]) -> Self {
        let mut bytes = Bytes(payload);
        bytes.take(8);
        let kind = bytes.take(1)[0];
        bytes.unsigned();
        let count = bytes.length();
        let dependencies = (0..count).map(|_| bytes.take(32)).collect();
        let actor = bytes.sized();
        let (sequence, start, time) = (bytes.unsigned(), bytes.unsigned(), bytes.signed());
        let message = bytes.sized();
        let count = bytes.length();
        let others = (0..count).map(|_| bytes.sized()).collect();
        let count = bytes.length();
        let columns: Vec<_> = (0..count).map(|_| (bytes.unsigned(), bytes.length())).collect();
        let columns = columns.into_iter().map(|(spec, size)| (spec, bytes.take(size))).collect();
        let extra = bytes.0.to_vec();
        Self { kind, dependencies, actor, sequence, start, time, message, others, columns, extra }
    }

    /// What the chunk's length and checksum cover.
    #[must_use]
    pub fn body(&self) -> Vec<u8> {
        let mut body = Vec::new();
        unsigned(self.dependencies.len() as u64, &mut body);
        body.extend(self.dependencies.concat());
        sized(&self.actor, &mut body);
        unsigned(self.sequence, &mut body);
        unsigned(self.start, &mut body);
        signed(self.time, &mut body);
        sized(&self.message, &mut body);
        unsigned(self.others.len() as u64, &mut body);
        for actor in &self.others {
            sized(actor, &mut body);
        }
        unsigned(self.columns.len() as u64, &mut body);
        for (spec, data) in &self.columns {
            unsigned(*spec, &mut body);
            unsigned(data.len() as u64, &mut body);
        }
        for (_, data) in &self.columns {
            body.extend(data);
        }
        body.extend(&self.extra);
        body
    }

    /// The chunk, its length and checksum right.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        frame(self.kind, &self.body())
    }

    /// The hash by which other changes name this one.
    #[must_use]
    pub fn hash(payload: &[u8]) -> [u8; 32] {
        Sha256::digest(&payload[8..]).into()
    }

    /// Sets a column, or removes it where nothing is left of it.
    #[must_use]
    pub fn with(mut self, spec: u64, data: &[u8]) -> Self {
        self.columns.retain(|(other, _)| *other != spec);
        if !data.is_empty() {
            let at = self.columns.partition_point(|(other, _)| *other < spec);
            self.columns.insert(at, (spec, data.to_vec()));
        }
        self
    }

    /// A column's bytes; none where there is no such column.
    #[must_use]
    pub fn column(&self, spec: u64) -> &[u8] {
        let column = self.columns.iter().find(|(other, _)| *other == spec);
        column.map_or(&[], |(_, data)| data)
    }
}
