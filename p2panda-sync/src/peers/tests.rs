use std::io;

use p2panda_core::{DocumentId, Incarnation};

use super::*;
use crate::PeerFault;

fn peer(number: u64) -> PeerId {
    PeerId::new(&number.to_be_bytes())
}

fn log(number: u64) -> LogId {
    let incarnation = Incarnation::from_bytes(number.to_be_bytes());
    LogId { document: DocumentId::from_bytes([1; 32]), incarnation }
}

const FESTIVAL: FestivalId = FestivalId::from_bytes([7; 32]);
const NOW: Duration = Duration::from_secs(1_000);

fn rests(peers: &Peers, now: Duration) -> Duration {
    match peers.may_meet(&peer(1), now) {
        Ok(()) => Duration::ZERO,
        Err(SyncError::BackOff { until }) => until - now,
        Err(SyncError::Busy { retry_after }) => retry_after,
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn three_sessions_that_lead_to_nothing_are_followed_by_ever_longer_rests() {
    let mut peers = Peers::default();
    let mut minutes = Vec::new();
    for _ in 0..12 {
        peers.ended(&peer(1), NOW, Err(&SyncError::Interrupted), false);
        minutes.push(rests(&peers, NOW).as_secs() / 60);
    }
    assert_eq!(minutes, [0, 0, 1, 2, 4, 8, 16, 32, 64, 64, 64, 64]);
    assert_eq!(rests(&peers, NOW + Duration::from_secs(64 * 60)), Duration::ZERO);
    assert!(peers.may_meet(&peer(2), NOW).is_ok(), "another one is not concerned");
    // One that brings something, and ends early all the same, is none of them.
    let io = SyncError::Transport(io::ErrorKind::Other.into());
    peers.ended(&peer(1), NOW, Err(&io), true);
    assert_eq!(rests(&peers, NOW), Duration::ZERO);
    for _ in 0..3 {
        peers.ended(&peer(1), NOW, Err(&SyncError::NoFestivalInCommon), false);
    }
    assert_eq!(rests(&peers, NOW), Duration::from_secs(60));
    peers.ended(&peer(1), NOW, Ok(()), false);
    assert_eq!(peers.standing(&peer(1)).unwrap().fruitless, 0);
}

#[test]
fn who_does_what_no_honest_peer_does_is_refused_for_longer_each_time() {
    let mut peers = Peers::default();
    let fault = SyncError::Peer(PeerFault::Proof);
    let mut minutes = Vec::new();
    for _ in 0..8 {
        peers.ended(&peer(1), NOW, Err(&fault), true);
        minutes.push(rests(&peers, NOW).as_secs() / 60);
    }
    assert_eq!(minutes, [10, 20, 40, 80, 160, 320, 640, 640]);
    peers.ended(&peer(1), NOW, Ok(()), true);
    assert_eq!(peers.standing(&peer(1)).unwrap().faults, 7, "that is not forgotten at once");
    // Our own failures are nobody else's.
    let own = SyncError::TooManyLogs { logs: 9 };
    peers.ended(&peer(2), NOW, Err(&own), false);
    assert!(peers.may_meet(&peer(2), NOW).is_ok());
}

#[test]
fn a_peer_that_was_told_to_wait_waits() {
    let mut peers = Peers::default();
    let busy = SyncError::Busy { retry_after: Duration::from_secs(10) };
    peers.ended(&peer(1), NOW, Err(&busy), true);
    assert!(matches!(peers.may_meet(&peer(1), NOW), Err(SyncError::Busy { .. })));
    assert!(peers.may_meet(&peer(1), NOW + Duration::from_secs(10)).is_ok());
}

#[test]
fn no_more_peers_are_remembered_than_fit() {
    let mut peers = Peers::default();
    for number in 0..2_000 {
        peers.ended(&peer(number), NOW, Err(&SyncError::Interrupted), false);
        peers.ended(&peer(1), NOW, Err(&SyncError::Interrupted), false);
        peers.refuse(&peer(number), FESTIVAL, log(number), NOW + NOW, NOW);
    }
    assert_eq!(peers.len(), MAX_PEERS);
    assert!(peers.standing(&peer(2)).is_none(), "met long ago");
    assert_eq!(peers.standing(&peer(1)).unwrap().fruitless, 2_001);
    assert_eq!(peers.refused, peers.records.values().map(|one| one.refused.len()).sum::<usize>());
}

#[test]
fn no_more_refusals_are_remembered_than_fit_of_one_peer_and_of_all() {
    let mut peers = Peers::default();
    let hour = Duration::from_secs(3_600);
    for number in 0..5_000 {
        peers.refuse(&peer(1), FESTIVAL, log(number), NOW + hour, NOW);
    }
    let count = |peers: &Peers, one, now| peers.refused(&peer(one), FESTIVAL, now).count();
    assert_eq!(count(&peers, 1, NOW), MAX_REFUSED);
    for one in 2..7 {
        for number in 0..4_000 {
            peers.refuse(&peer(one), FESTIVAL, log(number), NOW + hour, NOW);
        }
        assert!(peers.refused <= MAX_REFUSED_IN_ALL);
    }
    assert_eq!(count(&peers, 1, NOW), 0, "met longest ago");
    assert_eq!(count(&peers, 6, NOW), 4_000);
    assert_eq!(count(&peers, 6, NOW + hour), 0, "over");
    peers.take_back(&peer(6), &log(3));
    assert_eq!(count(&peers, 6, NOW), 3_999);
    // What is over makes room.
    for number in 0..MAX_REFUSED as u64 {
        peers.refuse(&peer(1), FESTIVAL, log(number), NOW + hour * 3, NOW + hour);
    }
    assert_eq!(count(&peers, 1, NOW + hour), MAX_REFUSED);
    assert_eq!(peers.refused, MAX_REFUSED);
}

#[test]
fn what_a_peer_costs_counts_over_all_of_its_sessions() {
    let mut peers = Peers::default();
    assert!(peers.charge(&peer(1), NOW, 50_000).is_ok());
    assert!(matches!(peers.charge(&peer(1), NOW, 1), Err(SyncError::Busy { .. })));
    assert!(peers.charge(&peer(2), NOW, 1).is_ok());
    assert!(peers.charge(&peer(1), NOW + Duration::from_secs(10), 1).is_ok());
}
