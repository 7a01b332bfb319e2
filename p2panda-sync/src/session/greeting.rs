//! How two sides find the festivals they have in common without naming others.
//!
//! A festival's id is what its ticket gives away, so it never travels. The accepting side names its
//! festivals by hashes of what this session alone has, which only those recognise who know them too
//! and which prove that it knows them itself; the opener proves in return that it knows those it
//! chose. Repeating what somebody else said to somebody else proves nothing. What a session alone
//! has is the handshake of its encrypted link; so a peer in the middle who relays both ways is not
//! recognised either, as it has two links. Where there is none, each side draws a nonce.
//!
//! Who the users are is shown behind that, by [`LinkProof`], where it is of use: not between two
//! that hold the same and part again.

use std::{collections::BTreeMap, time::Duration};

use p2panda_core::{ChannelBinding, FestivalId, LinkEnd, LinkProof, Replica, codec};
use rand_core::CryptoRng;

use super::Context;
use crate::{
    error::{PeerFault, SyncError},
    sketch::{Fingerprint, Keys, Salt, Syndromes, pack, packed_count, unpack},
    wire::{Greet, Hello, MAX_FESTIVALS, MAX_FRAME, Offered, Open, Salted, Token},
};

/// The syndromes of a `HELLO`: what resolves up to eight differing logs at once.
const SYNDROMES: usize = 16;

/// The most syndromes that a `HELLO` brings because the last sessions needed more.
const MANY_SYNDROMES: u64 = 64;

/// Where a `HELLO` has many festivals there is room for fewer each.
const FEW_SYNDROMES: usize = 4;
const MANY_FESTIVALS: usize = 64;

/// Frame sizes are told in so many bytes.
const FRAME_UNIT: usize = 16 * 1024;

/// The least that a peer has to take, in those: a segment with a fork proof.
const LEAST_FRAME: u64 = 6;

impl Token {
    pub(super) fn random(rng: &mut impl CryptoRng) -> Self {
        Self(rng.next_u64().to_be_bytes())
    }
}

/// What one side brings into a session that makes its hashes its own.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fresh {
    /// What the session's link has in common at both ends, if it has: each side has contributed to
    /// it, so it needs no nonces.
    pub(super) binding: Option<ChannelBinding>,
    /// Our nonce, where there is no such link.
    pub(super) nonce: Option<Token>,
}

impl Fresh {
    pub(super) fn new(rng: &mut impl CryptoRng) -> Self {
        Self { binding: None, nonce: Some(Token::random(rng)) }
    }

    pub(super) const fn bound(binding: ChannelBinding) -> Self {
        Self { binding: Some(binding), nonce: None }
    }

    /// The proof of who is at our end of the link, where there is one.
    fn proof(&self, end: LinkEnd, replica: &Replica) -> Option<LinkProof> {
        self.binding.map(|link| replica.link_proof(&link, end))
    }
}

/// What makes a session's hashes its own: of the link, and of both sides' nonces.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hashes([u8; 32]);

impl Hashes {
    fn new(link: Option<ChannelBinding>, opener: Option<Token>, acceptor: Option<Token>) -> Self {
        let parts = codec::encode(&(link, opener, acceptor));
        Self(blake3::derive_key("p2panda 1 session", &parts))
    }

    /// Eight bytes that only those can know who know the parts.
    pub(super) fn token(&self, domain: &str, parts: &[&[u8]]) -> Token {
        let mut hasher = blake3::Hasher::new_derive_key(domain);
        hasher.update(&self.0);
        for part in parts {
            hasher.update(part);
        }
        let mut bytes = [0; 8];
        hasher.finalize_xof().fill(&mut bytes);
        Token(bytes)
    }

    fn name(&self, festival: &FestivalId) -> Token {
        self.token("p2panda 1 festival hello", &[festival.as_bytes()])
    }

    fn proof(&self, festival: &FestivalId) -> Token {
        self.token("p2panda 1 festival open", &[festival.as_bytes()])
    }

    /// Four bytes are enough: they say nothing to those who do not know the fingerprint, and who
    /// wants logs to look equal that are not cannot try them out before there is a session.
    fn equal(&self, festival: &FestivalId, fingerprint: &Fingerprint) -> [u8; 4] {
        let parts = [&festival.as_bytes()[..], &fingerprint.0];
        let Token([a, b, c, d, ..]) = self.token("p2panda 1 festival equal", &parts);
        [a, b, c, d]
    }
}

/// The frames that both sides take.
pub(super) fn frame_limit(units: u64) -> Result<usize, PeerFault> {
    if units < LEAST_FRAME {
        return Err(PeerFault::Message("a frame size"));
    }
    let units = usize::try_from(units).unwrap_or(usize::MAX);
    Ok(units.saturating_mul(FRAME_UNIT).min(MAX_FRAME))
}

