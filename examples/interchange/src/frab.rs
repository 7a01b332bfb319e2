//! The JSON of frab, pretalx and the c3voc schedule tools.
//!
//! ```text
//! schedule { version, base_url, conference { acronym, title, start, end, time_zone_name,
//!     rooms [ { name, guid } ],
//!     days [ { index, date, day_start, day_end, rooms { "Ada": [ event, … ] } } ] } }
//! event { guid, id, date, duration, room, title, subtitle, track, type, language, abstract,
//!     description, url, logo, slug, persons, links, attachments, recording_license, … }
//! ```
//!
//! **Times.** An event's `date` (RFC 3339, with offset) and `duration` (`H:MM`,
//! `HH:MM` or `D:HH:MM`) count; `start` and `daysCount` repeat them and are only
//! written. The zone is [`ParseOptions::zone`], else `time_zone_name`, else the
//! zone of fixed offset that the dates share: `+01:00` becomes `Etc/GMT-1` (the
//! sign is POSIX's). It shows the same local times as the file, but knows no
//! daylight saving; give the real zone if you know it.
//!
//! **Rooms and days.** An event is in the room and on the day that list it. Its
//! own `room` is kept as [`Event::room_label`] where it differs, the listed day
//! as [`Event::listed_on`] where [`Schedule::day_of`] would choose another.
//!
//! **Bounds.** 64 MiB, 100,000 events of 1 MiB, 10,000 rooms, 400 days; guids of
//! 200 characters, titles and names of 1,000, texts of 100,000; years 1980 to 2199.
//! Of two events with one guid, or two members of one name, one counts: the first
//! event, which is reported, and the last member.

mod conference;
mod event;
mod object;
mod write;

use serde_json::value::RawValue;

pub(crate) use event::{read_event, set_field};
pub use write::write;

#[cfg(doc)]
use crate::model::Event;
use crate::model::{Extra, Schedule};
use crate::report::{Report, Skipped};
use crate::zone::{Dates, Zone};
use crate::{json, limits};

/// What the caller knows better than the file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ParseOptions {
    /// The IANA name of the schedule's zone, whatever the file says of it.
    pub zone: Option<String>,
}

/// Why nothing of a file could be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// The file is larger than any schedule should be.
    #[error("the file has {bytes} bytes; a schedule may have {limit}")]
    TooLarge {
        /// The file's size.
        bytes: usize,
        /// The largest size that is read.
        limit: usize,
    },
    /// The JSON ends before it is complete, as after a broken download.
    #[error(
        "the file is cut off: its JSON is incomplete at line {line}, column {column}; fetch it again"
    )]
    Truncated {
        /// The last line, from 1.
        line: usize,
        /// The last column, in bytes.
        column: usize,
    },
    /// The file is something else.
    #[error("not JSON: {why}, at line {line}, column {column}")]
    NotJson {
        /// Where reading stopped, from 1.
        line: usize,
        /// The column where it stopped, in bytes.
        column: usize,
        /// The reason.
        why: String,
    },
    /// The file is JSON without a schedule in it.
    #[error("JSON, but not a frab schedule: {at}: {why}")]
    NotFrab {
        /// A JSON pointer to what is wrong.
        at: String,
        /// What is wrong, for example "it is missing".
        why: String,
    },
    /// There is more of something than any schedule should have.
    #[error("the schedule has more than {limit} {what}")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many are read.
        limit: usize,
    },
    /// [`ParseOptions::zone`] is no zone of the IANA database.
    #[error("there is no time zone named {name:?}; zones have names like Europe/Berlin")]
    UnknownZone {
        /// The name given.
        name: String,
    },
}

/// Reads a frab schedule. The result is [tidy](Schedule::tidy); what was left
/// out of it is listed with its place.
///
/// # Errors
///
/// If the file as a whole is no frab schedule, or [`ParseOptions::zone`] no zone.
pub fn parse(bytes: &[u8], options: &ParseOptions) -> Result<(Schedule, Vec<Skipped>), ParseError> {
    let known_zone = match &options.zone {
        Some(name) => Some(Zone::named(name).ok_or_else(|| {
            let name = name.clone();
            ParseError::UnknownZone { name }
        })?),
        None => None,
    };
    let root = document(bytes)?;
    let mut reader = Reader {
        dates: Dates::within(known_zone),
        schedule: Schedule::default(),
        report: Report::default(),
    };
    let Some(schedule) = reader.open(root, "", "schedule")? else {
        return Err(missing("/schedule"));
    };
    let Some(conference) = reader.open(schedule, "/schedule", "conference")? else {
        return Err(missing("/schedule/conference"));
    };
    reader.conference(conference)?;
    Ok((reader.schedule, reader.report.finish()))
}

