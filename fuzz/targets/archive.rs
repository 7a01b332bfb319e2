#![no_main]

use fuzz::bed::Bed;
use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;

static BED: LazyLock<Bed> = LazyLock::new(Bed::new);

fuzz_target!(|data: &[u8]| BED.import(data));
