use super::*;
use crate::sketch::{Fp, Hint, MAX_CELLS, MAX_SYNDROMES, pack};
use p2panda_core::{BLOCK, ChannelBinding, Identity, LinkEnd, Tip, UserId};
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng as _};

const TOKEN: Token = Token([255; 8]);

fn run() -> Run {
    let hashes = vec![PayloadHash::from_bytes([255; 32]); usize::try_from(BLOCK).unwrap()];
    Run { hashes, signature: Signature::from_bytes([255; 64]) }
}

#[test]
fn the_fullest_frame_of_each_kind_stays_under_its_limit() {
    let largest = -Fp::ONE;
    let log = LogId {
        document: DocumentId::from_bytes([255; 32]),
        incarnation: Incarnation::from_bytes([255; 8]),
    };
    let chain = Chain::from_bytes([255; 32]);
    let wanted = Wanted { key: (1 << 40) - 1, from: u64::MAX, digest: Some([255; 4]) };
    let head = Head { key: (1 << 40) - 1, length: u64::MAX, digest: [255; 4] };
    let hint = Hint { length: u16::MAX, digest: (1 << 21) - 1, cut: true };
    let stands = (0..Stands::MAX as u64).map(|at| Stand { key: at << 29, hint });
    let offered =
        |count: usize| Offered { name: TOKEN, size: 64, syndromes: pack(vec![largest; count]) };
    let full = [
        Message::Greet(Greet { nonce: Some(TOKEN), frame: u64::MAX }),
        Message::Hello(Hello {
            salt: Salted { salt: TOKEN, nonce: Some(TOKEN) },
            frame: 10,
            festivals: vec![offered(4); MAX_FESTIVALS],
        }),
        Message::Open(Open {
            live: true,
            places: vec![511; MAX_FESTIVALS],
            proofs: vec![255; 16 * MAX_FESTIVALS].into(),
        }),
        Message::Need(Need { place: 255, estimator: vec![255; 64 * 7].into() }),
        Message::More(More {
            place: 255,
            cells: true,
            start: MAX_CELLS as u64,
            sums: pack(vec![largest; 2 * 1000]).into(),
            last: false,
        }),
        Message::Resalt(Resalt {
            place: 255,
            sketch: Some((TOKEN, pack(vec![largest; MAX_SYNDROMES]).into())),
        }),
        Message::Vector(Vector {
            place: 255,
            stands: Stands(stands.collect()).to_bytes().into(),
            last: false,
        }),
        Message::Want(Want { place: 255, logs: Wants(vec![wanted; Wants::MAX]).to_bytes().into() }),
        Message::Graft(Want {
            place: 255,
            logs: Wants(vec![wanted; Wants::MAX]).to_bytes().into(),
        }),
        Message::Ihave(Ihave {
            place: 255,
            heads: Heads(vec![head; Heads::MAX]).to_bytes().into(),
        }),
        Message::Prune(Prune { place: u64::MAX }),
        Message::Done(Done { messages: u64::MAX, check: Some(TOKEN) }),
        Message::Done(Done { messages: 0, check: None }),
        Message::Greet(Greet { nonce: None, frame: 6 }),
        Message::Proof(proof()),
        Message::Probe(Probe {
            document: log.document,
            incarnation: log.incarnation,
            points: vec![(u64::MAX, chain); MAX_POINTS],
        }),
        Message::Runs(Runs::new(&log, u64::MAX, run())),
        Message::Fork(Box::new(Fork {
            owner: Some(Owner {
                place: 255,
                user: UserId::from_bytes([255; 32]),
                label: "x".repeat(64),
            }),
            proof: ForkProof { log, at: Tip { length: u64::MAX, chain }, runs: [run(), run()] },
        })),
        Message::Refuse(Refuse {
            place: 255,
            keys: write_keys(vec![largest; 1024]).into(),
            seconds: Some(u64::MAX),
        }),
        Message::Busy(Busy { seconds: u64::MAX }),
    ];
    for message in full {
        let frame = message.encode();
        assert!(frame.len() <= MAX_CONTROL, "{}: {} bytes", message.name(), frame.len());
        assert_eq!(Message::decode(&frame), Ok(Some(message)));
    }
}

#[test]
fn an_unknown_type_is_skipped_and_another_version_is_named() {
    assert_eq!(Message::decode(&[200, 1, 2, 3]), Ok(None));
    assert_eq!(Message::decode(&[HELLO, 9, 1]), Ok(Some(Message::OtherVersion(9))));
    assert_eq!(Message::decode(&[GREET, 9, 1]), Ok(Some(Message::OtherGreet(9))));
    assert!(Message::decode(&[HELLO]).is_err() && Message::decode(&[GREET]).is_err());
    assert_eq!(Message::decode(&[]), Err(PeerFault::Message("an empty frame")));
}

#[test]
fn a_frame_over_its_limit_is_refused_unread() {
    let frame = vec![DONE; MAX_CONTROL + 1];
    let fault = PeerFault::TooLarge { size: MAX_CONTROL + 1, limit: MAX_CONTROL };
    assert_eq!(Message::decode(&frame), Err(fault));
    for kind in [PUSH, 200] {
        assert!(matches!(
            Message::decode(&vec![kind; MAX_FRAME + 1]),
            Err(PeerFault::TooLarge { .. })
        ));
    }
}

fn proof() -> LinkProof {
    let ada = Identity::generate(&mut ChaCha20Rng::seed_from_u64(1));
    LinkProof::sign(&ada, &ChannelBinding::from_bytes([1; 32]), LinkEnd::Opener)
}

#[test]
fn the_messages_of_equal_peers_are_what_they_cost() {
    let offered = Offered { name: TOKEN, size: 17, syndromes: pack(vec![-Fp::ONE; 16]) };
    let sizes = |nonce| {
        let salt = Salted { salt: TOKEN, nonce };
        let hello = Hello { salt, frame: 10, festivals: vec![offered.clone()] };
        let open = Open { live: false, places: vec![1], proofs: vec![1; 12].into() };
        let messages = [
            Message::Greet(Greet { nonce, frame: 10 }),
            Message::Hello(hello),
            Message::Open(open),
            Message::Done(Done { messages: 0, check: None }),
        ];
        messages.map(|message| message.encode().len())
    };
    // Over an encrypted link, which is nonce enough, and over any other.
    assert_eq!(sizes(None), [5, 147, 17, 3]);
    assert_eq!(sizes(Some(TOKEN)), [13, 155, 17, 3]);
    assert_eq!(Message::Proof(proof()).encode().len(), 102);
}
