//! A festival's programme, and the ways to ask for an afternoon of it.

use p2panda_core::{
    EntityId, Festival, Identity, LocalId, Replica,
    schema::{Event, Instant, Span},
    store::{MemoryStore, NoResume},
    view::View,
};
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng as _};

const HOUR: i64 = 3_600_000;

/// A replica that holds a programme: three events an hour.
pub struct Programme {
    replica: Replica,
    festival: Festival,
    afternoon: Span,
}

impl Programme {
    /// A programme of so many events.
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
        let now = Instant::from_millis(0);
        let made = replica.edit(festival.id(), now, &mut rng, |edit| {
            for at in 0..events {
                let local: LocalId = format!("event{at}").parse().expect("a name");
                let starts = i64::from(at) * HOUR / 3;
                edit.put(
                    &local,
                    &Event {
                        title: format!("Event {at}"),
                        description: "What it is about, and for whom. ".repeat(10),
                        starts: Some(Instant::from_millis(starts)),
                        ends: Some(Instant::from_millis(starts + HOUR)),
                        ..Event::default()
                    },
                )?;
            }
            Ok::<(), p2panda_core::EditError>(())
        });
        made.expect("an edit");
        let middle = i64::from(events) * HOUR / 6;
        let afternoon = Span {
            starts: Instant::from_millis(middle),
            ends: Instant::from_millis(middle + 6 * HOUR),
        };
        Self { replica, festival, afternoon }
    }

    /// Six hours in the middle, by the view's index.
    ///
    /// # Panics
    /// Never: memory does not fail.
    #[must_use]
    pub fn afternoon(&self) -> Vec<(EntityId, Event)> {
        shown(self.replica.view(self.festival.id()), self.afternoon)
    }

    /// The baseline: all events, of which those are kept.
    ///
    /// # Panics
    /// Never: memory does not fail.
    #[must_use]
    pub fn afternoon_of_all(&self) -> Vec<(EntityId, Event)> {
        shown_of_all(self.replica.view(self.festival.id()), self.afternoon)
    }
}

/// The events that a span shows, by the view's index.
pub(crate) fn shown(view: View<'_>, span: Span) -> Vec<(EntityId, Event)> {
    view.schedule(Some(span)).expect("memory does not fail")
}

/// All events are read, and those kept that a span shows.
pub(crate) fn shown_of_all(view: View<'_>, span: Span) -> Vec<(EntityId, Event)> {
    let mut all = view.schedule(None).expect("memory does not fail");
    all.retain(|(_, event)| {
        let of = event.starts.zip(event.ends).and_then(|(from, to)| Span::new(from, to));
        of.is_some_and(|of| of.overlaps(&span))
    });
    all
}
