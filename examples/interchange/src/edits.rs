//! Edit histories of real schedules, one revision a line.
//!
//! ```text
//! {"at": "2019-12-13T00:44:24+01:00", "commit": "dcc2f8…", "version": "wiki 12",
//!  "ops": [{"op": "add", "guid": "…", "event": {…}},
//!          {"op": "change", "guid": "…", "fields": {"title": ["old", "new"]}},
//!          {"op": "remove", "guid": "…"}]}
//! ```
//!
//! Events are as in frab JSON, with persons as names and links as addresses; an
//! event's room is what it says itself. Histories begin with an empty schedule.
//! An event that is added without a duration is skipped, and with it its changes,
//! until it is added anew.
//!
//! ```
//! use interchange::{Schedule, edits};
//!
//! let history = r#"{"at": "2026-05-01T12:00:00Z", "commit": "1", "version": "one", "ops": [
//!     {"op": "add", "guid": "a1", "event":
//!         {"title": "Tea", "date": "2026-07-10T16:00:00+02:00", "duration": "1:00", "room": "Tent"}}]}"#
//!     .replace('\n', " ");
//! let mut schedule = Schedule::default();
//! for revision in edits::Revisions::new(history.as_bytes()) {
//!     let misfits = edits::apply(&mut schedule, &revision?);
//!     assert!(misfits.is_empty());
//! }
//! assert_eq!(schedule.events[0].title, "Tea");
//! # Ok::<(), edits::RevisionError>(())
//! ```

use std::collections::{BTreeMap, HashMap};
use std::io::{self, BufRead, Read as _};

use serde_json::value::RawValue;

use crate::frab::{read_event, set_field};
use crate::model::{Event, Schedule};
use crate::report::{Report, Skipped};
use crate::zone::Dates;
use crate::{json, limits};

/// What changed from one state of a schedule to the next.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Revision {
    /// When it was recorded, UTC milliseconds.
    pub at: i64,
    /// The commit of the recorded repository.
    pub commit: String,
    /// [`Schedule::version`] from here on.
    pub version: String,
    /// The changes, in order.
    pub ops: Vec<Op>,
    /// Ops, and parts of events, that could not be read.
    pub skipped: Vec<Skipped>,
}

/// One change of one event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Op {
    /// A new event, or one that came back.
    Add(Box<Event>),
    /// An event that is gone, often only until the next revision.
    Remove {
        /// Whose.
        guid: String,
    },
    /// An event that is no longer as it was.
    Change {
        /// Whose.
        guid: String,
        /// The new values as JSON text, by frab's names for the fields.
        fields: BTreeMap<String, String>,
    },
}

/// Why a line is no revision.
#[derive(Debug, thiserror::Error)]
pub enum RevisionError {
    /// The history cannot be read on.
    #[error("the history cannot be read at line {line}: {source}")]
    Read {
        /// The line, from 1.
        line: usize,
        /// The reason.
        source: io::Error,
    },
    /// The line is something else; the next ones can still be read.
    #[error("line {line} is no revision: {why}")]
    Malformed {
        /// The line, from 1.
        line: usize,
        /// The reason.
        why: String,
    },
}

/// The revisions of a history, oldest first.
///
/// Empty lines are passed over. After a [`RevisionError::Read`] there are no more.
#[derive(Debug)]
pub struct Revisions<R> {
    source: R,
    line: usize,
    buffer: Vec<u8>,
    ended: bool,
}

impl<R: BufRead> Revisions<R> {
    /// Reads revisions from uncompressed lines.
    pub fn new(source: R) -> Self {
        let (line, buffer, ended) = (0, Vec::new(), false);
        Self { source, line, buffer, ended }
    }

    /// Reads a line into the buffer; `false` at the end.
    fn next_line(&mut self) -> io::Result<bool> {
        self.buffer.clear();
        self.line += 1;
        let bound = limits::FILE_BYTES as u64;
        let read = self.source.by_ref().take(bound).read_until(b'\n', &mut self.buffer)?;
        if read == limits::FILE_BYTES && !self.buffer.ends_with(b"\n") {
            let why = format!("it is longer than {bound} bytes");
            return Err(io::Error::new(io::ErrorKind::InvalidData, why));
        }
        Ok(read > 0)
    }
}

impl<R: BufRead> Iterator for Revisions<R> {
    type Item = Result<Revision, RevisionError>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.ended {
            let line = self.line + 1;
            match self.next_line() {
                Ok(true) if self.buffer.trim_ascii().is_empty() => {}
                Ok(true) => {
                    let revision = revision(&self.buffer);
                    return Some(revision.map_err(|why| RevisionError::Malformed { line, why }));
                }
                Ok(false) => self.ended = true,
                Err(source) => {
                    self.ended = true;
                    return Some(Err(RevisionError::Read { line, source }));
                }
            }
        }
        None
    }
}

