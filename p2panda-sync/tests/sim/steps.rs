//! A device may lose its power at any write: whatever was flushed by then, it comes back, writes on
//! and ends with the same as everybody, without having forked anybody.

use std::time::Duration;

use p2panda_sync::sim::{Change, Link, Peer, PeerId, Scenario};

use crate::{organisers::Organisers, play, seeds};

const fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

/// Three in a row; the one in the middle loses its power at the so-manyth write.
fn row(step: u64, seed: u64) -> u64 {
    let mut scenario = Scenario::new(format!("power lost at write {step}"));
    let festival = scenario.festival();
    let peers = [(); 3].map(|()| scenario.peer(Peer::new([festival]).acting_every(secs(5))));
    for live in [true, false] {
        let link = Link { live, every: Some(secs(4)), ..Link::wlan() };
        let ends = if live { (peers[0], peers[1]) } else { (peers[1], peers[2]) };
        scenario.link(ends.0, ends.1, link);
    }
    scenario.at(Duration::ZERO, Change::CrashAtStep(peers[1], step));
    scenario.lasting(secs(30));
    let mut app = Organisers::new([PeerId(0), PeerId(1)]);
    app.slots = 3;
    play("steps::power_may_fail_at_every_single_write", scenario, seed, &mut app).restarts
}

#[test]
fn power_may_fail_at_every_single_write() {
    for seed in seeds(1) {
        let step = (0..).find(|step| row(*step, seed) == 0).unwrap();
        println!("seed {seed}: power failed at each of {step} writes and flushes");
        assert!(step > 30, "{step}");
    }
}
