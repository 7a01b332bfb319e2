//! What the steward signs for its owner.
#![allow(clippy::unwrap_used)]

mod common;

use common::*;
use p2panda_core::{
    schema::Resource,
    view::{Fact, ResourceFacts},
};
use p2panda_policy::{Act, Asked, Choice, Duty, NOfM, Policies, Tokens, steward, steward_with};

/// The requests that the acts confirm, in order.
fn confirmed(acts: &[Act]) -> Vec<&p2panda_core::EntityId> {
    let decided = acts.iter().filter_map(|act| match act {
        Act::Decide(decision) => Some(&decision.request),
        _ => None,
    });
    decided.collect()
}

#[test]
fn whoever_arrived_first_gets_it_whatever_they_claim() {
    let (mut rita, mut tom) = (Device::new(RITA, 1), Device::new(TOM, 1));
    let (first, backdated) = (rita.request(terms(1, 3, 1), 9), tom.request(terms(2, 4, 1), 0));
    let mut facts = view(stage(1, "first-come"), [&backdated, &first]);
    let arrivals = arrivals([(&first, 1), (&backdated, 2)]);
    let mut olga = Device::new(OLGA, 1);
    let acts = run_steward(&mut facts, &mut olga, &arrivals, None);
    assert_eq!(confirmed(&acts), [&first.id]);
    assert_eq!((verdict(&facts, &first), verdict(&facts, &backdated)), ("confirmed", "conflicted"));
}

#[test]
fn within_one_arrival_the_claimed_time_decides_but_not_beyond_the_previous_run() {
    let mut rita = Device::new(RITA, 1);
    let (early, late) = (rita.request(terms(1, 3, 1), 4), rita.request(terms(2, 4, 1), 5));
    let facts = view(stage(1, "first-come"), [&late, &early]);
    let together = arrivals([(&early, 1), (&late, 1)]);
    for (previous_run, expected) in [
        (None, &early),
        (Some(at(4)), &early),
        (Some(at(5)), if early.id < late.id { &early } else { &late }),
        (Some(at(9)), if early.id < late.id { &early } else { &late }),
    ] {
        let mut olga = Device::new(OLGA, 1);
        let acts = run_steward(&mut facts.clone(), &mut olga, &together, previous_run);
        assert_eq!(confirmed(&acts), [&expected.id]);
    }
}

#[test]
fn what_does_not_fit_is_let_in_after_a_withdrawal() {
    let (mut rita, mut tom, mut olga) =
        (Device::new(RITA, 1), Device::new(TOM, 1), Device::new(OLGA, 1));
    let (one, two) = (rita.request(terms(1, 3, 1), 0), tom.request(terms(2, 4, 1), 0));
    let mut facts = view(stage(1, "first-come"), [&one, &two]);
    let arrivals = arrivals([(&one, 1), (&two, 2)]);
    run_steward(&mut facts, &mut olga, &arrivals, None);
    assert_eq!(verdict(&facts, &two), "conflicted");

    facts.records.push(rita.withdraw(&one));
    let acts = run_steward(&mut facts, &mut olga, &arrivals, Some(at(1)));
    let [Act::Release(release), Act::Decide(decision)] = &acts[..] else { panic!("{acts:?}") };
    assert_eq!(release.decisions.len(), 1);
    assert_eq!(decision.request, two.id);
    assert_eq!((verdict(&facts, &one), verdict(&facts, &two)), ("withdrawn", "confirmed"));
    assert_eq!(judge(&facts).findings, []);
    assert_eq!(run_steward(&mut facts, &mut olga, &arrivals, Some(at(2))), []);
}

#[test]
fn a_crash_between_two_acts_does_no_harm() {
    let (mut rita, mut tom, mut olga) =
        (Device::new(RITA, 1), Device::new(TOM, 1), Device::new(OLGA, 1));
    let one = rita.request(terms(1, 3, 1), 0);
    let rest = [(2, 4), (5, 6), (6, 7)].map(|(from, to)| tom.request(terms(from, to, 1), from));
    let mut facts = view(stage(1, "first-come"), [&one]);
    run_steward(&mut facts, &mut olga, &arrivals([]), None);
    facts.records.push(rita.withdraw(&one));
    facts.records.extend(rest);

    let acts = run_steward(&mut facts.clone(), &mut olga.clone(), &arrivals([]), None);
    assert_eq!(acts.len(), 4);
    for crash_after in 0..=acts.len() {
        let (mut facts, mut olga) = (facts.clone(), olga.clone());
        for act in &acts[..crash_after] {
            write(&mut facts, &mut olga, act);
        }
        let left = run_steward(&mut facts, &mut olga, &arrivals([]), None);
        assert_eq!(left, acts[crash_after..]);
    }
}

