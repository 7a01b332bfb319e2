//! The counterexamples behind the rules of allocation, one by one: each would come true if its rule
//! were left out.

mod common;

use common::*;
use p2panda_core::{
    Incarnation,
    schema::{Answer, Record, Resource},
    view::Fact,
};
use p2panda_policy::{Any, Finding, Majority, NOfM, Policies, Tokens, Verdict, evaluate, steward};

/// The words for verdicts on requests.
fn words<const N: usize>(
    resource: &Resource,
    facts: &[&Fact],
    requests: [&Fact; N],
) -> [&'static str; N] {
    let evaluation = judge(&view(resource.clone(), facts.iter().copied()));
    requests.map(|request| evaluation.verdicts[&request.id].name())
}

#[test]
fn a1_a_quorum_confirms_only_where_the_owner_left_room() {
    let policy = Majority::spec(voters());
    let mut rita = Device::new(RITA, 1);
    let (q, r) = (rita.request(terms(1, 2, 1), 0), rita.request(terms(0, 2, 1), 0));
    let owner = Device::new(OLGA, 1).confirm(&q);
    let votes = [VIC, VAL].map(|voter| Device::under(&policy, voter, 1).confirm(&r));
    let resource = stage_by(policy);
    let all = [&q, &r, &votes[0], &votes[1]];
    assert_eq!(words(&resource, &all, [&q, &r]), ["conflicted", "confirmed"]);
    let all = [&q, &r, &votes[0], &votes[1], &owner];
    assert_eq!(words(&resource, &all, [&q, &r]), ["confirmed", "conflicted"]);
}

#[test]
fn a1_a_request_that_is_confirmed_both_ways_counts_once() {
    let policy = Majority::spec(voters());
    let request = Device::new(RITA, 1).request(terms(0, 2, 1), 0);
    let owner = Device::new(OLGA, 1).confirm(&request);
    let votes = [VERA, VIC].map(|voter| Device::under(&policy, voter, 1).confirm(&request));
    let facts = view(stage_by(policy), [&request, &owner, &votes[0], &votes[1]]);
    let evaluation = judge(&facts);
    assert_eq!(evaluation.verdicts[&request.id].signatures(), [&owner.id]);
    assert_eq!(evaluation.findings, []);
}

#[test]
fn a2_under_any_every_vote_is_an_approval_that_needs_the_steward() {
    // One member's voters do not know what another's promise.
    let wanda = 14;
    let policy = Any::of([Majority::spec(voters()), NOfM::named(1, [user(wanda)])]);
    let mut rita = Device::new(RITA, 1);
    let (q, r) = (rita.request(terms(0, 2, 1), 0), rita.request(terms(1, 3, 1), 1));
    let votes = [VIC, VAL].map(|voter| Device::under(&policy, voter, 1).confirm(&r));
    let other = Device::under(&policy, wanda, 1).confirm(&q);
    let facts = view(stage_by(policy.clone()), [&q, &r, &votes[0], &votes[1], &other]);
    let verdicts = judge(&facts).verdicts;
    let (q, r) = (&verdicts[&q.id], &verdicts[&r.id]);
    assert_eq!((q.name(), r.name()), ("tentative", "conflicted"));
    assert_eq!(q.signatures(), [&other.id]);

    // As the whole policy the same votes confirm.
    let policy = Majority::spec(voters());
    let request = rita.request(terms(1, 3, 1), 1);
    let votes = [VIC, VAL].map(|voter| Device::under(&policy, voter, 1).confirm(&request));
    let all = [&request, &votes[0], &votes[1]];
    assert_eq!(words(&stage_by(policy.clone()), &all, [&request]), ["confirmed"]);
    // Of two units, two quorums could fill one each and a half.
    let two = Resource { capacity: 2, ..stage_by(policy) };
    assert_eq!(words(&two, &all, [&request]), ["tentative"]);
}

#[test]
fn a2_half_of_the_voters_confirm_nothing_by_themselves() {
    let four = [VERA, VIC, VAL, 14];
    let policy = NOfM::named(2, four.map(user));
    let mut rita = Device::new(RITA, 1);
    let (q, r) = (rita.request(terms(0, 2, 1), 0), rita.request(terms(1, 3, 1), 1));
    let votes = [(VERA, &q), (VIC, &q), (VAL, &r), (14, &r)]
        .map(|(voter, request)| Device::under(&policy, voter, 1).confirm(request));
    let facts = [&q, &r].into_iter().chain(&votes).collect::<Vec<_>>();
    assert_eq!(words(&stage_by(policy), &facts, [&q, &r]), ["tentative", "conflicted"]);
}