pub(super) const fn greet(fresh: Fresh) -> Greet {
    Greet { nonce: fresh.nonce, frame: OUR_FRAME }
}

const OUR_FRAME: u64 = (MAX_FRAME / FRAME_UNIT) as u64;

/// A festival that both sides know.
pub(super) struct Common {
    pub(super) festival: FestivalId,
    pub(super) place: u64,
    pub(super) salt: Salt,
    pub(super) keys: Keys,
    /// What the `HELLO` or `OPEN` says of its logs.
    pub(super) start: Start,
}

/// How the comparison of a festival begins.
pub(super) enum Start {
    /// The logs are equal.
    Equal,
    /// Opening: compare with these syndromes of a map of about so many logs.
    Compare { syndromes: Syndromes, size: u64 },
    /// Accepting: the opener compares.
    Await,
    /// Accepting: the opener believes the logs to be equal, and they are not.
    Mistaken,
}

/// The accepting side, between `HELLO` and `OPEN`.
pub(super) struct Offer {
    fresh: Fresh,
    hashes: Hashes,
    salt: Salt,
    pub(super) frame: usize,
    /// Where the replica's changes stood when its logs were read.
    cursor: u64,
    festivals: Vec<FestivalId>,
}

/// What the two sides agree on.
pub(super) struct Agreed {
    pub(super) hashes: Hashes,
    /// Who we are, if it has to be shown.
    pub(super) proof: Option<LinkProof>,
    pub(super) commons: Vec<Common>,
    pub(super) cursor: u64,
    pub(super) frame: usize,
    pub(super) live: bool,
}

impl Offer {
    pub(super) fn new(
        greet: &Greet,
        fresh: Fresh,
        cx: &mut Context<'_>,
    ) -> Result<(Self, Hello), SyncError> {
        let hashes = Hashes::new(fresh.binding, greet.nonce, fresh.nonce);
        let frame = frame_limit(greet.frame)?;
        let mut ids: Vec<_> = festivals(cx.replica)?
            .into_iter()
            .map(|festival| (hashes.name(&festival), festival))
            .collect();
        // Sorted by their hashes: the order says nothing, and where there are too many, each
        // session offers others.
        ids.sort_unstable();
        ids.truncate(MAX_FESTIVALS);
        let salt = usable_salt(cx, ids.iter().map(|(_, festival)| *festival))?;
        let count = syndrome_count(ids.len(), cx.sketches.expected());
        let mut hello = Hello {
            salt: Salted { salt: Token(salt.0), nonce: fresh.nonce },
            frame: OUR_FRAME,
            festivals: Vec::with_capacity(ids.len()),
        };
        let mut festivals = Vec::with_capacity(ids.len());
        for (name, festival) in ids {
            let sums = cx.sketches.sums(cx.replica, festival, salt, count)?;
            let size = bits(sums.len());
            let syndromes = sums.syndromes(count).unwrap_or_default();
            let syndromes = pack(syndromes.sums().iter().copied());
            hello.festivals.push(Offered { name, size, syndromes });
            festivals.push(festival);
        }
        let cursor = cx.sketches.cursor(cx.replica)?;
        Ok((Self { fresh, hashes, salt, frame, cursor, festivals }, hello))
    }

    /// Checks the opener's proofs.
    pub(super) fn agree(self, open: &Open, cx: &mut Context<'_>) -> Result<Agreed, SyncError> {
        if open.places.is_empty() {
            return Err(SyncError::NoFestivalInCommon);
        }
        let malformed = PeerFault::Message("OPEN");
        let mut commons: Vec<Common> = Vec::new();
        let mut proofs = &open.proofs[..];
        for chosen in &open.places {
            let (place, equal) = (chosen / 2, chosen % 2 == 1);
            if commons.last().is_some_and(|last| last.place >= place) {
                return Err(malformed.into());
            }
            let offered = usize::try_from(place).ok().and_then(|at| self.festivals.get(at));
            let festival = *offered.ok_or(PeerFault::Proof)?;
            let (proof, rest) = proofs.split_first_chunk().ok_or(PeerFault::Proof)?;
            if *proof != self.hashes.proof(&festival).0 {
                return Err(PeerFault::Proof.into());
            }
            proofs = rest;
            let start = if equal {
                let (claimed, rest) =
                    proofs.split_first_chunk().ok_or_else(|| malformed.clone())?;
                proofs = rest;
                let fingerprint = cx.sketches.fingerprint(cx.replica, festival)?;
                let ours = self.hashes.equal(&festival, &fingerprint);
                if *claimed == ours { Start::Equal } else { Start::Mistaken }
            } else {
                Start::Await
            };
            let keys = Keys::new(self.salt, &festival);
            commons.push(Common { festival, place, salt: self.salt, keys, start });
        }
        if !proofs.is_empty() {
            return Err(malformed.into());
        }
        if commons.iter().all(|common| matches!(common.start, Start::Equal)) {
            cx.sketches.expect(0);
        }
        let Self { fresh, hashes, cursor, frame, .. } = self;
        let shown = open.live || open.places.iter().any(|chosen| chosen % 2 == 0);
        let proof = if shown { fresh.proof(LinkEnd::Acceptor, cx.replica) } else { None };
        Ok(Agreed { hashes, proof, commons, cursor, frame, live: open.live })
    }
}

