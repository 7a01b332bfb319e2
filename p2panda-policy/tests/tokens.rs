//! Requests that need a confirmed request for another resource.
#![allow(clippy::unwrap_used)]

mod common;

use common::*;
use p2panda_core::{
    EntityId,
    schema::{PolicySpec, Resource, Terms},
    view::{Fact, ResourceFacts},
};
use p2panda_policy::{
    All, Any, FirstCome, Majority, Manual, Pending, Policies, Token, Tokens, Verdict, evaluate,
    steward,
};

fn other_terms(resource: &EntityId, from: i64, to: i64) -> Terms {
    Terms { resource: resource.clone(), ..terms(from, to, 1) }
}

fn facts_of<'a>(
    id: &EntityId,
    owner: u8,
    resource: Resource,
    facts: impl IntoIterator<Item = &'a Fact>,
) -> ResourceFacts {
    let records = facts.into_iter().cloned().collect();
    ResourceFacts { id: id.clone(), owner: user(owner), resource: Some(resource), records }
}

/// Rita wants the stage; Tom gives badges.
struct World {
    policy: PolicySpec,
    badge: EntityId,
    request: Fact,
    for_badge: Fact,
    tom: Device,
}

impl World {
    fn new(policy: impl Fn(PolicySpec) -> PolicySpec) -> Self {
        let badge = named(TOM, "badge");
        let mut rita = Device::new(RITA, 1);
        let request = rita.request(terms(2, 4, 1), 0);
        let for_badge = rita.request(other_terms(&badge, 0, 9), 0);
        let mut tom = Device::new(TOM, 1);
        tom.resource = badge.clone();
        Self { policy: policy(Token::spec(&badge)), badge, request, for_badge, tom }
    }

    fn verdict(&self, stage: &[&Fact], badge: &[&Fact]) -> Verdict {
        let facts = view(stage_by(self.policy.clone()), stage.iter().copied());
        let badges = facts_of(
            &self.badge,
            TOM,
            Resource { capacity: 9, ..Resource::default() },
            badge.iter().copied(),
        );
        let tokens = Tokens::among(&Policies::default(), &facts, [&badges]);
        judge_with(&facts, &tokens).verdicts[&self.request.id].clone()
    }
}

#[test]
fn a_token_that_is_held_lets_in_and_one_that_is_not_says_who_can_bring_it_on() {
    let mut world = World::new(|token| token);
    let request = &world.request;
    let Verdict::Requested { from, pending: Pending::Token { resource }, .. } =
        world.verdict(&[request], &[])
    else {
        panic!()
    };
    assert_eq!((from.as_slice(), &resource), ([user(RITA)].as_slice(), &world.badge));
    let Verdict::Requested { from, .. } = world.verdict(&[request], &[&world.for_badge]) else {
        panic!()
    };
    assert_eq!(from, [user(TOM)], "Rita has asked, Tom has not answered");
    let given = world.tom.confirm(&world.for_badge);
    let verdict = world.verdict(&[&world.request], &[&world.for_badge, &given]);
    assert_eq!((verdict.name(), verdict.signatures()), ("tentative", vec![&given.id]));
    // Somebody else's badge, or one for another time, is none.
    let short = Device::new(RITA, 2).request(other_terms(&world.badge, 3, 9), 0);
    let toms = Device::new(TOM, 2).request(other_terms(&world.badge, 0, 9), 0);
    let given = [world.tom.confirm(&short), world.tom.confirm(&toms)];
    let verdict = world.verdict(&[&world.request], &[&short, &toms, &given[0], &given[1]]);
    assert_eq!(verdict.name(), "requested");
}

#[test]
fn a_consumable_token_is_held_at_any_time() {
    let mut world = World::new(|token| token);
    let for_badge = Device::new(RITA, 2).request(other_terms(&world.badge, 8, 9), 0);
    let given = world.tom.confirm(&for_badge);
    let facts = view(stage_by(world.policy.clone()), [&world.request]);
    for (consumable, expected) in [(true, "tentative"), (false, "requested")] {
        let badge = Resource { consumable, ..Resource::default() };
        let badges = facts_of(&world.badge, TOM, badge, [&for_badge, &given]);
        let tokens = Tokens::among(&Policies::default(), &facts, [&badges]);
        assert_eq!(judge_with(&facts, &tokens).verdicts[&world.request.id].name(), expected);
    }
}

