//! How long a session waits for its peer, and when it waits for nobody.
#![allow(clippy::unwrap_used)]

mod common;

use std::time::Duration;

use bytes::Bytes;
use common::{Author, festival, replica, rng};
use p2panda_core::Replica;
use p2panda_sync::{Input, Output, PATIENCE, Role, Session, Sketches, SyncError};

const SECOND: Duration = Duration::from_secs(1);

/// One end of a wire that the test is.
struct Side {
    session: Session,
    replica: Replica,
    sketches: Sketches,
    finished: bool,
}

impl Side {
    fn new(role: Role, seed: u64) -> Self {
        let session = Session::new(role, Duration::ZERO, &mut rng(seed));
        let replica = replica(seed, &[&festival(1)]);
        Self { session, replica, sketches: Sketches::new(&mut rng(seed)), finished: false }
    }

    fn handle(&mut self, now: Duration, input: Input) -> Result<(), SyncError> {
        self.session.handle(now, input, &mut self.replica, &mut self.sketches)
    }

    fn next(&mut self, now: Duration) -> Option<Bytes> {
        loop {
            match self.session.poll(now, &mut self.replica, &mut self.sketches).unwrap() {
                Some(Output::Send(frame)) => return Some(frame),
                Some(Output::Event(_)) => {}
                Some(Output::Finished) => {
                    self.finished = true;
                    return None;
                }
                None => return None,
            }
        }
    }
}

/// Carries frames until neither side has any.
fn talk(now: Duration, one: &mut Side, other: &mut Side) {
    loop {
        let frames = [one.next(now), other.next(now)];
        if frames.iter().all(Option::is_none) {
            return;
        }
        let [there, back] = frames;
        there.into_iter().for_each(|frame| other.handle(now, Input::Frame(frame)).unwrap());
        back.into_iter().for_each(|frame| one.handle(now, Input::Frame(frame)).unwrap());
    }
}

#[test]
fn a_peer_that_has_everything_and_stays_is_left_after_a_while() {
    let (mut opener, mut acceptor) = (Side::new(Role::Sync, 1), Side::new(Role::Accept, 2));
    Author::new(11, festival(1).id()).fill(&mut acceptor.replica, 3, 10);
    talk(SECOND, &mut opener, &mut acceptor);
    assert!(opener.finished && !acceptor.finished);
    assert_eq!(opener.session.deadline(), None);
    // The opener says nothing more, and does not close.
    let deadline = acceptor.session.deadline().expect("it does not wait for ever");
    assert_eq!(deadline, SECOND + PATIENCE);
    acceptor.handle(deadline - SECOND, Input::Deadline).unwrap();
    assert_eq!(acceptor.next(deadline - SECOND), None);
    assert!(!acceptor.finished, "too early");
    acceptor.handle(deadline, Input::Deadline).unwrap();
    assert_eq!(acceptor.next(deadline), None);
    assert!(acceptor.finished, "all was exchanged: this is no error");
    assert_eq!(acceptor.session.deadline(), None);
}

#[test]
fn a_live_link_without_news_wakes_nobody_but_to_compare() {
    let (mut opener, mut acceptor) = (Side::new(Role::Link, 1), Side::new(Role::Accept, 2));
    talk(SECOND, &mut opener, &mut acceptor);
    assert_eq!(opener.session.deadline(), None);
    let deadline = acceptor.session.deadline().expect("it compares now and then");
    assert!(deadline >= SECOND * 5, "{deadline:?}");
}

#[test]
fn a_live_link_that_was_silent_for_long_gives_its_peer_the_whole_time_to_answer() {
    let (mut opener, mut acceptor) = (Side::new(Role::Link, 1), Side::new(Role::Accept, 2));
    talk(SECOND, &mut opener, &mut acceptor);
    // An hour without a word, and then there is something to say.
    let later = SECOND * 3_600;
    Author::new(11, festival(1).id()).fill(&mut opener.replica, 1, 10);
    let push = opener.next(later).unwrap();
    assert_eq!(opener.session.deadline(), Some(later + PATIENCE));
    opener.handle(later, Input::Deadline).unwrap();
    assert_eq!(opener.next(later), None);
    assert_eq!(opener.session.deadline(), Some(later + PATIENCE), "it waits for the answer");
    // The answer comes late, but in time.
    let answered = later + PATIENCE - SECOND;
    acceptor.handle(answered, Input::Frame(push)).unwrap();
    talk(answered, &mut opener, &mut acceptor);
    assert_eq!(opener.session.deadline(), None);
    // Without any answer it is given up.
    Author::new(13, festival(1).id()).fill(&mut opener.replica, 1, 10);
    let later = SECOND * 10_000;
    opener.next(later).unwrap();
    assert_eq!(opener.next(later), None);
    opener.handle(later + PATIENCE - SECOND, Input::Deadline).unwrap();
    let error = opener.handle(later + PATIENCE, Input::Deadline).unwrap_err();
    assert!(matches!(error, SyncError::Stalled { .. }));
}
