//! All that this comparison asks of the two crates, in one place.

use std::{collections::VecDeque, error::Error, path::Path, time::Duration};

use p2panda_core::{
    ChannelBinding, DocumentDescriptor, EditError, EntityId, Festival, Identity, Replica,
    schema::{Event, Instant, Span, Value},
    store::{MemoryStore, NoResume, RedbStore, ResumeTokens, Store},
};
use p2panda_sync::{Input, Output, Role, Session, Sketches};
use peers::{Change, Edit, History, Side, Wire};
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng as _};

pub(crate) type Failure = Box<dyn Error>;

/// Frames that are under way at once.
const BURST: usize = 64;

/// A festival, and whoever writes into it.
pub(crate) struct World {
    rng: ChaCha20Rng,
    pub(crate) festival: Festival,
}

/// Tokens that can be claimed again and again, as after a memory snapshot of a machine.
struct Always;

impl ResumeTokens for Always {
    fn leave(&mut self, _: &[u8; 16]) -> std::io::Result<()> {
        Ok(())
    }

    fn claim(&mut self, _: &[u8; 16]) -> bool {
        true
    }
}

impl World {
    pub(crate) fn new() -> Self {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let festival = Festival::found(&user(0), &mut rng);
        Self { rng, festival }
    }

    fn open(
        &self,
        store: Box<dyn Store>,
        number: usize,
        tokens: Box<dyn ResumeTokens>,
    ) -> Result<Replica, Failure> {
        let mut replica = Replica::open(store, user(number), tokens)?;
        replica.join(&self.festival)?;
        Ok(replica)
    }

    /// A peer that holds nothing, in memory.
    pub(crate) fn peer(&self, number: usize) -> Result<Replica, Failure> {
        self.open(Box::new(MemoryStore::new()), number, Box::new(NoResume))
    }

    /// A peer on disk.
    pub(crate) fn peer_on_disk(&self, number: usize, path: &Path) -> Result<Replica, Failure> {
        self.open(Box::new(RedbStore::open(path)?), number, Box::new(NoResume))
    }

    /// A peer on disk whose machine comes back from a memory snapshot.
    pub(crate) fn snapshot(&self, number: usize, path: &Path) -> Result<Replica, Failure> {
        self.open(Box::new(RedbStore::open(path)?), number, Box::new(Always))
    }

    /// Everybody writes; one peer, user 1,000,000, holds it all.
    pub(crate) fn write(&mut self, history: &History, host: &mut Replica) -> Result<(), Failure> {
        let mut by_author: Vec<Vec<&Change>> = Vec::new();
        for change in &history.changes {
            let author = history.author(change.document);
            by_author.resize(by_author.len().max(author + 1), Vec::new());
            by_author[author].push(change);
        }
        for (author, changes) in by_author.into_iter().enumerate() {
            let mut writer = self.peer(author)?;
            for change in changes {
                let label = label(history, change.document);
                self.edit(&mut writer, &label, &change.edits)?;
            }
            hand_over(&writer, host, &self.festival)?;
        }
        host.flush()?;
        Ok(())
    }

    /// Their authors write some more, from what the host holds.
    pub(crate) fn write_more(
        &mut self,
        changes: &[Change],
        host: &mut Replica,
    ) -> Result<(), Failure> {
        for change in changes {
            let mut writer = self.peer(change.document)?;
            let mine = DocumentDescriptor {
                festival: self.festival.id(),
                user: writer.user(),
                label: String::new(),
            };
            for (log, _) in host.logs(self.festival.id())? {
                if log.document == mine.id() {
                    while let Some(segment) =
                        host.segment(&log, writer.held(&log)?.map_or(0, |tip| tip.length))?
                    {
                        writer.accept(&mine, segment.into_segment())?;
                    }
                }
            }
            self.edit(&mut writer, "", &change.edits)?;
            hand_over(&writer, host, &self.festival)?;
        }
        host.flush()?;
        Ok(())
    }

