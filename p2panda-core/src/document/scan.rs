//! The first step of the gate: bounds on a payload's bytes before Automerge parses them.
//!
//! Automerge trusts counts in its input: 53 bytes can claim a million operations. This scan walks
//! the chunk without allocating, adds up what it claims, and holds it against the bytes it has.

use super::{Refusal, gate};

/// The most operations, and the most predecessors, of one change.
pub(super) const MAX_OPERATIONS: u64 = 4096;

/// The bytes that each operation needs in its payload, besides those of its key, and that one
/// needs which makes a map.
///
/// Columns of equal values shrink to nothing, so without this a hundred bytes could bring four
/// thousand operations that each device has to remember for ever, and use up as many counters. An
/// operation takes some 250 bytes to remember and to read, one that makes a map up to 2,000, so
/// memory stays in proportion to payloads. A change has at least 57 bytes besides its operations,
/// so that any single operation fits.
pub(super) const OPERATION_WEIGHT: u64 = 8;
pub(super) const MAP_WEIGHT: u64 = 48;

/// The most dependencies of one change: its own previous change and 31 other heads.
pub(super) const MAX_DEPENDENCIES: u64 = 32;

/// The most other actors that one change names: with the largest scalar beside them, a change
/// still fits into a payload.
pub(super) const MAX_ACTORS: u64 = 448;

/// How far from 1970 a change may be, in seconds: as far as milliseconds can count. Automerge keeps
/// the differences of times, and panics where one is beyond 64 bits.
const MAX_TIME: u64 = 1 << 54;

const MAX_COUNTER: u64 = gate::MAX_COUNTER as u64;

const MAGIC: [u8; 4] = [0x85, 0x6f, 0x4a, 0x83];
const CHANGE_CHUNK: u8 = 1;

const MAKE_MAP: u64 = 0;
const PUT: u64 = 1;
const DELETE: u64 = 3;

/// Actor bytes: a user's key and an incarnation.
pub(super) const ACTOR_BYTES: u64 = 40;

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn byte(&mut self) -> Result<u8, Refusal> {
        let (first, rest) = self.0.split_first().ok_or(Refusal::Truncated)?;
        self.0 = rest;
        Ok(*first)
    }

    fn take(&mut self, length: u64) -> Result<&'a [u8], Refusal> {
        let length = usize::try_from(length).map_err(|_| Refusal::Truncated)?;
        let (taken, rest) = self.0.split_at_checked(length).ok_or(Refusal::Truncated)?;
        self.0 = rest;
        Ok(taken)
    }

    /// An unsigned LEB128 integer below 2^63.
    fn unsigned(&mut self) -> Result<u64, Refusal> {
        let mut value = 0;
        for shift in (0..63).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(Refusal::Integer)
    }

    /// A signed LEB128 integer.
    fn signed(&mut self) -> Result<i64, Refusal> {
        let mut value = 0_i64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= i64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                if shift < 57 && byte & 0x40 != 0 {
                    value |= -1 << (shift + 7);
                }
                return Ok(value);
            }
        }
        Err(Refusal::Integer)
    }
}

/// The columns of our profile, by Automerge's column specification. Everything else (element keys,
/// marks, deflated columns) is refused.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Column {
    /// Types and lengths of values: run-length encoded integers.
    Runs,
    /// Counters of objects.
    Counters,
    /// Counters of predecessors, each as the difference to the one before.
    Deltas,
    /// Run-length encoded strings.
    Strings,
    /// Alternating run lengths.
    Booleans,
    /// Which operation: make map, put or delete.
    Actions,
    /// Which actor: the change's own or one of the others it names.
    Writers,
    /// How many predecessors each operation has.
    Groups,
    /// Bytes of values, counted by another column.
    Raw,
}

const fn column(spec: u64) -> Option<Column> {
    Some(match spec {
        1 | 113 => Column::Writers,
        2 => Column::Counters,
        86 => Column::Runs,
        115 => Column::Deltas,
        21 => Column::Strings,
        52 => Column::Booleans,
        66 => Column::Actions,
        87 => Column::Raw,
        112 => Column::Groups,
        _ => return None,
    })
}

/// Checks the frame and the claims of one change chunk.
pub(super) fn scan(payload: &[u8]) -> Result<(), Refusal> {
    let mut reader = Reader(payload);
    if reader.take(4)? != MAGIC {
        return Err(Refusal::NotAChange);
    }
    reader.take(4)?; // checksum: Automerge does not check it, the canonical form does
    if reader.byte()? != CHANGE_CHUNK {
        return Err(Refusal::NotAChange);
    }
    if reader.unsigned()? != reader.0.len() as u64 {
        return Err(Refusal::Truncated);
    }
    let dependencies = bounded(reader.unsigned()?, MAX_DEPENDENCIES, Refusal::Dependencies)?;
    reader.take(dependencies * 32)?;
    scan_actor(&mut reader)?;
    reader.unsigned()?; // sequence
    bounded(reader.unsigned()?, MAX_COUNTER, Refusal::Counter)?; // first operation
    if reader.signed()?.unsigned_abs() > MAX_TIME {
        return Err(Refusal::Time);
    }
    if reader.unsigned()? != 0 {
        return Err(Refusal::Message);
    }
    let others = bounded(reader.unsigned()?, MAX_ACTORS, Refusal::Actor)?;
    for _ in 0..others {
        scan_actor(&mut reader)?;
    }
    let claims = scan_columns(&mut reader, others + 1)?;
    if !reader.0.is_empty() {
        return Err(Refusal::ExtraBytes);
    }
    let weight = claims.operations * OPERATION_WEIGHT
        + claims.maps * (MAP_WEIGHT - OPERATION_WEIGHT)
        + claims.key_bytes;
    bounded(weight, payload.len() as u64, Refusal::Inflated)?;
    Ok(())
}