/// One reading of one file.
struct Reader {
    dates: Dates,
    schedule: Schedule,
    report: Report,
}

impl Reader {
    /// Reads the object at `at`, all but its member `wanted`, which it returns.
    fn open<'a>(
        &mut self,
        raw: &'a RawValue,
        at: &str,
        wanted: &str,
    ) -> Result<Option<&'a RawValue>, ParseError> {
        let mut found = None;
        for (key, value) in self.top_members(raw, at)? {
            match key.as_str() {
                _ if key == wanted => found = Some(value),
                "version" if at == "/schedule" => {
                    self.text(at, &key, value, |schedule| &mut schedule.version);
                }
                "base_url" if at == "/schedule" => {
                    self.text(at, &key, value, |schedule| &mut schedule.base_url);
                }
                _ => self.keep(at, &key, value),
            }
        }
        Ok(found)
    }

    fn top_members<'a>(
        &self,
        raw: &'a RawValue,
        at: &str,
    ) -> Result<Vec<(String, &'a RawValue)>, ParseError> {
        json::members(raw, limits::MEMBERS).map_err(|why| ParseError::NotFrab {
            at: if at.is_empty() { "the file".into() } else { at.to_owned() },
            why,
        })
    }

    /// Reads a line of text that belongs to the whole schedule.
    fn text(
        &mut self,
        at: &str,
        key: &str,
        raw: &RawValue,
        field: impl Fn(&mut Schedule) -> &mut String,
    ) {
        match json::read_text(field(&mut self.schedule), raw, limits::URL_CHARS) {
            Ok(true) => {}
            Ok(false) => self.keep(at, key, raw),
            Err(why) => self.report.skip(json::under(at, key), why),
        }
    }

    /// Keeps an unknown field of one of the outer objects, by its whole pointer.
    fn keep(&mut self, at: &str, key: &str, raw: &RawValue) {
        let mut kept = Extra::new();
        json::keep(&mut kept, key, raw, &mut self.report, at);
        let kept = kept.into_iter();
        let kept = kept.map(|(key, value)| (json::under(at, &key), value));
        self.schedule.extra.extend(kept);
    }
}

fn missing(at: &str) -> ParseError {
    let (at, why) = (at.to_owned(), "it is missing".to_owned());
    ParseError::NotFrab { at, why }
}

/// The whole file as one JSON value, checked to its end.
fn document(bytes: &[u8]) -> Result<&RawValue, ParseError> {
    if bytes.len() > limits::FILE_BYTES {
        let limit = limits::FILE_BYTES;
        return Err(ParseError::TooLarge { bytes: bytes.len(), limit });
    }
    let bytes = bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(bytes);
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let (line, column) = position(&bytes[..error.valid_up_to()]);
        match error.error_len() {
            None => ParseError::Truncated { line, column },
            Some(_) => not_json(line, column, "a byte that is not UTF-8"),
        }
    })?;
    serde_json::from_str(text).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        // A number without its end is an error of its own to serde_json.
        let in_number = text.ends_with(['-', '+', '.', 'e', 'E']);
        if error.is_eof() || in_number && (line, column + 1) == position(bytes) {
            return ParseError::Truncated { line, column };
        }
        if text.trim_start().starts_with('<') {
            let why = "it looks like XML; fetch the schedule's JSON form instead";
            return not_json(line, column, why);
        }
        not_json(line, column, &json::because(&error))
    })
}

fn not_json(line: usize, column: usize, why: &str) -> ParseError {
    let why = why.to_owned();
    ParseError::NotJson { line, column, why }
}

/// The line and column after these bytes, counted as serde_json counts them.
fn position(before: &[u8]) -> (usize, usize) {
    let lines = before.split(|byte| *byte == b'\n');
    let column = lines.clone().next_back().map_or(0, <[u8]>::len);
    (lines.count(), column + 1)
}
