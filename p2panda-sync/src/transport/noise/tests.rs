use p2panda_core::{LinkEnd, LinkId};
use rand_chacha::{ChaCha20Rng, rand_core::Rng as _, rand_core::SeedableRng as _};
use snow::{
    Builder, TransportState,
    params::{CipherChoice, DHChoice, HashChoice},
    resolvers::{CryptoResolver, DefaultResolver},
    types::{Cipher, Dh, Hash, Random},
};

use super::{
    LinkError, LinkKey,
    handshake::{Established, Handshake},
    sealing::{SealError, Sealing},
};
use crate::MAX_FRAME;

const PIECE: usize = 65_535 - 16 - 1;

fn rng(seed: u64) -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(seed)
}

/// The messages of a handshake between two keys, with this randomness, and what it led to.
fn shake(keys: [&LinkKey; 2], seed: u64) -> (Vec<Vec<u8>>, [Established; 2]) {
    let mut opener = Handshake::new(LinkEnd::Opener, keys[0], &mut rng(seed));
    let mut acceptor = Handshake::new(LinkEnd::Acceptor, keys[1], &mut rng(seed + 1));
    let mut messages = Vec::new();
    while !opener.is_finished() || !acceptor.is_finished() {
        let (from, to) = if opener.is_our_turn() {
            (&mut opener, &mut acceptor)
        } else {
            (&mut acceptor, &mut opener)
        };
        let message = from.write().unwrap();
        to.read(&message).unwrap();
        messages.push(message);
    }
    (messages, [opener.establish().unwrap(), acceptor.establish().unwrap()])
}

fn keys() -> [LinkKey; 2] {
    [LinkKey::generate(&mut rng(1)), LinkKey::generate(&mut rng(2))]
}

fn pair() -> [Sealing; 2] {
    let [ada, bob] = keys();
    let (_, established) = shake([&ada, &bob], 10);
    established.map(|it| Sealing::new(it.keys))
}

fn sealed(from: &mut Sealing, frame: &[u8]) -> Vec<Vec<u8>> {
    let mut messages = Vec::new();
    from.seal(frame, |message| messages.push(message.to_vec())).unwrap();
    messages
}

#[test]
fn a_handshake_is_192_bytes_in_three_messages_and_tells_each_the_other() {
    let [ada, bob] = keys();
    let (messages, [opener, acceptor]) = shake([&ada, &bob], 10);
    assert_eq!(messages.iter().map(Vec::len).collect::<Vec<_>>(), [32, 96, 64]);
    assert_eq!((opener.peer, acceptor.peer), (bob.id(), ada.id()));
    assert_eq!(opener.binding, acceptor.binding);
    // All randomness is passed in.
    assert_eq!(shake([&ada, &bob], 10).0, messages);
    let (others, [other, _]) = shake([&ada, &bob], 20);
    assert_ne!(other.binding, opener.binding);
    // Of two handshakes between the same devices not even four bytes are the same, and no key is
    // in the clear.
    let known = [*ada.id().as_bytes(), *bob.id().as_bytes()];
    let windows = |messages: &[Vec<u8>]| -> std::collections::BTreeSet<Vec<u8>> {
        messages.iter().flat_map(|it| it.windows(4).map(<[u8]>::to_vec)).collect()
    };
    let seen = windows(&messages);
    assert!(seen.is_disjoint(&windows(&others)));
    assert!(known.iter().all(|key| key.windows(4).all(|part| !seen.contains(part))));
}

#[test]
fn a_handshake_with_any_byte_changed_or_any_other_length_is_refused() {
    let [ada, bob] = keys();
    let (messages, _) = shake([&ada, &bob], 10);
    for (at, message) in messages.iter().enumerate() {
        let bent = (0..message.len()).map(|byte| {
            let mut bent = message.clone();
            bent[byte] ^= 1;
            bent
        });
        let lengths = (0..message.len()).map(|length| message[..length].to_vec());
        let longer = [[message.as_slice(), &[0]].concat(), vec![0; 65_535]];
        for wrong in bent.chain(lengths).chain(longer) {
            let mut opener = Handshake::new(LinkEnd::Opener, &ada, &mut rng(10));
            let mut acceptor = Handshake::new(LinkEnd::Acceptor, &bob, &mut rng(11));
            let mut ended = Ok(());
            for turn in 0..3 {
                let (from, to) = if turn == 1 {
                    (&mut acceptor, &mut opener)
                } else {
                    (&mut opener, &mut acceptor)
                };
                ended = ended.and_then(|()| {
                    let message = from.write()?;
                    to.read(if turn == at { &wrong } else { &message })
                });
            }
            assert!(matches!(ended, Err(LinkError::Handshake)), "message {at} as {wrong:?}");
        }
    }
}