/// What the opener says to a `HELLO`, and how it goes on.
pub(super) fn open(
    hello: &Hello,
    fresh: Fresh,
    live: bool,
    cx: &mut Context<'_>,
) -> Result<(Open, Agreed), SyncError> {
    let hashes = Hashes::new(fresh.binding, fresh.nonce, hello.salt.nonce);
    let salt = Salt(hello.salt.salt.0);
    let cursor = cx.sketches.cursor(cx.replica)?;
    let offered: BTreeMap<Token, (u64, &Offered)> =
        (0..).zip(&hello.festivals).map(|(at, offered)| (offered.name, (at, offered))).collect();
    let mut chosen = Vec::new();
    for festival in festivals(cx.replica)? {
        if let Some((place, offered)) = offered.get(&hashes.name(&festival)) {
            chosen.push((*place, festival, *offered));
        }
    }
    chosen.sort_unstable_by_key(|(place, ..)| *place);
    let mut places = Vec::new();
    let mut proofs = Vec::new();
    let mut commons = Vec::new();
    for (place, festival, offered) in chosen {
        let syndromes = read_syndromes(&offered.syndromes, "HELLO")?;
        let count = syndromes.sums().len();
        let sums = cx.sketches.sums(cx.replica, festival, salt, count)?;
        let equal = sums.syndromes(count).as_ref() == Some(&syndromes) && !sums.collided();
        proofs.extend(hashes.proof(&festival).0);
        let start = if equal {
            let fingerprint = cx.sketches.fingerprint(cx.replica, festival)?;
            proofs.extend(hashes.equal(&festival, &fingerprint));
            Start::Equal
        } else {
            Start::Compare { syndromes, size: offered.size.into() }
        };
        places.push(2 * place + u64::from(equal));
        commons.push(Common { festival, place, salt, keys: Keys::new(salt, &festival), start });
    }
    let shown = live || places.iter().any(|chosen| chosen % 2 == 0);
    let proof = if shown { fresh.proof(LinkEnd::Opener, cx.replica) } else { None };
    let open = Open { live, places, proofs: proofs.into() };
    let frame = frame_limit(hello.frame)?;
    Ok((open, Agreed { hashes, proof, commons, cursor, frame, live }))
}

/// How many bits a number has: about how many logs there are is all that a `HELLO` says of it.
fn bits(number: usize) -> u8 {
    u8::try_from(usize::BITS - number.leading_zeros()).unwrap_or(u8::MAX)
}

/// Syndromes as they came: at least two, or they would tell nothing.
pub(super) fn read_syndromes(bytes: &[u8], name: &'static str) -> Result<Syndromes, PeerFault> {
    let sums = unpack(bytes).filter(|_| packed_count(bytes.len()) >= 2);
    sums.and_then(Syndromes::from_sums).ok_or(PeerFault::Message(name))
}

/// Our salt, or another one where two logs of a festival have one key under it.
fn usable_salt(
    cx: &mut Context<'_>,
    festivals: impl Iterator<Item = FestivalId>,
) -> Result<Salt, SyncError> {
    cx.sketches.follow(cx.replica)?;
    let salt = cx.sketches.salt(cx.now);
    for festival in festivals {
        if cx.sketches.sums(cx.replica, festival, salt, 0)?.collided() {
            let busy = SyncError::Busy { retry_after: BUSY };
            return cx.sketches.fresh_salt(cx.now).ok_or(busy);
        }
    }
    Ok(salt)
}

/// How long a peer is asked to wait.
pub(super) const BUSY: Duration = Duration::from_secs(10);

/// Enough for what the last sessions found to differ, as far as there is room.
fn syndrome_count(festivals: usize, expected: u64) -> usize {
    if festivals > MANY_FESTIVALS {
        return FEW_SYNDROMES;
    }
    let enough = (2 * (expected.saturating_add(expected / 4) + 3)).min(MANY_SYNDROMES);
    match usize::try_from(enough) {
        Ok(count) if expected > 8 && festivals <= MANY_FESTIVALS / 4 => count,
        _ => SYNDROMES,
    }
}

fn festivals(replica: &Replica) -> Result<Vec<FestivalId>, SyncError> {
    Ok(replica.festivals()?.iter().map(p2panda_core::Festival::id).collect())
}
