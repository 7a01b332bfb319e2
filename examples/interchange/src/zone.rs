//! Instants, local times and the zone between them.
//!
//! Zones come from the database that is built into the program, never from the
//! machine's: the same file gives the same schedule everywhere.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::civil::{Date, DateTime, Time};
use jiff::fmt::temporal::Pieces;
use jiff::tz::{TimeZone, TimeZoneDatabase};

use crate::limits;

pub(crate) const MINUTE: i64 = 60_000;
pub(crate) const UTC: &str = "Etc/UTC";

/// A time zone of the bundled database.
#[derive(Clone, Debug)]
pub(crate) struct Zone {
    name: String,
    rules: TimeZone,
}

impl Zone {
    /// The zone of this IANA name, in whatever case it is written.
    pub(crate) fn named(name: &str) -> Option<Self> {
        let rules = TimeZoneDatabase::bundled().get(name).ok()?;
        let name = rules.iana_name()?.to_owned();
        Some(Self { name, rules })
    }

    /// The zone of this name, else UTC.
    pub(crate) fn named_or_utc(name: Option<&str>) -> Self {
        name.and_then(Self::named)
            .unwrap_or_else(|| Self { name: UTC.to_owned(), rules: TimeZone::UTC })
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Whether dates with this zone's offset say all that its name says, so that
    /// [`Dates::settle`] finds it again.
    pub(crate) fn is_its_offset(&self) -> bool {
        let offset = self.rules.to_offset(Timestamp::UNIX_EPOCH);
        self.name != UTC && fixed_name(offset.seconds()).is_some_and(|name| name == self.name)
    }

    /// What clocks in this zone show; `None` outside the supported years.
    pub(crate) fn local(&self, instant: i64) -> Option<DateTime> {
        Some(self.rules.to_datetime(timestamp(instant)?))
    }

    /// RFC 3339 with this zone's offset; `None` outside the supported years.
    pub(crate) fn rfc3339(&self, instant: i64) -> Option<String> {
        let timestamp = timestamp(instant)?;
        let offset = self.rules.to_offset(timestamp);
        Some(timestamp.display_with_offset(offset).to_string())
    }

    /// When clocks here show this; the earlier time if they show it twice.
    pub(crate) fn instant(&self, date: Date, time: Time) -> Option<i64> {
        in_range(self.rules.to_timestamp(date.to_datetime(time)).ok()?)
    }
}

/// Reads dates, and counts their offsets for files that name no zone.
#[derive(Debug, Default)]
pub(crate) struct Dates {
    /// The zone that is known from the start, if any.
    pub(crate) zone: Option<Zone>,
    offsets: BTreeMap<i32, usize>,
}

impl Dates {
    pub(crate) fn within(zone: Option<Zone>) -> Self {
        let offsets = BTreeMap::new();
        Self { zone, offsets }
    }

    /// The instant of an RFC 3339 date. One without an offset is a local time,
    /// if the zone is known.
    pub(crate) fn instant(&mut self, text: &str) -> Result<i64, String> {
        let malformed = || format!("its date is not RFC 3339: {}", excerpt(text));
        let pieces = Pieces::parse(text).map_err(|_| malformed())?;
        let time = pieces.time().ok_or_else(malformed)?;
        let instant = match (pieces.to_numeric_offset(), &self.zone) {
            (Some(offset), _) => {
                *self.offsets.entry(offset.seconds()).or_default() += 1;
                let local = pieces.date().to_datetime(time);
                offset.to_timestamp(local).ok().and_then(in_range)
            }
            (None, Some(zone)) => zone.instant(pieces.date(), time),
            (None, None) => return Err("its date has no offset, and the file no zone".into()),
        };
        instant.ok_or_else(|| "its date is outside the years 1980 to 2199".into())
    }