#[test]
fn it_acts_only_for_its_owner_on_resources_that_are_first_come() {
    let request = Device::new(RITA, 1).request(terms(1, 3, 1), 0);
    let run = |facts: &ResourceFacts, me| {
        let arrivals = arrivals([]);
        let duty = Duty { me: user(me), ..duty(&arrivals, None) };
        steward(&Policies::default(), facts, &Tokens::none(), &duty)
    };
    let facts = view(stage(1, "first-come"), [&request]);
    assert_eq!(run(&facts, OLGA).len(), 1);
    assert_eq!(run(&facts, EVE), []);
    assert_eq!(run(&view(stage(1, "manual"), [&request]), OLGA), []);
    assert_eq!(run(&view(stage(1, "lottery"), [&request]), OLGA), []);
    let mut missing = facts.clone();
    missing.resource = None;
    assert_eq!(run(&missing, OLGA), []);
}

#[test]
fn it_leaves_alone_what_the_owner_answered_in_person() {
    let (mut rita, mut olga) = (Device::new(RITA, 1), Device::new(OLGA, 1));
    let requests = [1, 2, 3].map(|hour| rita.request(terms(hour, hour + 1, 1), 0));
    let (denied, confirmed, taken_back) =
        (olga.deny(&requests[0], ""), olga.confirm(&requests[1]), olga.confirm(&requests[2]));
    let released = olga.release(&[&taken_back]);
    let decided = [&denied, &confirmed, &taken_back, &released];
    let mut facts = view(stage(1, "first-come"), requests.iter().chain(decided));
    assert_eq!(run_steward(&mut facts, &mut olga, &arrivals([]), None), []);
}

#[test]
fn it_keeps_room_for_broken_promises_so_that_no_release_breaks_its_own() {
    let (mut rita, mut phone, mut laptop) =
        (Device::new(RITA, 1), Device::new(OLGA, 1), Device::new(OLGA, 2));
    let [a, b, c] = [(0, 2), (1, 4), (3, 5)].map(|(from, to)| rita.request(terms(from, to, 1), 0));
    let first = phone.confirm(&a);
    laptop.sync_from(&phone);
    let broken = laptop.confirm(&b);
    phone.sync_from(&laptop);
    let mut facts = view(stage(1, "first-come"), [&a, &b, &c, &first, &broken]);
    assert_eq!(verdict(&facts, &c), "tentative");
    assert_eq!(run_steward(&mut facts, &mut phone, &arrivals([]), None), []);

    let mut kept = facts.clone();
    kept.records.push(rita.withdraw(&a));
    run_steward(&mut kept, &mut phone, &arrivals([]), None);
    assert_eq!((verdict(&kept, &b), verdict(&kept, &c)), ("confirmed", "conflicted"));

    facts.records.push(laptop.release(&[&broken]));
    run_steward(&mut facts, &mut phone, &arrivals([]), None);
    assert_eq!(verdict(&facts, &c), "confirmed");
}

#[test]
fn a_broken_promise_to_a_withdrawn_request_is_released_too() {
    let (mut rita, mut olga) = (Device::new(RITA, 1), Device::new(OLGA, 1));
    let (one, two) = (rita.request(terms(1, 3, 1), 0), rita.request(terms(2, 4, 1), 0));
    let decisions = [olga.confirm(&one), olga.confirm(&two)];
    let withdrawn = rita.withdraw(&two);
    let records = [&one, &two, &withdrawn].into_iter().chain(&decisions);
    let mut facts = view(stage(1, "first-come"), records);
    let acts = run_steward(&mut facts, &mut olga, &arrivals([]), None);
    let [Act::Release(release)] = &acts[..] else { panic!("{acts:?}") };
    assert_eq!(release.decisions, [decisions[1].id.clone()]);
}

