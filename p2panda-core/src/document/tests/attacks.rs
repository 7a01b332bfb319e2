//! The inputs that were measured to break Automerge, and where the gate stops each.

use super::*;

#[test]
fn measured_attacks_are_refused_before_automerge_sees_them() {
    let hex = |text: &str| data_encoding::HEXLOWER.decode(text.as_bytes()).unwrap();
    // 19 bytes that panic Automerge, and 53 bytes that claim 2^20 operations.
    refused_at(1, &hex("856f4a8308ff18de0109000101020100000000"), Refusal::Actor);
    let bomb = "856f4a838c658a3e012b000101010100000005150634034205560570058080c000017880\
                80408080c000018080c000008080c00000";
    refused_at(1, &hex(&bomb.replace(' ', "")), Refusal::Actor);
    let (_, first) = document();
    let good = encoded(next(&first, retitle()));
    let mut checksum = good.clone();
    checksum[4] ^= 1;
    refused_at(1, &checksum, Refusal::NotCanonical);
    for kind in [0, 2, 3, 4] {
        let mut other = good.clone();
        other[8] = kind;
        refused_at(1, &other, Refusal::NotAChange);
    }
    for length in 0..good.len() {
        let (mut document, _) = document();
        assert!(matches!(document.offer(A, 1, &good[..length]), Outcome::Refused(_)), "{length}");
    }
}

/// The same bomb with an actor of our length: what the run-length bound is for.
#[test]
fn a_run_length_bomb_is_refused_by_its_claims() {
    let (_, first) = document();
    let good = encoded(next(&first, retitle()));
    let mut body = Vec::new();
    body.push(0); // no dependencies
    body.push(40);
    body.extend_from_slice(&[7; 32]);
    body.extend_from_slice(A.as_bytes());
    body.extend_from_slice(&[1, 1, 0, 0, 0]); // sequence, start, time, message, other actors
    let column = [0x80_u8, 0x80, 0xc0, 0x00, 0x01]; // 2^20 times action 1
    body.extend_from_slice(&[1, 66, 5]);
    body.extend_from_slice(&column);
    let mut bomb = good[..9].to_vec();
    bomb.push(u8::try_from(body.len()).unwrap());
    bomb.extend_from_slice(&body);
    refused_at(0, &bomb, Refusal::Operations);
}
