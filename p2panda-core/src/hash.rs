//! Domain-separated BLAKE3: every hash in a p2panda format names what it is a hash of.

use std::sync::LazyLock;

use blake3::hazmat::{ContextKey, HasherExt as _, hash_derive_key_context};

/// What is hashed. Two domains never give one hash for the same bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Domain {
    Festival,
    Document,
    Log,
    Payload,
    Chain,
    Record,
    Policy,
    Changes,
    LogSet,
    View,
}

const DOMAINS: [&str; 10] = [
    "p2panda 1 festival",
    "p2panda 1 document",
    "p2panda 1 log",
    "p2panda 1 payload",
    "p2panda 1 chain",
    "p2panda 1 record",
    "p2panda 1 policy",
    "p2panda 1 document changes",
    "p2panda 1 log set",
    "p2panda 1 view",
];

/// The derived key of each domain, computed once: hashing the domain string anew would double the
/// cost of a chain step.
static KEYS: LazyLock<[ContextKey; 10]> = LazyLock::new(|| DOMAINS.map(hash_derive_key_context));

/// A hasher of one domain, for input that comes in parts.
pub(crate) fn hasher(domain: Domain) -> blake3::Hasher {
    blake3::Hasher::new_from_context_key(&KEYS[domain as usize])
}

/// The 32-byte hash of some bytes in a domain.
pub(crate) fn hash(domain: Domain, bytes: &[u8]) -> [u8; 32] {
    *hasher(domain).update(bytes).finalize().as_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_domain_is_blake3_key_derivation_under_its_name() {
        for (domain, name) in [(Domain::Festival, 0), (Domain::Chain, 4), (Domain::View, 9)] {
            assert_eq!(hash(domain, b"x"), blake3::derive_key(DOMAINS[name], b"x"));
        }
    }
}