#[test]
fn a3_votes_add_up_only_over_equal_terms() {
    // Val promised R as of [0, 1), Vera as of [0, 2): together they would confirm [0, 2), which
    // Vic promised to Q.
    let policy = Majority::spec(voters());
    let [mut vera, mut vic, mut val] =
        [VERA, VIC, VAL].map(|voter| Device::under(&policy, voter, 1));
    let mut rita = Device::new(RITA, 1);
    let (q, r) = (rita.request(terms(0, 2, 1), 0), rita.request(terms(0, 2, 1), 1));
    let for_q = vic.decide(&q.id, terms(0, 2, 1), Answer::Confirm, "");
    let elsewhere = vera.decide(&q.id, terms(2, 3, 1), Answer::Confirm, "");
    let short = vera.decide(&r.id, terms(0, 1, 1), Answer::Confirm, "");
    let long = val.decide(&r.id, terms(0, 2, 1), Answer::Confirm, "");
    let all = [&q, &r, &for_q, &elsewhere, &short, &long];
    let evaluation = judge(&view(stage_by(policy.clone()), all));
    for request in [&q, &r] {
        let Verdict::Requested { have: 1, need: 2, from, .. } = &evaluation.verdicts[&request.id]
        else {
            panic!("{:?}", evaluation.verdicts)
        };
        assert_eq!(from.len(), 2);
    }
    let other = |finding: &&Finding| matches!(finding, Finding::OtherTerms { .. });
    assert_eq!(evaluation.findings.iter().filter(other).count(), 2);
}

#[test]
fn a3_votes_count_under_the_current_policy_only_and_the_owners_decisions_under_any() {
    let (old, new) = (Majority::spec(voters()), NOfM::named(2, voters()));
    let mut rita = Device::new(RITA, 1);
    let (voted, decided) = (rita.request(terms(0, 2, 1), 0), rita.request(terms(2, 4, 1), 1));
    let mut vera = Device::under(&old, VERA, 1);
    let votes = [vera.confirm(&voted), Device::under(&old, VIC, 1).confirm(&voted)];
    let owner = Device::under(&old, OLGA, 1).confirm(&decided);
    let all = [&voted, &decided, &votes[0], &votes[1], &owner];
    assert_eq!(words(&stage_by(old), &all, [&voted, &decided]), ["confirmed", "confirmed"]);
    let facts = view(stage_by(new.clone()), all);
    assert_eq!(verdict(&facts, &voted), "requested");
    assert_eq!(verdict(&facts, &decided), "confirmed");
    let stale = judge(&facts).findings;
    assert!(matches!(&stale[..], [Finding::Stale { .. }, Finding::Stale { .. }]), "{stale:?}");
    // A stale vote does not stand in its voter's own way either.
    let rival = rita.request(terms(1, 3, 1), 2);
    vera.policy = new.clone();
    let again = [vera.confirm(&rival), Device::under(&new, VAL, 1).confirm(&rival)];
    let facts = view(stage_by(new), [&voted, &rival].into_iter().chain(&votes).chain(&again));
    assert_eq!((verdict(&facts, &voted), verdict(&facts, &rival)), ("conflicted", "confirmed"));
}

#[test]
fn a4_a_voters_vote_counts_only_if_the_voters_earlier_votes_leave_room() {
    let policy = Majority::spec(voters());
    let [mut vera, mut vic, mut val] =
        [VERA, VIC, VAL].map(|voter| Device::under(&policy, voter, 1));
    let mut rita = Device::new(RITA, 1);
    let (q, r) = (rita.request(terms(0, 2, 1), 0), rita.request(terms(1, 3, 1), 1));
    // Vic promises both; only the first promise counts.
    let votes = [vera.confirm(&q), vic.confirm(&q), vic.confirm(&r), val.confirm(&r)];
    let facts = view(stage_by(policy), [&q, &r].into_iter().chain(&votes));
    assert_eq!((verdict(&facts, &q), verdict(&facts, &r)), ("confirmed", "conflicted"));
    let [Finding::BrokenPromise { user: who, decision, concurrent: false, .. }] =
        &judge(&facts).findings[..]
    else {
        panic!("Vic promised what he had promised before")
    };
    assert_eq!((*who, decision), (user(VIC), &votes[2].id));
}

