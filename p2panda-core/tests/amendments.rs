//! Editors: what they amend of others' entities, in whatever order it arrives.
#![allow(clippy::unwrap_used)]

mod common;

use common::*;
use p2panda_core::{
    DraftError, EditError, EntityId, Festival, FestivalId, Identity, Replica, UserId,
    schema::{
        AMENDED, AMENDMENT, Amendment, Event, Fields, Instant, PolicySpec, Resource, Value,
        amends_label,
    },
};
use rand_chacha::ChaCha20Rng;

/// Ada owns an event; Bob and Cleo are its editors, Dora is not.
struct Bed {
    rng: ChaCha20Rng,
    festival: FestivalId,
    peers: Vec<Replica>,
    id: EntityId,
}

const ADA: usize = 0;
const BOB: usize = 1;
const CLEO: usize = 2;
const DORA: usize = 3;

fn join(festival: &Festival, rng: &mut ChaCha20Rng) -> Replica {
    let mut peer = replica(&Identity::generate(rng));
    peer.join(festival).unwrap();
    peer
}

fn bed() -> Bed {
    let mut rng = rng(1);
    let mut ada = replica(&Identity::generate(&mut rng));
    let festival = festival_of(&mut ada, &mut rng);
    let mut peers = vec![ada];
    peers.extend((0..3).map(|_| join(&festival, &mut rng)));
    let mut show = event("Fire show");
    show.tags = ["fire".to_owned(), "night".to_owned()].into();
    show.editors = [peers[BOB].user(), peers[CLEO].user()].into();
    let id = put(&mut peers[ADA], festival.id(), "show", &show, &mut rng);
    let mut bed = Bed { rng, festival: festival.id(), peers, id };
    bed.exchange();
    bed
}

impl Bed {
    fn exchange(&mut self) {
        for _ in 0..2 {
            for from in 0..self.peers.len() {
                for to in (0..self.peers.len()).filter(|to| *to != from) {
                    self.hand_over(from, to);
                }
            }
        }
        for peer in &self.peers {
            assert_equal(peer, &self.peers[0]);
        }
    }

    fn hand_over(&mut self, from: usize, to: usize) {
        let [from, to] = self.peers.get_disjoint_mut([from, to]).unwrap();
        hand_over(from, to, self.festival);
    }

