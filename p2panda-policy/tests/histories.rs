//! What holds for every history, in every view made of any prefixes of any logs: with tokens,
//! consumables, buffers, availability, edits of policy and capacity, draws, denials, cut logs.
//!
//! `P2PANDA_HISTORIES=100000 cargo test -p p2panda-policy --test histories` is the longer run.

mod common;
#[path = "common/world.rs"]
mod world;

use std::collections::BTreeSet;

use common::*;
use p2panda_core::{
    EntityId, UserId,
    schema::Resource,
    view::{Fact, ResourceFacts},
};
use p2panda_policy::{Evaluation, Pending, Tokens, Verdict, evaluate};
use proptest::prelude::*;
use world::*;

/// What one peer sees and concludes.
struct Peer {
    facts: ResourceFacts,
    tokens: Tokens,
    evaluation: Evaluation,
}

fn peer<'a>(
    world: &World,
    version: &Resource,
    stage: impl Iterator<Item = &'a Fact>,
    badges: impl Iterator<Item = &'a Fact>,
) -> Peer {
    let facts = world.view(stage, version);
    let tokens = world.tokens(&facts, badges);
    // `judge_with` counts moment by moment.
    let evaluation = judge_with(&facts, &tokens);
    Peer { facts, tokens, evaluation }
}

fn authors<'a>(ids: impl IntoIterator<Item = &'a EntityId>, world: &World) -> BTreeSet<UserId> {
    let ids: BTreeSet<&EntityId> = ids.into_iter().collect();
    let all = world.stage.iter().chain(&world.badges);
    all.filter(|fact| ids.contains(&fact.id)).map(|fact| fact.author).collect()
}

/// A verdict, its signatures and its words belong together.
fn check_agreement(peer: &Peer) -> Result<(), TestCaseError> {
    let known = |id: &EntityId| {
        let badges = peer.tokens.get(&badge());
        let badges = badges.into_iter().flat_map(|judged| &judged.facts.records);
        peer.facts.records.iter().chain(badges).any(|fact| fact.id == *id)
    };
    for (id, verdict) in &peer.evaluation.verdicts {
        let words = verdict.explanation();
        let expected = match verdict {
            Verdict::Requested { pending: Pending::Answers | Pending::Votes, .. } => {
                "answers are there"
            }
            Verdict::Requested { pending: Pending::Token { .. }, .. } => "holds no confirmed unit",
            Verdict::Requested { pending: Pending::Draw, .. } => "has drawn lots",
            Verdict::Requested { .. } => "took that back",
            Verdict::Tentative { .. } => "There is room for it",
            Verdict::Confirmed { .. } => "It is confirmed by",
            Verdict::Denied { .. } => "It is denied by",
            Verdict::Conflicted { .. } => "no room for it beside",
            Verdict::Outside { .. } => "outside the times",
            Verdict::Withdrawn { .. } => "withdrew it",
            Verdict::Unsupported { .. } => "cannot evaluate the policy",
            Verdict::Invalid { .. } => "cannot be granted",
            _ => "",
        };
        prop_assert!(words.contains(expected), "{verdict:?}: {words}");
        let signatures = verdict.signatures();
        for signature in &signatures {
            // What is in the way need not have arrived, but for the decision that put it there.
            prop_assert!(known(signature), "{verdict:?} of {id} rests on what is not there");
        }
        let rests = matches!(
            verdict,
            Verdict::Confirmed { .. }
                | Verdict::Denied { .. }
                | Verdict::Conflicted { .. }
                | Verdict::Withdrawn { .. }
        );
        prop_assert!(!rests || !signatures.is_empty(), "{verdict:?} names no signature");
        if let Verdict::Requested { have, need, by, .. } = verdict {
            prop_assert!(have < need && by.len() == *have, "{verdict:?}");
        }
    }
    Ok(())
}

