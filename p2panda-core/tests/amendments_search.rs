//! Amendments in every order of arrival: an owner on several devices, two editors and a stranger.
//! Every subset of few of their acts, in every order, against a naive merge.
//!
//! State by state: what an act adds to a state is the same whichever act came last, so if each next
//! state is equal byte by byte whatever came last, all orders end alike. Acts that arrive before what
//! they build on are among them.
//!
//! Larger (the number of acts besides the creation; 4 takes forty seconds, 5 some three minutes):
//! `P2PANDA_AMENDMENTS=4 cargo test -p p2panda-core --test amendments_search`
#![allow(clippy::unwrap_used)]

mod common;

use std::collections::{BTreeMap, BTreeSet};

use common::*;
use p2panda_core::{
    DocumentDescriptor, Edit, EditError, EntityId, Festival, Identity, Replica, Segment, UserId,
    schema::{AMENDMENT, Amendment, Entity, Event, Fields, Value, amends_label},
    store::{NoResume, Store as _, Table},
};
use rand_chacha::ChaCha20Rng;

#[derive(serde::Serialize, serde::Deserialize)]
struct Forged {
    amended: Fields,
}

impl Entity for Forged {
    const KIND: &'static str = AMENDMENT;
}

/// What an act says, to the model.
#[derive(Clone, Debug)]
enum What {
    Made,
    Gone,
    Editor(UserId, bool),
    Amend(&'static str, Option<Amendment>),
}

/// One segment, a log of its own.
struct Act {
    descriptor: DocumentDescriptor,
    segment: Segment,
    what: What,
    /// The acts that its device knew.
    past: BTreeSet<usize>,
}

struct World {
    rng: ChaCha20Rng,
    festival: Festival,
    id: EntityId,
    acts: Vec<Act>,
}

const FIELDS: [&str; 2] = ["title", "summary"];
const NAMES: [&str; 4] = ["owner", "one", "two", "stranger"];

fn key(name: &str) -> Identity {
    let number = NAMES.iter().position(|other| *other == name).unwrap();
    Identity::from_secret(&[u8::try_from(number).unwrap() + 1; 32])
}

fn user(name: &str) -> UserId {
    key(name).user()
}

impl World {
    fn new() -> Self {
        let mut rng = rng(1);
        let festival = Festival::found(&Identity::generate(&mut rng), &mut rng);
        let owner = user("owner");
        let own = DocumentDescriptor { festival: festival.id(), user: owner, label: String::new() };
        let id = EntityId::new(own.id(), "show".parse().unwrap());
        let mut world = Self { rng, festival, id, acts: Vec::new() };
        world.act_all();
        world
    }

