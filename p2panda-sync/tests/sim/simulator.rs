//! The simulator itself: it repeats, it explains, and it finds what it is there to find.

use std::{collections::BTreeMap, time::Duration};

use p2panda_core::{EditError, Replica, schema::Event};
use p2panda_sync::sim::{
    App, Carriage, Carry, Change, Chaos, Failure, Hostile, Link, Peer, PeerId, Scenario, Summary,
    Turn, named,
};

use crate::organisers::Organisers;

const fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

/// Writes an event at each turn, and says what it is told to say.
#[derive(Default)]
struct Diary {
    complaint: Option<&'static str>,
}

impl App for Diary {
    fn act(&mut self, turn: Turn<'_>) -> Result<(), EditError> {
        let Turn { replica, now, random, festivals, .. } = turn;
        let event = Event { title: "Today".into(), starts: Some(now), ..Event::default() };
        replica.edit(festivals[0], now, random, |edit| edit.create(&event).map(drop))
    }

    fn check(&mut self, _: PeerId, replica: &Replica) -> Result<(), String> {
        let festivals = replica.festivals().unwrap();
        let events = festivals
            .iter()
            .map(|festival| replica.view(festival.id()).list::<Event>().unwrap().len());
        match self.complaint {
            Some(complaint) if events.sum::<usize>() > 3 => Err(complaint.to_owned()),
            _ => Ok(()),
        }
    }

    fn measure(&mut self, peers: &[(PeerId, &Replica)]) -> Result<BTreeMap<String, u64>, String> {
        Ok(BTreeMap::from([("online".to_owned(), peers.len() as u64)]))
    }
}

/// Three honest peers in a row.
fn row(name: &str, link: Link) -> (Scenario, [PeerId; 3]) {
    let mut scenario = Scenario::new(name);
    let festival = scenario.festival();
    let peers = [(); 3].map(|()| scenario.peer(Peer::new([festival]).acting_every(secs(10))));
    scenario.link(peers[0], peers[1], link.clone());
    scenario.link(peers[1], peers[2], link);
    scenario.lasting(secs(60));
    (scenario, peers)
}

#[test]
fn the_same_seed_gives_the_same_transcript_and_another_seed_another() {
    let play = |seed| {
        let named::Cast { mut scenario, owners, seconds, .. } = named::siege(1);
        scenario.chaos(Chaos::default());
        scenario.lasting(secs(90));
        let mut app = Organisers::new(owners);
        app.stewards.extend(seconds);
        scenario.run(seed, &mut app).unwrap()
    };
    let first = play(5);
    assert_eq!(play(5), first);
    assert_ne!(play(6).transcript, first.transcript);
}

#[test]
fn a_failure_tells_the_seed_and_the_command_that_repeats_it() {
    let (mut scenario, _) = row("a row", Link::wlan());
    scenario.repeated_with("cargo test row -- --seed {seed}");
    let mut app = Diary { complaint: Some("too many events") };
    let failure: Failure = scenario.run(11, &mut app).unwrap_err();
    assert_eq!(failure.what.split(": ").nth(1), Some("too many events"));
    let text = failure.to_string();
    assert!(text.contains("\"a row\", seed 11, after "), "{text}");
    assert!(text.ends_with("repeat with: cargo test row -- --seed 11"), "{text}");
    assert_eq!(scenario.run(11, &mut app).unwrap_err(), failure);
}

#[test]
fn too_few_rounds_are_noticed() {
    // What only the healing carries needs as many rounds as there are links.
    let (mut scenario, peers) = row("a row that never meets", Link { every: None, ..Link::wlan() });
    scenario.lasting(secs(30));
    let summary = scenario.run(1, &mut Diary::default()).unwrap();
    assert_eq!((summary.rounds, summary.allowed_rounds), (2, 3));
    assert_eq!(summary.plurality(), 3);
    scenario.at(secs(1), Change::Meet(peers[0], peers[1]));
    assert!(scenario.run(1, &mut Diary::default()).is_ok());
}