#[test]
fn a_release_names_at_most_64_decisions() {
    let (mut rita, mut olga) = (Device::new(RITA, 1), Device::new(OLGA, 1));
    let request = rita.request(terms(1, 3, 1), 0);
    let answer =
        |n: i32| olga.answer(&request, p2panda_core::schema::Answer::Confirm, &n.to_string());
    let decisions: Vec<Fact> = (0..130).map(answer).collect();
    let withdrawn = rita.withdraw(&request);
    let records = decisions.iter().chain([&request, &withdrawn]);
    let mut facts = view(stage(1, "first-come"), records);
    let acts = run_steward(&mut facts, &mut olga, &arrivals([]), None);
    assert_eq!(acts.len(), 3);
    assert_eq!(run_steward(&mut facts, &mut olga, &arrivals([]), None), []);
}

#[test]
fn a_vote_collector_signs_what_the_voters_approved_in_the_order_of_arrival() {
    let policy = NOfM::anyone(2);
    let mut rita = Device::new(RITA, 1);
    let requests = [(1, 3), (2, 4), (5, 6)].map(|(from, to)| rita.request(terms(from, to, 1), 0));
    let votes: Vec<Fact> = [(0, VERA), (0, VIC), (1, VAL), (1, EVE), (2, VERA)]
        .map(|(at, by): (usize, u8)| {
            Device::under(&policy, by, u8::try_from(at).unwrap()).confirm(&requests[at])
        })
        .into();
    let mut facts = view(stage_by(policy), requests.iter().chain(&votes));
    let order = arrivals([(&requests[1], 1), (&requests[0], 2), (&requests[2], 3)]);
    let mut olga = Device::new(OLGA, 1);
    let before = facts.clone();
    let acts = run_steward(&mut facts, &mut olga, &order, None);
    assert_eq!(confirmed(&acts), [&requests[1].id]);
    assert_eq!(run_steward(&mut facts, &mut olga, &order, None), []);
    // Killed before its act was written, it signs the same.
    let again = run_steward(&mut before.clone(), &mut Device::new(OLGA, 2), &order, None);
    assert_eq!(again, acts);
    let names = requests.each_ref().map(|request| verdict(&facts, request));
    assert_eq!(names, ["conflicted", "confirmed", "requested"]);
}

#[test]
fn a_programmed_steward_asks_plays_or_lets_a_bot_decide() {
    let mut rita = Device::new(RITA, 1);
    let requests: Vec<Fact> =
        (1..7).map(|hour| rita.request(terms(hour, hour + 1, 1), hour)).collect();
    let arrivals = arrivals(requests.iter().zip(0..));
    // A game: rock, paper, scissors between the request's id and the hour. It depends on nothing
    // but what it is asked.
    let play = |asked: &Asked<'_>| {
        let hand = asked.fact.id.local.as_str().bytes().map(usize::from).sum::<usize>() % 3;
        match hand {
            0 => Choice::Confirm("well played".to_owned()),
            1 => Choice::Deny("better luck next time".to_owned()),
            _ => Choice::Leave,
        }
    };
    for policy in ["manual", "first-come"] {
        let run = |facts: &mut ResourceFacts, limit: usize, asked: &mut Vec<_>| {
            let mut olga = Device::new(OLGA, u8::try_from(facts.records.len()).unwrap());
            let acts = steward_with(
                &Policies::default(),
                facts,
                &Tokens::none(),
                &duty(&arrivals, None),
                |question| {
                    asked.push(question.fact.id.clone());
                    play(question)
                },
            );
            acts.iter().take(limit).for_each(|act| write(facts, &mut olga, act));
            acts
        };
        let mut facts = view(stage(1, policy), &requests);
        let mut asked = Vec::new();
        let acts = run(&mut facts, usize::MAX, &mut asked);
        let ids: Vec<_> = requests.iter().map(|fact| fact.id.clone()).collect();
        assert_eq!(asked, ids, "one after the other, in the order of arrival");
        // Asked again only about what it left, and it has nothing to add.
        let mut again = Vec::new();
        assert_eq!(run(&mut facts, usize::MAX, &mut again), []);
        assert_eq!(again.len(), requests.len() - acts.len());
        // A crash at any point and a restart decide the same.
        for crash in 0..=acts.len() {
            let mut crashed = view(stage(1, policy), &requests);
            run(&mut crashed, crash, &mut Vec::new());
            run(&mut crashed, usize::MAX, &mut Vec::new());
            assert_eq!(judge(&crashed).verdicts.len(), requests.len());
            let names = |facts: &ResourceFacts| {
                judge(facts)
                    .verdicts
                    .values()
                    .map(p2panda_policy::Verdict::name)
                    .collect::<Vec<_>>()
            };
            assert_eq!(names(&crashed), names(&facts));
        }
    }
}

