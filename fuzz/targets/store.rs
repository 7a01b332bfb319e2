#![no_main]

use fuzz::stored::Stored;
use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;

static STORED: LazyLock<Stored> = LazyLock::new(Stored::new);

fuzz_target!(|data: &[u8]| STORED.damage(data));