#[test]
fn a_stranger_who_garbles_forges_or_mutates_is_found_out_and_shunned() {
    for how in [Hostile::Garbage, Hostile::Mutate, Hostile::Forge] {
        let summary = with_one(how, 3, 300);
        let cost = &summary.hostile[0];
        assert!(cost.blamed >= 3, "{cost:?}");
        // Shunned for a minute and then ever longer, it gets few chances.
        assert!(cost.blamed <= 2 * 6, "{cost:?}");
    }
}

#[test]
fn a_peer_that_stalls_or_drips_holds_up_nobody() {
    for how in [Hostile::Stall { after: 0 }, Hostile::Stall { after: 3 }, Hostile::Drip] {
        let summary = with_one(how, 4, 300);
        let cost = &summary.hostile[0];
        assert!(cost.connections > 0 && cost.bytes_sent < 64 * 1024, "{cost:?}");
        let agreed = summary.samples.iter().filter(|sample| sample.distinct == 1).count();
        assert!(agreed * 2 > summary.samples.len(), "{how:?}: {agreed}");
    }
}

#[test]
fn a_flood_costs_what_it_sent_and_reaches_all_alike() {
    let how = Hostile::Flood { users: 10, documents: 3 };
    let summary = with_one(how, 5, 300);
    let cost = &summary.hostile[0];
    assert!(summary.logs > 200, "{} logs", summary.logs);
    assert!(cost.bytes_sent < 4 * cost.bytes_received, "{cost:?}");
}

#[test]
fn a_user_who_signs_two_chains_harms_nobody_else() {
    let summary = with_one(Hostile::Equivocate, 6, 300);
    assert_eq!(summary.hostile[0].how, "equivocate");
    assert!(summary.rounds <= summary.allowed_rounds);
}

/// Two honest peers on a live link, and one that is hostile and linked to both.
fn with_one(how: Hostile, seed: u64, lasts: u64) -> Summary {
    let mut scenario = Scenario::new(how.name());
    let festival = scenario.festival();
    let honest = [(); 2].map(|()| scenario.peer(Peer::new([festival]).acting_every(secs(20))));
    let hostile = scenario.peer(Peer::new([festival]).hostile(how));
    scenario.link(honest[0], honest[1], Link::wlan());
    scenario.link(hostile, honest[0], Link::wlan());
    scenario.link(honest[1], hostile, Link::wlan());
    scenario.lasting(secs(lasts));
    scenario.proving_forks(true);
    scenario.run(seed, &mut Diary::default()).unwrap()
}

#[test]
fn frames_that_are_lost_doubled_and_out_of_order_do_no_harm() {
    let link = Link {
        carriage: Carriage::Datagram,
        loss: 0.1,
        duplication: 0.2,
        reordering: 0.2,
        truncation: 0.02,
        every: Some(secs(5)),
        ..Link::wlan()
    };
    for seed in 0..4 {
        let (scenario, _) = row("datagrams", link.clone());
        scenario.run(seed, &mut Diary::default()).unwrap();
    }
}

#[test]
fn nothing_passes_one_way_and_the_others_carry_on() {
    let (mut scenario, [one, two, three]) = row("one way only", Link::wlan());
    scenario.at(secs(10), Change::Cut(one, two));
    scenario.at(secs(20), Change::Split(vec![three]));
    scenario.at(secs(40), Change::MendAll);
    let summary = scenario.run(2, &mut Diary::default()).unwrap();
    assert!(summary.plurality() == 3, "all three differ while they are apart");
}

#[test]
fn a_restored_backup_and_a_clean_restart_fork_nobody() {
    let (mut scenario, [one, two, _]) = row("restarts", Link::wlan());
    scenario.at(secs(15), Change::Backup(one));
    scenario.at(secs(20), Change::Leave(two));
    scenario.at(secs(25), Change::Come(two));
    scenario.at(secs(35), Change::Restore(one));
    scenario.at(secs(45), Change::Crash(two));
    scenario.at(secs(50), Change::Come(two));
    let summary = scenario.run(3, &mut Diary::default()).unwrap();
    assert_eq!(summary.restarts, 3);
}

#[test]
fn peers_that_write_nothing_end_with_the_festival() {
    let (scenario, _) = row("nobody writes", Link::wlan());
    let summary = scenario.run(4, &mut Carry).unwrap();
    assert_eq!((summary.logs, summary.entries), (1, 1));
}