    /// The zone of the whole schedule, and a remark where it is a guess.
    ///
    /// Offsets alone name no place and no daylight saving rule. The zone of
    /// fixed offset that most dates share shows at least the local times that
    /// the file shows.
    pub(crate) fn settle(self) -> (Zone, Option<String>) {
        if let Some(zone) = self.zone {
            return (zone, None);
        }
        let Some((&seconds, _)) = self.offsets.iter().max_by_key(|(_, count)| **count) else {
            return (Zone::named_or_utc(None), None);
        };
        let Some(zone) = fixed_name(seconds).and_then(|name| Zone::named(&name)) else {
            let why = "it is missing, and no IANA zone is always at the dates' offset: UTC is used";
            return (Zone::named_or_utc(None), Some(why.into()));
        };
        let remark = (self.offsets.len() > 1).then(|| {
            let name = zone.name();
            format!("it is missing, and the dates have several offsets: {name} is used for all")
        });
        (zone, remark)
    }
}

/// The IANA name of a fixed offset; its sign is the other way round, after POSIX.
fn fixed_name(seconds: i32) -> Option<String> {
    match seconds / 3600 {
        _ if seconds % 3600 != 0 => None,
        0 => Some(UTC.to_owned()),
        hours @ 1..=14 => Some(format!("Etc/GMT-{hours}")),
        hours @ -12..=-1 => Some(format!("Etc/GMT+{}", -hours)),
        _ => None,
    }
}

/// The minutes of `H:MM`, `HH:MM` or `D:HH:MM`. Hours may go beyond 24 where no
/// days are given.
pub(crate) fn minutes(duration: &str) -> Result<i64, String> {
    let malformed = || format!("its duration is not H:MM or D:HH:MM: {}", excerpt(duration));
    let mut parts = Vec::new();
    for part in duration.splitn(4, ':') {
        if part.is_empty() || part.len() > 4 || !part.bytes().all(|b| b.is_ascii_digit()) {
            return Err(malformed());
        }
        parts.push((part.len(), part.parse::<i64>().map_err(|_| malformed())?));
    }
    let total = match parts[..] {
        [(_, hours), (2, minutes @ 0..60)] => hours * 60 + minutes,
        [(_, days), (_, hours @ 0..24), (2, minutes @ 0..60)] => (days * 24 + hours) * 60 + minutes,
        _ => return Err(malformed()),
    };
    match total {
        0 => Err("its duration is zero".into()),
        1..=limits::MINUTES => Ok(total),
        _ => Err("its duration is over a year".into()),
    }
}

/// `HH:MM`, with as many hours as it takes.
pub(crate) fn hours_and_minutes(minutes: i64) -> String {
    format!("{:02}:{:02}", minutes / 60, minutes % 60)
}

/// The calendar day that a text begins with.
pub(crate) fn date(text: &str) -> Option<Date> {
    let date = Pieces::parse(text).ok()?.date();
    (1980..2200).contains(&date.year()).then_some(date)
}

fn timestamp(instant: i64) -> Option<Timestamp> {
    if !limits::INSTANTS.contains(&instant) {
        return None;
    }
    Timestamp::from_millisecond(instant).ok()
}

fn in_range(timestamp: Timestamp) -> Option<i64> {
    let instant = timestamp.as_millisecond();
    limits::INSTANTS.contains(&instant).then_some(instant)
}

/// The beginning of a text, for a message.
pub(crate) fn excerpt(text: &str) -> String {
    let mut short: String = text.chars().take(40).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    format!("{short:?}")
}

#[cfg(test)]
mod tests {
    use jiff::tz::Offset;

    use super::*;

    #[test]
    fn durations_are_read_in_all_three_forms() {
        for (text, expected) in [
            ("0:30", 30),
            ("00:05", 5),
            ("1:30", 90),
            ("16:00", 960),
            ("36:00", 2160),
            ("1:12:00", 2160),
            ("2:00:01", 2881),
        ] {
            assert_eq!(minutes(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_duration_is_refused() {
        for text in [
            "", ":", "30", "1:60", "1:5", "-1:00", "1:24:00", "1:2:3:4", "+1:00", "0:00",
            "0:00:00", "99999:00", "9999:00", "١:٠٠", " 1:00",
        ] {
            assert!(minutes(text).is_err(), "{text}");
        }
    }

    #[test]
    fn every_whole_hour_has_a_zone_with_that_offset() {
        for hours in -12..=14 {
            let zone = Zone::named(&fixed_name(hours * 3600).unwrap()).unwrap();
            let offset = zone.rules.to_offset(Timestamp::UNIX_EPOCH);
            assert_eq!(offset, Offset::from_seconds(hours * 3600).unwrap());
            assert_eq!(zone.is_its_offset(), hours != 0);
        }
        assert_eq!(fixed_name(19_800), None);
        assert_eq!(fixed_name(15 * 3600), None);
    }
}
