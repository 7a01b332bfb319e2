//! Inputs of several payloads, and the repair of their checksums: without it no mutation would get
//! past the first comparison.

use p2panda_core::{Incarnation, UserId};
use sha2::{Digest as _, Sha256};

const MAGIC: [u8; 4] = [0x85, 0x6f, 0x4a, 0x83];

/// Payloads from an input: each behind its length in two bytes, big-endian; the last takes the rest.
pub fn split(mut data: &[u8]) -> Vec<Vec<u8>> {
    let mut payloads = Vec::new();
    while let Some((length, rest)) = data.split_first_chunk::<2>() {
        let (payload, rest) = rest.split_at(rest.len().min(u16::from_be_bytes(*length).into()));
        payloads.push(payload.to_vec());
        data = rest;
    }
    payloads
}

/// The input that [`split`] takes apart.
pub fn join(payloads: &[Vec<u8>]) -> Vec<u8> {
    let mut data = Vec::new();
    for payload in payloads {
        let length = u16::try_from(payload.len()).expect("payloads are shorter than 64 KiB");
        data.extend(length.to_be_bytes());
        data.extend(payload);
    }
    data
}

/// The hash of a whole chunk.
#[cfg(fuzzing)]
pub(crate) fn hash(payload: &[u8]) -> Option<[u8; 32]> {
    payload.get(8..).map(|chunk| Sha256::digest(chunk).into())
}

/// Puts an incarnation of a user in the place of a chunk's author, where there is one.
pub(crate) fn adopt(payload: &mut [u8], user: &UserId, incarnation: &Incarnation) {
    let length = payload.iter().skip(9).take(9).position(|byte| byte & 0x80 == 0);
    let Some(body) = length.and_then(|length| payload.get_mut(10 + length..)) else { return };
    let Some((count, rest)) = body.split_first_mut() else { return };
    let author = rest.get_mut(usize::from(*count) * 32..);
    if let Some([40, actor @ ..]) = author
        && let Some(actor) = actor.first_chunk_mut::<40>()
    {
        actor[..32].copy_from_slice(user.as_bytes());
        actor[32..].copy_from_slice(incarnation.as_bytes());
    }
}

/// Makes a chunk's length and checksum right, and its first dependency the change before it.
/// Returns its hash. What is too short to be a chunk stays as it is.
pub(crate) fn repair(payload: &mut Vec<u8>, previous: Option<[u8; 32]>) -> Option<[u8; 32]> {
    let kind = *payload.get(8)?;
    let length_bytes = payload.get(9..)?.iter().take(9).position(|byte| byte & 0x80 == 0)? + 1;
    let mut body = payload.split_off(9 + length_bytes);
    if let (Some(hash), Some(count)) = (previous, body.first())
        && (1..0x80).contains(count)
        && let Some(dependency) = body.get_mut(1..33)
    {
        dependency.copy_from_slice(&hash);
    }
    let mut hashed = vec![kind];
    let mut length = body.len();
    while length >= 0x80 {
        hashed.push((length & 0x7f) as u8 | 0x80);
        length >>= 7;
    }
    hashed.push(length as u8);
    hashed.append(&mut body);
    let hash: [u8; 32] = Sha256::digest(&hashed).into();
    payload.clear();
    payload.extend(MAGIC);
    payload.extend(&hash[..4]);
    payload.append(&mut hashed);
    Some(hash)
}