/// A side whose key pair is not one: it shows a public key whose secret it does not have.
struct Liar {
    claimed: LinkId,
}

struct LyingDh(Box<dyn Dh>, [u8; 32], bool);

impl Dh for LyingDh {
    fn name(&self) -> &'static str {
        self.0.name()
    }
    fn pub_len(&self) -> usize {
        32
    }
    fn priv_len(&self) -> usize {
        32
    }
    fn set(&mut self, secret: &[u8]) {
        self.0.set(secret);
        self.2 = true;
    }
    fn generate(&mut self, rng: &mut dyn Random) -> Result<(), snow::Error> {
        self.0.generate(rng)
    }
    fn pubkey(&self) -> &[u8] {
        // The ephemeral key is an honest one.
        if self.2 { &self.1 } else { self.0.pubkey() }
    }
    fn privkey(&self) -> &[u8] {
        self.0.privkey()
    }
    fn dh(&self, public: &[u8], out: &mut [u8]) -> Result<(), snow::Error> {
        if self.2 && self.1 == [0; 32] {
            // What any secret gives with a point of small order.
            out[..32].fill(0);
            return Ok(());
        }
        self.0.dh(public, out)
    }
}

impl CryptoResolver for Liar {
    fn resolve_rng(&self) -> Option<Box<dyn Random>> {
        struct Fixed;
        impl Random for Fixed {
            fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), snow::Error> {
                rng(99).fill_bytes(bytes);
                Ok(())
            }
        }
        Some(Box::new(Fixed))
    }
    fn resolve_dh(&self, choice: &DHChoice) -> Option<Box<dyn Dh>> {
        let dh = DefaultResolver.resolve_dh(choice)?;
        Some(Box::new(LyingDh(dh, *self.claimed.as_bytes(), false)))
    }
    fn resolve_hash(&self, choice: &HashChoice) -> Option<Box<dyn Hash>> {
        DefaultResolver.resolve_hash(choice)
    }
    fn resolve_cipher(&self, choice: &CipherChoice) -> Option<Box<dyn Cipher>> {
        DefaultResolver.resolve_cipher(choice)
    }
}

/// What an honest acceptor says to an opener that speaks this protocol and claims this key.
fn accepts(protocol: &str, prologue: &[u8], claimed: LinkId) -> Result<LinkId, LinkError> {
    let builder = Builder::with_resolver(protocol.parse().unwrap(), Box::new(Liar { claimed }))
        .local_private_key(&[5; 32])
        .unwrap()
        .prologue(prologue)
        .unwrap();
    let mut opener = builder.build_initiator().unwrap();
    let [_, bob] = keys();
    let mut acceptor = Handshake::new(LinkEnd::Acceptor, &bob, &mut rng(7));
    let mut message = [0; 256];
    let size = opener.write_message(&[], &mut message).unwrap();
    acceptor.read(&message[..size])?;
    let answer = acceptor.write()?;
    if opener.read_message(&answer, &mut [0; 256]).is_err() {
        return Err(LinkError::Handshake);
    }
    let size = opener.write_message(&[], &mut message).unwrap();
    acceptor.read(&message[..size])?;
    Ok(acceptor.establish()?.peer)
}

#[test]
fn who_does_not_hold_a_link_key_cannot_show_it() {
    const PROTOCOL: &str = "Noise_XX_25519_ChaChaPoly_BLAKE2s";
    const PROLOGUE: &[u8] = b"p2panda 1 link";
    let own = LinkKey::from_secret(&[5; 32]).id();
    assert_eq!(accepts(PROTOCOL, PROLOGUE, own).unwrap(), own);
    let [ada, _] = keys();
    assert!(matches!(accepts(PROTOCOL, PROLOGUE, ada.id()), Err(LinkError::Handshake)));
    // With this one everybody could prove to be it.
    let small = LinkId::from_bytes([0; 32]);
    assert!(matches!(accepts(PROTOCOL, PROLOGUE, small), Err(LinkError::Handshake)));
    // Nor does another version or another protocol pass.
    assert!(matches!(accepts(PROTOCOL, b"p2panda 2 link", own), Err(LinkError::Handshake)));
    let other = "Noise_XX_25519_ChaChaPoly_BLAKE2b";
    assert!(matches!(accepts(other, PROLOGUE, own), Err(LinkError::Handshake)));
}

#[test]
fn an_ephemeral_key_of_small_order_is_refused() {
    let [_, bob] = keys();
    let mut acceptor = Handshake::new(LinkEnd::Acceptor, &bob, &mut rng(7));
    acceptor.read(&[0; 32]).unwrap();
    assert!(matches!(acceptor.write(), Err(LinkError::Handshake)));
}

