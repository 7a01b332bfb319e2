//! Editors against a model: an owner on two devices and two editors write, hand documents over in
//! any order, and each sees what a naive merge of what it knows says.
//!
//! A longer run (3,000 cases take two minutes):
//! `MODEL_CASES=3000 cargo test -p p2panda-core --test amendments_model`
#![allow(clippy::unwrap_used)]

mod common;

use std::collections::{BTreeMap, BTreeSet};

use common::*;
use p2panda_core::{
    EditError, EntityId, FestivalId, Identity, Incarnation, LocalId, Replica, UserId,
    schema::{Amendment, Event, Fields, Instant, Value, amends_label, read_fields, write_fields},
};
use proptest::prelude::*;
use rand_chacha::ChaCha20Rng;

/// Peers 0 and 1 are the owner's devices, 2 to 4 are editors. The last one is never taken off, so
/// the owner amends from the beginning.
const PEERS: usize = 5;
const DEVICES: usize = 2;
const FIELDS: [&str; 4] = ["title", "starts", "tags", "own field"];

#[derive(Clone, Debug)]
enum Step {
    Write { who: usize, field: usize, value: u8 },
    Delete { who: usize, field: usize },
    Add { device: usize, editor: usize },
    Remove { device: usize, editor: usize, keep: bool },
    HandOver { from: usize, to: usize, author: usize },
    Exchange { from: usize, to: usize },
    DeleteAll { device: usize },
}

fn step() -> impl Strategy<Value = Step> {
    let (who, device) = (|| 0..PEERS, || 0..DEVICES);
    let (field, editor) = (|| 0..FIELDS.len(), || DEVICES..PEERS - 1);
    prop_oneof![
        12 => (who(), field(), any::<u8>()).prop_map(|(who, field, value)| Step::Write { who, field, value }),
        3 => (who(), field()).prop_map(|(who, field)| Step::Delete { who, field }),
        3 => (device(), editor()).prop_map(|(device, editor)| Step::Add { device, editor }),
        3 => (device(), editor(), any::<bool>()).prop_map(|(device, editor, keep)| Step::Remove { device, editor, keep }),
        6 => (who(), who(), 1..PEERS).prop_map(|(from, to, author)| Step::HandOver { from, to, author }),
        6 => (who(), who()).prop_map(|(from, to)| Step::Exchange { from, to }),
        1 => device().prop_map(|device| Step::DeleteAll { device }),
    ]
}

fn value(field: usize, value: u8) -> Value {
    match (field, value % 8) {
        (_, 0) => Value::Null, // malformed for all but the field of an application
        (1, n) => Instant::from_millis(i64::from(n) * 400_000).into(),
        (2, n) => Value::Map([(format!("tag {n}"), true.into())].into()),
        (_, n) => format!("{n}").into(),
    }
}

#[derive(Clone, Debug)]
enum What {
    Amend(String, Amendment),
    Editor(UserId, bool),
    Gone,
}

/// Something that was written: by whom, on which device, and what that device knew of the same
/// user's writing.
#[derive(Clone, Debug)]
struct Fact {
    user: UserId,
    incarnation: Incarnation,
    what: What,
    past: BTreeSet<usize>,
}

struct Model {
    owner: UserId,
    own: Fields,
    always: UserId,
    facts: Vec<Fact>,
    known: Vec<BTreeSet<usize>>,
}