/// Nobody but its deciders, requester and token's issuers, and the owner, changes a confirmed grant.
fn check_grants(world: &World, version: &Resource, peer: &Peer) -> Result<(), TestCaseError> {
    for (id, verdict) in &peer.evaluation.verdicts {
        let Verdict::Confirmed { by, .. } = verdict else { continue };
        let mut allowed = authors(by.iter().chain([id]), world);
        allowed.extend([user(OLGA), user(TOM)]);
        let badges = peer.tokens.get(&badge()).map(|judged| judged.facts.records.clone());
        let badges = badges.unwrap_or_default();
        let more = |held: &[Fact], all: &[Fact]| -> Vec<Fact> {
            let new = |fact: &&Fact| {
                !allowed.contains(&fact.author) && held.iter().all(|known| known.id != fact.id)
            };
            held.iter().chain(all.iter().filter(new)).cloned().collect()
        };
        let stage = more(&peer.facts.records, &world.stage);
        let badges = more(&badges, &world.badges);
        let later = self::peer(world, version, stage.iter(), badges.iter());
        let after = &later.evaluation.verdicts[id];
        prop_assert!(matches!(after, Verdict::Confirmed { .. }), "{verdict:?} became {after:?}");
    }
    Ok(())
}

/// Strangers' decisions, forged releases and withdrawals, and records about other things.
fn check_unrelated(world: &World, peer: &Peer) -> Result<(), TestCaseError> {
    let mut stranger = Device::new(99, 1);
    let mut more = peer.facts.clone();
    let policy = more.resource.as_ref().map(|resource| resource.policy.clone());
    let anyone = policy.is_some_and(|policy| world.policies.asks(&policy, user(OLGA), &user(99)));
    for fact in &peer.facts.records {
        if is_request(&fact.record) {
            if !anyone {
                more.records.push(stranger.confirm(fact));
                more.records.push(stranger.deny(fact, ""));
            }
            more.records.push(stranger.withdraw(fact));
        } else if is_decision(&fact.record) {
            more.records.push(stranger.release(&[fact]));
        }
    }
    let mut elsewhere = terms(0, 9, 1);
    elsewhere.resource = named(OLGA, "cellar");
    more.records.push(stranger.request(elsewhere, 0));
    let evaluation = evaluate(&world.policies, &more, &peer.tokens);
    prop_assert_eq!(&evaluation.verdicts, &peer.evaluation.verdicts);
    prop_assert_eq!(&evaluation.allocation, &peer.evaluation.allocation);
    Ok(())
}

fn check_order(world: &World, peer: &Peer, seed: u64) -> Result<(), TestCaseError> {
    let mut shuffled = peer.facts.clone();
    shuffled.records.sort_by_key(|fact| {
        let text = fact.id.to_string();
        text.bytes().fold(seed, |sum, byte| sum.rotate_left(7) ^ u64::from(byte))
    });
    let evaluation = evaluate(&world.policies, &shuffled, &peer.tokens);
    prop_assert_eq!(&evaluation, &peer.evaluation);
    Ok(())
}

/// How much of a log a peer holds: often nothing or all of it.
fn length() -> impl Strategy<Value = u64> {
    prop_oneof![2 => Just(0), 3 => Just(99), 3 => 0..8u64]
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: histories(250),
        failure_persistence: None,
        max_shrink_iters: 4_000,
        ..Default::default()
    })]

    #[test]
    fn no_view_of_any_history_breaks_a_promise_of_the_policies(
        policy in any_policy(),
        capacity in prop_oneof![3 => Just(1i64), 1 => 0..4i64],
        consumable in prop::bool::weighted(0.15),
        is_owner_silent in any::<bool>(),
        mut steps in prop::collection::vec(step(), 5..45),
        views in prop::collection::vec((prop::collection::vec(length(), 10), any::<prop::sample::Index>()), 2),
        seed in any::<u64>(),
    ) {
        // Where the owner says nothing it is the voters who confirm.
        steps.retain(|step| !(is_owner_silent && step.is_by_owner()));
        let policy = all_policies()[policy].1.clone();
        let resource = Resource { capacity, consumable, ..stage_by(policy) };
        let world = World::run(resource, &steps);
        for (lengths, version) in &views {
            let version = &world.versions[version.index(world.versions.len())];
            let held = |fact: &&Fact| world.holds(lengths, fact);
            let stage = world.stage.iter().filter(held);
            let peer = peer(&world, version, stage, world.badges.iter().filter(held));
            check_agreement(&peer)?;
            check_grants(&world, version, &peer)?;
            check_unrelated(&world, &peer)?;
            check_order(&world, &peer, seed)?;
        }
        let whole = peer(&world, world.resource(), world.stage.iter(), world.badges.iter());
        check_agreement(&whole)?;
        check_order(&world, &whole, seed)?;
    }
}