#[test]
fn a4_the_order_is_that_of_causality_not_of_counters_or_ids() {
    // Whatever the ids are: the laptop's first entry was made in knowledge of the phone's ninth.
    for claimed in 0..20 {
        let mut rita = Device::new(RITA, 1);
        let one = rita.request(terms(1, 3, 1), claimed);
        let two = rita.request(terms(2, 4, 1), claimed);
        let (mut phone, mut laptop) = (Device::new(OLGA, 9), Device::new(OLGA, 2));
        for hour in 10..18 {
            let other = rita.request(terms(hour, hour + 1, 1), claimed);
            phone.deny(&other, "");
        }
        let first = phone.confirm(&one);
        laptop.sync_from(&phone);
        let second = laptop.confirm(&two);
        let facts = [&one, &two, &second, &first];
        assert_eq!(words(&stage(1, "manual"), &facts, [&one, &two]), ["confirmed", "conflicted"]);
    }
}

#[test]
fn a5_a_steward_looks_again_after_it_released() {
    // Releasing the first promise lets the broken one count again; the steward has to see that
    // before it gives the room to a third.
    let (mut rita, mut olga) = (Device::new(RITA, 1), Device::new(OLGA, 1));
    let [a, b, c] = [(0, 2), (1, 4), (3, 5)].map(|(from, to)| rita.request(terms(from, to, 1), 0));
    let promises = [olga.confirm(&a), olga.confirm(&b)];
    let gone = rita.withdraw(&a);
    let mut facts = view(stage(1, "first-come"), [&a, &b, &c, &gone].into_iter().chain(&promises));
    let acts = run_steward(&mut facts, &mut olga, &arrivals([]), None);
    assert_eq!(acts.len(), 1, "it releases, and promises nothing that a promise claims: {acts:?}");
    assert_eq!((verdict(&facts, &b), verdict(&facts, &c)), ("confirmed", "conflicted"));
}

#[test]
fn a5_a_released_vote_never_counts_again_and_frees_its_voter() {
    let policy = Majority::spec(voters());
    let [mut vera, mut vic] = [VERA, VIC].map(|voter| Device::under(&policy, voter, 1));
    let mut rita = Device::new(RITA, 1);
    let (q, r) = (rita.request(terms(0, 2, 1), 0), rita.request(terms(1, 3, 1), 1));
    let votes = [vera.confirm(&q), vic.confirm(&q), vic.confirm(&r), vera.confirm(&r)];
    let mut facts = view(stage_by(policy), [&q, &r].into_iter().chain(&votes));
    assert_eq!((verdict(&facts, &q), verdict(&facts, &r)), ("confirmed", "conflicted"));
    facts.records.push(vic.release(&[&votes[1]]));
    facts.records.push(vera.release(&[&votes[0]]));
    assert_eq!((verdict(&facts, &q), verdict(&facts, &r)), ("conflicted", "confirmed"));
    // Nobody releases another one's vote.
    let before = judge(&facts).verdicts;
    facts.records.push(Device::new(OLGA, 1).release(&[&votes[2]]));
    facts.records.push(Device::new(EVE, 1).release(&[&votes[3]]));
    assert_eq!(judge(&facts).verdicts, before);
}

#[test]
fn a6_a_voters_equal_votes_are_one_vote_and_a_yes_stands_beside_a_no() {
    let policy = NOfM::named(2, voters());
    let request = Device::new(RITA, 1).request(terms(0, 2, 1), 0);
    let (mut phone, mut laptop) =
        (Device::under(&policy, VERA, 1), Device::under(&policy, VERA, 2));
    let twice = [phone.confirm(&request), laptop.answer(&request, Answer::Confirm, "sure")];
    let no = laptop.deny(&request, "on second thoughts");
    let mut facts = view(stage_by(policy.clone()), [&request, &twice[0], &twice[1], &no]);
    let Verdict::Requested { have: 1, need: 2, by, .. } = &judge(&facts).verdicts[&request.id]
    else {
        panic!("one voter has one vote")
    };
    assert_eq!(by.len(), 1);
    facts.records.push(Device::under(&policy, VIC, 1).confirm(&request));
    assert_eq!(verdict(&facts, &request), "confirmed");
    let [Finding::Contradiction { user: who, .. }] = &judge(&facts).findings[..] else { panic!() };
    assert_eq!(*who, user(VERA));
    // The yes stands until all of it is released.
    facts.records.push(phone.release(&[&twice[0]]));
    assert_eq!(verdict(&facts, &request), "confirmed");
    facts.records.push(phone.release(&[&twice[1]]));
    assert_eq!(verdict(&facts, &request), "requested");
}

