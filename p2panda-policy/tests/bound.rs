//! Quorums of named voters at capacity 1, with 2n > m: one winner in every view, and between views
//! the bound of rule A9, as a property of random histories and shown to be tight.
#![allow(clippy::unwrap_used)]

mod common;
#[path = "common/world.rs"]
mod world;

use std::collections::{BTreeMap, BTreeSet};

use common::*;
use p2panda_core::{
    Incarnation, UserId,
    schema::{Record, Resource, Terms},
    view::Fact,
};
use p2panda_policy::{NOfM, Verdict};
use proptest::prelude::*;
use world::histories;

/// Voters, each with two devices.
struct Election {
    resource: Resource,
    devices: Vec<[Device; 2]>,
    requests: Vec<Fact>,
    votes: Vec<Fact>,
}

impl Election {
    fn new(n: usize, m: usize) -> Self {
        let all = (0..m).map(|voter| VERA + u8::try_from(voter).unwrap());
        let policy = NOfM::named(i64::try_from(n).unwrap(), all.clone().map(user));
        let devices =
            all.map(|voter| [1, 2].map(|number| Device::under(&policy, voter, number))).collect();
        let resource = stage_by(policy);
        Self { resource, devices, requests: Vec::new(), votes: Vec::new() }
    }

    fn request(&mut self, from: i64, hours: i64) {
        let claimed = i64::try_from(self.requests.len()).unwrap();
        self.requests.push(Device::new(RITA, 9).request(terms(from, from + hours, 1), claimed));
    }

    fn vote(&mut self, voter: usize, device: usize, request: usize) {
        let request = &self.requests[request % self.requests.len()];
        let fact = self.devices[voter][device].confirm(request);
        if self.votes.iter().all(|known| known.id != fact.id) {
            self.votes.push(fact);
        }
    }

    fn sync(&mut self, voter: usize, from: usize) {
        let source = self.devices[voter][from].clone();
        self.devices[voter][1 - from].sync_from(&source);
    }

    /// The votes of which a peer holds these lengths, without those whose causes it does not hold:
    /// the gate lets them wait.
    fn held(&self, lengths: &[u64]) -> Vec<&Fact> {
        let length = |author: UserId, log: Incarnation| {
            let number = usize::from(author.as_bytes()[0]) * 2 + usize::from(log.as_bytes()[0]);
            lengths[number % lengths.len()]
        };
        let mut closed: BTreeMap<(UserId, Incarnation), u64> = BTreeMap::new();
        loop {
            let mut grew = false;
            for fact in &self.votes {
                let own = (fact.author, fact.position.incarnation);
                let next = closed.get(&own).copied().unwrap_or(0);
                let known = |(log, seen): (Incarnation, u64)| {
                    let held = closed.get(&(fact.author, log)).copied().unwrap_or(0);
                    // Entries without votes of ours do not exist here.
                    held >= seen || self.written(fact.author, log, seen) == 0
                };
                let ready = fact.position.index == next
                    && next < length(own.0, own.1)
                    && fact.position.seen().into_iter().all(known);
                if ready {
                    closed.insert(own, next + 1);
                    grew = true;
                }
            }
            if !grew {
                break;
            }
        }
        let held = |fact: &&Fact| {
            closed
                .get(&(fact.author, fact.position.incarnation))
                .is_some_and(|l| fact.position.index < *l)
        };
        self.votes.iter().filter(held).collect()
    }

    fn written(&self, author: UserId, log: Incarnation, below: u64) -> usize {
        let of = |fact: &&Fact| {
            fact.author == author && fact.position.incarnation == log && fact.position.index < below
        };
        self.votes.iter().filter(of).count()
    }

    fn confirmed(&self, votes: &[&Fact]) -> Vec<(&Fact, &Terms)> {
        let facts = view(self.resource.clone(), self.requests.iter().chain(votes.iter().copied()));
        let verdicts = judge(&facts).verdicts;
        let won = |fact: &&Fact| matches!(verdicts[&fact.id], Verdict::Confirmed { .. });
        self.requests.iter().filter(won).map(|fact| (fact, terms_of(fact))).collect()
    }

    /// The voters who signed overlapping votes for different requests, neither knowing the other.
    fn contradict(&self) -> BTreeSet<UserId> {
        let apart = |a: &Fact, b: &Fact| {
            !a.position.precedes(&b.position) && !b.position.precedes(&a.position)
        };
        let pairs = self.votes.iter().flat_map(|a| self.votes.iter().map(move |b| (a, b)));
        let against = pairs.filter(|(a, b)| {
            let (Record::Decision(one), Record::Decision(other)) = (&a.record, &b.record) else {
                return false;
            };
            a.author == b.author
                && one.request != other.request
                && one.terms.span.overlaps(&other.terms.span)
                && apart(a, b)
        });
        against.map(|(a, _)| a.author).collect()
    }
}