#[test]
fn a_programmed_steward_cannot_promise_more_than_there_is() {
    let mut rita = Device::new(RITA, 1);
    let requests: Vec<Fact> = (0..5).map(|n| rita.request(terms(1, 3, 1), n)).collect();
    let mut facts = view(stage(2, "manual"), &requests);
    let acts = steward_with(
        &Policies::default(),
        &facts,
        &Tokens::none(),
        &duty(&arrivals([]), None),
        |_| Choice::Confirm(String::new()),
    );
    assert_eq!(acts.len(), 2);
    let mut olga = Device::new(OLGA, 1);
    acts.iter().for_each(|act| write(&mut facts, &mut olga, act));
    assert_eq!(judge(&facts).findings, []);
}

#[test]
fn two_stewards_apart_end_with_one_grant_and_the_other_shown_as_conflicted() {
    for (claimed, policy) in (0..12).flat_map(|n| [(n, "first-come"), (n + 50, "first-come")]) {
        let mut rita = Device::new(RITA, 1);
        let requests =
            [(1, 3), (2, 4), (6, 7)].map(|(from, to)| rita.request(terms(from, to, 1), claimed));
        let (mut phone, mut laptop) = (Device::new(OLGA, 1), Device::new(OLGA, 2));
        let mut here = view(stage(1, policy), [&requests[0], &requests[2]]);
        let mut there = view(stage(1, policy), [&requests[1], &requests[2]]);
        run_steward(&mut here, &mut phone, &arrivals([]), None);
        run_steward(&mut there, &mut laptop, &arrivals([]), None);
        // They meet, and both look again, at the same time and one after the other.
        let mut met = here.clone();
        met.records.extend(
            there.records.iter().filter(|f| !here.records.iter().any(|k| k.id == f.id)).cloned(),
        );
        let phone_before = phone.clone();
        phone.sync_from(&laptop);
        laptop.sync_from(&phone_before);
        let mut one_after_the_other = met.clone();
        assert_eq!(run_steward(&mut one_after_the_other, &mut phone, &arrivals([]), None), []);
        assert_eq!(run_steward(&mut one_after_the_other, &mut laptop, &arrivals([]), None), []);
        let mut names = requests.each_ref().map(|request| verdict(&met, request));
        names.sort_unstable();
        assert_eq!(names, ["confirmed", "confirmed", "conflicted"]);
        let findings = judge(&met).findings;
        assert!(
            matches!(&findings[..], [finding] if finding.is_self_contradiction()),
            "{findings:?}"
        );
        // Equal promises on both devices are one grant.
        let grant =
            judge(&met).allocation.grants().iter().find(|g| g.request == requests[2].id).cloned();
        assert!(grant.is_some_and(|grant| !grant.decisions.is_empty()));
    }
}

#[test]
fn what_was_handed_out_of_a_consumable_does_not_come_back_by_withdrawing() {
    let (mut rita, mut olga) = (Device::new(RITA, 1), Device::new(OLGA, 1));
    let fund = Resource { consumable: true, ..stage(10, "first-come") };
    let first = rita.request(terms(1, 2, 8), 0);
    let mut facts = view(fund, [&first]);
    run_steward(&mut facts, &mut olga, &arrivals([]), None);
    facts.records.push(rita.withdraw(&first));
    let again = rita.request(terms(1, 2, 8), 1);
    facts.records.push(again.clone());
    assert_eq!(run_steward(&mut facts, &mut olga, &arrivals([]), None), []);
    assert_eq!(verdict(&facts, &again), "conflicted");
    // The owner, who knows that it was not spent, gives it back in person.
    let decision = facts.records.iter().find(|fact| fact.author == user(OLGA)).cloned().unwrap();
    facts.records.push(olga.release(&[&decision]));
    assert_eq!(confirmed(&run_steward(&mut facts, &mut olga, &arrivals([]), None)), [&again.id]);
}