#[test]
fn frames_of_every_size_arrive_whole() {
    let [mut here, mut there] = pair();
    let edges = [0, 1, PIECE - 1, PIECE, PIECE + 1, 2 * PIECE, MAX_FRAME - 1, MAX_FRAME];
    for size in edges.into_iter().filter(|size| *size <= MAX_FRAME) {
        let mut frame = vec![0; size];
        rng(size as u64).fill_bytes(&mut frame);
        let messages = sealed(&mut here, &frame);
        assert_eq!(messages.len(), size.div_ceil(PIECE).max(1));
        let mut whole = None;
        for message in &messages {
            assert!(whole.is_none() && message.len() <= 65_535);
            whole = there.open(message).unwrap();
        }
        assert_eq!(whole.unwrap(), frame);
        assert!(!there.is_within_a_frame());
    }
    assert_eq!(here.seal(&vec![0; MAX_FRAME + 1], |_| ()), Err(SealError::TooLarge));
}

#[test]
fn a_message_counts_once_in_its_place_and_unchanged() {
    type Attack = fn(&mut Vec<Vec<u8>>);
    let attacks: [(&str, Attack); 6] = [
        ("changed", |messages| messages[1][0] ^= 1),
        ("cut short", |messages| messages[1].truncate(18)),
        ("without a tag", |messages| messages[1].truncate(15)),
        ("repeated", |messages| messages[1] = messages[0].clone()),
        ("left out", |messages| drop(messages.remove(0))),
        ("swapped", |messages| messages.swap(0, 1)),
    ];
    for (name, attack) in attacks {
        let [mut here, mut there] = pair();
        let mut messages =
            [&b"one"[..], b"two", b"six"].map(|frame| sealed(&mut here, frame).remove(0)).to_vec();
        attack(&mut messages);
        let refused = messages.iter().find_map(|message| there.open(message).err());
        assert_eq!(refused, Some(SealError::Forged), "{name}");
    }
    // Nor is what we said ourselves taken from the peer.
    let [mut here, _] = pair();
    let message = sealed(&mut here, b"one").remove(0);
    assert_eq!(here.open(&message), Err(SealError::Forged));
}

#[test]
fn keys_change_on_the_way() {
    let [mut here, mut there] = pair();
    for number in 0..5_000_u32 {
        let (from, to) =
            if number % 3 == 0 { (&mut there, &mut here) } else { (&mut here, &mut there) };
        let message = sealed(from, &number.to_be_bytes()).remove(0);
        assert_eq!(to.open(&message).unwrap().unwrap(), number.to_be_bytes().as_slice());
    }
    // A copy of the keys as they were in the beginning reads up to the first change.
    let [mut here, mut there] = pair();
    let [mut other, _] = pair();
    let first = sealed(&mut here, b"x").remove(0);
    assert_eq!(sealed(&mut other, b"x").remove(0), first);
    there.open(&first).unwrap();
    let [ada, bob] = keys();
    let (_, [_, acceptor]) = shake([&ada, &bob], 10);
    let mut stolen = acceptor.keys;
    for number in 1..1_030_u64 {
        let message = sealed(&mut here, b"x").remove(0);
        stolen.set_receiving_nonce(number);
        let read = stolen.read_message(&message, &mut [0; 64]);
        assert_eq!(read.is_ok(), number < 1_024, "message {number}");
        there.open(&message).unwrap();
    }
}

/// A peer with right keys that cuts frames as it likes.
fn pieces(keys: &mut TransportState, piece: &[u8]) -> Vec<u8> {
    let mut message = vec![0; piece.len() + 16];
    keys.write_message(piece, &mut message).unwrap();
    message
}

#[test]
fn a_peer_that_cuts_frames_otherwise_is_refused() {
    let [ada, bob] = keys();
    let peers = || {
        let (_, [opener, acceptor]) = shake([&ada, &bob], 10);
        (opener.keys, Sealing::new(acceptor.keys))
    };
    // Nothing, no end, a word that there is not, and pieces of nothing.
    for wrong in [&b""[..], b"some\x01", b"some\x02", b"\x01"] {
        let (mut hostile, mut there) = peers();
        assert_eq!(there.open(&pieces(&mut hostile, wrong)), Err(SealError::Pieces), "{wrong:?}");
    }
    // More pieces than a frame has: refused before memory is taken for the one too many.
    let (mut hostile, mut there) = peers();
    let more = [vec![7; PIECE], vec![1]].concat();
    let mut taken = 0;
    let refused = loop {
        match there.open(&pieces(&mut hostile, &more)) {
            Ok(None) => taken += PIECE,
            Ok(Some(_)) => panic!("it has no end"),
            Err(error) => break error,
        }
    };
    assert_eq!(refused, SealError::TooLarge);
    assert!(taken <= MAX_FRAME);
}
