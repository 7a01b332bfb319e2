//! Times as people write and read them, always in a named zone.

use anyhow::{Context as _, Result, anyhow, bail};
use jiff::{
    SignedDuration, Timestamp,
    civil::{Date, DateTime},
    tz::TimeZone,
};
use p2panda_core::schema::{Instant, Span};

/// A festival's day ends at this hour of the next morning.
const DAWN: i64 = 6;

pub(crate) fn now() -> Instant {
    Instant::from_millis(Timestamp::now().as_millisecond())
}

/// The zone of an IANA name, and the name as it is usually written.
pub(crate) fn zone(name: &str) -> Result<(String, TimeZone)> {
    let zone = TimeZone::get(name).ok().filter(|zone| zone.iana_name().is_some());
    let zone = zone.ok_or_else(|| {
        anyhow!("there is no time zone named {name:?}; zones have names like Europe/Berlin")
    })?;
    Ok((zone.iana_name().unwrap_or(name).to_owned(), zone))
}

/// The zone in which somebody's event is shown: unknown names give UTC.
pub(crate) fn zone_or_utc(name: &str) -> TimeZone {
    TimeZone::get(name).unwrap_or(TimeZone::UTC)
}

/// This computer's zone, else UTC.
pub(crate) fn local_zone() -> String {
    TimeZone::system().iana_name().unwrap_or("Etc/UTC").to_owned()
}

/// A time with an offset, or a local one in `zone`.
pub(crate) fn parse(text: &str, zone: &TimeZone) -> Result<Instant> {
    if let Ok(timestamp) = text.parse::<Timestamp>() {
        return Ok(Instant::from_millis(timestamp.as_millisecond()));
    }
    // A date alone would be read as its midnight.
    let local: Option<DateTime> = text.parse().ok().filter(|_| text.contains(['T', 't', ' ']));
    let local = local.ok_or_else(|| {
        anyhow!("{text:?} is not a time; write 2026-08-20T14:00, or 2026-08-20T14:00+02:00")
    })?;
    let timestamp =
        zone.to_timestamp(local).with_context(|| format!("{text:?} is out of range"))?;
    Ok(Instant::from_millis(timestamp.as_millisecond()))
}

/// The instant so long after another one: `1h30m`, `90 min`.
pub(crate) fn after(start: Instant, duration: &str) -> Result<Instant> {
    let duration: SignedDuration = duration
        .parse()
        .map_err(|_| anyhow!("{duration:?} is not a duration; write 45m or 1h30m"))?;
    let millis = i64::try_from(duration.as_millis()).context("the duration is out of range")?;
    if millis <= 0 {
        bail!("an event needs a duration of more than nothing");
    }
    let end = start.millis().checked_add(millis).context("the duration is out of range")?;
    Ok(Instant::from_millis(end))
}

/// A duration in milliseconds, nothing included: `30m`.
pub(crate) fn length(text: &str) -> Result<i64> {
    let duration: SignedDuration =
        text.parse().map_err(|_| anyhow!("{text:?} is not a duration; write 45m or 1h30m"))?;
    if duration.is_negative() {
        bail!("{text:?} is less than nothing");
    }
    i64::try_from(duration.as_millis()).context("the duration is out of range")
}

/// A span from one time to another: `2026-08-20T10:00..2026-08-20T22:00`.
pub(crate) fn parse_span(text: &str, zone: &TimeZone) -> Result<Span> {
    let (starts, ends) = text.split_once("..").ok_or_else(|| {
        anyhow!("{text:?} is not a span; write 2026-08-20T10:00..2026-08-20T22:00")
    })?;
    let (starts, ends) = (parse(starts, zone)?, parse(ends, zone)?);
    Span::new(starts, ends).ok_or_else(|| anyhow!("{text:?} ends before it starts"))
}

pub(crate) fn parse_date(text: &str) -> Result<Date> {
    text.parse().map_err(|_| anyhow!("{text:?} is not a date; write 2026-08-20"))
}

/// The instant on the clocks of a zone; `None` beyond the years that calendars know.
fn local(instant: Instant, zone: &TimeZone) -> Option<DateTime> {
    Some(zone.to_datetime(Timestamp::from_millisecond(instant.millis()).ok()?))
}

/// RFC 3339 with the zone's offset.
pub(crate) fn rfc3339(instant: Instant, zone: &TimeZone) -> String {
    let shown = Timestamp::from_millisecond(instant.millis())
        .map(|timestamp| timestamp.display_with_offset(zone.to_offset(timestamp)).to_string());
    shown.unwrap_or_else(|_| format!("{} ms", instant.millis()))
}

/// The festival day of an instant: what starts before six belongs to the evening before.
pub(crate) fn day(instant: Instant, zone: &TimeZone) -> Option<Date> {
    Some(local(instant, zone)?.checked_sub(SignedDuration::from_hours(DAWN)).ok()?.date())
}

/// `21:00`
pub(crate) fn clock(instant: Instant, zone: &TimeZone) -> String {
    local(instant, zone).map_or_else(|| "??:??".into(), |time| time.strftime("%H:%M").to_string())
}

/// `20 Aug 21:00`
pub(crate) fn date_and_clock(instant: Instant, zone: &TimeZone) -> String {
    let shown = local(instant, zone).map(|time| time.strftime("%-d %b %H:%M").to_string());
    shown.unwrap_or_else(|| "??:??".into())
}

/// `Thu 20 August 2026`
pub(crate) fn date_for_people(date: Date) -> String {
    date.strftime("%A %-d %B %Y").to_string()
}

/// `20 Aug 21:00–22:00`
pub(crate) fn span_for_people(starts: Instant, ends: Instant, zone: &TimeZone) -> String {
    let day = local(starts, zone).map(|time| time.strftime("%-d %b").to_string());
    format!("{} {}–{}", day.unwrap_or_default(), clock(starts, zone), clock(ends, zone))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_local_time_is_read_in_its_zone_and_shown_in_it() {
        let (name, berlin) = zone("europe/berlin").unwrap();
        assert_eq!(name, "Europe/Berlin");
        let start = parse("2026-08-20T14:00", &berlin).unwrap();
        assert_eq!(rfc3339(start, &berlin), "2026-08-20T14:00:00+02:00");
        assert_eq!(parse("2026-08-20T12:00:00Z", &berlin).unwrap(), start);
        assert_eq!(parse("2026-08-20T14:00+02:00", &TimeZone::UTC).unwrap(), start);
        assert_eq!(rfc3339(after(start, "1h30m").unwrap(), &berlin), "2026-08-20T15:30:00+02:00");
    }

    #[test]
    fn what_is_no_time_is_refused_with_an_example() {
        for text in ["", "noon", "2026-08-20", "14:00", "2026-13-01T10:00"] {
            let error = parse(text, &TimeZone::UTC).unwrap_err().to_string();
            assert!(error.contains("write 2026-08-20T14:00"), "{text}: {error}");
        }
        assert!(zone("Mars/Phobos").is_err());
        assert!(after(Instant::from_millis(0), "-1h").is_err());
    }

    #[test]
    fn the_night_belongs_to_the_day_before() {
        let night = parse("2026-08-21T01:30", &TimeZone::UTC).unwrap();
        assert_eq!(day(night, &TimeZone::UTC).unwrap().to_string(), "2026-08-20");
        assert_eq!(date_for_people(day(night, &TimeZone::UTC).unwrap()), "Thursday 20 August 2026");
    }
}
