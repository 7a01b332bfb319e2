#![no_main]

use fuzz::bed::Bed;
use libfuzzer_sys::fuzz_target;
use p2panda_core::fuzzing::Gate;
use std::sync::{LazyLock, Mutex};

static BED: LazyLock<(Bed, Mutex<Gate>)> = LazyLock::new(|| {
    let bed = Bed::new();
    let gate = Mutex::new(bed.gate());
    (bed, gate)
});

fuzz_target!(|data: &[u8]| {
    let (bed, gate) = &*BED;
    bed.offer(&mut gate.lock().expect("a panic ends the process"), data);
});