    /// One change of one document.
    pub(crate) fn edit(
        &mut self,
        replica: &mut Replica,
        label: &str,
        edits: &[Edit],
    ) -> Result<(), Failure> {
        let (festival, user) = (self.festival.id(), replica.user());
        let descriptor = DocumentDescriptor { festival, user, label: label.to_owned() };
        let now = Instant::from_millis(1_577_000_000_000);
        let ids = edits.iter().map(|one| Ok(EntityId::new(descriptor.id(), one.id.parse()?)));
        let ids = ids.collect::<Result<Vec<_>, Failure>>()?;
        replica.edit(festival, now, &mut self.rng, |edit| {
            edit.label(label);
            for (one, id) in edits.iter().zip(&ids) {
                if one.event.is_none() {
                    edit.delete(id, &[])?;
                    continue;
                }
                if one.is_new {
                    edit.set(id, &["kind"], "event".into())?;
                }
                for (path, value) in &one.changed {
                    let path: Vec<&str> = path.iter().map(String::as_str).collect();
                    match value {
                        Some(value) => edit.set(id, &path, convert(value))?,
                        None => edit.delete(id, &path)?,
                    }
                }
            }
            Ok::<(), EditError>(())
        })?;
        Ok(())
    }

    /// The first screen of the schedule: six hours of the first evening.
    pub(crate) fn screen(&self, replica: &Replica) -> Result<Vec<(EntityId, Event)>, Failure> {
        let starts = 1_577_440_800_000;
        let [starts, ends] = [starts, starts + 6 * 3_600_000].map(Instant::from_millis);
        Ok(replica.view(self.festival.id()).schedule(Some(Span { starts, ends }))?)
    }

    /// How many forks a peer has found and proved.
    pub(crate) fn forks(&self, replica: &Replica) -> Result<usize, Failure> {
        Ok(replica.forks(self.festival.id())?.len())
    }
}

fn convert(value: &peers::Value) -> Value {
    match value {
        peers::Value::Text(text) => text.as_str().into(),
        peers::Value::Time(millis) => Value::Instant(Instant::from_millis(*millis)),
        peers::Value::Member => Value::Bool(true),
    }
}

fn label(history: &History, document: usize) -> String {
    if history.one_author { document.to_string() } else { String::new() }
}

pub(crate) fn user(number: usize) -> Identity {
    let mut secret = [7; 32];
    secret[..8].copy_from_slice(&(number as u64).to_le_bytes());
    Identity::from_secret(&secret)
}

/// Hands over all that a peer holds, without a session.
pub(crate) fn hand_over(
    from: &Replica,
    to: &mut Replica,
    festival: &Festival,
) -> Result<(), Failure> {
    for (log, _) in from.logs(festival.id())? {
        let descriptor = from.descriptor(&log.document)?.ok_or("a log's document is known")?;
        while let Some(segment) = from.segment(&log, to.held(&log)?.map_or(0, |tip| tip.length))? {
            to.accept(&descriptor, segment.into_segment())?;
        }
    }
    Ok(())
}

/// What two peers know of each other's logs, from meeting to meeting.
pub(crate) struct Acquaintance([Sketches; 2]);

impl Acquaintance {
    /// Of two that never met.
    pub(crate) fn none() -> Self {
        let mut rng = ChaCha20Rng::seed_from_u64(4);
        Self([(); 2].map(|()| Sketches::new(&mut rng)))
    }
}

/// One session of two peers, to its end; what travels is counted.
pub(crate) fn sync(
    here: &mut Replica,
    there: &mut Replica,
    acquaintance: &mut Acquaintance,
    wire: &mut Wire,
) -> Result<(), Failure> {
    let now = Duration::ZERO;
    let mut rng = ChaCha20Rng::seed_from_u64(2);
    // As over a link that is encrypted, like all that are not for tests.
    let link = ChannelBinding::from_bytes([7; 32]);
    let mut sessions =
        [Role::Sync, Role::Accept].map(|role| Session::new(role, now, &mut rng).bound(link));
    let mut finished = [false; 2];
    let mut queues = [VecDeque::new(), VecDeque::new()];
    while finished != [true, true] {
        let mut idle = true;
        for (me, side) in [(0, Side::Here), (1, Side::There)] {
            let replica = if me == 0 { &mut *here } else { &mut *there };
            let sketches = &mut acquaintance.0[me];
            while let Some((stamp, frame)) = queues[me].pop_front() {
                wire.arrived(side, stamp);
                sessions[me].handle(now, Input::Frame(frame), replica, sketches)?;
                idle = false;
            }
            while !finished[me] && queues[1 - me].len() < BURST {
                match sessions[me].poll(now, replica, sketches)? {
                    None => break,
                    Some(Output::Event(_)) => {}
                    Some(Output::Finished) => finished[me] = true,
                    Some(Output::Send(frame)) => {
                        let stamp = wire.sent(side, frame.len());
                        queues[1 - me].push_back((stamp, frame));
                    }
                }
                idle = false;
            }
        }
        if idle {
            return Err("the session stands still".into());
        }
    }
    Ok(())
}