#[test]
fn a7_units_of_a_consumable_count_against_the_whole_until_released() {
    let (mut rita, mut olga) = (Device::new(RITA, 1), Device::new(OLGA, 1));
    let money = Resource { consumable: true, ..stage(10, "first-come") };
    let (one, two) = (rita.request(terms(1, 2, 6), 0), rita.request(terms(50, 51, 6), 1));
    let given = olga.confirm(&one);
    let facts = [&one, &two, &given];
    assert_eq!(words(&money, &facts, [&one, &two]), ["confirmed", "conflicted"]);
    let lasting = Resource { consumable: false, ..money.clone() };
    assert_eq!(words(&lasting, &facts, [&one, &two]), ["confirmed", "tentative"]);
    let back = olga.release(&[&given]);
    let facts = [&one, &two, &given, &back];
    assert_eq!(words(&money, &facts, [&one, &two]), ["requested", "tentative"]);
}

#[test]
fn a9_a_voter_on_two_devices_can_show_two_peers_two_winners_though_not_with_their_votes() {
    // m = n = 1. Phone: S[2,4). Laptop, not having seen it: P[1,3). Phone, having seen P: R[3,5).
    // S and P overlap and were signed apart; S and R, which two peers see confirmed, were not.
    let policy = Majority::spec([user(VERA)]);
    let mut rita = Device::new(RITA, 1);
    let mut seen = false;
    for claimed in 0..20 {
        let [s, p, r] =
            [(2, 4), (1, 3), (3, 5)].map(|(from, to)| rita.request(terms(from, to, 1), claimed));
        let (mut phone, mut laptop) =
            (Device::under(&policy, VERA, 1), Device::under(&policy, VERA, 2));
        let (for_s, for_p) = (phone.confirm(&s), laptop.confirm(&p));
        phone.sync_from(&laptop);
        let for_r = phone.confirm(&r);
        let resource = stage_by(policy.clone());
        let early = view(resource.clone(), [&s, &p, &r, &for_s]);
        let late = view(resource, [&s, &p, &r, &for_s, &for_p, &for_r]);
        assert_eq!(verdict(&early, &s), "confirmed");
        if for_p.id < for_s.id {
            assert_eq!((verdict(&late, &p), verdict(&late, &r)), ("confirmed", "confirmed"));
            assert_eq!(verdict(&late, &s), "conflicted");
            let contradicts = |finding: &&Finding| finding.is_self_contradiction();
            assert_eq!(judge(&late).findings.iter().filter(contradicts).count(), 1);
            seen = true;
        } else {
            assert_eq!((verdict(&late, &s), verdict(&late, &p)), ("confirmed", "conflicted"));
        }
    }
    assert!(seen, "the ids fell both ways in twenty trials");
}

#[test]
fn a9_does_not_hold_against_the_owner_who_decides_alone() {
    // The rule says "2n - m voters": here no voter contradicts anybody.
    let policy = Majority::spec(voters());
    let mut rita = Device::new(RITA, 1);
    let (q, r) = (rita.request(terms(0, 2, 1), 0), rita.request(terms(1, 3, 1), 1));
    let votes = [VERA, VIC].map(|voter| Device::under(&policy, voter, 1).confirm(&q));
    let owner = Device::new(OLGA, 1).confirm(&r);
    let resource = stage_by(policy);
    assert_eq!(words(&resource, &[&q, &r, &votes[0], &votes[1]], [&q, &r])[0], "confirmed");
    assert_eq!(words(&resource, &[&q, &r, &owner], [&q, &r])[1], "confirmed");
    let met = [&q, &r, &votes[0], &votes[1], &owner];
    assert_eq!(words(&resource, &met, [&q, &r]), ["conflicted", "confirmed"]);
}