impl Model {
    /// Facts that a peer knows and that no later one of the same user at the same place replaced.
    fn standing<'a>(
        &'a self,
        peer: usize,
        of: impl Fn(&What) -> bool + 'a,
    ) -> impl Iterator<Item = (usize, &'a Fact)> + 'a {
        let known = &self.known[peer];
        let at: Vec<usize> = known.iter().copied().filter(|n| of(&self.facts[*n].what)).collect();
        let candidates = at.clone();
        candidates.into_iter().map(|n| (n, &self.facts[n])).filter(move |(n, fact)| {
            !at.iter().any(|later| {
                self.facts[*later].user == fact.user && self.facts[*later].past.contains(n)
            })
        })
    }

    fn is_gone(&self, peer: usize) -> bool {
        self.known[peer].iter().any(|n| matches!(self.facts[*n].what, What::Gone))
    }

    fn editors(&self, peer: usize) -> BTreeSet<UserId> {
        let mut editors = BTreeSet::from([self.always]);
        let listed = self.facts.iter().filter_map(|fact| match fact.what {
            What::Editor(user, _) => Some(user),
            _ => None,
        });
        let users: BTreeSet<UserId> = listed.collect();
        for user in users {
            let of = move |what: &What| matches!(what, What::Editor(other, _) if *other == user);
            if self.standing(peer, of).any(|(_, fact)| matches!(fact.what, What::Editor(_, true))) {
                editors.insert(user);
            }
        }
        editors
    }

    /// What counts of a field: counter, user and value.
    fn winner(&self, peer: usize, field: &str) -> Option<(u64, UserId, Option<Value>)> {
        let mut editors = self.editors(peer);
        editors.insert(self.owner);
        self.winner_among(peer, field, &editors)
    }

    fn winner_among(
        &self,
        peer: usize,
        field: &str,
        users: &BTreeSet<UserId>,
    ) -> Option<(u64, UserId, Option<Value>)> {
        let name = field.to_owned();
        let of = move |what: &What| matches!(what, What::Amend(other, _) if *other == name);
        let amendments = self.standing(peer, of).filter(|(_, fact)| users.contains(&fact.user));
        let highest = amendments
            .filter_map(|(_, fact)| match &fact.what {
                What::Amend(_, amendment) => Some((
                    (amendment.counter, fact.user, fact.incarnation, amendment.to_bytes()),
                    amendment.value.clone(),
                )),
                _ => None,
            })
            .max_by(|(left, _), (right, _)| left.cmp(right));
        let own = self.own.get(field).map(|value| (0, self.owner, Some(value.clone())));
        highest.map(|((counter, user, ..), value)| (counter, user, value)).or(own)
    }

    fn fields(&self, peer: usize) -> Fields {
        let mut fields = self.own.clone();
        let editors = self.editors(peer);
        let listed = editors.into_iter().map(|user| (user.to_string(), true.into())).collect();
        fields.insert("editors".to_owned(), Value::Map(listed));
        for field in FIELDS {
            match self.winner(peer, field).and_then(|(_, _, value)| value) {
                Some(value) => fields.insert(field.to_owned(), value),
                None => fields.remove(field),
            };
        }
        fields
    }

    /// Adds what a peer wrote in one edit.
    fn write(&mut self, peer: usize, user: UserId, incarnation: Incarnation, what: Vec<What>) {
        let past = self.known[peer].clone();
        for what in what {
            self.known[peer].insert(self.facts.len());
            self.facts.push(Fact { user, incarnation, what, past: past.clone() });
        }
    }
}

struct Bed {
    rng: ChaCha20Rng,
    festival: FestivalId,
    peers: Vec<Replica>,
    incarnations: Vec<Incarnation>,
    id: EntityId,
    model: Model,
}

impl Bed {
    fn new(seed: u64) -> Self {
        let mut rng = rng(seed);
        let owner = Identity::generate(&mut rng);
        let mut peers: Vec<Replica> = (0..DEVICES).map(|_| replica(&owner)).collect();
        peers.extend((DEVICES..PEERS).map(|_| replica(&Identity::generate(&mut rng))));
        let festival = festival_of(&mut peers[0], &mut rng);
        let always = peers[PEERS - 1].user();
        let mut show = event("0");
        show.ends = Some(Instant::from_millis(2_000_000));
        show.editors = [always].into();
        let id = put(&mut peers[0], festival.id(), "show", &show, &mut rng);
        for number in 1..PEERS {
            let [first, peer] = peers.get_disjoint_mut([0, number]).unwrap();
            peer.join(&festival).unwrap();
            hand_over(first, peer, festival.id());
        }
        let mut incarnations = vec![];
        for (number, peer) in peers.iter_mut().enumerate() {
            let local: LocalId = "device".parse().unwrap();
            let label = format!("device {number}");
            let device: Result<EntityId, EditError> =
                peer.edit(festival.id(), NOW, &mut rng, |edit| {
                    edit.label(&label).put(&local, &event("device"))
                });
            let document = device.unwrap().document;
            let logs = peer.logs(festival.id()).unwrap();
            let (log, _) = logs.iter().find(|(log, _)| log.document == document).unwrap();
            incarnations.push(log.incarnation);
        }
        let mut own = write_fields(&show).unwrap();
        own.insert("kind".to_owned(), "event".into());
        own.remove("editors");
        let known = vec![BTreeSet::new(); PEERS];
        let model = Model { owner: owner.user(), own, always, facts: vec![], known };
        Self { rng, festival: festival.id(), peers, incarnations, id, model }
    }

