//! The checks notice what they are there to notice: each test breaks something that no session,
//! replica or policy should ever break, and looks whether the simulator says so.

use std::time::Duration;

use p2panda_core::{EditError, EntityId, Replica, Segment, schema::Event};

use super::{
    App, Carry, Link, Peer, PeerId, Scenario, Turn,
    world::{Broken, World},
};

struct Diary;

impl App for Diary {
    fn act(&mut self, turn: Turn<'_>) -> Result<(), EditError> {
        let Turn { replica, now, random, festivals, .. } = turn;
        let event = Event { title: "Today".into(), ..Event::default() };
        replica.edit(festivals[0], now, random, |edit| edit.create(&event).map(drop))
    }
}

fn pair() -> Scenario {
    let mut scenario = Scenario::new("a pair");
    let festival = scenario.festival();
    let peers =
        [(); 2].map(|()| scenario.peer(Peer::new([festival]).acting_every(Duration::from_secs(5))));
    scenario.link(peers[0], peers[1], Link::wlan());
    scenario.lasting(Duration::from_secs(30));
    scenario
}

/// Plays the first half minute, lets something be broken, and then what the checks say.
fn after(sabotage: impl FnOnce(&mut World<'_>)) -> Result<(), Broken> {
    let (scenario, mut app) = (pair(), Diary);
    let mut world = World::new(&scenario, 1, &mut app);
    world.set_up()?;
    while world.next_before(Duration::from_secs(30))? {}
    sabotage(&mut world);
    world.checked.iter_mut().for_each(super::check::Checked::start_over);
    world.touched.extend([PeerId(0), PeerId(1)]);
    world.check_touched()?;
    world.heal()?;
    world.compare_with_naive_exchange().map(drop)
}

fn said(result: Result<(), Broken>, what: &str) {
    let text = result.unwrap_err();
    assert!(text.contains(what), "{text}");
}

#[test]
fn without_sabotage_there_is_nothing_to_say() {
    after(|_| ()).unwrap();
}

#[test]
fn an_entry_that_nobody_signed_is_noticed_where_it_is_stored() {
    said(after(|world| world.devices[1].disk.lie(true)), "nobody signed");
}

#[test]
fn two_views_of_the_same_logs_are_noticed() {
    let sabotage = |world: &mut World<'_>| {
        world.views.values_mut().for_each(|view| view[0] ^= 1);
    };
    said(after(sabotage), "another view");
}

#[test]
fn an_honest_author_whose_log_was_forked_is_noticed() {
    let sabotage = |world: &mut World<'_>| {
        // What only a memory snapshot of a machine brings about.
        let (festival, random) = (world.festival_ids[0], &mut world.random);
        let device = &mut world.devices[0];
        device.split(random).unwrap();
        let now = device.wall(Duration::ZERO);
        let mut write = |replica: &mut Replica, title: &str| -> (EntityId, Segment) {
            let event = Event { title: title.into(), ..Event::default() };
            let id = replica.edit(festival, now, random, |edit| edit.create(&event)).unwrap();
            let logs = replica.logs(festival).unwrap();
            let newest = logs.into_iter().find(|(log, tip)| {
                log.document == id.document
                    && replica.segment(log, tip.length - 1).unwrap().is_some_and(|segment| {
                        segment.payloads().iter().any(|payload| holds(payload, title))
                    })
            });
            let (log, tip) = newest.unwrap();
            (id, replica.segment(&log, tip.length - 1).unwrap().unwrap().into_segment())
        };
        let (_, left) = write(device.replica.as_mut().unwrap(), "to the left");
        let (_, right) = write(device.twin.as_mut().unwrap(), "to the right");
        assert_eq!((left.log, left.from), (right.log, right.from));
        let replica = device.replica.as_mut().unwrap();
        let descriptor = replica.descriptor(&right.log.document).unwrap().unwrap();
        replica.accept(&descriptor, right).unwrap();
    };
    said(after(sabotage), "honest");
}

fn holds(payload: &[u8], title: &str) -> bool {
    payload.windows(title.len()).any(|window| window == title.as_bytes())
}

#[test]
fn entries_that_were_written_and_are_gone_are_noticed() {
    let sabotage = |world: &mut World<'_>| {
        let log = *world.checked[0].written.keys().next().unwrap();
        *world.checked[0].written.get_mut(&log).unwrap() += 1;
    };
    said(after_everything(sabotage), "written durably");
}

/// Like [`after`], but at the very end.
fn after_everything(sabotage: impl FnOnce(&mut World<'_>)) -> Result<(), Broken> {
    let (scenario, mut app) = (pair(), Diary);
    let mut world = World::new(&scenario, 1, &mut app);
    world.play()?;
    sabotage(&mut world);
    world.compare_with_naive_exchange().map(drop)
}

#[test]
fn a_peer_that_stays_behind_is_noticed() {
    let (scenario, mut app) = (pair(), Carry);
    let mut world = World::new(&scenario, 1, &mut app);
    world.play().unwrap();
    let device = &mut world.devices[1];
    let now = device.wall(Duration::ZERO);
    let replica = device.replica.as_mut().unwrap();
    let event = Event::default();
    let written: Result<EntityId, EditError> =
        replica.edit(world.festival_ids[0], now, &mut world.random, |edit| edit.create(&event));
    written.unwrap();
    said(world.compare_with_naive_exchange().map(drop), "naive exchange");
}
