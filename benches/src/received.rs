//! Edits of a document of some size: made here, and coming in one by one.

use std::{cell::RefCell, collections::VecDeque};

use p2panda_core::{
    DocumentDescriptor, Festival, Identity, LocalId, Replica, Segment,
    schema::{Event, Instant},
    store::{MemoryStore, NoResume},
};
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng as _};

/// A replica that holds a document, and edits of it that are still to come.
pub struct Received {
    reader: RefCell<Replica>,
    descriptor: DocumentDescriptor,
    coming: RefCell<VecDeque<Segment>>,
}

fn replica(key: u8, festival: &Festival) -> Replica {
    let identity = Identity::from_secret(&[key; 32]);
    let mut replica = Replica::open(Box::new(MemoryStore::new()), identity, Box::new(NoResume))
        .expect("memory does not fail");
    replica.join(festival).expect("memory does not fail");
    replica
}

impl Received {
    /// A document of so many entities, and so many edits of one of them to come.
    ///
    /// # Panics
    /// Where the library refuses what it wrote.
    #[must_use]
    pub fn new(entities: u32, edits: u32) -> Self {
        let mut rng = ChaCha20Rng::seed_from_u64(2);
        let festival = Festival::found(&Identity::from_secret(&[1; 32]), &mut rng);
        let (mut writer, mut reader) = (replica(1, &festival), replica(2, &festival));
        let now = Instant::from_millis(0);
        let local = |at: u32| -> LocalId { format!("event{at}").parse().expect("a name") };
        let titled = |title: String| Event { title, ..Event::default() };
        let made = writer.edit(festival.id(), now, &mut rng, |edit| {
            (0..entities).try_for_each(|at| edit.put(&local(at), &titled(at.to_string())).map(drop))
        });
        made.expect("an edit");
        let (log, _) = writer.logs(festival.id()).expect("memory does not fail")[0];
        let descriptor = writer.descriptor(&log.document).expect("memory does not fail");
        let descriptor = descriptor.expect("its document is known");
        let mut held = 0;
        let mut next = |writer: &Replica| {
            let segment = writer.segment(&log, held).expect("memory does not fail")?;
            held = segment.end().length;
            Some(segment.into_segment())
        };
        while let Some(segment) = next(&writer) {
            reader.accept(&descriptor, segment).expect("what was signed is accepted");
        }
        let mut coming = VecDeque::new();
        for number in 0..edits {
            let event = titled(format!("Changed {number}"));
            let changed = writer
                .edit(festival.id(), now, &mut rng, |edit| edit.put(&local(entities / 2), &event));
            changed.expect("an edit");
            coming.extend(next(&writer));
        }
        reader.flush().expect("memory does not fail");
        Self { reader: RefCell::new(reader), descriptor, coming: RefCell::new(coming) }
    }

    /// Takes the next edits in.
    ///
    /// # Panics
    /// Where none are left.
    pub fn take(&self, edits: usize) {
        let mut reader = self.reader.borrow_mut();
        for segment in self.coming.borrow_mut().drain(..edits) {
            reader.accept(&self.descriptor, segment).expect("what was signed is accepted");
        }
    }
}

/// A replica that edits one event of many.
pub struct Edited {
    writer: Replica,
    festival: Festival,
    rng: ChaCha20Rng,
    edits: u32,
}

impl Edited {
    /// A document of so many events.
    ///
    /// # Panics
    /// Where the library refuses what it wrote.
    #[must_use]
    pub fn new(events: u32) -> Self {
        let mut rng = ChaCha20Rng::seed_from_u64(4);
        let festival = Festival::found(&Identity::from_secret(&[1; 32]), &mut rng);
        let writer = replica(1, &festival);
        let mut edited = Self { writer, festival, rng, edits: 0 };
        for event in 0..events {
            edited.put(event, "Made".to_owned());
        }
        edited
    }

    /// Changes one event's title: checked, signed and in the view.
    ///
    /// # Panics
    /// Where the library refuses the edit.
    pub fn edit(&mut self) {
        self.edits += 1;
        self.put(7, format!("Changed {}", self.edits));
    }

    fn put(&mut self, event: u32, title: String) {
        let local: LocalId = format!("event{event}").parse().expect("a name");
        let event = Event { title, ..Event::default() };
        let now = Instant::from_millis(0);
        let put = |edit: &mut p2panda_core::Edit<'_>| edit.put(&local, &event);
        self.writer.edit(self.festival.id(), now, &mut self.rng, put).expect("an edit");
    }
}
