//! How two sides find the festivals they have in common without naming others.
//!
//! A festival's id is what its ticket gives away, so it never travels. The accepting side shows
//! hashes under a fresh salt; the opener proves that it knows some of them, under its own nonce
//! too, and so does the accepting side in return: repeating a message that somebody else sent
//! proves nothing. A peer in the middle who relays both ways is kept out by the link's encryption.

use std::collections::BTreeMap;

use p2panda_core::{FestivalId, LogId, Replica};
use rand_core::CryptoRng;

use crate::{
    error::{PeerFault, SyncError},
    reconcile::{Logs, Reconcile, fingerprint},
    wire::{Answer, Chosen, Fingerprint, Hello, MAX_FESTIVALS, Offered, Open, Token},
};

/// The most logs of one session, ours or the peer's.
pub(super) const MAX_LOGS: usize = 1 << 18;

impl Token {
    pub(super) fn random(rng: &mut impl CryptoRng) -> Self {
        let mut bytes = [0; 16];
        rng.fill_bytes(&mut bytes);
        Self(bytes)
    }

    fn derived(domain: &str, parts: &[&[u8]]) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key(domain);
        for part in parts {
            hasher.update(part);
        }
        let mut bytes = [0; 16];
        hasher.finalize_xof().fill(&mut bytes);
        Self(bytes)
    }
}

fn blinded(salt: &Token, festival: &FestivalId) -> Token {
    Token::derived("p2panda 1 festival hello", &[&salt.0, festival.as_bytes()])
}

fn opener_proof(salt: &Token, nonce: &Token, festival: &FestivalId) -> Token {
    Token::derived("p2panda 1 festival open", &[&salt.0, &nonce.0, festival.as_bytes()])
}

fn answer_proof(salt: &Token, nonce: &Token, festival: &FestivalId) -> Token {
    Token::derived("p2panda 1 festival answer", &[&salt.0, &nonce.0, festival.as_bytes()])
}

/// A festival that both sides know, and how its comparison begins.
pub(super) struct Common {
    pub(super) festival: FestivalId,
    pub(super) place: u64,
    pub(super) reconcile: Reconcile,
    /// What the peer holds of each log, unless the comparison says otherwise.
    pub(super) assumed: Vec<(LogId, u64)>,
}

impl Common {
    fn new(
        festival: FestivalId,
        place: u64,
        logs: Logs,
        begin: impl FnOnce(Logs) -> Reconcile,
    ) -> Self {
        let assumed = logs.iter().map(|(log, tip)| (*log, tip.length)).collect();
        Self { festival, place, assumed, reconcile: begin(logs) }
    }
}

/// The accepting side, between `HELLO` and `OPEN`.
pub(super) struct Offer {
    salt: Token,
    /// Where the replica's changes stood when its logs were read.
    pub(super) cursor: u64,
    festivals: Vec<(FestivalId, Offered, Logs)>,
}

impl Offer {
    pub(super) fn new(salt: Token, replica: &Replica) -> Result<Self, SyncError> {
        let cursor = replica.log_cursor();
        let mut ids: Vec<_> = replica
            .festivals()?
            .iter()
            .map(|festival| (blinded(&salt, &festival.id()), festival.id()))
            .collect();
        // Sorted by their hashes: the order says nothing, and where there are too many, each
        // session offers others.
        ids.sort_unstable();
        ids.truncate(MAX_FESTIVALS);
        let mut festivals = Vec::with_capacity(ids.len());
        for (blinded, id) in ids {
            let logs = logs(replica, id)?;
            let fingerprint = fingerprint(&salt, &id, &logs);
            festivals.push((id, Offered { blinded, fingerprint }, logs));
        }
        Ok(Self { salt, cursor, festivals })
    }

    pub(super) fn hello(&self) -> Hello {
        let festivals = self.festivals.iter().map(|(_, offered, _)| offered.clone()).collect();
        Hello { salt: self.salt, festivals }
    }

    /// Checks the opener's proofs, and proves in return.
    pub(super) fn answer(mut self, open: &Open) -> Result<(Answer, Vec<Common>), SyncError> {
        if open.festivals.is_empty() {
            return Err(SyncError::NoFestivalInCommon);
        }
        let mut proofs = Vec::new();
        let mut commons = Vec::new();
        let mut previous = None;
        for chosen in &open.festivals {
            let offered =
                usize::try_from(chosen.place).ok().and_then(|at| self.festivals.get_mut(at));
            let (festival, _, logs) = offered.ok_or(PeerFault::Proof)?;
            if chosen.proof != opener_proof(&self.salt, &open.nonce, festival) {
                return Err(PeerFault::Proof.into());
            }
            if previous.replace(chosen.place).is_some_and(|previous| previous >= chosen.place) {
                return Err(PeerFault::Message("OPEN").into());
            }
            proofs.push(answer_proof(&self.salt, &open.nonce, festival));
            let begin = if chosen.equal { |_| Reconcile::equal() } else { Reconcile::hearing };
            commons.push(Common::new(*festival, chosen.place, std::mem::take(logs), begin));
        }
        check_count(&commons)?;
        Ok((Answer { proofs }, commons))
    }
}

/// The opening side, once it has the `HELLO`.
pub(super) struct Opening {
    pub(super) open: Open,
    pub(super) commons: Vec<Common>,
    pub(super) cursor: u64,
    /// What the `ANSWER` has to hold.
    pub(super) proofs: Vec<Token>,
}

impl Opening {
    pub(super) fn new(
        hello: &Hello,
        nonce: Token,
        live: bool,
        replica: &Replica,
    ) -> Result<Self, SyncError> {
        let cursor = replica.log_cursor();
        let offered: BTreeMap<Token, (u64, Fingerprint)> = (0..)
            .zip(&hello.festivals)
            .map(|(place, offered)| (offered.blinded, (place, offered.fingerprint)))
            .collect();
        let mut chosen = Vec::new();
        for festival in replica.festivals()? {
            let id = festival.id();
            if let Some((place, theirs)) = offered.get(&blinded(&hello.salt, &id)) {
                chosen.push((*place, id, *theirs));
            }
        }
        chosen.sort_unstable_by_key(|(place, ..)| *place);
        let mut this = Self {
            open: Open { nonce, live, festivals: Vec::new() },
            commons: Vec::new(),
            cursor,
            proofs: Vec::new(),
        };
        for (place, id, theirs) in chosen {
            let logs = logs(replica, id)?;
            let equal = fingerprint(&hello.salt, &id, &logs) == theirs;
            let proof = opener_proof(&hello.salt, &nonce, &id);
            this.open.festivals.push(Chosen { place, proof, equal });
            this.proofs.push(answer_proof(&hello.salt, &nonce, &id));
            let begin = if equal { |_| Reconcile::equal() } else { Reconcile::telling };
            this.commons.push(Common::new(id, place, logs, begin));
        }
        check_count(&this.commons)?;
        Ok(this)
    }
}

fn logs(replica: &Replica, festival: FestivalId) -> Result<Logs, SyncError> {
    let mut logs = replica.logs(festival)?;
    logs.sort_unstable_by_key(|(log, _)| *log);
    Ok(logs)
}

fn check_count(commons: &[Common]) -> Result<(), SyncError> {
    let logs = commons.iter().map(|common| common.assumed.len()).sum();
    if logs > MAX_LOGS { Err(SyncError::TooManyLogs { logs }) } else { Ok(()) }
}
