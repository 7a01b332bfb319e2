//! The baseline of sync: as many Automerge documents as there are logs, each with Automerge's own
//! sync protocol.

use std::time::Duration;

use automerge::{
    ActorId, Automerge, ROOT,
    sync::{Message, State, SyncDoc as _},
    transaction::{CommitOptions, Transactable as _},
};

use crate::cpu;

/// Two peers that hold the same documents.
pub struct Documents {
    sides: [Vec<(Automerge, State)>; 2],
    written: i64,
}

/// What a sync cost.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cost {
    /// Bytes of both directions but for the changes themselves. Nothing is added for the name of
    /// the document that a message is about, nor for telling messages apart.
    pub metadata: u64,
    /// Bytes of the changes.
    pub changes: u64,
    /// Messages of both directions.
    pub messages: u64,
    /// The CPU time of both sides together.
    pub cpu: Duration,
}

impl Documents {
    /// So many documents of so many changes that both peers have synced once.
    ///
    /// # Panics
    /// Where Automerge refuses what it wrote.
    #[must_use]
    pub fn new(documents: usize, changes: usize) -> Self {
        let mut both = Self { sides: [Vec::new(), Vec::new()], written: 0 };
        for number in 0..documents {
            let actor = |side: u8| {
                let mut actor = [side; 32];
                actor[..8].copy_from_slice(&(number as u64).to_le_bytes());
                ActorId::from(actor)
            };
            let mut document = Automerge::new().with_actor(actor(0));
            for _ in 0..changes {
                both.written += 1;
                change(&mut document, both.written);
            }
            let other = document.fork().with_actor(actor(1));
            both.sides[0].push((document, State::new()));
            both.sides[1].push((other, State::new()));
        }
        both
    }

    /// One change more in so many documents, at one of the sides each.
    pub fn write(&mut self, differences: usize) {
        let documents = self.sides[0].len();
        for difference in 0..differences {
            let side = &mut self.sides[difference % 2];
            self.written += 1;
            change(&mut side[difference * documents / differences].0, self.written);
        }
    }

    /// The connection is a new one; the peers kept what they save of their states, or nothing.
    ///
    /// # Panics
    /// Never: a state that was encoded can be decoded.
    pub fn reconnect(&mut self, saved: bool) {
        for (_, state) in self.sides.iter_mut().flatten() {
            *state = match saved {
                true => State::decode(&state.encode()).expect("a state that was saved"),
                false => State::new(),
            };
        }
    }

    /// Lets the two exchange everything.
    ///
    /// # Panics
    /// Where Automerge refuses a message, or a difference remains.
    pub fn sync(&mut self) -> Cost {
        let mut cost = Cost::default();
        loop {
            let before = cost.messages;
            for from in 0..2 {
                self.speak(from, &mut cost);
            }
            if cost.messages == before {
                break;
            }
        }
        let [here, there] = &self.sides;
        let equal = here.iter().zip(there).all(|(a, b)| a.0.get_heads() == b.0.get_heads());
        assert!(equal, "all documents are equal after a sync");
        cost
    }

    /// One side says what it has to say, and the other hears it.
    fn speak(&mut self, from: usize, cost: &mut Cost) {
        for number in 0..self.sides[from].len() {
            let start = cpu();
            let (document, state) = &mut self.sides[from][number];
            let message = document.generate_sync_message(state);
            let bytes = message.map(Message::encode);
            cost.cpu += cpu().saturating_sub(start);
            let Some(bytes) = bytes else { continue };
            cost.count(&bytes);
            let (document, state) = &mut self.sides[1 - from][number];
            let start = cpu();
            let message = Message::decode(&bytes).expect("a message");
            document.receive_sync_message(state, message).expect("changes in order");
            cost.cpu += cpu().saturating_sub(start);
        }
    }
}

impl Cost {
    fn count(&mut self, bytes: &[u8]) {
        let mut message = Message::decode(bytes).expect("a message");
        message.changes = Vec::<Vec<u8>>::new().into();
        let metadata = message.encode().len();
        self.metadata += metadata as u64;
        self.changes += (bytes.len() - metadata) as u64;
        self.messages += 1;
    }
}

fn change(document: &mut Automerge, number: i64) {
    let mut transaction = document.transaction();
    let title = format!("The {number}th title of an event");
    transaction.put(ROOT, "title", title).expect("the root is a map");
    transaction.commit_with(CommitOptions::default().with_time(number));
}
