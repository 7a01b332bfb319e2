//! What all systems share: the workloads, how they are measured, and the row that each gives.
//!
//! Every system is a binary of its own that runs one workload in a process of its own and prints
//! one [`Row`]; the binary `peers` builds them, runs them in turn and lays their rows side by side.

mod congress;
mod history;
mod measure;
mod row;
mod wire;
mod workload;

pub use congress::congress;
pub use history::{Change, Edit, Event, History, Value};
pub use measure::{Cost, Measure};
pub use row::{Outcome, Row, serve};
pub use wire::{Side, Stamp, Wire};
pub use workload::{DIFFERENT, Workload};

/// Counts every allocation of the process. What a system allocates in C (SQLite) is not seen.
#[global_allocator]
static ALLOCATOR: peak_alloc::PeakAlloc = peak_alloc::PeakAlloc;

/// So many payloads of 200 bytes, all different, always the same.
#[must_use]
pub fn payloads(count: usize) -> Vec<Vec<u8>> {
    use rand_chacha::rand_core::{Rng as _, SeedableRng as _};
    let mut rng = rand_chacha::ChaCha20Rng::seed_from_u64(200);
    let payload = |_| {
        let mut bytes = vec![0; 200];
        rng.fill_bytes(&mut bytes);
        bytes
    };
    (0..count).map(payload).collect()
}
