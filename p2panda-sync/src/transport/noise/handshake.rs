//! The three messages by which two ends agree on keys: `Noise_XX_25519_ChaChaPoly_BLAKE2s`.
//!
//! Neither end knows the other's key beforehand: addresses come from people, or from the local
//! network. Of the patterns for that, XX is the one in which each side's first word is a fresh
//! ephemeral key and its own link key follows encrypted. Whoever listens learns that two devices
//! speak, and not which. Whoever connects, and goes through with it, learns the link key of the
//! accepting side, which is a device's pseudonym and no user's.

use p2panda_core::{ChannelBinding, LinkEnd, LinkId};
use rand_core::CryptoRng;
use snow::{
    Builder, Error, HandshakeState, TransportState,
    params::{CipherChoice, DHChoice, HashChoice},
    resolvers::{CryptoResolver, DefaultResolver},
    types::{Cipher, Dh, Hash, Random},
};

use super::{LinkError, LinkKey};

const PROTOCOL: &str = "Noise_XX_25519_ChaChaPoly_BLAKE2s";
/// Both sides hash it in: a handshake of another protocol or version fails at once.
const PROLOGUE: &[u8] = b"p2panda 1 link";
/// The sizes of the messages: `e`; `e, ee, s, es`; `s, se`. They have no payloads.
const SIZES: [usize; 3] = [32, 96, 64];
/// The longest message of a handshake.
pub(crate) const MAX_HANDSHAKE: usize = 96;

/// A handshake between two of its messages.
pub(crate) struct Handshake {
    state: HandshakeState,
    passed: usize,
}

/// What a handshake leads to.
pub(super) struct Established {
    pub(super) keys: TransportState,
    pub(super) binding: ChannelBinding,
    pub(super) peer: LinkId,
}

impl Handshake {
    /// At its beginning. Draws 32 bytes.
    pub(crate) fn new(end: LinkEnd, key: &LinkKey, rng: &mut impl CryptoRng) -> Self {
        let mut ephemeral = [0; 32];
        rng.fill_bytes(&mut ephemeral);
        let builder = Builder::with_resolver(
            PROTOCOL.parse().expect("it is a protocol of Noise"),
            Box::new(Resolver { ephemeral }),
        );
        let builder = builder.local_private_key(key.secret()).and_then(|it| it.prologue(PROLOGUE));
        let state = builder.and_then(|builder| match end {
            LinkEnd::Opener => builder.build_initiator(),
            LinkEnd::Acceptor => builder.build_responder(),
        });
        Self { state: state.expect("all that the pattern needs is given"), passed: 0 }
    }

    pub(super) fn is_finished(&self) -> bool {
        self.state.is_handshake_finished()
    }

    /// Whether the next message is ours.
    pub(super) fn is_our_turn(&self) -> bool {
        self.state.is_my_turn()
    }

    pub(super) fn write(&mut self) -> Result<Vec<u8>, LinkError> {
        // Snow wants room for a tag even where there is none.
        let mut message = vec![0; MAX_HANDSHAKE + 16];
        let size = self.state.write_message(&[], &mut message)?;
        message.truncate(size);
        self.passed += 1;
        Ok(message)
    }

    pub(super) fn read(&mut self, message: &[u8]) -> Result<(), LinkError> {
        if SIZES.get(self.passed) != Some(&message.len()) {
            return Err(LinkError::Handshake);
        }
        self.state.read_message(message, &mut [])?;
        self.passed += 1;
        Ok(())
    }

    pub(super) fn establish(self) -> Result<Established, LinkError> {
        let bytes = |bytes: &[u8]| bytes.try_into().map_err(|_| LinkError::Handshake);
        let binding = ChannelBinding::from_bytes(bytes(self.state.get_handshake_hash())?);
        let peer = self.state.get_remote_static().ok_or(LinkError::Handshake)?;
        let peer = LinkId::from_bytes(bytes(peer)?);
        Ok(Established { keys: self.state.into_transport_mode()?, binding, peer })
    }
}

impl From<Error> for LinkError {
    fn from(_: Error) -> Self {
        Self::Handshake
    }
}

/// The RustCrypto primitives, with randomness that was drawn before.
struct Resolver {
    ephemeral: [u8; 32],
}

impl CryptoResolver for Resolver {
    fn resolve_rng(&self) -> Option<Box<dyn Random>> {
        Some(Box::new(Drawn(Some(self.ephemeral))))
    }

    fn resolve_dh(&self, choice: &DHChoice) -> Option<Box<dyn Dh>> {
        Some(Box::new(Contributory(DefaultResolver.resolve_dh(choice)?)))
    }

    fn resolve_hash(&self, choice: &HashChoice) -> Option<Box<dyn Hash>> {
        DefaultResolver.resolve_hash(choice)
    }

    fn resolve_cipher(&self, choice: &CipherChoice) -> Option<Box<dyn Cipher>> {
        DefaultResolver.resolve_cipher(choice)
    }
}

/// The secret of the one ephemeral key that a side of XX makes.
struct Drawn(Option<[u8; 32]>);

impl Random for Drawn {
    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Error> {
        let drawn = self.0.take().ok_or(Error::Rng)?;
        if bytes.len() != drawn.len() {
            return Err(Error::Rng);
        }
        bytes.copy_from_slice(&drawn);
        Ok(())
    }
}

/// Refuses points of small order: with one as link key, anybody could claim to hold its secret.
struct Contributory(Box<dyn Dh>);

impl Dh for Contributory {
    fn name(&self) -> &'static str {
        self.0.name()
    }

    fn pub_len(&self) -> usize {
        self.0.pub_len()
    }

    fn priv_len(&self) -> usize {
        self.0.priv_len()
    }

    fn set(&mut self, secret: &[u8]) {
        self.0.set(secret);
    }

    fn generate(&mut self, rng: &mut dyn Random) -> Result<(), Error> {
        self.0.generate(rng)
    }

    fn pubkey(&self) -> &[u8] {
        self.0.pubkey()
    }

    fn privkey(&self) -> &[u8] {
        self.0.privkey()
    }

    fn dh(&self, public: &[u8], out: &mut [u8]) -> Result<(), Error> {
        self.0.dh(public, out)?;
        let shared = out.get(..self.0.dh_len()).ok_or(Error::Dh)?;
        // Folded, so that where the first byte differs from zero takes no time of its own.
        if shared.iter().fold(0, |all, byte| all | byte) == 0 { Err(Error::Dh) } else { Ok(()) }
    }
}