fn terms_of(fact: &Fact) -> &Terms {
    match &fact.record {
        Record::Request(request) => &request.terms,
        _ => unreachable!("requests only"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: histories(600),
        failure_persistence: None,
        ..Default::default()
    })]

    #[test]
    fn two_views_differ_only_where_enough_voters_contradict_themselves(
        (n, m) in prop_oneof![Just((1, 1)), Just((2, 2)), Just((2, 3)), Just((3, 3)), Just((3, 4)), Just((3, 5))],
        requests in prop::collection::vec((0..6i64, 1..4i64), 2..5),
        steps in prop::collection::vec((0..5usize, 0..2usize, prop::option::weighted(0.75, 0..5usize)), 2..24),
        views in prop::collection::vec(prop::collection::vec(0..6u64, 11), 4),
    ) {
        let mut election = Election::new(n, m);
        requests.iter().for_each(|(from, hours)| election.request(*from, *hours));
        for (voter, device, vote) in steps {
            match vote {
                Some(request) => election.vote(voter % m, device, request),
                None => election.sync(voter % m, device),
            }
        }
        let contradict = election.contradict().len();
        let views: Vec<_> = views.iter().map(|lengths| election.held(lengths)).collect();
        let won: Vec<_> = views.iter().map(|votes| election.confirmed(votes)).collect();
        for (at, one) in won.iter().enumerate() {
            for other in &won[at..] {
                let differ = one.iter().any(|(request, terms)| {
                    other.iter().any(|(rival, span)| {
                        rival.id != request.id && span.span.overlaps(&terms.span)
                    })
                });
                prop_assert!(!differ || contradict >= 2 * n - m, "{contradict} of {n} of {m}");
                prop_assert!(!(differ && std::ptr::eq(one, other)), "two winners in one view");
            }
        }
    }
}

#[test]
fn the_bound_is_tight() {
    // n of m: 2n - m voters vote for Q on one device and for R on the other; the rest take sides.
    for (n, m) in [(1, 1), (2, 2), (2, 3), (3, 3), (3, 4), (3, 5), (4, 5), (4, 7)] {
        let mut election = Election::new(n, m);
        election.request(0, 2);
        election.request(1, 2);
        let both = 2 * n - m;
        for voter in 0..n {
            election.vote(voter, 0, 0);
        }
        for voter in (0..both).chain(n..m) {
            election.vote(voter, 1, 1);
        }
        assert_eq!(election.contradict().len(), both);
        let for_request = |number: usize| -> Vec<&Fact> {
            let of = |vote: &&Fact| match &vote.record {
                Record::Decision(decision) => decision.request == election.requests[number].id,
                _ => false,
            };
            election.votes.iter().filter(of).collect()
        };
        for number in [0, 1] {
            let won = election.confirmed(&for_request(number));
            assert_eq!(
                won.iter().map(|(fact, _)| &fact.id).collect::<Vec<_>>(),
                [&election.requests[number].id]
            );
        }
        // Met, at most one of them stands, and those who contradicted themselves are named.
        let all: Vec<&Fact> = election.votes.iter().collect();
        assert!(election.confirmed(&all).len() <= 1);
        let facts =
            view(election.resource.clone(), election.requests.iter().chain(&election.votes));
        let named = judge(&facts).findings;
        let named: BTreeSet<UserId> = named
            .iter()
            .filter(|finding| finding.is_self_contradiction())
            .map(p2panda_policy::Finding::user)
            .collect();
        assert_eq!(named, election.contradict());
    }
}

#[test]
fn with_one_voter_less_contradicting_the_bound_holds() {
    for (n, m) in [(2, 2), (2, 3), (3, 4), (4, 5)] {
        let mut election = Election::new(n, m);
        election.request(0, 2);
        election.request(1, 2);
        (0..n).for_each(|voter| election.vote(voter, 0, 0));
        (1..2 * n - m).chain(n..m).for_each(|voter| election.vote(voter, 1, 1));
        // Every view at all: every set of votes, as each stands alone in its log.
        let votes: Vec<&Fact> = election.votes.iter().collect();
        let mut winners = BTreeSet::new();
        for set in 0..1u32 << votes.len() {
            let held: Vec<&Fact> = votes
                .iter()
                .enumerate()
                .filter(|(at, _)| set & (1 << at) != 0)
                .map(|(_, v)| *v)
                .collect();
            winners.extend(election.confirmed(&held).into_iter().map(|(fact, _)| fact.id.clone()));
        }
        assert_eq!(winners.len(), 1, "{n} of {m}");
    }
}