/// Brings `schedule` to the state after `revision`, and says which ops did not
/// fit, by their place in the revision.
///
/// Rooms that new events need are added; none is ever dropped, for sources vanish
/// and come back. Days are not kept up to date: [`Schedule::tidy`] makes them.
pub fn apply(schedule: &mut Schedule, revision: &Revision) -> Vec<Skipped> {
    let mut report = Report::default();
    let mut dates = Dates::default();
    let events = std::mem::take(&mut schedule.events).into_iter();
    let mut events: HashMap<String, Event> =
        events.map(|event| (event.guid.clone(), event)).collect();
    for (index, op) in revision.ops.iter().enumerate() {
        let at = format!("/ops/{index}");
        match op {
            Op::Add(event) => {
                let before = events.insert(event.guid.clone(), Event::clone(event));
                if before.is_some() {
                    report.skip(at, "the event is there already: it is replaced");
                }
            }
            Op::Remove { guid } => {
                if events.remove(guid).is_none() {
                    report.skip(at, format!("there is no event {guid} to remove"));
                }
            }
            Op::Change { guid, fields } => match events.get_mut(guid) {
                Some(event) => change(event, fields, &mut dates, &mut report, &at),
                None => report.skip(at, format!("there is no event {guid} to change")),
            },
        }
    }
    schedule.version.clone_from(&revision.version);
    schedule.events = events.into_values().collect();
    schedule.sort_events();
    schedule.add_missing_rooms();
    report.finish()
}

fn change(
    event: &mut Event,
    fields: &BTreeMap<String, String>,
    dates: &mut Dates,
    report: &mut Report,
    at: &str,
) {
    for (key, value) in fields {
        let at = format!("{at}/fields");
        if key == "guid" {
            report.skip(json::under(&at, key), "its guid cannot change");
            continue;
        }
        let set = serde_json::from_str::<&RawValue>(value)
            .map_err(|error| json::because(&error))
            .and_then(|raw| set_field(event, key, raw, dates, report, &at));
        if let Err(why) = set {
            report.skip(json::under(&at, key), why);
        }
    }
}

fn revision(line: &[u8]) -> Result<Revision, String> {
    let text = std::str::from_utf8(line).map_err(|_| "it is not UTF-8")?;
    let raw: &RawValue = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let mut revision = Revision::default();
    let mut report = Report::default();
    let (mut at, mut ops) = (None, None);
    for (key, value) in json::members(raw, limits::MEMBERS)? {
        match key.as_str() {
            "at" => at = json::text(value),
            "commit" => revision.commit = json::text(value).unwrap_or_default(),
            "version" => revision.version = json::text(value).unwrap_or_default(),
            "ops" => ops = Some(value),
            _ => {}
        }
    }
    revision.at = Dates::default().instant(&at.ok_or("its time, `at`, is missing")?)?;
    let ops = json::items(ops.ok_or("`ops` is missing")?, limits::EVENTS)?;
    for (index, raw) in ops.into_iter().enumerate() {
        let at = format!("/ops/{index}");
        match op(raw, &mut report, &at) {
            Ok(op) => revision.ops.push(op),
            Err(why) => report.skip(at, why),
        }
    }
    revision.skipped = report.finish();
    Ok(revision)
}

fn op(raw: &RawValue, report: &mut Report, at: &str) -> Result<Op, String> {
    let (mut kind, mut guid, mut event, mut fields) = (None, None, None, None);
    for (key, value) in json::members(raw, limits::MEMBERS)? {
        match key.as_str() {
            "op" => kind = json::text(value),
            "guid" => guid = Some(value),
            "event" => event = Some(value),
            "fields" => fields = Some(value),
            _ => {}
        }
    }
    let guid = guid.ok_or("it has no guid")?;
    match kind.as_deref() {
        Some("add") => {
            let event = event.ok_or("it has no event")?;
            let at = format!("{at}/event");
            let event = read_event(event, Some(guid), &mut Dates::default(), report, &at)?;
            Ok(Op::Add(Box::new(event)))
        }
        Some("remove") => Ok(Op::Remove { guid: guid_of(guid)? }),
        Some("change") => {
            let fields = json::members(fields.ok_or("it has no fields")?, limits::MEMBERS)?;
            let fields = fields.into_iter().map(|(key, values)| {
                let pair = json::items(values, 2)?;
                let new = pair.last().ok_or("a field has no new value")?;
                Ok((key, json::compact(new.get())))
            });
            let fields = fields.collect::<Result<_, String>>()?;
            Ok(Op::Change { guid: guid_of(guid)?, fields })
        }
        _ => Err("it is neither add, nor remove, nor change".into()),
    }
}

fn guid_of(raw: &RawValue) -> Result<String, String> {
    json::text(raw).ok_or_else(|| "its guid is not text".into())
}
