//! Reading one event, field by field.

use serde_json::value::RawValue;

use crate::model::{Event, Link, Person};
use crate::report::Report;
use crate::zone::{self, Dates, MINUTE};
use crate::{json, limits};

/// Reads an event, or says why it is none. `at` is its place; parts of it that
/// cannot be read go to the report. `guid` stands in for its own.
///
/// Its room is what it says itself.
pub(crate) fn read_event(
    raw: &RawValue,
    guid: Option<&RawValue>,
    dates: &mut Dates,
    report: &mut Report,
    at: &str,
) -> Result<Event, String> {
    if raw.get().len() > limits::EVENT_BYTES {
        return Err(format!("it is larger than {} bytes", limits::EVENT_BYTES));
    }
    let mut event = Event::default();
    let mut parts = Report::default();
    let (mut has_date, mut has_duration) = (false, false);
    for (key, value) in json::members(raw, limits::MEMBERS)? {
        set_field(&mut event, &key, value, dates, &mut parts, at)?;
        has_date |= key == "date";
        has_duration |= key == "duration";
    }
    if let Some(guid) = guid {
        event.guid = id(guid)?;
    }
    if event.guid.is_empty() {
        return Err("it has no guid".into());
    }
    if !has_date {
        return Err("it has no date".into());
    }
    if !has_duration {
        return Err("it has no duration".into());
    }
    report.append(parts);
    Ok(event)
}

/// Sets the field that frab calls `key`. An error means that the value makes no
/// event: the field is as it was.
///
/// A date moves the event, which keeps its duration.
pub(crate) fn set_field(
    event: &mut Event,
    key: &str,
    raw: &RawValue,
    dates: &mut Dates,
    report: &mut Report,
    at: &str,
) -> Result<(), String> {
    let known = match key {
        "guid" => {
            event.guid = id(raw)?;
            true
        }
        "date" => {
            let text = json::text(raw).ok_or("its date is not text")?;
            let starts = dates.instant(&text)?;
            let lasts = event.ends.saturating_sub(event.starts);
            (event.starts, event.ends) = (starts, starts.saturating_add(lasts));
            event.listed_on = None;
            true
        }
        "duration" => {
            let text = json::text(raw).ok_or("its duration is not text")?;
            event.ends = event.starts.saturating_add(zone::minutes(&text)? * MINUTE);
            true
        }
        // It repeats the date.
        "start" => true,
        "room" => {
            let mut room = String::new();
            match json::read_text(&mut room, raw, limits::LINE_CHARS) {
                Ok(true) => {}
                Ok(false) => report.skip(json::under(at, key), "it is not text"),
                Err(why) => report.skip(json::under(at, key), why),
            }
            event.room = Some(room).filter(|room| !room.is_empty());
            event.room_label = None;
            true
        }
        "id" => {
            event.id = json::integer(raw);
            event.id.is_some() || json::is_null(raw)
        }
        "do_not_record" => {
            event.do_not_record = json::boolean(raw);
            event.do_not_record.is_some() || json::is_null(raw)
        }
        "persons" => parts(&mut event.persons, person, key, raw, report, at),
        "links" => parts(&mut event.links, link, key, raw, report, at),
        "attachments" => parts(&mut event.attachments, link, key, raw, report, at),
        _ => set_text(event, key, raw, report, at),
    };
    event.extra.remove(key);
    if !known {
        json::keep(&mut event.extra, key, raw, report, at);
    }
    Ok(())
}