#[test]
fn a8_a_lost_token_ends_the_confirmation_and_never_the_allocation() {
    for policy in [|token| token, |token| All::of([token, FirstCome::spec()])] {
        let mut world = World::new(policy);
        let given = world.tom.confirm(&world.for_badge);
        let promise = Device::new(OLGA, 1).confirm(&world.request);
        let rival = Device::new(EVE, 1).request(terms(3, 5, 1), 0);
        let stage = [&world.request, &rival, &promise];
        let verdict = world.verdict(&stage, &[&world.for_badge, &given]);
        assert_eq!(
            (verdict.name(), verdict.signatures()),
            ("confirmed", vec![&promise.id, &given.id])
        );

        let back = world.tom.release(&[&given]);
        let verdict = world.verdict(&stage, &[&world.for_badge, &given, &back]);
        assert_eq!(verdict.name(), "requested");
        let facts = view(stage_by(world.policy.clone()), stage);
        let evaluation = judge(&facts);
        assert_eq!(evaluation.allocation.grants().len(), 1, "the units are kept");
        assert_eq!(evaluation.verdicts[&rival.id].name(), "conflicted");
        let arrivals = arrivals([]);
        let acts = steward(&Policies::default(), &facts, &Tokens::none(), &duty(&arrivals, None));
        assert_eq!(acts, [], "nobody else is let in");
    }
}

/// The stage needs Tom's badge, and the badge needs Vera's pass.
#[test]
fn a8_a_token_lost_two_deep_ends_the_confirmation_and_never_an_allocation() {
    let (badge, pass) = (named(TOM, "badge"), named(VERA, "pass"));
    let mut rita = Device::new(RITA, 1);
    let request = rita.request(terms(2, 4, 1), 0);
    let for_badge = rita.request(other_terms(&badge, 0, 9), 0);
    let for_pass = rita.request(other_terms(&pass, 0, 9), 0);
    let confirm = |owner: u8, resource: &EntityId, request: &Fact| {
        let mut device = Device::new(owner, 1);
        device.resource = resource.clone();
        (device.confirm(request), device)
    };
    let (promise, _) = confirm(OLGA, &named(OLGA, "stage"), &request);
    let (badge_given, _) = confirm(TOM, &badge, &for_badge);
    let (pass_given, mut vera) = confirm(VERA, &pass, &for_pass);
    let taken_back = vera.release(&[&pass_given]);
    let rival = Device::new(EVE, 1).request(terms(3, 5, 1), 0);
    let stage = view(
        stage_by(All::of([Token::spec(&badge), FirstCome::spec()])),
        [&request, &rival, &promise],
    );
    let badge_policy = All::of([Token::spec(&pass), FirstCome::spec()]);
    let badges = facts_of(&badge, TOM, stage_by(badge_policy), [&for_badge, &badge_given]);
    let policies = Policies::default();
    let judged = |passes: &[&Fact]| {
        let passes = facts_of(&pass, VERA, stage_by(Manual::spec()), passes.iter().copied());
        let of_stage = judge_with(&stage, &Tokens::among(&policies, &stage, [&badges, &passes]));
        let of_badge = judge_with(&badges, &Tokens::among(&policies, &badges, [&passes]));
        (of_stage, of_badge)
    };
    let (before, badge_before) = judged(&[&for_pass, &pass_given]);
    let (after, badge_after) = judged(&[&for_pass, &pass_given, &taken_back]);
    let word =
        |evaluation: &p2panda_policy::Evaluation, of: &Fact| evaluation.verdicts[&of.id].name();
    assert_eq!(
        (word(&before, &request), word(&badge_before, &for_badge)),
        ("confirmed", "confirmed")
    );
    assert_eq!(
        (word(&after, &request), word(&badge_after, &for_badge)),
        ("requested", "requested")
    );
    // Nobody else gets what was promised, on the stage or of the badges.
    assert_eq!(before.allocation, after.allocation);
    assert_eq!(badge_before.allocation, badge_after.allocation);
    assert_eq!(word(&after, &rival), "conflicted");
}

