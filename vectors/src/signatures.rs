//! Signed heads: where implementations of Ed25519 differ, there is one answer.

use curve25519_dalek::{EdwardsPoint, Scalar, constants::EIGHT_TORSION, traits::Identity as _};
use p2panda_core::{Chain, DocumentId, Identity, LogId, Tip};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha512};

use crate::{
    Topic, hex, invalid,
    user::{head_message, log, sign_head},
    valid,
};

/// The chain value before the last entry, and that entry.
const BEFORE: Chain = Chain::from_bytes([3; 32]);
const PAYLOAD: &[u8] = b"p2panda";

/// The order of the prime subgroup, little-endian.
const ORDER: [u8; 32] = [
    0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
];

/// A head with a key and a signature that need not be right.
#[derive(Clone)]
struct Head {
    user: [u8; 32],
    log: LogId,
    tip: Tip,
    signature: [u8; 64],
}

impl Head {
    fn new(length: u64) -> Self {
        let log = log(DocumentId::from_bytes([1; 32]), 2);
        let tip = Tip { length, chain: BEFORE.after(PAYLOAD) };
        Self { user: [0; 32], log, tip, signature: [0; 64] }
    }

    /// What is signed.
    fn message(&self) -> Vec<u8> {
        head_message(&self.log, &self.tip)
    }

    fn signed(secret: u8, length: u64) -> Self {
        let identity = Identity::from_secret(&[secret; 32]);
        let head = Self::new(length);
        let signature = *sign_head(&identity.secret(), &head.log, &head.tip).as_bytes();
        Self { user: *identity.user().as_bytes(), signature, ..head }
    }

    /// The challenge: a hash of commitment, key and message.
    fn challenge(&self, key: &[u8; 32], commitment: &[u8; 32]) -> Scalar {
        let hash = Sha512::new().chain_update(commitment).chain_update(key);
        Scalar::from_bytes_mod_order_wide(&hash.chain_update(self.message()).finalize().into())
    }

    fn with(self, user: [u8; 32], commitment: [u8; 32], response: [u8; 32]) -> Self {
        let mut signature = [0; 64];
        signature[..32].copy_from_slice(&commitment);
        signature[32..].copy_from_slice(&response);
        Self { user, signature, ..self }
    }

    fn fields(&self) -> Value {
        json!({
            "user": hex(self.user),
            "document": hex(self.log.document.as_bytes()),
            "incarnation": hex(self.log.incarnation.as_bytes()),
            "length": self.tip.length,
            "before": hex(BEFORE.as_bytes()),
            "payload": hex(PAYLOAD),
            "chain": hex(self.tip.chain.as_bytes()),
            "message": hex(self.message()),
            "signature": hex(self.signature),
        })
    }
}

pub(crate) fn topic() -> Topic {
    let mut cases = Vec::new();
    for (secret, length) in [(1, 1), (2, 24), (3, 128), (255, 4_294_967_296)] {
        let head = Head::signed(secret, length);
        cases.push(valid(&format!("a head of {length} entries"), head.fields()));
    }
    plain(&mut cases);
    small_order(&mut cases);
    mixed_order(&mut cases);
    Topic::new(
        "signatures",
        "Signed heads: `chain` is the value after `payload`, which follows `before`; `message` is what is signed.",
        cases,
    )
}

fn plain(cases: &mut Vec<Value>) {
    let good = Head::signed(1, 5);
    let mut other = good.clone();
    other.user = *Identity::from_secret(&[2; 32]).user().as_bytes();
    cases.push(invalid("another user's key", "equation", other.fields()));
    let mut other = good.clone();
    other.tip.length = 6;
    cases.push(invalid("another length", "equation", other.fields()));
    let mut other = good.clone();
    other.log.incarnation = p2panda_core::Incarnation::from_bytes([9; 8]);
    cases.push(invalid("another incarnation", "equation", other.fields()));
    for (name, at) in [("the commitment", 3), ("the response", 40)] {
        let mut other = good.clone();
        other.signature[at] ^= 1;
        cases.push(invalid(&format!("a bit of {name} changed"), "equation", other.fields()));
    }
    let mut zeros = good.clone();
    zeros.signature = [0; 64];
    cases.push(invalid("a signature of zeros", "small order", zeros.fields()));
    let mut large = good.clone();
    let mut carry = 0;
    for (byte, order) in large.signature[32..].iter_mut().zip(ORDER) {
        let sum = u16::from(*byte) + u16::from(order) + carry;
        *byte = sum.to_le_bytes()[0];
        carry = sum >> 8;
    }
    cases.push(invalid("the response plus the group's order", "response", large.fields()));
    let mut order = good.clone();
    order.signature[32..].copy_from_slice(&ORDER);
    cases.push(invalid("the group's order as response", "response", order.fields()));
    let mut high = good.clone();
    high.signature[63] |= 0xe0;
    cases.push(invalid("high bits of the response set", "response", high.fields()));
    let no_point = (2..).map(|y| [&[y][..], &[0; 31]].concat()).find(|bytes| {
        let bytes = <[u8; 32]>::try_from(&bytes[..]).unwrap_or_default();
        curve25519_dalek::edwards::CompressedEdwardsY(bytes).decompress().is_none()
    });
    let no_point: [u8; 32] = no_point.and_then(|bytes| bytes.try_into().ok()).unwrap_or_default();
    let mut other = good.clone();
    other.user = no_point;
    cases.push(invalid("a key that is no point", "key", other.fields()));
    let mut other = good;
    other.signature[..32].copy_from_slice(&no_point);
    cases.push(invalid("a commitment that is no point", "commitment", other.fields()));
}