/// Sets a text; `false` if there is none of that name, or the value is no text.
fn set_text(event: &mut Event, key: &str, raw: &RawValue, report: &mut Report, at: &str) -> bool {
    use limits::{LICENSE_CHARS, LINE_CHARS, TEXT_CHARS, URL_CHARS};
    let (field, limit) = match key {
        "title" => (&mut event.title, LINE_CHARS),
        "subtitle" => (&mut event.subtitle, LINE_CHARS),
        "track" => (&mut event.track, LINE_CHARS),
        "type" => (&mut event.kind, LINE_CHARS),
        "language" => (&mut event.language, LINE_CHARS),
        "slug" => (&mut event.slug, LINE_CHARS),
        "url" => (&mut event.url, URL_CHARS),
        "logo" => (&mut event.logo, URL_CHARS),
        "recording_license" => (&mut event.recording_license, LICENSE_CHARS),
        "abstract" => (&mut event.abstract_text, TEXT_CHARS),
        "description" => (&mut event.description, TEXT_CHARS),
        _ => return false,
    };
    field.clear();
    json::read_text(field, raw, limit).unwrap_or_else(|why| {
        report.skip(json::under(at, key), why);
        true
    })
}

fn id(raw: &RawValue) -> Result<String, String> {
    let mut guid = String::new();
    if !json::read_text(&mut guid, raw, limits::ID_CHARS)? {
        return Err("its guid is not text".into());
    }
    Ok(guid)
}

/// Reads a list into `field`, leaving out what is malformed; `false` if it is no
/// list.
fn parts<T>(
    field: &mut Vec<T>,
    read: fn(&RawValue, &mut Report, &str) -> Result<T, String>,
    key: &str,
    raw: &RawValue,
    report: &mut Report,
    at: &str,
) -> bool {
    field.clear();
    if !raw.get().starts_with('[') {
        return json::is_null(raw);
    }
    let at = json::under(at, key);
    match json::items(raw, limits::PARTS) {
        Ok(items) => {
            for (index, raw) in items.into_iter().enumerate() {
                let at = format!("{at}/{index}");
                match read(raw, report, &at) {
                    Ok(part) => field.push(part),
                    Err(why) => report.skip(at, why),
                }
            }
        }
        Err(why) => report.skip(at, why),
    }
    true
}

/// `{"id": 1, "public_name": "Ada"}`, `{"name": "Ada"}` or just `"Ada"`.
fn person(raw: &RawValue, report: &mut Report, at: &str) -> Result<Person, String> {
    let mut person = Person::default();
    if raw.get().starts_with('"') {
        json::read_text(&mut person.name, raw, limits::LINE_CHARS)?;
    } else {
        let mut short_name = String::new();
        for (key, value) in json::members(raw, limits::MEMBERS)? {
            let known = match key.as_str() {
                "id" => {
                    person.id = json::integer(value);
                    person.id.is_some() || json::is_null(value)
                }
                "public_name" => json::read_text(&mut person.name, value, limits::LINE_CHARS)?,
                "name" => json::read_text(&mut short_name, value, limits::LINE_CHARS)?,
                _ => false,
            };
            if !known {
                json::keep(&mut person.extra, &key, value, report, at);
            }
        }
        if person.name.is_empty() {
            person.name = short_name;
        } else if !short_name.is_empty() && short_name != person.name {
            let quoted = serde_json::Value::from(short_name).to_string();
            person.extra.insert("name".into(), quoted);
        }
    }
    if person.name.is_empty() {
        return Err("it has no name".into());
    }
    Ok(person)
}

/// `{"url": …, "title": …}` or just the address.
fn link(raw: &RawValue, report: &mut Report, at: &str) -> Result<Link, String> {
    let mut link = Link::default();
    if raw.get().starts_with('"') {
        json::read_text(&mut link.url, raw, limits::URL_CHARS)?;
    } else {
        for (key, value) in json::members(raw, limits::MEMBERS)? {
            let known = match key.as_str() {
                "url" => json::read_text(&mut link.url, value, limits::URL_CHARS)?,
                "title" => json::read_text(&mut link.title, value, limits::LINE_CHARS)?,
                _ => false,
            };
            if !known {
                json::keep(&mut link.extra, &key, value, report, at);
            }
        }
    }
    if link.url.is_empty() {
        return Err("it has no url".into());
    }
    Ok(link)
}
