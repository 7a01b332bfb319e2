//! Which stage the demo's two shows contend for, and when.

use std::collections::BTreeMap;

use anyhow::{Result, anyhow};
use interchange::Schedule;
use p2panda_core::schema::{Instant, Span};

const HOUR: i64 = 3_600_000;

/// The busiest room of a schedule, and an hour on its first evening when nothing is planned there.
pub(super) fn contested(schedule: &Schedule) -> Result<(String, Span)> {
    let mut rooms: BTreeMap<&str, Vec<(i64, i64)>> = BTreeMap::new();
    for event in &schedule.events {
        if let Some(room) = &event.room {
            rooms.entry(room).or_default().push((event.starts, event.ends));
        }
    }
    let (room, mut spans) =
        rooms.into_iter().max_by_key(|(_, spans)| spans.len()).ok_or_else(|| {
            anyhow!("the schedule has no event with a room, so there is no stage to contend for")
        })?;
    spans.sort_unstable();
    let mut free_from = i64::MIN;
    for (starts, ends) in spans {
        // A gap of a whole night is none that people would look at.
        if free_from != i64::MIN && (HOUR..6 * HOUR).contains(&(starts - free_from)) {
            break;
        }
        free_from = free_from.max(ends);
    }
    let span = Span::new(Instant::from_millis(free_from), Instant::from_millis(free_from + HOUR));
    Ok((room.to_owned(), span.ok_or_else(|| anyhow!("the schedule ends beyond all time"))?))
}

#[cfg(test)]
mod tests {
    use interchange::frab::{ParseOptions, parse};

    use super::*;

    #[test]
    fn the_built_in_schedule_is_whole_and_leaves_an_hour_in_the_evening() {
        let (schedule, skipped) = parse(super::super::BUILT_IN, &ParseOptions::default()).unwrap();
        assert_eq!(skipped, []);
        assert_eq!(schedule.events.len(), 12);
        let (room, span) = contested(&schedule).unwrap();
        assert_eq!(room, "Main stage");
        let berlin = crate::time::zone_or_utc("Europe/Berlin");
        assert_eq!(crate::time::rfc3339(span.starts, &berlin), "2026-08-20T20:45:00+02:00");
        let free = |e: &interchange::Event| {
            e.room.as_deref() != Some(&*room)
                || e.ends <= span.starts.millis()
                || e.starts >= span.ends.millis()
        };
        assert!(schedule.events.iter().all(free));
        assert!(contested(&Schedule::default()).is_err());
    }
}
