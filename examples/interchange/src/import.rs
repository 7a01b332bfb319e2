//! Writes a schedule into a festival: rooms become resources, events ask for them.
//!
//! **What is touched.** Only what this user imported before from the same source,
//! told apart by where it stands (see [`import_as`]). An event that the source has
//! no more is marked `cancelled` and its request withdrawn; if it comes back, it is
//! marked no longer and asks anew. Deleted entities are made again: cancel instead.
//!
//! **Edits by people stay.** Each entity keeps hashes of what the last import wrote.
//! A field is written only if what the source says of it is no longer that, so an
//! edited title stays until the source itself changes the title. Each person, tag
//! and link counts as a field of its own, start and end count as one.
//!
//! **Requests.** An event asks for its room, one unit, for its span. Where the source
//! changes room, start or end, the import's own request is withdrawn and another one
//! made; requests that people made stay, and what they withdrew is not asked again.
//! Overlaps are conflicts for the owner to decide, not errors.
//!
//! **Interruption.** A schedule is written in batches. Each is one commit, durable
//! before it is counted as done, and the same import goes on where it was cut off.

mod difference;
pub(crate) mod requests;
mod work;

use p2panda_core::schema::{self, Instant, Malformed, Request, Withdrawal};
use p2panda_core::store::StoreError;
use p2panda_core::{Edit, EditError, EntityId, FestivalId, Replica};
use rand_core::CryptoRng;

use crate::fields::head_of;
use crate::model::Schedule;
use crate::report::{Report, Skipped};
use crate::source::Source;
use difference::Step;
use requests::Requests;
use work::{Planner, Work};

/// Rooms or events that one commit writes at most.
const BATCH: usize = 100;

/// What a festival has of a source after an import.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImportReport {
    /// Events that the source has.
    pub events: usize,
    /// Its rooms.
    pub resources: usize,
    /// Requests of its events for its rooms that stand: not withdrawn.
    pub requests: usize,
    /// Pairs of standing requests for one of its rooms whose spans overlap, whoever
    /// made them.
    pub conflicts: usize,
    /// Events marked cancelled because the source has them no more.
    pub cancelled: usize,
    /// Parts of the schedule that no document can hold. Events and rooms go by
    /// guid and name there.
    pub skipped: Vec<Skipped>,
    /// What this import changed.
    pub changed: Changed,
}

/// What one import wrote; all zero if the schedule was there already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Changed {
    /// New events and resources.
    pub created: usize,
    /// Events and resources of which something changed, those that came back included.
    pub updated: usize,
    /// Events marked cancelled.
    pub cancelled: usize,
    /// Requests withdrawn.
    pub withdrawn: usize,
    /// Requests made.
    pub requested: usize,
}

/// How far an import is: rooms and events that are stored and would survive a crash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// How many are.
    pub done: usize,
    /// Of how many.
    pub total: usize,
}