    /// An act of somebody's device that knew these acts.
    fn act(
        &mut self,
        who: &str,
        past: &[usize],
        what: What,
        change: impl FnOnce(&mut Edit<'_>, &EntityId) -> Result<(), EditError>,
    ) -> usize {
        let (festival, id) = (self.festival.id(), self.id.clone());
        let mut device = replica(&key(who));
        device.join(&self.festival).unwrap();
        for number in past {
            let Act { descriptor, segment, .. } = &self.acts[*number];
            device.accept(descriptor, segment.clone()).unwrap();
        }
        device.flush().unwrap();
        let before = device.logs(festival).unwrap();
        let done: Result<(), EditError> =
            device.edit(festival, NOW, &mut self.rng, |edit| change(edit, &id));
        done.unwrap();
        let mut after = device.logs(festival).unwrap();
        after.retain(|log| !before.contains(log));
        let [(log, _)] = after[..] else { panic!("{after:?}") };
        let descriptor = device.descriptor(&log.document).unwrap().unwrap();
        let segment = device.segment(&log, 0).unwrap().unwrap().into_segment();
        let past = past.iter().copied().collect();
        self.acts.push(Act { descriptor, segment, what, past });
        self.acts.len() - 1
    }

    fn editor(&mut self, past: &[usize], who: &str, is_added: bool) -> usize {
        let editor = user(who);
        self.act("owner", past, What::Editor(editor, is_added), |edit, id| match is_added {
            true => edit.add_editor(id, &editor),
            false => edit.remove_editor(id, &editor, false),
        })
    }

    fn amend(
        &mut self,
        who: &str,
        past: &[usize],
        field: &'static str,
        counter: u64,
        value: Option<&str>,
    ) -> usize {
        let value = value.map(Value::from);
        let what = What::Amend(field, Some(Amendment { counter, value: value.clone() }));
        self.act(who, past, what, |edit, id| match value {
            Some(value) => edit.set(id, &[field], value),
            None => edit.delete(id, &[field]),
        })
    }

    /// Bytes at the place of an amendment, whatever this library would write.
    fn forge(&mut self, who: &str, field: &'static str, bytes: Vec<u8>) -> usize {
        let what = What::Amend(field, Amendment::from_bytes(&bytes).ok());
        self.act(who, &[], what, |edit, id| {
            let label = amends_label(&id.document);
            let amended = [(field.to_owned(), Value::Bytes(bytes))].into();
            edit.label(&label).put(&id.local, &Forged { amended }).map(drop)
        })
    }

    fn act_all(&mut self) {
        let show = Event { title: "0".into(), editors: [user("one")].into(), ..Event::default() };
        let made =
            self.act("owner", &[], What::Made, |edit, id| edit.put(&id.local, &show).map(drop));
        // Editors come and go, on devices that do not know of each other.
        let added = self.editor(&[made], "two", true);
        self.editor(&[made], "two", true);
        self.editor(&[made, added], "two", false);
        let removed = self.editor(&[made], "one", false);
        self.editor(&[made], "one", false);
        self.editor(&[made, removed], "one", true);
        // What they amend, knowing of each other or not.
        let first = self.amend("one", &[made], "title", 1, Some("a"));
        self.amend("one", &[made, first], "title", 2, Some("b"));
        self.amend("one", &[made, first], "title", 2, None);
        self.amend("one", &[made], "summary", 1, Some("s"));
        self.amend("two", &[made, added], "title", 1, Some("c"));
        self.amend("two", &[made, added, first], "title", 2, Some("d"));
        self.amend("owner", &[made], "title", 1, Some("own"));
        self.amend("owner", &[made, first], "title", 2, None);
        // What no client of ours writes.
        let last_word = Amendment { counter: 1 << 53, value: Some("mine".into()) }.to_bytes();
        self.forge("stranger", "title", last_word);
        let early = Amendment { counter: 3, value: Some("early".into()) }.to_bytes();
        self.forge("two", "title", early);
        self.forge("one", "title", b"malformed".to_vec());
        let stranger = Value::Map([(user("stranger").to_string(), true.into())].into());
        let editors = Amendment { counter: 9, value: Some(stranger) }.to_bytes();
        self.forge("one", "editors", editors);
        self.act("owner", &[made], What::Gone, |edit, id| edit.delete(id, &[]));
    }
}

/// What a naive merge says of some acts: nothing, or who edits and what each field is.
type Merged = Option<(BTreeSet<UserId>, BTreeMap<&'static str, Option<Value>>)>;

impl World {
    fn merge(&self, held: u32) -> Merged {
        // Causality is that of a document: what builds on a missing entry of it waits.
        let mut present: BTreeSet<usize> = BTreeSet::new();
        for (number, act) in self.acts.iter().enumerate() {
            let needs = |past: &usize| self.acts[*past].descriptor == act.descriptor;
            if held & (1 << number) != 0
                && act.past.iter().filter(|past| needs(past)).all(|past| present.contains(past))
            {
                present.insert(number);
            }
        }
        let standing = |at: &dyn Fn(&Act) -> bool| -> Vec<&Act> {
            let acts = present.iter().filter(|number| at(&self.acts[**number]));
            let is_replaced = |number: &usize| {
                present.iter().any(|later| {
                    let act = &self.acts[*later];
                    at(act)
                        && act.past.contains(number)
                        && act.descriptor == self.acts[*number].descriptor
                })
            };
            acts.filter(|number| !is_replaced(number)).map(|number| &self.acts[*number]).collect()
        };
        let has = |of: fn(&What) -> bool| present.iter().any(|act| of(&self.acts[*act].what));
        if !has(|what| matches!(what, What::Made)) || has(|what| matches!(what, What::Gone)) {
            return None;
        }
        let mut editors = BTreeSet::new();
        for who in ["one", "two"] {
            let editor = user(who);
            let at = |act: &Act| match act.what {
                What::Made => who == "one",
                What::Editor(other, _) => other == editor,
                _ => false,
            };
            let listed = |act: &&Act| !matches!(act.what, What::Editor(_, false));
            if standing(&at).iter().any(listed) {
                editors.insert(editor);
            }
        }
        let mut fields = BTreeMap::new();
        for field in FIELDS {
            let plain = (field == "title").then(|| Value::from("0"));
            let mut best: ((u64, UserId), Option<Value>) = ((0, user("owner")), plain);
            for who in NAMES {
                let by = user(who);
                if by != user("owner") && !editors.contains(&by) {
                    continue;
                }
                let at = |act: &Act| {
                    let here = matches!(&act.what, What::Amend(other, _) if *other == field);
                    here && act.descriptor.user == by
                };
                let own = standing(&at).into_iter().filter_map(|act| match &act.what {
                    What::Amend(_, Some(it)) => {
                        Some((it.counter, act.segment.log.incarnation, it.to_bytes(), it))
                    }
                    _ => None,
                });
                let highest = own.max_by_key(|(counter, incarnation, bytes, _)| {
                    (*counter, *incarnation.as_bytes(), bytes.clone())
                });
                if let Some((counter, .., it)) = highest
                    && (counter, by) > best.0
                {
                    best = ((counter, by), it.value.clone());
                }
            }
            fields.insert(field, best.1);
        }
        Some((editors, fields))
    }

    fn seen(&self, replica: &Replica) -> Merged {
        let fields = replica.view(self.festival.id()).fields(&self.id).unwrap()?;
        let editors = match fields.get("editors") {
            Some(Value::Map(editors)) => {
                let listed = editors.iter().filter(|(_, is)| **is == Value::Bool(true));
                listed.map(|(user, _)| user.parse().unwrap()).collect()
            }
            _ => BTreeSet::new(),
        };
        let shown = FIELDS.map(|field| (field, fields.get(field).cloned()));
        Some((editors, shown.into()))
    }
}

/// Everything stored but what tells the order of arrival: the feed, its counters and first arrivals.
fn contents(store: &Shared) -> Vec<u8> {
    let mut all = Vec::new();
    for table in Table::ALL {
        for (key, value) in store.range(table, &[], None, usize::MAX).unwrap() {
            let tells = table == Table::Index && key.first() == Some(&b's');
            if tells || matches!(table, Table::Feed | Table::Meta) {
                continue;
            }
            for part in [&key, &value] {
                all.extend(u32::try_from(part.len()).unwrap().to_be_bytes());
                all.extend(part);
            }
        }
    }
    blake3::hash(&all).as_bytes().to_vec()
}

#[test]
fn every_order_of_few_acts_of_an_owner_editors_and_a_stranger_ends_as_a_naive_merge_says() {
    let acts = std::env::var("P2PANDA_AMENDMENTS").ok().and_then(|acts| acts.parse().ok());
    let most: u32 = acts.unwrap_or(3);
    let world = World::new();
    let reader = Identity::from_secret(&[99; 32]);
    let open = |store: &Shared| {
        Replica::open(Box::new(store.clone()), reader.clone(), Box::new(NoResume)).unwrap()
    };
    let start = Shared::new();
    open(&start).join(&world.festival).unwrap();
    let (mut states, mut steps, mut shown) = (1_u64, 0_u64, BTreeSet::new());
    let mut last: BTreeMap<u32, Shared> = BTreeMap::from([(0, start)]);
    // The entity itself comes on top of the acts, first, last or in between.
    for _ in 0..=most {
        let mut next: BTreeMap<u32, (Vec<u8>, Shared)> = BTreeMap::new();
        for (held, store) in last {
            for (number, act) in (0..).zip(&world.acts) {
                let more = held | (1 << number);
                if more == held || (more & !1).count_ones() > most {
                    continue;
                }
                let store = store.copy();
                let mut replica = open(&store);
                replica.accept(&act.descriptor, act.segment.clone()).unwrap();
                replica.flush().unwrap();
                steps += 1;
                let contents = contents(&store);
                if let Some((before, _)) = next.get(&more) {
                    assert_eq!(
                        *before, contents,
                        "acts {more:b}: it matters that {number} came last"
                    );
                    continue;
                }
                let merged = world.merge(more);
                assert_eq!(world.seen(&replica), merged, "acts {more:b}");
                assert_eq!(replica.caught(), 0);
                shown.insert(format!("{merged:?}"));
                states += 1;
                next.insert(more, (contents, store));
            }
        }
        last = next.into_iter().map(|(held, (_, store))| (held, store)).collect();
    }
    assert!(shown.len() > 20, "{}", shown.len());
    println!("{states} states, {steps} steps, {} outcomes", shown.len());
}