/// What the columns of a change come to when their runs are written out.
#[derive(Default)]
struct Claims {
    operations: u64,
    /// Operations that make maps.
    maps: u64,
    /// Bytes of keys, a repeated key's at each repetition.
    key_bytes: u64,
}

fn bounded(count: u64, limit: u64, refusal: Refusal) -> Result<u64, Refusal> {
    if count > limit { Err(refusal) } else { Ok(count) }
}

fn scan_actor(reader: &mut Reader<'_>) -> Result<(), Refusal> {
    if reader.unsigned()? != ACTOR_BYTES {
        return Err(Refusal::Actor);
    }
    reader.take(ACTOR_BYTES).map(|_| ())
}

fn scan_columns(reader: &mut Reader<'_>, actors: u64) -> Result<Claims, Refusal> {
    let mut columns = [(Column::Raw, 0); 16];
    let count = bounded(reader.unsigned()?, 16, Refusal::Columns)?;
    let columns = &mut columns[..usize::try_from(count).map_err(|_| Refusal::Columns)?];
    let mut last = 0;
    for slot in columns.iter_mut() {
        let spec = reader.unsigned()?;
        if spec <= last {
            return Err(Refusal::Columns);
        }
        last = spec;
        *slot = (column(spec).ok_or(Refusal::Columns)?, reader.unsigned()?);
    }
    let mut claims = Claims::default();
    for (column, length) in columns {
        let data = Reader(reader.take(*length)?);
        match column {
            Column::Raw => {}
            Column::Booleans => scan_booleans(data)?,
            _ => scan_runs(data, *column, actors, &mut claims)?,
        }
    }
    Ok(claims)
}

fn scan_booleans(mut data: Reader<'_>) -> Result<(), Refusal> {
    let mut total = 0_u64;
    while !data.0.is_empty() {
        total = total.saturating_add(data.unsigned()?);
        bounded(total, MAX_OPERATIONS, Refusal::Operations)?;
    }
    Ok(())
}

/// Walks a run-length column: `n > 0` is a run of one value, `n < 0` that many literal values, `0`
/// is followed by a number of nulls.
fn scan_runs(
    mut data: Reader<'_>,
    column: Column,
    actors: u64,
    claims: &mut Claims,
) -> Result<(), Refusal> {
    let mut total = 0_u64;
    let mut grouped = 0_u64;
    let mut counter = 0_i64;
    while !data.0.is_empty() {
        let run = data.signed()?;
        let (items, repeat) = match run {
            0 => (0, data.unsigned()?),
            1.. => (1, run.unsigned_abs()),
            _ => (run.unsigned_abs(), 1),
        };
        total = total.saturating_add(repeat.saturating_mul(items.max(1)));
        bounded(total, MAX_OPERATIONS, Refusal::Operations)?;
        for _ in 0..items {
            match column {
                Column::Strings => {
                    let length = data.unsigned()?;
                    data.take(length)?;
                    // Bounded by the payload's size times the rows that are checked above.
                    claims.key_bytes += length * repeat;
                }
                Column::Actions => match data.unsigned()? {
                    MAKE_MAP => claims.maps += repeat,
                    PUT | DELETE => {}
                    _ => return Err(Refusal::Action),
                },
                Column::Writers => {
                    if data.unsigned()? >= actors {
                        return Err(Refusal::Actor);
                    }
                }
                Column::Groups => {
                    grouped = grouped.saturating_add(data.unsigned()?.saturating_mul(repeat));
                    bounded(grouped, MAX_OPERATIONS, Refusal::Operations)?;
                }
                // Automerge panics at counters beyond its own.
                Column::Counters => drop(bounded(data.unsigned()?, MAX_COUNTER, Refusal::Counter)?),
                Column::Deltas => {
                    let run = i64::try_from(repeat).ok();
                    let steps = run.and_then(|run| data.signed().ok()?.checked_mul(run));
                    counter = steps.and_then(|steps| counter.checked_add(steps)).unwrap_or(-1);
                    let counter = u64::try_from(counter).map_err(|_| Refusal::Counter)?;
                    bounded(counter, MAX_COUNTER, Refusal::Counter)?;
                }
                _ => {
                    data.signed()?;
                }
            }
        }
    }
    if column == Column::Actions {
        claims.operations = total; // every operation has an action
    }
    Ok(())
}