/// Why an import stopped. What was counted as done before is stored; importing
/// again goes on from there.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// A batch could not be written.
    #[error(transparent)]
    Edit(#[from] EditError),
    /// The store could not be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Something in the schedule is no data that an entity can have.
    #[error(transparent)]
    Malformed(#[from] Malformed),
}

/// Imports a schedule whose source is its acronym. See [`import_as`].
///
/// # Errors
/// [`ImportError`]; every batch counted as done before is stored.
pub fn import(
    replica: &mut Replica,
    festival: FestivalId,
    schedule: &Schedule,
    now: Instant,
    rng: &mut impl CryptoRng,
    progress: &mut dyn FnMut(Progress),
) -> Result<ImportReport, ImportError> {
    import_as(&schedule.acronym, replica, festival, schedule, now, rng, progress)
}

/// Imports a schedule as the newest state of `source`, which names where guids are
/// unique and stays the same from import to import.
///
/// Entities stand in documents of this user that are labelled by the source, under
/// ids derived from source and guid (rooms without a guid: their name). The requests
/// claim to be made at `now`. `progress` is called after each batch.
///
/// # Errors
/// [`ImportError`]; every batch counted as done before is stored.
pub fn import_as(
    source: &str,
    replica: &mut Replica,
    festival: FestivalId,
    schedule: &Schedule,
    now: Instant,
    rng: &mut impl CryptoRng,
    progress: &mut dyn FnMut(Progress),
) -> Result<ImportReport, ImportError> {
    if replica.festival(festival)?.is_none() {
        return Err(EditError::UnknownFestival(festival).into());
    }
    let mut schedule = schedule.clone();
    schedule.tidy();
    let source = Source::new(source, festival, replica.user());
    let mut skipped = Report::default();
    let mut report = ImportReport::default();

    let view = replica.view(festival);
    let work = Work::new(&view, &source, &schedule, &mut skipped)?;
    let requests = Requests::read(&view, &source)?;
    let planner = Planner {
        source: &source,
        zone: schedule.zone.as_deref().unwrap_or_default(),
        rooms: &work.room_ids,
        requests: &requests,
        now,
    };
    let mut done = Progress { done: 0, total: work.rooms.len() + work.events.len() };
    for batch in work.rooms.chunks(BATCH) {
        let view = replica.view(festival);
        let plan = |task| planner.room(&view, task, &mut skipped);
        let changes = batch.iter().map(plan).collect::<Result<_, _>>()?;
        write(replica, festival, now, rng, changes, &mut report.changed)?;
        report.resources += batch.iter().filter(|task| task.wanted.is_some()).count();
        done.done += batch.len();
        progress(done);
    }
    for batch in work.events.chunks(BATCH) {
        let view = replica.view(festival);
        let plan = |task| planner.event(&view, task, &mut skipped);
        let changes: Vec<Change> = batch.iter().map(plan).collect::<Result<_, _>>()?;
        report.cancelled += changes.iter().filter(|change| change.is_gone).count();
        write(replica, festival, now, rng, changes, &mut report.changed)?;
        report.events += batch.iter().filter(|task| task.wanted.is_some()).count();
        done.done += batch.len();
        progress(done);
    }
    // Last, so that a festival says that it has a version only once it has all of it.
    let head = head_of(&schedule, &source, &mut skipped)?;
    let place = source.head();
    replica.edit(festival, now, rng, |edit| edit.label(&place.label).put(&place.local, &head))?;

    let requests = match report.changed {
        changed if changed == Changed::default() => requests,
        _ => Requests::read(&replica.view(festival), &source)?,
    };
    report.requests = requests.standing();
    report.conflicts = requests.conflicts();
    report.skipped = skipped.finish();
    Ok(report)
}

/// Everything that is to be written of one room or event.
struct Change {
    label: String,
    id: EntityId,
    /// Set if the entity does not exist yet; the steps come after it.
    new: Option<New>,
    steps: Vec<Step>,
    cancels: bool,
    withdraw: Vec<Withdrawal>,
    request: Option<Request>,
    /// Whether it is an event that stands cancelled, because the source has it no more.
    is_gone: bool,
}

enum New {
    Event(schema::Event),
    Room(schema::Resource),
}

impl Change {
    fn is_empty(&self) -> bool {
        let writes = self.new.is_some() || !self.steps.is_empty();
        !writes && self.withdraw.is_empty() && self.request.is_none()
    }

    fn count(&self, changed: &mut Changed) {
        let counter = match (&self.new, self.cancels) {
            (Some(_), _) => &mut changed.created,
            (None, true) => &mut changed.cancelled,
            (None, false) => &mut changed.updated,
        };
        *counter += usize::from(self.new.is_some() || !self.steps.is_empty());
        changed.withdrawn += self.withdraw.len();
        changed.requested += usize::from(self.request.is_some());
    }

    fn write(self, edit: &mut Edit<'_>) -> Result<(), EditError> {
        edit.label(&self.label);
        match &self.new {
            Some(New::Event(event)) => drop(edit.put(&self.id.local, event)?),
            Some(New::Room(room)) => drop(edit.put(&self.id.local, room)?),
            None => {}
        }
        for (path, value) in self.steps {
            let path: Vec<&str> = path.iter().map(String::as_str).collect();
            match value {
                Some(value) => edit.set(&self.id, &path, value)?,
                None => edit.delete(&self.id, &path)?,
            }
        }
        for withdrawal in self.withdraw {
            edit.withdraw(withdrawal)?;
        }
        if let Some(request) = self.request {
            edit.request(request)?;
        }
        Ok(())
    }
}

/// Writes a batch in one commit, and counts what it did.
fn write(
    replica: &mut Replica,
    festival: FestivalId,
    now: Instant,
    rng: &mut impl CryptoRng,
    mut changes: Vec<Change>,
    changed: &mut Changed,
) -> Result<(), EditError> {
    changes.retain(|change| !change.is_empty());
    if changes.is_empty() {
        return Ok(());
    }
    let mut counts = *changed;
    changes.iter().for_each(|change| change.count(&mut counts));
    replica.edit(festival, now, rng, |edit| {
        changes.into_iter().try_for_each(|change| change.write(edit))
    })?;
    *changed = counts;
    Ok(())
}
