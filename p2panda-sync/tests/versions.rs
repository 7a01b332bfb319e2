//! Peers of other versions are told apart from strangers, whichever side they are on.
#![allow(clippy::unwrap_used)]

mod common;

use std::time::Duration;

use bytes::Bytes;
use common::{festival, replica, rng};
use p2panda_sync::{Fault, Input, Output, Role, Session, Sketches, SyncError};

#[test]
fn both_sides_learn_that_the_other_speaks_another_version() {
    let mut replica = replica(1, &[&festival(1)]);
    let mut sketches = Sketches::new(&mut rng(1));
    let now = Duration::ZERO;
    // A later opener greets with what is not known here.
    let mut accepting = Session::new(Role::Accept, now, &mut rng(1));
    let greet = Input::Frame(Bytes::from_static(&[2, 9, 1, 2, 3]));
    accepting.handle(now, greet, &mut replica, &mut sketches).unwrap();
    let Ok(Some(Output::Send(answer))) = accepting.poll(now, &mut replica, &mut sketches) else {
        panic!("it answers")
    };
    assert_eq!(answer[..], [1, 1], "a HELLO of our version, and nothing behind it");
    let error = accepting.poll(now, &mut replica, &mut sketches).unwrap_err();
    assert!(matches!(error, SyncError::Version { theirs: 9 }), "{error}");
    assert_eq!(error.fault(), Fault::Neither);
    // And an opener meets a later accepting side.
    let mut opening = Session::new(Role::Sync, now, &mut rng(1));
    opening.poll(now, &mut replica, &mut sketches).unwrap();
    let hello = Input::Frame(Bytes::from_static(&[1, 7]));
    let error = opening.handle(now, hello, &mut replica, &mut sketches).unwrap_err();
    assert!(matches!(error, SyncError::Version { theirs: 7 }), "{error}");
}
