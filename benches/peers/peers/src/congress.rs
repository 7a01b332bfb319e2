//! The edit history of the 36C3 schedule, where it is.

use std::{
    fs::File,
    io::{BufRead as _, BufReader},
    path::Path,
};

use flate2::read::GzDecoder;
use serde::Deserialize;

use crate::history::{Event, History, Writer};

/// How many documents an importer spreads the events over.
const DOCUMENTS: usize = 4;

#[derive(Deserialize)]
struct Revision {
    ops: Vec<Op>,
}

#[derive(Deserialize)]
#[serde(tag = "op", rename_all = "lowercase")]
enum Op {
    Add { guid: String, event: Fields },
    Remove { guid: String },
    Change { guid: String, fields: serde_json::Value },
}

type Fields = serde_json::Map<String, serde_json::Value>;

/// The first revisions of the schedule, as one importer writes them: one change for each revision
/// and document.
///
/// # Errors
/// Where the file is absent or not what it should be.
pub fn congress(revisions: usize) -> Result<History, String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../../../shared/data/36c3");
    let path = std::env::var_os("PEERS_36C3").map_or(path, Into::into).join("edits.jsonl.gz");
    let file =
        File::open(&path).map_err(|error| format!("skipped: {}: {error}", path.display()))?;
    let mut writer = Writer::default();
    for line in BufReader::new(GzDecoder::new(file)).lines().take(revisions) {
        let line = line.map_err(|error| error.to_string())?;
        let revision: Revision = serde_json::from_str(&line).map_err(|error| error.to_string())?;
        for op in revision.ops {
            match op {
                Op::Add { guid, event } => {
                    let mut new = Event::default();
                    event.iter().for_each(|(name, value)| set(&mut new, name, value));
                    writer.put(document(&guid), &guid, new);
                }
                Op::Change { guid, fields } => {
                    let known = writer.known(document(&guid), &guid);
                    let mut event = known.cloned().unwrap_or_default();
                    change(&mut event, &fields);
                    writer.put(document(&guid), &guid, event);
                }
                Op::Remove { guid } => writer.remove(document(&guid), &guid),
            }
        }
        writer.end_all();
    }
    Ok(writer.finish(DOCUMENTS))
}

fn document(guid: &str) -> usize {
    guid.bytes().map(usize::from).sum::<usize>() % DOCUMENTS
}

fn change(event: &mut Event, fields: &serde_json::Value) {
    let Some(fields) = fields.as_object() else { return };
    for (name, values) in fields {
        // The value before, and after.
        if let Some(value) = values.as_array().and_then(|pair| pair.last()) {
            set(event, name, value);
        }
    }
}

fn set(event: &mut Event, name: &str, value: &serde_json::Value) {
    let text = || value.as_str().unwrap_or_default().to_owned();
    match name {
        "title" => event.title = text(),
        "subtitle" => event.subtitle = text(),
        "abstract" => event.summary = text(),
        "description" => event.description = text(),
        "language" => event.language = text(),
        "date" => {
            let length = event.ends - event.starts;
            event.starts = millis(&text()).unwrap_or_default();
            event.ends = event.starts + length;
        }
        "duration" => {
            let (hours, minutes) = text().split_once(':').map_or((0, 0), |(hours, minutes)| {
                (hours.parse().unwrap_or(0), minutes.parse().unwrap_or(0))
            });
            event.ends = event.starts + (hours * 60 + minutes) * 60_000_i64;
        }
        "persons" => {
            let people = value.as_array().into_iter().flatten();
            event.people = people.filter_map(|name| Some(name.as_str()?.to_owned())).collect();
        }
        "room" | "track" | "type" => {
            let prefix = format!("{name}: ");
            event.tags.retain(|tag| !tag.starts_with(&prefix));
            event.tags.extend(value.as_str().map(|value| format!("{prefix}{value}")));
        }
        _ => {}
    }
}

/// Milliseconds of a date like `2019-12-27T16:00:00+01:00`.
fn millis(text: &str) -> Option<i64> {
    let number = |from: usize, to: usize| text.get(from..to)?.parse::<i64>().ok();
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    let zone = text.get(19..).filter(|zone| zone.len() == 6);
    let sign = if zone.is_some_and(|zone| zone.starts_with('-')) { -1 } else { 1 };
    let offset = zone.and_then(|_| Some(number(20, 22)? * 60 + number(23, 25)?)).unwrap_or(0);
    // Days since 1970, counting years from March.
    let (y, m) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = y * 365 + y / 4 - y / 100 + y / 400 + (m * 153 + 2) / 5 + day - 1 - 719_468;
    let minutes = (days * 24 + hour) * 60 + minute - sign * offset;
    Some((minutes * 60 + second) * 1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_moments() {
        assert_eq!(millis("2019-12-27T16:00:00+01:00"), Some(1_577_458_800_000));
        assert_eq!(millis("2020-02-29T23:30:00-02:30"), Some(1_583_028_000_000));
        assert_eq!(millis("1970-01-01T00:00:00"), Some(0));
        assert_eq!(millis("soon"), None);
    }
}
