use automerge::{Automerge, ROOT, transaction::Transactable as _};
use p2panda_core::{
    EditError, EntityId, Festival, Identity, LocalId, Replica,
    schema::{Event, Instant, Span},
    store::{MemoryStore, NoResume},
};
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng as _};

use crate::festival::{shown, shown_of_all};

const HOUR: i64 = 3_600_000;
const NOW: Instant = Instant::from_millis(0);

/// A writer with events, one of which moves again and again.
pub struct Commits {
    replica: Replica,
    festival: Festival,
    rng: ChaCha20Rng,
    event: LocalId,
    document: Automerge,
    number: i64,
    screen: Span,
}

impl Commits {
    /// So many events, three an hour, in one document of each kind.
    ///
    /// # Panics
    /// Where the library refuses what it wrote.
    #[must_use]
    pub fn new(events: u32) -> Self {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let identity = Identity::generate(&mut rng);
        let festival = Festival::found(&identity, &mut rng);
        let mut replica = Replica::open(Box::new(MemoryStore::new()), identity, Box::new(NoResume))
            .expect("memory does not fail");
        replica.join(&festival).expect("memory does not fail");
        let name = |at: u32| format!("event{at}").parse::<LocalId>().expect("a name");
        let made = replica.edit(festival.id(), NOW, &mut rng, |edit| {
            (0..events).try_for_each(|at| edit.put(&name(at), &event(i64::from(at), 0)).map(drop))
        });
        made.expect("an edit");
        let mut document = Automerge::new();
        let mut transaction = document.transaction();
        for at in 0..events {
            put(&mut transaction, &name(at), &event(i64::from(at), 0));
        }
        transaction.commit();
        let middle = i64::from(events / 2) * HOUR / 3;
        let [starts, ends] = [0, 6 * HOUR].map(|after| Instant::from_millis(middle + after));
        let screen = Span { starts, ends };
        Self { replica, festival, rng, event: name(events / 2), document, number: 0, screen }
    }

    /// The event moves: signed, checked, in the rows of the view, stored.
    ///
    /// # Panics
    /// Where the library refuses the edit.
    pub fn commit(&mut self) {
        self.number += 1;
        let moved = event(0, self.number);
        let event = &self.event;
        let edited = self
            .replica
            .edit(self.festival.id(), NOW, &mut self.rng, |edit| edit.put(event, &moved).map(drop));
        edited.map_err(|error: EditError| error.to_string()).expect("an edit");
    }

    /// The baseline: the same change as an Automerge commit, unsigned and stored nowhere.
    ///
    /// # Panics
    /// Where Automerge refuses the change.
    pub fn automerge(&mut self) {
        self.number += 1;
        let moved = event(0, self.number);
        let mut transaction = self.document.transaction();
        put(&mut transaction, &self.event, &moved);
        transaction.commit();
    }

    /// What six hours show, by the view's index.
    ///
    /// # Panics
    /// Never: memory does not fail.
    #[must_use]
    pub fn screen(&self) -> Vec<(EntityId, Event)> {
        shown(self.replica.view(self.festival.id()), self.screen)
    }

    /// The baseline: all events are read, and those kept that the six hours show.
    ///
    /// # Panics
    /// Never: memory does not fail.
    #[must_use]
    pub fn screen_of_all(&self) -> Vec<(EntityId, Event)> {
        shown_of_all(self.replica.view(self.festival.id()), self.screen)
    }
}

fn event(at: i64, moved: i64) -> Event {
    let starts = at * HOUR / 3 + moved * 60_000;
    Event {
        title: format!("Event {at}"),
        starts: Some(Instant::from_millis(starts)),
        ends: Some(Instant::from_millis(starts + HOUR)),
        ..Event::default()
    }
}

fn put(transaction: &mut automerge::transaction::Transaction<'_>, name: &LocalId, event: &Event) {
    let millis =
        |time: Option<Instant>| automerge::ScalarValue::Timestamp(time.map_or(0, Instant::millis));
    let known = automerge::ReadDoc::get(transaction, ROOT, name.as_str()).expect("a map");
    let id = match known {
        Some((_, id)) => id,
        None => {
            let id = transaction.put_object(ROOT, name.as_str(), automerge::ObjType::Map);
            let id = id.expect("a map");
            transaction.put(&id, "title", event.title.as_str()).expect("a map");
            id
        }
    };
    transaction.put(&id, "starts", millis(event.starts)).expect("a map");
    transaction.put(&id, "ends", millis(event.ends)).expect("a map");
}
