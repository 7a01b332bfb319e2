//! Every arrival order of seven facts, under every built-in policy: the same verdicts at the end,
//! and within the capacity after every step.

mod common;
#[path = "common/world.rs"]
mod world;

use common::*;
use p2panda_core::{
    schema::{Draw, PolicySpec, Resource, Terms},
    view::{Fact, ResourceFacts},
};
use p2panda_policy::{Policies, Tokens, evaluate};
use world::{SEED, all_policies, badge};

/// Two rivals, the records that matter under the policy, and some that undo others.
fn scenes(policy: &PolicySpec) -> Vec<[Fact; 7]> {
    let mut rita = Device::new(RITA, 1);
    let mut eve = Device::new(EVE, 1);
    let (one, two) = (rita.request(terms(1, 3, 1), 1), eve.request(terms(2, 4, 1), 0));
    let (mut phone, mut laptop) = (Device::under(policy, OLGA, 1), Device::under(policy, OLGA, 2));
    let vote = |voter, request: &Fact| Device::under(policy, voter, 1).confirm(request);
    let mut vic = Device::under(policy, VIC, 1);
    let (first, second) = (vic.confirm(&two), vic.confirm(&one));
    let mut tom = Device::new(TOM, 1);
    tom.resource = badge();
    let for_badge = rita.request(Terms { resource: badge(), ..terms(0, 9, 1) }, 0);
    let given = tom.confirm(&for_badge);
    let promised = phone.confirm(&one);
    let rival = laptop.confirm(&two);
    let released = phone.release(&[&promised]);
    let withdrawn = eve.withdraw(&two);
    let no = laptop.deny(&one, "no");
    let [a, b] = [&one, &two].map(Clone::clone);
    vec![
        [
            a.clone(),
            b.clone(),
            vote(VERA, &one),
            first.clone(),
            second.clone(),
            vote(VAL, &two),
            promised.clone(),
        ],
        [
            a.clone(),
            b.clone(),
            promised.clone(),
            rival.clone(),
            released.clone(),
            no.clone(),
            withdrawn.clone(),
        ],
        [a.clone(), b.clone(), for_badge.clone(), given.clone(), vote(VERA, &one), second, first],
        [a, b, for_badge, tom.release(&[&given]), given, promised, rival],
    ]
}

/// Which scenes bear on a policy.
fn scenes_of(name: &str) -> &'static [usize] {
    match name {
        "majority" | "2 of 3" => &[0, 1],
        "1 of 3" | "2 of anyone" | "unless-conflict" | "any of quorums" => &[0],
        "all" | "any" | "otherwise" => &[2, 3],
        "token" => &[3],
        _ => &[1],
    }
}

fn at_hand(resource: &Resource, facts: &[&Fact]) -> (ResourceFacts, Tokens) {
    let (badges, stage): (Vec<&Fact>, Vec<&Fact>) =
        facts.iter().partition(|fact| *fact.record.resource() == badge());
    let facts = view(resource.clone(), stage);
    let badges = ResourceFacts {
        id: badge(),
        owner: user(TOM),
        resource: Some(Resource::default()),
        records: badges.into_iter().cloned().collect(),
    };
    let tokens = Tokens::among(&Policies::default(), &facts, [&badges]);
    (facts, tokens)
}

/// Visits every order of what is left behind what is there.
fn every_order<'a>(facts: &mut [&'a Fact], from: usize, visit: &mut impl FnMut(&[&'a Fact])) {
    if from == facts.len() {
        return visit(facts);
    }
    for other in from..facts.len() {
        facts.swap(from, other);
        every_order(facts, from + 1, visit);
        facts.swap(from, other);
    }
}

#[test]
fn all_orders_of_seven_facts_end_in_the_same_verdicts() {
    let policies = Policies::default();
    let mut orders = 0;
    for (name, policy) in all_policies() {
        let scenes = scenes(&policy);
        for facts in scenes_of(name).iter().map(|at| &scenes[*at]) {
            let requests = facts.iter().filter(|f| *f.record.resource() != badge());
            let draw = Draw::among(SEED, requests.map(|fact| &fact.id));
            let resource = Resource { draw: Some(draw), ..stage_by(policy.clone()) };
            // Every set of facts that some order comes through, forth and back.
            let mut end = None;
            for set in 0..1u32 << facts.len() {
                let numbered = facts.iter().enumerate();
                let mut held: Vec<&Fact> =
                    numbered.filter(|(at, _)| set & (1 << at) != 0).map(|(_, fact)| fact).collect();
                let (forth, tokens) = at_hand(&resource, &held);
                // `judge_with` counts moment by moment.
                let evaluation = judge_with(&forth, &tokens);
                held.reverse();
                let (back, tokens) = at_hand(&resource, &held);
                assert_eq!(judge_with(&back, &tokens), evaluation, "{name}");
                end = Some(evaluation);
            }
            let end = end.expect("the set of all of them came last");
            every_order(&mut facts.each_ref(), 0, &mut |order| {
                let (facts, tokens) = at_hand(&resource, order);
                assert!(evaluate(&policies, &facts, &tokens) == end, "{name}");
                orders += 1;
            });
        }
    }
    assert_eq!(orders, 5_040 * 20);
}
