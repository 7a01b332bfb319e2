//! Festival schedules in and out.
//!
//! | module | holds |
//! |---|---|
//! | [`model`] | a plain [`Schedule`]: rooms, days, events, with times as UTC instants |
//! | [`frab`] | reads and writes the JSON that frab, pretalx and the c3voc tools exchange |
//! | [`edits`] | replays a recorded edit history, revision by revision |
//! | [`import`](mod@import) | writes a schedule into a festival: new, or as the newest state of its source |
//! | [`export`](mod@export) | reads the schedule of a festival, native events included |
//!
//! A file from elsewhere is never trusted and never all or nothing: what is
//! malformed is left out and reported as [`Skipped`], with its place in the
//! file, and the rest is read.
//!
//! ```
//! use interchange::{frab, local_id};
//!
//! let file = br#"{"schedule": {"conference": {"acronym": "glade", "title": "Glade", "days": [
//!     {"index": 1, "date": "2026-07-10", "rooms": {"Meadow": [
//!         {"guid": "a1", "title": "Opening", "date": "2026-07-10T18:00:00+02:00", "duration": "0:30"},
//!         {"guid": "a2", "title": "Soundcheck", "duration": "1:00"}
//!     ]}}
//! ]}}}"#;
//! let options = frab::ParseOptions { zone: Some("Europe/Berlin".into()) };
//! let (schedule, skipped) = frab::parse(file, &options)?;
//!
//! assert_eq!(schedule.events[0].title, "Opening");
//! assert_eq!(skipped[0].at, "/schedule/conference/days/0/rooms/Meadow/1");
//! assert_eq!(skipped[0].why, "it has no date");
//!
//! let (again, _) = frab::parse(&frab::write(&schedule), &options)?;
//! assert_eq!(again, schedule);
//!
//! // The same event gets the same id in every import, on every device.
//! assert_eq!(local_id("https://glade.example", "a1").len(), 16);
//! # Ok::<(), frab::ParseError>(())
//! ```
//!
//! Into a festival, and out again:
//!
//! ```
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use interchange::{Changed, Event, Schedule, export, import};
//! use p2panda_core::schema::{FestivalInfo, Instant};
//! use p2panda_core::store::{MemoryStore, NoResume};
//! use p2panda_core::{Identity, Replica};
//! use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};
//!
//! let mut rng = ChaCha20Rng::seed_from_u64(1); // from the operating system, in earnest
//! let now = Instant::from_millis(1_783_000_000_000);
//! let identity = Identity::generate(&mut rng);
//! let mut replica =
//!     Replica::open(Box::new(MemoryStore::new()), identity, Box::new(NoResume))?;
//! let festival = replica.create_festival(&FestivalInfo::default(), now, &mut rng)?.id();
//!
//! let mut schedule = Schedule { acronym: "glade".into(), ..Schedule::default() };
//! schedule.events.push(Event {
//!     guid: "a1".into(),
//!     title: "Opening".into(),
//!     room: Some("Meadow".into()),
//!     starts: 1_783_699_200_000,
//!     ends: 1_783_701_000_000,
//!     ..Event::default()
//! });
//! schedule.tidy();
//! let report = import(&mut replica, festival, &schedule, now, &mut rng, &mut |_| {})?;
//! assert_eq!((report.events, report.resources, report.requests), (1, 1, 1));
//! let report = import(&mut replica, festival, &schedule, now, &mut rng, &mut |_| {})?;
//! assert_eq!(report.changed, Changed::default());
//! assert_eq!(export(&replica.view(festival))?, schedule);
//! # Ok(())
//! # }
//! ```

pub mod edits;
pub mod export;
pub mod frab;
pub mod import;
pub mod model;

mod day;
mod fields;
mod ids;
mod json;
mod limits;
mod report;
mod source;
mod zone;

pub use export::export;
pub use ids::local_id;
pub use import::{Changed, ImportError, ImportReport, Progress, import, import_as};
pub use model::{Event, Schedule};
pub use report::Skipped;
