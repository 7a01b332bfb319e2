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
fn a_live_link_ends_when_its_festival_was_left() {
    let (mut opener, mut acceptor) = (Side::new(Role::Link, 1), Side::new(Role::Accept, 2));
    Author::new(11, festival(1).id()).fill(&mut opener.replica, 3, 10);
    talk(SECOND, &mut opener, &mut acceptor);
    acceptor.replica.leave_festival(festival(1).id()).unwrap();
    while !acceptor.finished {
        let due = acceptor.session.deadline().expect("it compares now and then");
        acceptor.handle(due, Input::Deadline).unwrap();
        while let Some(frame) = acceptor.next(due) {
            opener.handle(due, Input::Frame(frame)).unwrap();
            talk(due, &mut opener, &mut acceptor);
        }
        assert!(due < SECOND * 1_000);
    }
    assert!(acceptor.replica.logs(festival(1).id()).unwrap().is_empty());
}

#[test]
fn a_live_link_without_news_wakes_only_who_accepted_it_and_that_to_compare() {
    let (mut opener, mut acceptor) = (Side::new(Role::Link, 1), Side::new(Role::Accept, 2));
    talk(SECOND, &mut opener, &mut acceptor);
    assert_eq!(opener.session.deadline(), None);
    assert_eq!(acceptor.session.deadline(), Some(SECOND * 6));
}

#[test]
fn a_link_that_takes_nothing_is_not_called_again_and_again() {
    let (mut opener, mut acceptor) = (Side::new(Role::Link, 1), Side::new(Role::Accept, 2));
    talk(SECOND, &mut opener, &mut acceptor);
    acceptor.handle(SECOND * 6, Input::Deadline).unwrap();
    assert_eq!(acceptor.session.deadline(), None, "there is something to fetch, when it is taken");
    let sketch = acceptor.next(SECOND * 9).unwrap();
    assert_eq!(acceptor.session.deadline(), Some(SECOND * (9 + 10)));
    opener.handle(SECOND * 9, Input::Frame(sketch)).unwrap();
    talk(SECOND * 9, &mut opener, &mut acceptor);
}

#[test]
fn a_live_link_that_was_silent_for_long_gives_its_peer_the_whole_time_to_answer() {
    let (mut opener, mut acceptor) = (Side::new(Role::Link, 1), Side::new(Role::Accept, 2));
    talk(SECOND, &mut opener, &mut acceptor);
    for side in [Role::Link, Role::Accept] {
        // An hour without a word, and then one side has something to say.
        let later = SECOND * if side == Role::Link { 3_600 } else { 7_200 };
        let (from, to) = match side {
            Role::Link => (&mut opener, &mut acceptor),
            _ => (&mut acceptor, &mut opener),
        };
        let seed = if side == Role::Link { 11 } else { 12 };
        Author::new(seed, festival(1).id()).fill(&mut from.replica, 1, 10);
        let push = from.next(later).unwrap();
        from.handle(later, Input::Deadline).unwrap();
        assert_eq!(from.next(later), None);
        let deadline = from.session.deadline().unwrap();
        assert!(deadline > later && deadline <= later + PATIENCE, "it waits for the answer");
        if side == Role::Link {
            assert_eq!(deadline, later + PATIENCE);
        }
        // The answer comes late, but in time.
        let answered = later + PATIENCE - SECOND;
        from.handle(answered, Input::Deadline).unwrap();
        to.handle(answered, Input::Frame(push)).unwrap();
        talk(answered, from, to);
        assert_eq!(opener.session.deadline(), None);
        assert!(acceptor.session.deadline().is_some_and(|deadline| deadline > answered));
    }
    // Without any answer it is given up.
    Author::new(13, festival(1).id()).fill(&mut opener.replica, 1, 10);
    let later = SECOND * 10_000;
    opener.next(later).unwrap();
    assert_eq!(opener.next(later), None);
    opener.handle(later + PATIENCE - SECOND, Input::Deadline).unwrap();
    let error = opener.handle(later + PATIENCE, Input::Deadline).unwrap_err();
    assert!(matches!(error, SyncError::Stalled { .. }));
}
