//! Negentropy 0.5.3 over the heads of documents: finding only.

use std::{error::Error, process::ExitCode};

use negentropy::{Id, Negentropy, NegentropyStorageVector};
use peers::{DIFFERENT, Measure, Row, Side, Wire, Workload, serve};
use rand_chacha::{
    ChaCha20Rng,
    rand_core::{Rng as _, SeedableRng as _},
};

type Failure = Box<dyn Error>;

fn main() -> ExitCode {
    serve(|workload, size| run(workload, size).map_err(|error| error.to_string()))
}

fn run(workload: Workload, size: usize) -> Result<Row, Failure> {
    match workload {
        Workload::FewDiffer => reconcile(Workload::documents(size), DIFFERENT),
        Workload::Reconnect => reconcile(Workload::documents(size), 0),
        _ => Ok(Row::none("not what it is for")),
    }
}

/// Two sets of heads, of which some are another one at the other side: a document's head is an item
/// under its hash, as a document that grew has a new head.
fn reconcile(documents: usize, different: usize) -> Result<Row, Failure> {
    let mut rng = ChaCha20Rng::seed_from_u64(3);
    let mut stores = [NegentropyStorageVector::new(), NegentropyStorageVector::new()];
    for document in 0..documents {
        let mut head = [0; 32];
        for (at, store) in stores.iter_mut().enumerate() {
            if at == 0 || document >= documents - different {
                rng.fill_bytes(&mut head);
            }
            store.insert(0, Id::from_byte_array(head))?;
        }
    }
    for store in &mut stores {
        store.seal()?;
    }
    let [here, there] = stores;
    let mut wire = Wire::default();
    let (found, cost) = Measure::of(|| {
        let mut client = Negentropy::owned(here, 0)?;
        let mut server = Negentropy::owned(there, 0)?;
        let (mut have, mut need) = (Vec::new(), Vec::new());
        let mut next = Some(client.initiate()?);
        while let Some(message) = next {
            let stamp = wire.sent(Side::Here, message.len());
            wire.arrived(Side::There, stamp);
            let answer = server.reconcile(&message)?;
            let stamp = wire.sent(Side::There, answer.len());
            wire.arrived(Side::Here, stamp);
            next = client.reconcile_with_ids(&answer, &mut have, &mut need)?;
        }
        Ok::<_, Failure>(have.len() + need.len())
    });
    let note = format!("FINDING ONLY: {} items found to differ, none sent", found?);
    Ok(Row::exchange(&wire, cost, note))
}
