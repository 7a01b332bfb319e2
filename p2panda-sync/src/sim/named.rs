//! Named scenarios, to be played with an application of one's own and at any size.
//!
//! ```
//! use p2panda_sync::sim::{Carry, named};
//!
//! let cast = named::camp(1);
//! let summary = cast.scenario.run(1, &mut Carry).unwrap();
//! assert_eq!(summary.scenario, "camp with couriers");
//! ```

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use super::{Carriage, Change, Hostile, Link, Peer, PeerId, Random, Scenario};

/// A scenario, and who has which part in it.
#[derive(Clone, Debug)]
pub struct Cast {
    /// The scenario.
    pub scenario: Scenario,
    /// Peers that offer resources.
    pub owners: Vec<PeerId>,
    /// Second devices of owners, which decide for them too.
    pub seconds: Vec<PeerId>,
    /// The festivals that a peer plans in, by their numbers; the first for all others.
    pub plans_in: BTreeMap<PeerId, Vec<usize>>,
    /// For how many different hours anything is requested: the fewer, the more contested.
    pub slots: u64,
}

impl Cast {
    fn new(scenario: Scenario, owner: PeerId) -> Self {
        let (seconds, plans_in) = (Vec::new(), BTreeMap::new());
        Self { scenario, owners: vec![owner], seconds, plans_in, slots: 24 }
    }
}

const fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

/// Three camps out of each other's reach, of two peers and more, always connected within. A courier
/// walks from one to the next and stays for two minutes. The owner has a second device in the last.
#[must_use]
pub fn camp(size: usize) -> Cast {
    const CAMPS: usize = 3;
    let mut scenario = Scenario::new("camp with couriers");
    let festival = scenario.festival();
    let writes = Peer::new([festival]).acting_every(secs(120));
    let courier = scenario.peer(Peer::new([festival]));
    let mut camps: Vec<Vec<PeerId>> = Vec::new();
    for n in 0..CAMPS {
        let mut members = Vec::new();
        for m in 0..=size {
            let peer = match camps.first() {
                Some(first) if n + 1 == CAMPS && m == 0 => writes.clone().device_of(first[0]),
                _ => writes.clone(),
            };
            members.push(scenario.peer(peer));
        }
        scenario.link_all(&members, &Link::wlan());
        for member in &members {
            scenario.link(courier, *member, Link { live: true, ..Link::encounter() });
        }
        camps.push(members);
    }
    for visit in 0..6 {
        let (from, host) = (secs(240 * visit as u64 + 60), camps[visit % CAMPS][0]);
        for again in 0..3 {
            scenario.at(from + secs(40 * again), Change::Meet(courier, host));
        }
        for other in 0..1 + CAMPS * (size + 1) {
            // Whoever walks away is out of reach.
            scenario.at(from + secs(120), Change::Cut(courier, PeerId(other)));
            scenario.at(from + secs(239), Change::Mend(courier, PeerId(other)));
        }
    }
    scenario.lasting(secs(1500));
    scenario.sampled_every(secs(30));
    let mut cast = Cast::new(scenario, camps[0][0]);
    cast.seconds.push(camps[CAMPS - 1][0]);
    cast
}

/// Many peers on one good network, each connected to the next few, who write often.
#[must_use]
pub fn congress(size: usize) -> Cast {
    let mut scenario = Scenario::new("congress with good links");
    let festival = scenario.festival();
    let count = 6 * size;
    let peers: Vec<_> =
        (0..count).map(|_| scenario.peer(Peer::new([festival]).acting_every(secs(30)))).collect();
    for (n, from) in peers.iter().enumerate() {
        for far in [1, 2] {
            let to = peers[(n + far) % count];
            if to != *from {
                scenario.link(*from, to, Link { loss: 0.001, ..Link::wlan() });
            }
        }
    }
    scenario.lasting(secs(180));
    scenario.sampled_every(secs(5));
    Cast::new(scenario, peers[0])
}

/// A city's worth of people who meet in twos, by chance, a few times a day.
#[must_use]
pub fn city(size: usize) -> Cast {
    let mut scenario = Scenario::new("sparse city-wide meetings");
    let festival = scenario.festival();
    let count = 6 * size;
    let peers: Vec<_> =
        (0..count).map(|_| scenario.peer(Peer::new([festival]).acting_every(secs(1800)))).collect();
    scenario.link_all(&peers, &Link::encounter());
    let day = 24 * 3600;
    let mut meetings = Random::new(0xc17);
    for _ in 0..4 * count {
        let at = secs(meetings.below(day));
        let from = meetings.index(count);
        let to = (from + 1 + meetings.index(count - 1)) % count;
        for again in 0..3 {
            scenario.at(at + secs(20 * again), Change::Meet(peers[from], peers[to]));
        }
    }
    scenario.lasting(secs(day));
    scenario.sampled_every(secs(1800));
    Cast::new(scenario, peers[0])
}

