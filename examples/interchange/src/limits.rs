//! How much of a stranger's file is read: every bound in one place.
//!
//! They are several times what the largest real schedules hold (36C3: 2.9 MB,
//! 1,351 events, 92 rooms, texts of 8,000 characters). Text is counted in
//! characters, everything else in bytes or entries.

/// The whole file, and one line of an edit history.
pub(crate) const FILE_BYTES: usize = 64 * 1024 * 1024;
/// Entries in all rooms of all days together, the malformed ones included.
pub(crate) const EVENTS: usize = 100_000;
pub(crate) const DAYS: usize = 400;
pub(crate) const ROOMS: usize = 10_000;
/// One event's JSON text.
pub(crate) const EVENT_BYTES: usize = 1024 * 1024;
/// Members of one object.
pub(crate) const MEMBERS: usize = 200;
/// Persons, links or attachments of one event.
pub(crate) const PARTS: usize = 1_000;

/// Guids.
pub(crate) const ID_CHARS: usize = 200;
/// Titles, names, tracks and whatever else stands on one line.
pub(crate) const LINE_CHARS: usize = 1_000;
pub(crate) const URL_CHARS: usize = 4_000;
pub(crate) const LICENSE_CHARS: usize = 10_000;
/// Abstracts and descriptions.
pub(crate) const TEXT_CHARS: usize = 100_000;
/// The JSON text of a field that this crate does not know.
pub(crate) const EXTRA_BYTES: usize = 100_000;

/// The longest event, in minutes.
pub(crate) const MINUTES: i64 = 366 * 24 * 60;
/// 1980-01-01 and 2200-01-01, UTC milliseconds. Before 1980 some zones are not
/// at whole minutes, which RFC 3339 cannot say.
pub(crate) const INSTANTS: std::ops::Range<i64> = 315_532_800_000..7_258_118_400_000;

/// Reports that one reading gives; after them only their number is kept.
pub(crate) const REPORTS: usize = 10_000;

/// Whether `text` is longer than `limit` characters, without counting short ones.
pub(crate) fn longer_than(text: &str, limit: usize) -> bool {
    text.len() > limit && text.chars().nth(limit).is_some()
}
