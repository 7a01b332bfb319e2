//! Named scenarios with people who plan, ask and decide. Each prints its summary; with
//! `P2PANDA_SUMMARIES=folder` the summaries are written there as JSON, to be plotted.

use p2panda_sync::sim::{
    Hostile, Summary,
    named::{Cast, camp, city, congress, nested, rush, siege},
};

use crate::{keep, organisers::Organisers, play, seeds};

/// Plays a scenario with its cast, for each seed.
fn run(test: &str, cast: impl Fn() -> Cast, expected: impl Fn(&Summary)) {
    for seed in seeds(1) {
        let Cast { scenario, owners, seconds, plans_in, slots } = cast();
        let mut app = Organisers::new(owners);
        app.stewards.extend(seconds);
        app.plans_in = plans_in;
        app.slots = slots;
        let summary = play(&format!("scenarios::{test}"), scenario, seed, &mut app);
        println!("{summary}");
        keep(test, &summary);
        expected(&summary);
    }
}

#[test]
fn camps_that_only_couriers_connect_come_to_the_same() {
    run(
        "camps_that_only_couriers_connect_come_to_the_same",
        || camp(1),
        |summary| {
            assert!(summary.plurality() > 1, "the camps differ between visits");
            assert!(summary.figures["confirmed"] > 0);
        },
    );
}

#[test]
fn a_congress_on_good_links_agrees_while_everybody_writes() {
    run(
        "a_congress_on_good_links_agrees_while_everybody_writes",
        || congress(1),
        |summary| {
            let agreed = summary.samples.iter().filter(|sample| sample.distinct == 1).count();
            assert!(agreed * 2 > summary.samples.len(), "live links push at once");
        },
    );
}

#[test]
fn people_who_meet_by_chance_carry_everything_on() {
    run(
        "people_who_meet_by_chance_carry_everything_on",
        || city(1),
        |summary| {
            assert!(summary.plurality() > 2);
            // A phone that sleeps between meetings is not woken by others' clocks.
            let turns_and_meetings = 6 * 48 + 6 * 4 * 3 * 2;
            assert!(summary.wake_ups < 4 * turns_and_meetings, "{} wake-ups", summary.wake_ups);
        },
    );
}

#[test]
fn two_devices_of_an_owner_who_are_apart_break_promises_but_no_view_is_over_capacity() {
    let test = "two_devices_of_an_owner_who_are_apart_break_promises_but_no_view_is_over_capacity";
    run(
        test,
        || rush(1),
        |summary| {
            let worst =
                |name: &str| summary.samples.iter().map(|sample| sample.figures[name]).max();
            assert!(worst("double grants") > Some(0), "the rush is one: both devices promise");
            assert_eq!(summary.figures["double grants"], 0, "healed, all see one of them");
        },
    );
}

#[test]
fn half_the_peers_are_hostile_and_the_others_come_to_the_same() {
    run(
        "half_the_peers_are_hostile_and_the_others_come_to_the_same",
        || siege(1),
        |summary| {
            for how in [Hostile::Garbage, Hostile::Mutate, Hostile::Forge] {
                let mut costs = summary.hostile.iter().filter(|cost| cost.how == how.name());
                assert!(costs.any(|cost| cost.blamed > 0), "{how:?} was found out");
            }
        },
    );
}

#[test]
fn peers_that_follow_parts_of_a_festival_hold_these_parts_alike() {
    run(
        "peers_that_follow_parts_of_a_festival_hold_these_parts_alike",
        || nested(1),
        |summary| {
            assert!(summary.logs > 8);
        },
    );
}
