//! Erasing what one signed, by signing a second history: with real logs, and a proof that every
//! peer comes to hold.
#![allow(clippy::unwrap_used)]

use p2panda_core::{
    Accepted, EditError, EntityId, FestivalId, Identity, LogId, Replica, Tip, VerifiedSegment,
    schema::{
        Answer, Decision, Event, FestivalInfo, Instant, PolicySpec, Request, Resource, Span, Terms,
    },
    store::{MemoryStore, NoResume},
};
use p2panda_policy::{Evaluation, Finding, Policies, Tokens, Verdict, evaluate};
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng as _};

const NOW: Instant = Instant::from_millis(1_700_000_000_000);

/// Olga owns a stage of one unit; Eve and Rita ask for it, and Olga promises it to Eve.
struct World {
    rng: ChaCha20Rng,
    festival: FestivalId,
    olga: Replica,
    eve: Replica,
    rita: Replica,
    stage: EntityId,
    eves: EntityId,
    ritas: EntityId,
}

fn key(number: u8) -> Identity {
    Identity::from_secret(&[number; 32])
}

fn replica(number: u8) -> Replica {
    Replica::open(Box::new(MemoryStore::new()), key(number), Box::new(NoResume)).unwrap()
}

const OLGA: u8 = 1;
const EVE: u8 = 2;
const RITA: u8 = 3;

fn hand_over(from: &Replica, to: &mut Replica, festival: FestivalId) {
    for (log, _) in from.logs(festival).unwrap() {
        let descriptor = from.descriptor(&log.document).unwrap().unwrap();
        let held = |to: &Replica| to.held(&log).unwrap().map_or(0, |tip| tip.length);
        while let Some(segment) = from.segment(&log, held(to)).unwrap() {
            // Of the other history: a session would find out where they part.
            if to.accept(&descriptor, segment.into_segment()).is_err() {
                break;
            }
        }
        if let Some(proof) = from.fork_proof(&log).unwrap() {
            to.accept_fork(&descriptor, proof.into_proof()).unwrap();
        }
    }
    to.flush().unwrap();
}

impl World {
    fn new() -> Self {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let (mut olga, mut eve, mut rita) = (replica(OLGA), replica(EVE), replica(RITA));
        let ticket = olga.create_festival(&FestivalInfo::default(), NOW, &mut rng).unwrap();
        let festival = ticket.id();
        let stage = Resource { title: "Stage".into(), ..Resource::default() };
        let stage: Result<_, EditError> =
            olga.edit(festival, NOW, &mut rng, |edit| edit.create(&stage));
        let stage = stage.unwrap();
        let mut ask = |peer: &mut Replica, from: i64| {
            peer.join(&ticket).unwrap();
            hand_over(&olga, peer, festival);
            let at = |hour: i64| Instant::from_millis(hour * 3_600_000);
            let span = Span::new(at(from), at(from + 2)).unwrap();
            let asked: Result<_, EditError> = peer.edit(festival, NOW, &mut rng, |edit| {
                let event = edit.create(&Event::default())?;
                let terms = Terms { event, resource: stage.clone(), span, units: 1 };
                edit.request(Request { terms, claimed: NOW, note: String::new() })
            });
            asked.unwrap()
        };
        let (eves, ritas) = (ask(&mut eve, 1), ask(&mut rita, 2));
        let mut world = Self { rng, festival, olga, eve, rita, stage, eves, ritas };
        hand_over(&world.eve, &mut world.olga, festival);
        hand_over(&world.rita, &mut world.olga, festival);
        world.decide();
        world
    }

    fn decide(&mut self) {
        let facts = self.olga.view(self.festival).facts(&self.stage).unwrap().unwrap();
        let asked = facts.records.iter().find(|fact| fact.id == self.eves).unwrap();
        let p2panda_core::schema::Record::Request(request) = &asked.record else { panic!() };
        let decision = Decision {
            request: self.eves.clone(),
            terms: request.terms.clone(),
            policy: PolicySpec::new("manual").hash(),
            answer: Answer::Confirm,
            reason: String::new(),
        };
        let done = self.olga.edit(self.festival, NOW, &mut self.rng, |edit| edit.decide(decision));
        done.unwrap();
    }

    /// The log of whoever wrote a record.
    fn log_with(&self, record: &EntityId, holder: &Replica) -> LogId {
        let logs = holder.logs(self.festival).unwrap();
        logs.iter().find(|(log, _)| log.document == record.document).unwrap().0
    }

