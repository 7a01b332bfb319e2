//! What is said of logs to those who follow them: what is durable, what it was before, and whether
//! it has changed since an earlier opening.
#![allow(clippy::unwrap_used)]

mod common;

use std::collections::BTreeMap;

use common::{forks::*, *};
use p2panda_core::{
    AcceptError, FestivalId, Identity, LogEntry, LogId, MAX_KEPT, Replica,
    store::{Batch, NoResume, Store as _, Table},
};
use rand_chacha::ChaCha20Rng;

type Entries = BTreeMap<LogId, LogEntry>;

fn entries(replica: &Replica, festival: FestivalId) -> Entries {
    replica.log_entries(festival).unwrap().into_iter().collect()
}

/// Whoever keeps a map of logs up to date by changes alone.
struct Follower {
    held: Entries,
    cursor: u64,
}

impl Follower {
    /// Takes the changes in, each of which has to start from what is held.
    fn follow(&mut self, replica: &Replica) {
        let (changes, cursor) = replica.log_changes(self.cursor).unwrap();
        let mut seen = BTreeMap::new();
        for change in changes {
            // Only the last of several changes ends at what there is now.
            seen.entry(change.log).or_insert(change.before);
        }
        for (log, before) in seen {
            assert_eq!(self.held.remove(&log), before);
            self.held.extend(replica.log_entry(&log).unwrap().map(|entry| (log, entry)));
        }
        self.cursor = cursor;
    }
}

fn shuffle<T>(rng: &mut ChaCha20Rng, items: &mut [T]) {
    for at in (1..items.len()).rev() {
        items.swap(at, pick(rng, at + 1));
    }
}

#[test]
fn changes_say_what_was_durable_before_them_whatever_happens() {
    let (mut cuts, mut removals) = (0, 0);
    for seed in 0..60 {
        let mut rng = rng(seed);
        let liar = Liar::new(&mut rng);
        let mut reader = liar.reader(&mut rng);
        let mut follower = Follower { held: Entries::new(), cursor: reader.log_cursor() };
        for _ in 0..3 {
            let mut pieces = liar.tangle(&mut rng);
            shuffle(&mut rng, &mut pieces);
            for piece in pieces {
                let before = entries(&reader, liar.festival);
                let taken = match piece {
                    Piece::Segment(segment) => reader.accept(&liar.descriptor, segment).map(|_| ()),
                    Piece::Proof(proof) => reader.accept_fork(&liar.descriptor, proof).map(|_| ()),
                };
                assert!(matches!(
                    taken,
                    Ok(()) | Err(AcceptError::Gap { .. } | AcceptError::Segment(_))
                ));
                if !reader.is_durable() {
                    assert_eq!(entries(&reader, liar.festival), before, "nothing durable changed");
                }
                for log in before.keys() {
                    assert_eq!(
                        reader.log_entry(log).unwrap(),
                        before_of(&reader, liar.festival, log)
                    );
                }
                if pick(&mut rng, 3) == 0 {
                    reader.flush().unwrap();
                }
                if pick(&mut rng, 2) == 0 {
                    follower.follow(&reader);
                    assert_eq!(follower.held, entries(&reader, liar.festival));
                }
            }
            cuts += follower.held.values().filter(|entry| entry.is_cut).count();
            if pick(&mut rng, 2) == 0 {
                reader.forget(liar.user()).unwrap();
                removals += 1;
            }
            reader.flush().unwrap();
            follower.follow(&reader);
            assert_eq!(follower.held, entries(&reader, liar.festival));
        }
    }
    assert!(cuts > 20 && removals > 20, "{cuts} cuts, {removals} removals");
}

/// The state of one log among all.
fn before_of(replica: &Replica, festival: FestivalId, log: &LogId) -> Option<LogEntry> {
    entries(replica, festival).get(log).copied()
}

