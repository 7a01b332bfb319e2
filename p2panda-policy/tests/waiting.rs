//! Who has to act next.

mod common;

use common::*;
use p2panda_core::{schema::Resource, view::ResourceFacts};
use p2panda_policy::{
    All, Deed, Judged, Majority, NOfM, Policies, Token, Tokens, evaluate, must_act, tasks,
    waits_for,
};

fn judged(facts: ResourceFacts) -> Judged {
    let evaluation = evaluate(&Policies::default(), &facts, &Tokens::none());
    Judged { facts, evaluation }
}

fn deeds(judged: &Judged, user: u8) -> Vec<Deed> {
    waits_for(&common::user(user), [judged]).into_iter().map(|task| task.what).collect()
}

#[test]
fn each_policy_waits_for_those_who_can_bring_it_on() {
    let request = Device::new(RITA, 1).request(terms(1, 2, 1), 0);
    let on = |policy| judged(view(stage_by(policy), [&request]));
    let manual = on(p2panda_policy::Manual::spec());
    assert_eq!((deeds(&manual, OLGA), deeds(&manual, RITA)), (vec![Deed::Answer], vec![]));
    assert_eq!(deeds(&on(p2panda_policy::FirstCome::spec()), OLGA), [Deed::Sign]);
    let majority = on(Majority::spec(voters()));
    assert_eq!((deeds(&majority, VERA), deeds(&majority, OLGA)), (vec![Deed::Vote], vec![]));
    let anyone = on(NOfM::anyone(2));
    assert_eq!((deeds(&anyone, EVE), deeds(&anyone, RITA)), (vec![Deed::Vote], vec![]));
    let token = on(All::of([Token::spec(&named(TOM, "badge")), Majority::spec(voters())]));
    assert_eq!(deeds(&token, RITA), [Deed::Token]);
    let draw = on(p2panda_policy::ByDraw::spec(&[1; 32], at(0)));
    assert_eq!(deeds(&draw, OLGA), [Deed::Draw]);
}

#[test]
fn a_voter_who_has_voted_has_nothing_to_do_and_an_owner_releases() {
    let policy = Majority::spec(voters());
    let mut rita = Device::new(RITA, 1);
    let request = rita.request(terms(1, 2, 1), 0);
    let vote = Device::under(&policy, VERA, 1).confirm(&request);
    let majority = judged(view(stage_by(policy), [&request, &vote]));
    assert_eq!((deeds(&majority, VERA), deeds(&majority, VIC)), (vec![], vec![Deed::Vote]));

    let mut olga = Device::new(OLGA, 1);
    let promises = [olga.confirm(&request), olga.confirm(&rita.request(terms(1, 3, 1), 1))];
    let withdrawn = rita.withdraw(&request);
    let rival = rita.request(terms(1, 3, 1), 1);
    let all = [&request, &rival, &promises[0], &promises[1], &withdrawn];
    let stage = judged(view(stage(1, "manual"), all));
    assert_eq!(deeds(&stage, OLGA), [Deed::Release, Deed::Release]);
    let back = olga.release(&[&promises[0], &promises[1]]);
    let stage = judged(view(common::stage(1, "manual"), all.into_iter().chain([&back])));
    assert_eq!(deeds(&stage, OLGA), [Deed::Reconsider]);
}

#[test]
fn an_event_names_who_must_still_act_for_its_hosts_requests() {
    let (mut rita, mut eve, mut tom) =
        (Device::new(RITA, 1), Device::new(EVE, 1), Device::new(TOM, 1));
    let (own, editors, strangers) = (
        rita.request(terms(1, 2, 1), 0),
        tom.request(terms(3, 4, 1), 0),
        eve.request(terms(5, 6, 1), 0),
    );
    let mut other = terms(7, 8, 1);
    other.event = named(RITA, "reading");
    let other = rita.request(other, 0);
    let stage = judged(view(stage(1, "manual"), [&own, &editors, &strangers, &other]));
    let mut fog = view(Resource::default(), []);
    fog.id = named(VERA, "fog");
    fog.owner = user(VERA);
    let mut asked = terms(1, 2, 1);
    asked.resource = fog.id.clone();
    fog.records.push(rita.request(asked, 0));
    let fog = judged(fog);
    let hosts = [user(RITA), user(TOM)].into();
    let must = must_act(&named(RITA, "concert"), &hosts, [&stage, &fog]);
    let who: Vec<_> = must.iter().map(|task| (task.user, task.requester)).collect();
    assert_eq!(who.len(), 3);
    assert!(
        who.contains(&(Some(user(OLGA)), user(TOM)))
            && who.contains(&(Some(user(VERA)), user(RITA)))
    );
    assert_eq!(tasks(&stage).len(), 4);
}