/// Keys and commitments of small order, for which anyone can make signatures.
fn small_order(cases: &mut Vec<Value>) {
    for (name, torsion) in [("1", 0), ("8", 1), ("4", 2), ("2", 4)] {
        let point = EIGHT_TORSION[torsion];
        let key = point.compress().to_bytes();
        // The equation holds: R + kA is zero, and so is SB.
        let head = (1..).find_map(|length| {
            let head = Head::new(length);
            let commitment = (0..8_u64).find_map(|factor| {
                let commitment = (-(point * Scalar::from(factor))).compress().to_bytes();
                let challenge = head.challenge(&key, &commitment);
                ((point * challenge) == point * Scalar::from(factor)).then_some(commitment)
            });
            commitment.map(|commitment| head.with(key, commitment, [0; 32]))
        });
        let head = head.unwrap_or_else(|| Head::new(0));
        cases.push(invalid(&format!("a key of order {name}"), "small order", head.fields()));
    }
    let mut identity = [0xff; 32];
    (identity[0], identity[31]) = (0xee, 0x7f);
    let head = Head::new(1).with(identity, EIGHT_TORSION[0].compress().to_bytes(), [0; 32]);
    cases.push(invalid("the neutral point as key, y = p + 1", "small order", head.fields()));
    let mut negative = [0; 32];
    (negative[0], negative[31]) = (1, 0x80);
    let head = Head::new(1).with(negative, EIGHT_TORSION[0].compress().to_bytes(), [0; 32]);
    cases.push(invalid("the neutral point as key, x = -0", "small order", head.fields()));

    let secret = Scalar::from(1234_u64);
    let key = EdwardsPoint::mul_base(&secret).compress().to_bytes();
    let neutral = EdwardsPoint::identity().compress().to_bytes();
    let head = Head::new(1);
    let response = (head.challenge(&key, &neutral) * secret).to_bytes();
    let head = head.with(key, neutral, response);
    cases.push(invalid("the neutral point as commitment", "small order", head.fields()));
    let torsion = EIGHT_TORSION[3].compress().to_bytes();
    let head = Head::new(1);
    let response = (head.challenge(&key, &torsion) * secret).to_bytes();
    let head = head.with(key, torsion, response);
    cases.push(invalid("a commitment of order 8", "small order", head.fields()));
}

/// Points with a part of small order: valid exactly where the equation without cofactor holds.
fn mixed_order(cases: &mut Vec<Value>) {
    let (secret, nonce) = (Scalar::from(1234_u64), Scalar::from(99_999_u64));
    let torsion = EIGHT_TORSION[1];
    let plain_key = EdwardsPoint::mul_base(&secret).compress().to_bytes();
    let mixed_key = (EdwardsPoint::mul_base(&secret) + torsion).compress().to_bytes();
    let commit = |factor: u64| {
        (EdwardsPoint::mul_base(&nonce) - torsion * Scalar::from(factor)).compress().to_bytes()
    };
    let find = |key: [u8; 32], factor: u64, fits: bool| {
        let commitment = commit(factor);
        let head = (1..).map(Head::new).find(|head| {
            let low = u64::from(head.challenge(&key, &commitment).to_bytes()[0] % 8);
            (low == factor) == fits
        });
        let head = head.unwrap_or_else(|| Head::new(0));
        let response = nonce + head.challenge(&key, &commitment) * secret;
        head.with(key, commitment, response.to_bytes())
    };
    let name = "a key with a part of order 8, which the challenge cancels";
    cases.push(valid(name, find(mixed_key, 0, true).fields()));
    let name = "a key with a part of order 8, which only a cofactor cancels";
    cases.push(invalid(name, "equation", find(mixed_key, 0, false).fields()));
    let name = "key and commitment with parts of order 8 that cancel each other";
    cases.push(valid(name, find(mixed_key, 3, true).fields()));
    let name = "key and commitment with parts of order 8 that do not";
    cases.push(invalid(name, "equation", find(mixed_key, 3, false).fields()));
    let name = "a commitment with a part of order 8, which only a cofactor cancels";
    cases.push(invalid(name, "equation", find(plain_key, 5, true).fields()));
}