    /// Hands over all logs of one document; the model learns what was written there.
    fn hand_over(&mut self, from: usize, to: usize, author: usize) {
        if from == to {
            return;
        }
        let user = self.peers[author].user();
        let [source, sink] = self.peers.get_disjoint_mut([from, to]).unwrap();
        for (log, _) in source.logs(self.festival).unwrap() {
            let descriptor = source.descriptor(&log.document).unwrap().unwrap();
            if descriptor.user != user || descriptor.label.starts_with("device") {
                continue;
            }
            let held = |to: &Replica| to.held(&log).unwrap().map_or(0, |tip| tip.length);
            while let Some(segment) = source.segment(&log, held(sink)).unwrap() {
                sink.accept(&descriptor, segment.into_segment()).unwrap();
            }
        }
        sink.flush().unwrap();
        let learnt: Vec<usize> = self.model.known[from]
            .iter()
            .copied()
            .filter(|n| self.model.facts[*n].user == user)
            .collect();
        self.model.known[to].extend(learnt);
    }

    fn take(&mut self, step: &Step) {
        let id = self.id.clone();
        match *step {
            Step::HandOver { from, to, author } => self.hand_over(from, to, author),
            Step::Exchange { from, to } => {
                for author in 1..PEERS {
                    self.hand_over(from, to, author);
                }
            }
            Step::Write { who, field, value: number } => {
                let value = value(field, number);
                let set = |edit: &mut p2panda_core::Edit<'_>| match &value {
                    // A map is merged into what stands: take that away first, in the same edit.
                    Value::Map(_) => {
                        edit.delete(&id, &[FIELDS[field]])?;
                        edit.set(&id, &[FIELDS[field]], value.clone())
                    }
                    value => edit.set(&id, &[FIELDS[field]], value.clone()),
                };
                self.amend(who, field, Some(value.clone()), set);
            }
            Step::Delete { who, field } => {
                self.amend(who, field, None, |edit| edit.delete(&id, &[FIELDS[field]]));
            }
            Step::Add { device, editor } => {
                let user = self.peers[editor].user();
                if self.edit(device, |edit| edit.add_editor(&id, &user)) {
                    self.wrote(device, vec![What::Editor(user, true)]);
                }
            }
            Step::Remove { device, editor, keep } => self.remove(device, editor, keep),
            Step::DeleteAll { device } => {
                if self.edit(device, |edit| edit.delete(&id, &[])) {
                    self.wrote(device, vec![What::Gone]);
                }
            }
        }
    }

    /// Edits unless the entity is gone there.
    fn edit(
        &mut self,
        who: usize,
        change: impl FnOnce(&mut p2panda_core::Edit<'_>) -> Result<(), EditError>,
    ) -> bool {
        if self.model.is_gone(who) {
            return false;
        }
        self.peers[who].edit(self.festival, NOW, &mut self.rng, change).unwrap();
        true
    }

    fn wrote(&mut self, who: usize, what: Vec<What>) {
        self.model.write(who, self.peers[who].user(), self.incarnations[who], what);
    }

    fn amend(
        &mut self,
        who: usize,
        field: usize,
        value: Option<Value>,
        change: impl FnOnce(&mut p2panda_core::Edit<'_>) -> Result<(), EditError>,
    ) {
        if self.model.is_gone(who) {
            return;
        }
        let user = self.peers[who].user();
        let done = self.peers[who].edit(self.festival, NOW, &mut self.rng, change);
        if user != self.model.owner && !self.model.editors(who).contains(&user) {
            assert!(matches!(done, Err(EditError::NotYours(_))), "{done:?}");
            return;
        }
        done.unwrap();
        let winner = self.model.winner(who, FIELDS[field]);
        if value.is_none() && winner.as_ref().is_none_or(|(_, _, value)| value.is_none()) {
            return; // nothing to delete
        }
        let counter = winner.map_or(0, |(counter, ..)| counter) + 1;
        let amendment = Amendment { counter, value };
        self.wrote(who, vec![What::Amend(FIELDS[field].to_owned(), amendment)]);
    }

    fn remove(&mut self, device: usize, editor: usize, keep: bool) {
        let (id, user) = (self.id.clone(), self.peers[editor].user());
        let was = self.model.editors(device).contains(&user);
        let mut wrote = vec![];
        for field in FIELDS {
            if let Some((counter, by, value)) = self.model.winner(device, field)
                && by == user
                && keep
            {
                let amendment = Amendment { counter: counter + 1, value };
                wrote.push(What::Amend(field.to_owned(), amendment));
            }
        }
        if self.edit(device, |edit| edit.remove_editor(&id, &user, keep)) && was {
            wrote.push(What::Editor(user, false));
            self.wrote(device, wrote);
        }
    }

    /// What a peer answers is what the model says of what it knows.
    fn check(&self, peer: usize) {
        let view = self.peers[peer].view(self.festival);
        let scheduled = view.schedule(None).unwrap();
        let scheduled = scheduled.iter().any(|(id, _)| *id == self.id);
        let malformed = view.malformed().unwrap().iter().any(|(id, _)| *id == self.id);
        let listed = view.list::<Event>().unwrap();
        let listed = listed.into_iter().find(|(id, _)| *id == self.id).map(|(_, event)| event);
        if self.model.is_gone(peer) {
            assert_eq!(view.fields(&self.id).unwrap(), None);
            assert!(!scheduled && !malformed && listed.is_none());
            return;
        }
        let expected = self.model.fields(peer);
        assert_eq!(view.fields(&self.id).unwrap().unwrap(), expected, "peer {peer}");
        let typed = read_fields::<Event>(&expected);
        assert_eq!(malformed, typed.is_err());
        let timed = typed.as_ref().is_ok_and(|event| event.starts < event.ends);
        let timed = timed && typed.as_ref().is_ok_and(|event| event.starts.is_some());
        assert_eq!(scheduled, timed, "{typed:?}");
        assert_eq!(listed.map(Result::ok), Some(typed.ok()));
        let provenance = view.provenance(&self.id).unwrap();
        for field in FIELDS {
            let by = provenance.get(field).map(|by| (by.counter, by.user));
            let winner = self.model.winner(peer, field).map(|(counter, user, _)| (counter, user));
            assert_eq!(by, winner, "{field}");
        }
    }
}

fn cases() -> u32 {
    std::env::var("MODEL_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(96)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases()))]

    #[test]
    fn every_peer_sees_what_a_naive_merge_of_what_it_knows_says(
        seed in any::<u64>(),
        steps in proptest::collection::vec(step(), 1..60),
    ) {
        let mut bed = Bed::new(seed);
        for step in &steps {
            bed.take(step);
            for peer in 0..PEERS {
                bed.check(peer);
            }
        }
        for _ in 0..2 {
            for from in 0..PEERS {
                for to in 0..PEERS {
                    bed.take(&Step::Exchange { from, to });
                }
            }
        }
        // The documents that named the devices are still only their own.
        for from in 0..PEERS {
            for to in (0..PEERS).filter(|to| *to != from) {
                let [from, to] = bed.peers.get_disjoint_mut([from, to]).unwrap();
                hand_over(from, to, bed.festival);
            }
        }
        for peer in 0..PEERS {
            bed.check(peer);
            assert_equal(&bed.peers[peer], &bed.peers[0]);
            prop_assert!(bed.peers[peer].stopped_logs(bed.festival).unwrap().is_empty());
        }
        // A stranger who hears of it in another order, amendments first, sees the same.
        let mut fresh = replica(&Identity::generate(&mut bed.rng));
        fresh.join(&bed.peers[0].festival(bed.festival).unwrap().unwrap()).unwrap();
        let label = amends_label(&bed.id.document);
        for amendments in [true, false] {
            for (log, _) in bed.peers[0].logs(bed.festival).unwrap() {
                let descriptor = bed.peers[0].descriptor(&log.document).unwrap().unwrap();
                if (descriptor.label == label) != amendments {
                    continue;
                }
                let held = |to: &Replica| to.held(&log).unwrap().map_or(0, |tip| tip.length);
                while let Some(segment) = bed.peers[0].segment(&log, held(&fresh)).unwrap() {
                    fresh.accept(&descriptor, segment.into_segment()).unwrap();
                }
            }
        }
        assert_equal(&bed.peers[0], &fresh);
        let view = |peer: &Replica| {
            let view = peer.view(bed.festival);
            let fields: BTreeMap<_, _> =
                view.ids("event").unwrap().into_iter().map(|id| (id.clone(), view.fields(&id).unwrap())).collect();
            (fields, view.schedule(None).unwrap(), view.malformed().unwrap())
        };
        prop_assert_eq!(view(&bed.peers[0]), view(&fresh));
    }
}
