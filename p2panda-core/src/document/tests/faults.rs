//! Faults on purpose, for the tests of the net.

use std::cell::RefCell;

pub(crate) enum Fault {
    Panic,
    /// What a stack overflow does.
    Abort,
}

thread_local! {
    static FAULT: RefCell<Option<(Vec<u8>, Fault)>> = const { RefCell::new(None) };
}

/// From now on, judging a payload that contains these bytes has this end.
pub(crate) fn plant(bytes: &[u8], fault: Fault) {
    FAULT.set(Some((bytes.to_vec(), fault)));
}

pub(crate) fn clear() {
    FAULT.set(None);
}

pub(in super::super) fn strike(payload: &[u8]) {
    FAULT.with_borrow(|fault| match fault {
        Some((bytes, fault)) if payload.windows(bytes.len()).any(|part| part == bytes) => {
            match fault {
                Fault::Panic => panic!("a fault on purpose"),
                Fault::Abort => std::process::abort(),
            }
        }
        _ => {}
    });
}
