//! Negentropy 0.5.3 over as many items.

use negentropy::{Id, Negentropy, NegentropyStorageVector};
use rand_chacha::{
    ChaCha20Rng,
    rand_core::{Rng as _, SeedableRng as _},
};

use crate::{Failure, counted};

/// Counts a server's first answer to a client of which so many items are other ones.
pub(crate) fn count(name: &str, items: usize, different: usize) -> Result<(), Failure> {
    let mut rng = ChaCha20Rng::seed_from_u64(3);
    let mut stores = [NegentropyStorageVector::new(), NegentropyStorageVector::new()];
    for item in 0..items {
        let mut head = [0; 32];
        for (side, store) in stores.iter_mut().enumerate() {
            if side == 0 || item >= items - different {
                rng.fill_bytes(&mut head);
            }
            store.insert(0, Id::from_byte_array(head))?;
        }
    }
    for store in &mut stores {
        store.seal()?;
    }
    let [client, server] = stores;
    let question = Negentropy::owned(client, 0)?.initiate()?;
    let mut server = Negentropy::owned(server, 0)?;
    let answer = counted(name, || server.reconcile(&question))?;
    if answer.is_empty() { Err("no answer".into()) } else { Ok(()) }
}