#[test]
fn a2_a_quorum_with_a_token_confirms_by_itself_and_the_token_is_among_the_reasons() {
    let mut world = World::new(|token| All::of([token, Majority::spec(voters())]));
    let votes =
        [VERA, VIC].map(|voter| Device::under(&world.policy, voter, 1).confirm(&world.request));
    let stage = [&world.request, &votes[0], &votes[1]];
    assert_eq!(world.verdict(&stage, &[]).name(), "requested");
    let given = world.tom.confirm(&world.for_badge);
    let verdict = world.verdict(&stage, &[&world.for_badge, &given]);
    assert_eq!((verdict.name(), verdict.signatures().len()), ("confirmed", 3));
    // Under `any` the token alone lets in, and the owner signs.
    let any = World { policy: Any::of([Token::spec(&world.badge), Manual::spec()]), ..world };
    let verdict = any.verdict(&[&any.request], &[&any.for_badge, &given]);
    assert_eq!(verdict.name(), "tentative");
    let promise = Device::new(OLGA, 1).confirm(&any.request);
    assert_eq!(any.verdict(&[&any.request, &promise], &[]).name(), "confirmed");
}

/// A chain or circle of tokens, each required by the one before.
fn chain(length: usize, is_circle: bool) -> (ResourceFacts, Vec<ResourceFacts>) {
    let id = |at: usize| named(OLGA, &format!("t{at}"));
    let of = |at: usize| {
        let policy = match (at + 1 < length, is_circle) {
            (true, _) => Token::spec(&id(at + 1)),
            (false, true) => Token::spec(&id(0)),
            (false, false) => FirstCome::spec(),
        };
        let request = Device::new(RITA, 1).request(other_terms(&id(at), 0, 9), 0);
        let confirmed = Device::new(OLGA, 1).confirm(&request);
        facts_of(&id(at), OLGA, stage_by(policy), [&request, &confirmed])
    };
    let mut all: Vec<ResourceFacts> = (0..length).map(of).collect();
    (all.remove(0), all)
}

#[test]
fn circles_and_endless_chains_of_tokens_are_unsupported_wherever_one_starts() {
    let policies = Policies::default();
    for length in [1, 2, 3, 20] {
        let (first, others) = chain(length, true);
        for start in [&first].into_iter().chain(&others) {
            let all = others.iter().chain([&first]);
            let tokens = Tokens::among(&policies, start, all);
            let verdicts = evaluate(&policies, start, &tokens).verdicts;
            let Some(Verdict::Unsupported { reason, .. }) = verdicts.values().next() else {
                panic!("{verdicts:?}")
            };
            assert_eq!(reason, "its tokens require each other in a circle");
        }
    }
    for (length, expected) in [
        (2, "confirmed"),
        (Tokens::MAX + 1, "confirmed"),
        (Tokens::MAX + 2, "unsupported"),
        (3_000, "unsupported"),
    ] {
        let (first, others) = chain(length, false);
        let tokens = Tokens::among(&policies, &first, &others);
        let verdicts = evaluate(&policies, &first, &tokens).verdicts;
        assert_eq!(verdicts.values().next().unwrap().name(), expected, "{length}");
    }
}

#[test]
fn a_token_that_is_not_known_is_missing() {
    let world = World::new(|token| token);
    let facts = view(stage_by(world.policy.clone()), [&world.request]);
    let tokens = Tokens::among(&Policies::default(), &facts, []);
    let verdict = &judge_with(&facts, &tokens).verdicts[&world.request.id];
    assert!(matches!(verdict, Verdict::Requested { pending: Pending::Token { .. }, .. }));
    // And one whose resource was deleted is held by nobody.
    let mut gone = facts_of(&world.badge, TOM, Resource::default(), [&world.for_badge]);
    gone.resource = None;
    let tokens = Tokens::among(&Policies::default(), &facts, [&gone]);
    assert_eq!(judge_with(&facts, &tokens).verdicts[&world.request.id].name(), "requested");
}