#[test]
fn the_version_changes_with_the_logs_and_with_nothing_else_over_openings_too() {
    let mut rng = rng(3);
    let (store, ada) = (Shared::new(), Identity::generate(&mut rng));
    let open = || Replica::open(Box::new(store.clone()), ada.clone(), Box::new(NoResume)).unwrap();
    let mut replica = open();
    let festival = festival_of(&mut replica, &mut rng).id();
    let other = festival_of(&mut replica, &mut rng).id();
    let [first, elsewhere] = [festival, other].map(|id| replica.log_version(id).unwrap());
    assert!(first > 0);
    put(&mut replica, festival, "opening", &event("Opening"), &mut rng);
    let second = replica.log_version(festival).unwrap();
    assert!(second > first);
    assert_eq!(replica.log_version(other).unwrap(), elsewhere);
    // Reading, flushing, keeping and opening change no log.
    entries(&replica, festival);
    replica.keep(Some(festival), "sketch", b"opaque").unwrap();
    replica.flush().unwrap();
    replica.close(&mut rng).unwrap();
    let mut replica = open();
    assert_eq!(replica.log_version(festival).unwrap(), second);
    replica.forget(Identity::generate(&mut rng).user()).unwrap();
    assert_eq!(replica.log_version(festival).unwrap(), second);
    put(&mut replica, festival, "closing", &event("Closing"), &mut rng);
    assert!(replica.log_version(festival).unwrap() > second);
}

#[test]
fn what_is_kept_stays_until_its_festival_is_left() {
    let mut rng = rng(4);
    let (store, ada) = (Shared::new(), Identity::generate(&mut rng));
    let open = || Replica::open(Box::new(store.clone()), ada.clone(), Box::new(NoResume)).unwrap();
    let mut replica = open();
    let [festival, other] = [1, 2].map(|_| festival_of(&mut replica, &mut rng).id());
    for (of, what) in [(None, "own"), (Some(festival), "left"), (Some(other), "stays")] {
        replica.keep(of, "name", what.as_bytes()).unwrap();
    }
    replica.keep(None, "gone", b"soon").unwrap();
    replica.keep(None, "gone", b"").unwrap();
    replica.keep(None, "large", &vec![1; MAX_KEPT]).unwrap();
    replica.close(&mut rng).unwrap();
    let mut replica = open();
    let kept = |replica: &Replica, of, name| {
        replica.kept(of, name).unwrap().map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
    };
    assert_eq!(kept(&replica, None, "name").as_deref(), Some("own"));
    assert_eq!(kept(&replica, Some(other), "name").as_deref(), Some("stays"));
    assert_eq!(kept(&replica, Some(festival), "name").as_deref(), Some("left"));
    assert_eq!(kept(&replica, None, "gone"), None);
    replica.keep(None, "large", &vec![1; MAX_KEPT + 1]).unwrap();
    assert_eq!(kept(&replica, None, "large"), None, "too large to be kept");
    replica.leave_festival(festival).unwrap();
    assert_eq!(kept(&replica, Some(festival), "name"), None);
    assert_eq!(replica.log_version(festival).unwrap(), 0);
    assert_eq!(kept(&replica, Some(other), "name").as_deref(), Some("stays"));
    assert_eq!(kept(&replica, None, "name").as_deref(), Some("own"));
}

#[test]
fn what_is_kept_goes_where_another_version_may_have_written() {
    let mut rng = rng(5);
    let (store, ada) = (Shared::new(), Identity::generate(&mut rng));
    let open = || Replica::open(Box::new(store.clone()), ada.clone(), Box::new(NoResume)).unwrap();
    let mut replica = open();
    let festival = festival_of(&mut replica, &mut rng).id();
    put(&mut replica, festival, "opening", &event("Opening"), &mut rng);
    replica.keep(Some(festival), "sketch", b"opaque").unwrap();
    replica.keep(None, "salt", b"opaque").unwrap();
    replica.close(&mut rng).unwrap();
    assert!(open().kept(Some(festival), "sketch").unwrap().is_some());
    // It wrote rows of its own, and need not have counted the logs that changed.
    let mut other = Batch::new();
    other.put(Table::Meta, b"view", 0_u32.to_be_bytes());
    store.clone().commit(other).unwrap();
    let replica = open();
    assert_eq!(replica.kept(Some(festival), "sketch").unwrap(), None);
    assert_eq!(replica.kept(None, "salt").unwrap(), None);
    assert_eq!(titles(&replica, festival), ["Opening"]);
}