#[test]
fn a9_an_empty_voter_list_or_the_owner_among_the_voters_is_refused() {
    let policies = Policies::default();
    for policy in [Majority::spec([]), Majority::spec([user(OLGA), user(VERA), user(VIC)])] {
        let facts =
            view(stage_by(policy.clone()), [&Device::new(RITA, 1).request(terms(0, 1, 1), 0)]);
        let verdicts = evaluate(&policies, &facts, &Tokens::none()).verdicts;
        assert!(verdicts.values().all(|verdict| verdict.name() == "unsupported"));
        let arrivals = arrivals([]);
        assert_eq!(steward(&policies, &facts, &Tokens::none(), &duty(&arrivals, None)), []);
    }
}

#[test]
fn d2_a_record_stands_where_it_first_stood_and_says_what_it_says() {
    // What a record says is its name, so a rewritten one is another one, later in its log. A
    // promise that was rewritten to reach further does not keep the place of the first.
    let (mut rita, mut olga) = (Device::new(RITA, 1), Device::new(OLGA, 1));
    let (one, two) = (rita.request(terms(0, 1, 1), 0), rita.request(terms(1, 3, 1), 1));
    let first = olga.confirm(&one);
    let rival = olga.confirm(&two);
    let rewritten = olga.decide(&one.id, terms(0, 2, 1), Answer::Confirm, "");
    assert_ne!(first.id, rewritten.id);
    let facts = [&one, &two, &first, &rival, &rewritten];
    assert_eq!(words(&stage(1, "manual"), &facts, [&one, &two]), ["confirmed", "confirmed"]);
}

#[test]
fn d3_between_documents_there_is_no_before() {
    // Were the laptop's decisions in a document of their own, what it had seen would not count.
    let mut rita = Device::new(RITA, 1);
    let mut both_ways = [false; 2];
    for claimed in 0..20 {
        let (one, two) =
            (rita.request(terms(1, 3, 1), claimed), rita.request(terms(2, 4, 1), claimed));
        let (mut phone, mut laptop) = (Device::new(OLGA, 9), Device::new(OLGA, 2));
        let first = phone.confirm(&one);
        laptop.sync_from(&phone);
        let mut second = laptop.confirm(&two);
        second.id.document = document(if claimed % 2 == 0 { 0 } else { 99 });
        let facts = [&one, &two, &second, &first];
        let words = words(&stage(1, "manual"), &facts, [&one, &two]);
        both_ways[usize::from(words == ["confirmed", "conflicted"])] = true;
    }
    assert_eq!(both_ways, [true, true], "there the lower id decides, not what was known");
}

#[test]
fn d5_a_device_that_decides_before_it_has_synced_breaks_a_promise_and_never_the_capacity() {
    let (mut rita, mut phone) = (Device::new(RITA, 1), Device::new(OLGA, 1));
    let (one, two) = (rita.request(terms(0, 2, 1), 0), rita.request(terms(1, 3, 1), 1));
    let mut facts = view(stage(1, "first-come"), [&one]);
    run_steward(&mut facts, &mut phone, &arrivals([]), None);
    // Restored from a backup that knows none of that: a fresh incarnation, and it does not wait.
    let mut restored = Device::new(OLGA, 2);
    assert_ne!(restored.log(), Incarnation::from_bytes([1; 8]));
    let mut stale = view(stage(1, "first-come"), [&two]);
    run_steward(&mut stale, &mut restored, &arrivals([]), None);
    facts.records.extend(stale.records);
    let evaluation = judge(&facts);
    let names: Vec<_> = evaluation.verdicts.values().map(Verdict::name).collect();
    assert!(names.contains(&"confirmed") && names.contains(&"conflicted"), "{names:?}");
    let [finding] = &evaluation.findings[..] else { panic!("one broken promise") };
    assert!(finding.is_self_contradiction());

    // One that syncs first sees that there is no room.
    let mut facts = view(stage(1, "first-come"), [&one, &two]);
    run_steward(&mut facts, &mut phone, &arrivals([(&one, 1), (&two, 2)]), None);
    let mut patient = Device::new(OLGA, 3);
    patient.sync_from(&phone);
    assert_eq!(run_steward(&mut facts, &mut patient, &arrivals([]), None), []);
    let decisions = facts.records.iter().filter(|f| matches!(f.record, Record::Decision(_)));
    assert_eq!(decisions.count(), 1);
}