    /// A second history of a log, from its first entry on, and every peer that there is.
    fn erase(&self, log: LogId, author: u8) -> Vec<Evaluation> {
        let holders = [&self.olga, &self.eve, &self.rita];
        let descriptor = self.olga.descriptor(&log.document).unwrap().unwrap();
        let other = vec![b"another history".to_vec()];
        let other = VerifiedSegment::sign(&key(author), log, &Tip::start(&log), other).unwrap();
        let mut peers = Vec::new();
        for (number, is_first) in [(10, true), (11, false)] {
            let mut peer = replica(number);
            peer.join(&self.olga.festival(self.festival).unwrap().unwrap()).unwrap();
            let tell = |peer: &mut Replica| {
                peer.accept(&descriptor, other.clone().into_segment()).unwrap()
            };
            if is_first {
                tell(&mut peer);
            }
            holders.iter().for_each(|holder| hand_over(holder, &mut peer, self.festival));
            if !is_first {
                assert_eq!(tell(&mut peer), Accepted::Cut { at: 0 });
            } else {
                let whole = holders.iter().find_map(|holder| holder.segment(&log, 0).unwrap());
                peer.accept(&descriptor, whole.unwrap().into_segment()).unwrap();
            }
            peers.push(peer);
        }
        // And one who has it by hearsay: the cut log with its proof, in the end.
        let mut late = replica(12);
        late.join(&self.olga.festival(self.festival).unwrap().unwrap()).unwrap();
        holders.iter().for_each(|holder| hand_over(holder, &mut late, self.festival));
        hand_over(&peers[1], &mut late, self.festival);
        peers.push(late);
        for peer in &peers {
            let forks = peer.forks(self.festival).unwrap();
            assert_eq!((forks.len(), forks[0].log, forks[0].author), (1, log, key(author).user()));
            let evidence = peer.fork_evidence(&log).unwrap().unwrap();
            assert!(evidence.verify().is_ok(), "anybody can see whose act it was");
            assert_eq!(
                peer.fingerprint_view().unwrap(),
                peers[0].fingerprint_view().unwrap(),
                "whatever came first"
            );
        }
        peers.iter().map(|peer| self.judge(peer)).collect()
    }

    fn judge(&self, peer: &Replica) -> Evaluation {
        let facts = peer.view(self.festival).facts(&self.stage).unwrap().unwrap();
        evaluate(&Policies::default(), &facts, &Tokens::none())
    }
}

/// Gains: the request is gone. Not: its units, which the owner's decision holds until released; nor
/// anybody else's place.
#[test]
fn erasing_ones_own_request_by_a_fork_frees_nothing() {
    let world = World::new();
    let before = world.judge(&world.olga);
    assert!(matches!(before.verdicts[&world.eves], Verdict::Confirmed { .. }));
    let log = world.log_with(&world.eves, &world.eve);
    for after in world.erase(log, EVE) {
        assert!(!after.verdicts.contains_key(&world.eves), "the request is gone");
        assert_eq!(after.verdicts[&world.ritas], before.verdicts[&world.ritas]);
        assert_eq!(after.allocation, before.allocation, "its units are still taken");
    }
}

/// Gains: the owner is rid of the promise, which shows with the proof of the two histories. Not: a
/// second promise beside one that stands, in any view.
#[test]
fn erasing_ones_own_decision_by_a_fork_is_the_owners_act_and_shows() {
    let world = World::new();
    let before = world.judge(&world.olga);
    let grants = before.allocation.grants();
    let [grant] = grants else { panic!("{grants:?}") };
    let facts = world.olga.view(world.festival).facts(&world.stage).unwrap().unwrap();
    let decided = facts
        .records
        .iter()
        .find(|fact| matches!(fact.record, p2panda_core::schema::Record::Decision(_)));
    let log = world.log_with(&decided.unwrap().id, &world.olga);
    assert_eq!(grant.terms.units, 1);
    for after in world.erase(log, OLGA) {
        assert_eq!(after.allocation.grants().len(), 0);
        for request in [&world.eves, &world.ritas] {
            assert!(matches!(
                after.verdicts[request],
                Verdict::Requested { .. } | Verdict::Tentative { .. }
            ));
        }
        let broken = |finding: &Finding| finding.user() != key(OLGA).user();
        assert!(!after.findings.iter().any(broken), "nobody else is blamed");
    }
}
