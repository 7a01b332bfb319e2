#![no_main]

use libfuzzer_sys::fuzz_target;
use p2panda_core::{Festival, Ticket};

fuzz_target!(|data: &[u8]| {
    if let Ok(text) = std::str::from_utf8(data)
        && let Ok(ticket) = text.parse::<Ticket>()
    {
        assert_eq!(ticket.to_string().parse(), Ok(ticket));
    }
    // Behind the ticket's checksum.
    if let Ok(festival) = Festival::from_bytes(data) {
        assert_eq!(festival.to_bytes(), data);
    }
});
