use std::fmt;

use p2panda_core::LinkId;
use rand_core::CryptoRng;
use snow::{
    params::DHChoice,
    resolvers::{CryptoResolver as _, DefaultResolver},
};

/// A device's secret for links: an X25519 key pair, and never the user's key.
///
/// So a link shows which device it comes from, and not whose. It belongs to the device: where a
/// user's key is taken to another one, this one stays behind. It is needed before anything of the
/// store is read, and nothing but the recognition of a device by its peers is lost with it: where
/// it is gone, a new one is drawn.
#[derive(Clone)]
pub struct LinkKey {
    secret: [u8; 32],
    id: LinkId,
}

impl LinkKey {
    /// Draws a new key pair.
    pub fn generate(rng: &mut impl CryptoRng) -> Self {
        let mut secret = [0; 32];
        rng.fill_bytes(&mut secret);
        Self::from_secret(&secret)
    }

    /// The key pair with this secret key: any 32 bytes are one.
    #[must_use]
    pub fn from_secret(secret: &[u8; 32]) -> Self {
        let mut dh = DefaultResolver.resolve_dh(&DHChoice::Curve25519).expect("it is built in");
        dh.set(secret);
        let id = dh.pubkey().try_into().expect("X25519's public keys have 32 bytes");
        Self { secret: *secret, id: LinkId::from_bytes(id) }
    }

    /// The secret key: to be stored where only its owner reads.
    #[must_use]
    pub const fn secret(&self) -> &[u8; 32] {
        &self.secret
    }

    /// The public half, by which peers recognise the device.
    #[must_use]
    pub const fn id(&self) -> LinkId {
        self.id
    }
}

impl fmt::Debug for LinkKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LinkKey({})", self.id)
    }
}