    fn edit(
        &mut self,
        who: usize,
        change: impl FnOnce(&mut p2panda_core::Edit<'_>) -> Result<(), EditError>,
    ) -> Result<(), EditError> {
        self.peers[who].edit(self.festival, NOW, &mut self.rng, change)
    }

    fn set(&mut self, who: usize, field: &str, value: impl Into<Value>) {
        let id = self.id.clone();
        self.edit(who, |edit| edit.set(&id, &[field], value.into())).unwrap();
    }

    fn user(&self, who: usize) -> UserId {
        self.peers[who].user()
    }

    fn fields(&self, who: usize) -> Fields {
        self.peers[who].view(self.festival).fields(&self.id).unwrap().unwrap()
    }

    fn title(&self, who: usize) -> String {
        self.event(who).title
    }

    fn event(&self, who: usize) -> Event {
        let view = self.peers[who].view(self.festival);
        view.entity::<Event>(&self.id).unwrap().unwrap().unwrap()
    }

    /// Writes an amendment as it may come from anybody, whatever this library would write.
    fn forge(&mut self, who: usize, field: &str, bytes: Vec<u8>) {
        let (id, label) = (self.id.clone(), amends_label(&self.id.document));
        self.edit(who, |edit| {
            let at = edit.label(&label).put(&id.local, &Forged { amended: Fields::new() })?;
            edit.set(&at, &[AMENDED, field], Value::Bytes(bytes))
        })
        .unwrap();
    }
}

#[derive(serde::Serialize, serde::Deserialize)]
struct Forged {
    amended: Fields,
}
impl p2panda_core::schema::Entity for Forged {
    const KIND: &'static str = AMENDMENT;
}

fn amendment(counter: u64, value: impl Into<Value>) -> Vec<u8> {
    Amendment { counter, value: Some(value.into()) }.to_bytes()
}

#[test]
fn an_editor_amends_and_the_owner_amends_back() {
    let mut bed = bed();
    bed.set(BOB, "title", "Ice show");
    assert_eq!((bed.title(BOB), bed.title(ADA)), ("Ice show".into(), "Fire show".into()));
    bed.exchange();
    assert_eq!(bed.title(DORA), "Ice show");
    let provenance = bed.peers[DORA].view(bed.festival).provenance(&bed.id).unwrap();
    assert_eq!((provenance["title"].user, provenance["title"].counter), (bed.user(BOB), 1));
    assert_eq!((provenance["kind"].user, provenance["kind"].counter), (bed.user(ADA), 0));
    bed.set(ADA, "title", "Fire and ice");
    bed.exchange();
    assert_eq!(bed.title(DORA), "Fire and ice");
    let provenance = bed.peers[DORA].view(bed.festival).provenance(&bed.id).unwrap();
    assert_eq!((provenance["title"].user, provenance["title"].counter), (bed.user(ADA), 2));
    // A whole value, fields of it, and a deletion.
    let id = bed.id.clone();
    let mut changed = bed.event(CLEO);
    changed.tags.remove("night");
    changed.summary = "Bring a blanket".into();
    bed.edit(CLEO, |edit| edit.update(&id, &changed)).unwrap();
    bed.edit(CLEO, |edit| edit.delete(&id, &["title"])).unwrap();
    bed.exchange();
    assert_eq!(bed.event(ADA), Event { title: String::new(), ..changed });
    assert!(!bed.fields(ADA).contains_key("title"));
    // Within one edit a field is amended once, however often it is written.
    bed.edit(BOB, |edit| {
        edit.set(&id, &["tags", "a"], true.into())?;
        edit.set(&id, &["tags", "b"], true.into())?;
        edit.delete(&id, &["tags", "fire"])
    })
    .unwrap();
    let event = bed.event(BOB);
    assert_eq!(event.tags, ["a".to_owned(), "b".to_owned()].into());
    let provenance = bed.peers[BOB].view(bed.festival).provenance(&bed.id).unwrap();
    assert_eq!(provenance["tags"].counter, 2);
}

#[test]
fn who_is_no_editor_writes_nothing_and_an_editor_nothing_that_is_the_owners() {
    let mut bed = bed();
    let id = bed.id.clone();
    let refused = bed.edit(DORA, |edit| edit.set(&id, &["title"], "mine".into()));
    assert!(matches!(refused, Err(EditError::NotYours(_))), "{refused:?}");
    let refused = bed.edit(BOB, |edit| edit.delete(&id, &[]));
    assert!(matches!(refused, Err(EditError::NotYours(_))), "{refused:?}");
    let dora = bed.user(DORA);
    let refused = bed.edit(BOB, |edit| edit.add_editor(&id, &dora));
    assert!(matches!(refused, Err(EditError::NotYours(_))), "{refused:?}");
    for field in [
        "editors",
        "kind",
        "policy",
        "capacity",
        "available",
        "buffer_before",
        "buffer_after",
        "amended",
    ] {
        let refused = bed.edit(BOB, |edit| edit.set(&id, &[field], 1.into()));
        assert!(matches!(refused, Err(EditError::OwnersField { .. })), "{field}: {refused:?}");
    }
    let refused = bed.edit(BOB, |edit| edit.set(&id, &["m"; 9], 1.into()));
    assert!(matches!(refused, Err(EditError::Draft(DraftError::TooDeep))), "{refused:?}");
    let long = "x".repeat(32 * 1024);
    let refused = bed.edit(BOB, |edit| edit.set(&id, &["text"], long.into()));
    assert!(matches!(refused, Err(EditError::Draft(DraftError::ValueTooLarge { .. }))));
    // Forged all the same, they count for nothing.
    let before = bed.fields(ADA);
    bed.forge(DORA, "title", amendment(9, "Dora's"));
    bed.forge(BOB, "kind", amendment(9, "resource"));
    bed.forge(BOB, "editors", amendment(9, Value::Map(Fields::new())));
    bed.forge(BOB, "capacity", amendment(9, 1000));
    bed.exchange();
    assert_eq!(bed.fields(ADA), before);
}

#[test]
fn a_resource_promises_what_its_owner_says_whoever_edits_it() {
    let mut bed = bed();
    let bob = bed.user(BOB);
    let stage = Resource { title: "Stage".into(), editors: [bob].into(), ..Resource::default() };
    bed.edit(ADA, |edit| edit.put(&"stage".parse().unwrap(), &stage).map(drop)).unwrap();
    bed.exchange();
    bed.id = EntityId::new(bed.id.document, "stage".parse().unwrap());
    bed.set(BOB, "title", "Main stage");
    bed.forge(BOB, "capacity", amendment(9, 1000));
    bed.forge(BOB, "policy", amendment(9, Value::Bytes(vec![])));
    bed.exchange();
    let facts = bed.peers[DORA].view(bed.festival).facts(&bed.id).unwrap().unwrap();
    let resource = facts.resource.unwrap();
    assert_eq!((resource.title.as_str(), resource.capacity), ("Main stage", 1));
    assert_eq!(resource.policy, PolicySpec::new("manual"));
}

#[test]
fn an_editor_taken_off_counts_no_more_and_added_again_counts_again() {
    for keep in [false, true] {
        let mut bed = bed();
        let (id, bob) = (bed.id.clone(), bed.user(BOB));
        bed.set(CLEO, "title", "Cleo's");
        bed.set(CLEO, "summary", "Cleo's");
        bed.exchange();
        bed.set(BOB, "title", "Bob's");
        bed.edit(BOB, |edit| edit.delete(&id, &["tags"])).unwrap();
        bed.exchange();
        bed.edit(ADA, |edit| edit.remove_editor(&id, &bob, keep)).unwrap();
        bed.exchange();
        let event = bed.event(DORA);
        assert_eq!(event.editors, [bed.user(CLEO)].into());
        assert_eq!(event.title, if keep { "Bob's" } else { "Cleo's" });
        assert_eq!(
            (event.summary.as_str(), event.tags.len()),
            ("Cleo's", if keep { 0 } else { 2 })
        );
        let refused = bed.edit(BOB, |edit| edit.set(&id, &["title"], "again".into()));
        assert!(matches!(refused, Err(EditError::NotYours(_))), "{refused:?}");
        bed.edit(ADA, |edit| edit.add_editor(&id, &bob)).unwrap();
        bed.exchange();
        assert_eq!((bed.title(DORA).as_str(), bed.event(DORA).tags.len()), ("Bob's", 0));
        let provenance = bed.peers[DORA].view(bed.festival).provenance(&id).unwrap();
        let by = if keep { bed.user(ADA) } else { bob };
        assert_eq!(provenance["title"].user, by, "what the owner kept stays the owner's");
    }
}

#[test]
fn only_removal_stops_an_editor_who_takes_the_last_word() {
    let mut bed = bed();
    let (id, bob) = (bed.id.clone(), bed.user(BOB));
    bed.set(CLEO, "title", "Cleo's");
    bed.forge(BOB, "title", amendment(Amendment::MAX_COUNTER, "Bob's"));
    bed.exchange();
    assert_eq!(bed.title(ADA), "Bob's");
    for who in [ADA, CLEO] {
        let refused = bed.edit(who, |edit| edit.set(&id, &["title"], "mine".into()));
        assert!(matches!(refused, Err(EditError::LastWord { .. })), "{refused:?}");
    }
    bed.edit(ADA, |edit| edit.remove_editor(&id, &bob, true)).unwrap();
    bed.exchange();
    assert_eq!(bed.title(DORA), "Bob's");
    bed.set(CLEO, "title", "Cleo's again");
    bed.exchange();
    assert_eq!(bed.title(DORA), "Cleo's again");
}

#[test]
fn malformed_amendments_are_reported_and_count_for_nothing() {
    let mut bed = bed();
    let good = bed.fields(ADA);
    bed.forge(BOB, "title", vec![0x82, 0x00, 0x61, b'x']);
    bed.forge(BOB, "summary", amendment(Amendment::MAX_COUNTER + 1, "x"));
    bed.forge(BOB, "subtitle", b"no amendment".to_vec());
    bed.exchange();
    assert_eq!(bed.fields(ADA), good);
    let malformed = bed.peers[ADA].view(bed.festival).malformed().unwrap();
    let reasons: Vec<String> = malformed.iter().map(|(_, why)| why.to_string()).collect();
    assert_eq!(reasons.len(), 3, "{reasons:?}");
    assert!(reasons.iter().any(|why| why.contains("\"title\": ") && why.contains("counter 0")));
    // Amending over them mends them.
    bed.set(BOB, "title", "Ice show");
    bed.exchange();
    assert_eq!(bed.title(ADA), "Ice show");
    assert_eq!(bed.peers[ADA].view(bed.festival).malformed().unwrap().len(), 2);
    // One that makes the entity malformed is reported at the entity.
    bed.set(BOB, "title", 7);
    bed.exchange();
    let malformed = bed.peers[ADA].view(bed.festival).malformed().unwrap();
    assert!(malformed.iter().any(|(id, _)| *id == bed.id), "{malformed:?}");
    assert!(bed.peers[ADA].view(bed.festival).schedule(None).unwrap().is_empty());
}

#[test]
fn what_is_amended_of_a_deleted_entity_counts_no_more() {
    let mut bed = bed();
    let id = bed.id.clone();
    bed.set(BOB, "title", "Ice show");
    bed.exchange();
    bed.edit(ADA, |edit| edit.delete(&id, &[])).unwrap();
    bed.exchange();
    let view = bed.peers[DORA].view(bed.festival);
    assert!(view.fields(&id).unwrap().is_none());
    assert!(view.list::<Event>().unwrap().is_empty() && view.schedule(None).unwrap().is_empty());
    let refused = bed.edit(BOB, |edit| edit.set(&id, &["title"], "still here".into()));
    assert!(matches!(refused, Err(EditError::NotYours(_))), "{refused:?}");
}

#[test]
fn the_schedule_and_the_feed_follow_what_is_amended_whichever_came_first() {
    let mut bed = bed();
    let late = span(5_000_000, 6_000_000);
    bed.set(BOB, "ends", Instant::from_millis(5_500_000));
    let (ada, bob) = (&bed.peers[ADA], &bed.peers[BOB]);
    // A newcomer first hears of the amendment, then of the event.
    let mut eve = replica(&Identity::generate(&mut bed.rng));
    eve.join(&ada.festival(bed.festival).unwrap().unwrap()).unwrap();
    for (log, _) in bob.logs(bed.festival).unwrap() {
        let descriptor = bob.descriptor(&log.document).unwrap().unwrap();
        if descriptor.user == bob.user() {
            eve.accept(&descriptor, bob.segment(&log, 0).unwrap().unwrap().into_segment()).unwrap();
        }
    }
    eve.flush().unwrap();
    assert!(eve.view(bed.festival).schedule(None).unwrap().is_empty());
    hand_over(ada, &mut eve, bed.festival);
    assert_eq!(eve.view(bed.festival).schedule(Some(late)).unwrap().len(), 1);
    // Ada first knew the event.
    let cursor = ada.view(bed.festival).cursor().unwrap();
    assert!(ada.view(bed.festival).schedule(Some(late)).unwrap().is_empty());
    bed.hand_over(BOB, ADA);
    let view = bed.peers[ADA].view(bed.festival);
    assert_eq!(view.schedule(Some(late)).unwrap().len(), 1);
    let changes = view.changes(cursor, 100).unwrap();
    assert!(changes.iter().any(|(_, changed)| *changed == bed.id), "{changes:?}");
    assert_equal(&bed.peers[ADA], &eve);
}

#[test]
fn of_one_users_concurrent_amendments_the_one_that_knew_more_counts() {
    let mut bed = bed();
    let mut rng = rng(9);
    let identity = Identity::generate(&mut rng);
    let festival = bed.peers[ADA].festival(bed.festival).unwrap().unwrap();
    let (id, eve) = (bed.id.clone(), identity.user());
    bed.edit(ADA, |edit| edit.add_editor(&id, &eve)).unwrap();
    let mut devices = [replica(&identity), replica(&identity)];
    for device in &mut devices {
        device.join(&festival).unwrap();
        hand_over(&bed.peers[ADA], device, bed.festival);
    }
    bed.set(BOB, "title", "Bob's first");
    bed.set(BOB, "title", "Bob's");
    hand_over(&bed.peers[BOB], &mut devices[0], bed.festival);
    let mut set = |device: &mut Replica, field: &str, value: &str| {
        device
            .edit(bed.festival, NOW, &mut rng, |edit| edit.set(&id, &[field], value.into()))
            .unwrap();
    };
    // The phone knows Bob's; the laptop does not, but has written more.
    set(&mut devices[0], "title", "Eve's, after Bob's");
    for number in 0..9 {
        set(&mut devices[1], "summary", &number.to_string());
    }
    set(&mut devices[1], "title", "Eve's, without Bob's");
    for device in &devices {
        hand_over(device, &mut bed.peers[BOB], bed.festival);
    }
    assert_eq!(bed.title(BOB), "Eve's, after Bob's");
}