/// All ask for the same few hours while the network is split, with one of the owner's devices on
/// either side.
#[must_use]
pub fn rush(size: usize) -> Cast {
    let mut scenario = Scenario::new("rush for contested slots");
    let festival = scenario.festival();
    let writes = Peer::new([festival]).acting_every(secs(8));
    let owner = scenario.peer(writes.clone());
    let second = scenario.peer(writes.clone().device_of(owner));
    let mut peers = vec![owner, second];
    peers.extend((0..4 * size).map(|_| scenario.peer(writes.clone())));
    scenario.link_all(&peers, &Link::wlan());
    let side = peers.iter().copied().step_by(2).collect();
    scenario.at(secs(10), Change::Split(side));
    scenario.at(secs(60), Change::MendAll);
    scenario.lasting(secs(90));
    scenario.sampled_every(secs(2));
    let mut cast = Cast::new(scenario, owner);
    cast.seconds.push(second);
    cast.slots = 6;
    cast
}

/// As many honest peers as hostile ones, of every kind, linked with each other without a plan.
#[must_use]
pub fn siege(size: usize) -> Cast {
    let mut scenario = Scenario::new("half the peers hostile");
    let festival = scenario.festival();
    let honest: Vec<_> = (0..4 * size)
        .map(|_| scenario.peer(Peer::new([festival]).acting_every(secs(25))))
        .collect();
    scenario.link_all(&honest, &Link { every: Some(secs(15)), ..Link::mobile() });
    let kinds = Hostile::ALL.iter().cycle();
    for (n, how) in kinds.take((4 * size).max(Hostile::ALL.len())).enumerate() {
        let peer = scenario.peer(Peer::new([festival]).hostile(*how));
        for far in [0, 1] {
            scenario.link(peer, honest[(n + far) % honest.len()], Link::wlan());
        }
    }
    scenario.lasting(secs(240));
    Cast::new(scenario, honest[0])
}

/// Many peers, each linked with five or six others without a plan, over live links on which so many
/// packets are lost. After 40 seconds the network is split in two for 30 seconds. They write for two
/// minutes, and have one more.
#[must_use]
pub fn mesh(count: usize, loss: f64) -> Cast {
    let mut scenario = Scenario::new(format!("mesh of {count} at a loss of {loss}"));
    let festival = scenario.festival();
    let writes = Peer::new([festival]).acting_every(secs(90));
    // Whoever decides looks more often.
    let owner = writes.clone().acting_every(secs(15));
    let mut peers = vec![scenario.peer(owner)];
    peers.extend((1..count).map(|_| scenario.peer(writes.clone())));
    let link = Link {
        latency: Duration::from_millis(20),
        jitter: Duration::from_millis(30),
        bandwidth: 500_000,
        loss,
        carriage: Carriage::Retransmitting,
        every: Some(secs(5)),
        ..Link::wlan()
    };
    let mut pairs: BTreeSet<(usize, usize)> = BTreeSet::new();
    let mut plan = Random::new(0x3e5);
    for n in 0..count {
        pairs.insert((n, (n + 1) % count));
    }
    while pairs.len() < count * 11 / 4 {
        let (from, to) = (plan.index(count), plan.index(count));
        if from != to && !pairs.contains(&(to, from)) {
            pairs.insert((from, to));
        }
    }
    for (from, to) in pairs {
        scenario.link(peers[from], peers[to], link.clone());
    }
    scenario.at(secs(40), Change::Split(peers[..count / 2].to_vec()));
    scenario.at(secs(70), Change::MendAll);
    scenario.writing_until(secs(120));
    scenario.lasting(secs(180));
    scenario.sampled_every(secs(2));
    scenario.checked_every(50);
    let mut cast = Cast::new(scenario, peers[0]);
    cast.slots = 12;
    cast
}

/// A festival with two stages that are festivals of their own: some follow all, some one stage, and
/// a courier nothing but the festival itself.
#[must_use]
pub fn nested(size: usize) -> Cast {
    let mut scenario = Scenario::new("nested festivals, partly followed");
    let [all, lake, forest] = [(); 3].map(|()| scenario.festival());
    let mut plans_in = BTreeMap::new();
    let mut peers = Vec::new();
    for _ in 0..size {
        let parts = [
            (vec![all, lake, forest], vec![0, 1, 2]),
            (vec![all, lake], vec![0, 1]),
            (vec![all, forest], vec![0, 2]),
            (vec![all], vec![0]),
        ];
        for (follows, plans) in parts {
            let peer = scenario.peer(Peer::new(follows).acting_every(secs(30)));
            plans_in.insert(peer, plans);
            peers.push(peer);
        }
    }
    scenario.link_all(&peers, &Link { every: Some(secs(20)), ..Link::mobile() });
    scenario.lasting(secs(240));
    let mut cast = Cast::new(scenario, peers[0]);
    cast.plans_in = plans_in;
    cast
}
