//! Random networks: any number of seeds, with everything that can go wrong going wrong.

use std::time::{Duration, Instant};

use p2panda_sync::sim::{Carriage, Chaos, Hostile, Link, Peer, PeerId, Random, Scenario, Summary};

use crate::{attempt, organisers::Organisers, seeds};

const fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

/// A link of which nobody knows how good it is.
fn link(random: &mut Random, datagrams: bool) -> Link {
    let rough = f64::from(u32::try_from(random.below(100)).unwrap()) / 100.0;
    let good = random.chance(0.4);
    Link {
        latency: random.between(Duration::from_millis(1), Duration::from_millis(400)),
        jitter: random.between(Duration::ZERO, Duration::from_millis(200)),
        bandwidth: 5_000 + random.below(2_000_000),
        window: 1024 + random.index(256 * 1024),
        loss: if good { 0.0 } else { rough * 0.5 },
        truncation: if random.chance(0.1) { 0.05 } else { 0.0 },
        duplication: if datagrams { 0.1 } else { 0.0 },
        reordering: if datagrams { 0.1 } else { 0.0 },
        carriage: if datagrams { Carriage::Datagram } else { Carriage::Stream },
        every: Some(random.between(secs(4), secs(40))),
        live: random.chance(0.5),
    }
}

/// Three to seven peers, of which at most half are hostile, and an application for them.
fn network(seed: u64, hostile: bool) -> (Scenario, Organisers) {
    let random = &mut Random::new(seed ^ 0x5eed);
    let mut scenario = Scenario::new(if hostile { "random, half hostile" } else { "random" });
    let all = [scenario.festival(), scenario.festival()];
    let count = 3 + random.index(5);
    let bad = if hostile { 1 + random.index(count / 2) } else { 0 };
    for n in 0..count {
        let both = n < 2 || random.chance(0.5);
        let follows = if both { &all[..] } else { &all[..1] };
        let ahead = i64::try_from(random.below(7_200_000)).unwrap() - 3_600_000;
        let drift = i64::try_from(random.below(2_000)).unwrap() - 1_000;
        let mut peer = Peer::new(follows.iter().copied())
            .acting_every(random.between(secs(8), secs(60)))
            .with_clock(ahead, drift);
        if n >= count - bad {
            peer = peer.hostile(Hostile::ALL[random.index(Hostile::ALL.len())]);
        } else if n == 2 && random.chance(0.3) {
            peer = peer.device_of(PeerId(0));
        }
        scenario.peer(peer);
    }
    let datagrams = random.chance(0.15);
    for from in 0..count {
        for to in 0..from {
            // A chain of honest peers, and some links more.
            if from == to + 1 || random.chance(0.4) {
                scenario.link(PeerId(from), PeerId(to), link(random, datagrams));
            }
        }
    }
    if random.chance(0.8) {
        scenario.chaos(Chaos::default());
    }
    scenario.lasting(random.between(secs(60), secs(240)));
    scenario.sampled_every(secs(20));
    scenario.checked_every(3);
    scenario.proving_forks(true);
    let mut organisers = Organisers::new([PeerId(0)]);
    organisers.slots = 3 + random.below(10);
    organisers.stewards.insert(PeerId(2));
    for n in 0..count {
        organisers.plans_in.insert(PeerId(n), if n < 2 { vec![0, 0, 1] } else { vec![0] });
    }
    (scenario, organisers)
}

#[test]
fn honest_peers_come_to_the_same_whatever_happened() {
    run("random::honest_peers_come_to_the_same_whatever_happened", 24, false);
}

#[test]
fn honest_peers_come_to_the_same_although_half_of_all_are_hostile() {
    run("random::honest_peers_come_to_the_same_although_half_of_all_are_hostile", 24, true);
}

fn run(test: &str, by_default: u64, hostile: bool) {
    let (started, seeds) = (Instant::now(), seeds(by_default));
    let mut all: Vec<Summary> = Vec::new();
    let mut failures = Vec::new();
    for seed in seeds {
        let (scenario, mut app) = network(seed, hostile);
        let summary = match attempt(test, scenario, seed, &mut app) {
            Ok(summary) => summary,
            Err(failure) => {
                println!("{failure}");
                failures.push(failure);
                continue;
            }
        };
        if std::env::var_os("P2PANDA_TIMES").is_some() {
            println!(
                "{:?}: {summary} {:?}",
                started.elapsed(),
                summary.hostile.iter().map(|c| &c.how).collect::<Vec<_>>()
            );
        }
        all.push(Summary { samples: Vec::new(), ..summary });
        if all.len().is_multiple_of(500) {
            println!("{} seeds, {:?}", all.len(), started.elapsed());
        }
    }
    report(&all, started.elapsed());
    if let Some(first) = failures.first() {
        panic!("{} seeds failed, the first: {first}", failures.len());
    }
}

fn report(all: &[Summary], elapsed: Duration) {
    let sum = |of: fn(&Summary) -> u64| all.iter().map(of).sum::<u64>();
    println!(
        "{} seeds in {elapsed:?}: {} connections, {} frames, {} bytes, {} ends blamed, {} \
         interrupted, {} completed; {} entries; {} restarts; {} wake-ups; {} promises broken; \
         rounds to converge: {:?}",
        all.len(),
        sum(|one| one.traffic.connections),
        sum(|one| one.traffic.frames),
        sum(|one| one.traffic.bytes),
        sum(|one| one.traffic.blamed),
        sum(|one| one.traffic.interrupted),
        sum(|one| one.traffic.completed),
        sum(|one| one.entries),
        sum(|one| one.restarts),
        sum(|one| one.wake_ups),
        sum(|one| one.figures["broken promises"]),
        (0..=6).map(|n| all.iter().filter(|one| one.rounds == n).count()).collect::<Vec<_>>(),
    );
    for hostile in Hostile::ALL {
        let name = hostile.name();
        let costs = || all.iter().flat_map(|one| &one.hostile).filter(|cost| cost.how == name);
        let sum = |of: fn(&p2panda_sync::sim::Cost) -> u64| costs().map(of).sum::<u64>();
        println!(
            "  {name:>10}: {} peers, {} connections, blamed {} times, sent {} bytes, was sent {}",
            costs().count(),
            sum(|cost| cost.connections),
            sum(|cost| cost.blamed),
            sum(|cost| cost.bytes_received),
            sum(|cost| cost.bytes_sent),
        );
    }
}
