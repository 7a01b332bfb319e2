//! `panda schedule`: what happens when and where, and how sure that is.

use std::collections::{BTreeSet, HashMap};

use anyhow::Result;
use console::style;
use jiff::{civil::Date, tz::TimeZone};
use p2panda_core::{
    EntityId,
    schema::{Event, Span},
    view::View,
};
use p2panda_policy::EventConfirmation;
use serde::Serialize;

use super::event::span_of;
use crate::{
    app::App,
    cli::ScheduleArgs,
    ids,
    judge::{Judgement, hosts},
    output::{Table, plain},
    time,
};

/// An event of the schedule with what became of its requests.
pub(crate) struct Entry {
    pub(crate) id: EntityId,
    pub(crate) event: Event,
    pub(crate) span: Span,
    zone: TimeZone,
    pub(crate) places: Vec<String>,
    /// The resources behind `places`.
    pub(crate) resources: BTreeSet<EntityId>,
    confirmation: EventConfirmation,
    conflicts: BTreeSet<EntityId>,
}

#[derive(Serialize)]
struct Json<'a> {
    id: &'a EntityId,
    title: &'a str,
    starts: String,
    ends: String,
    zone: &'a str,
    places: &'a [String],
    confirmation: Counts,
    conflicts: &'a BTreeSet<EntityId>,
}

#[derive(Serialize)]
struct Counts {
    confirmed: usize,
    tentative: usize,
    requested: usize,
}

pub(super) fn run(app: &App, args: &ScheduleArgs) -> Result<()> {
    let festival = app.festival()?;
    let view = app.view(festival);
    let day = args.day.as_deref().map(time::parse_date).transpose()?;
    let place = args.place.as_deref().map(|text| ids::resource(view, text)).transpose()?;
    let mut entries = entries(view)?;
    entries.retain(|entry| {
        day.is_none_or(|day| entry.day() == Some(day))
            && place.as_ref().is_none_or(|(id, _)| entry.resources.contains(id))
    });
    let json: Vec<Json<'_>> =
        entries.iter().filter(|entry| !entry.event.cancelled).map(Entry::json).collect();
    app.out.answer(&json, || {
        if entries.is_empty() {
            "Nothing is planned for then. Events without a time: panda event list".to_owned()
        } else {
            for_people(&entries)
        }
    })
}

/// The events that have a time, by start.
pub(crate) fn entries(view: View<'_>) -> Result<Vec<Entry>> {
    let judgement = Judgement::of(view)?;
    let mut entries = Vec::new();
    let mut zones: HashMap<String, TimeZone> = HashMap::new();
    let mut owners = HashMap::new();
    for (id, event) in view.schedule(None)? {
        let Some(span) = span_of(&event) else { continue };
        let zone =
            zones.entry(event.zone.clone()).or_insert_with(|| time::zone_or_utc(&event.zone));
        let host = match owners.get(&id.document) {
            Some(host) => *host,
            None => {
                let host = view.author(&id.document)?;
                owners.insert(id.document, host);
                host
            }
        };
        let by = hosts(&event, host);
        let mut places = Vec::new();
        let mut resources = BTreeSet::new();
        for asked in judgement.of_event(&id) {
            let ours = by.contains(&asked.fact.author) && !asked.is_withdrawn();
            if ours && resources.insert(asked.request.terms.resource.clone()) {
                places.push(asked.title());
            }
        }
        let zone = zone.clone();
        let confirmation = judgement.confirmation(&id, &by);
        let conflicts = judgement.conflicts(&id);
        entries.push(Entry { id, event, span, zone, places, resources, confirmation, conflicts });
    }
    Ok(entries)
}

impl Entry {
    /// The festival day that it belongs to.
    pub(crate) fn day(&self) -> Option<Date> {
        time::day(self.span.starts, &self.zone)
    }

    fn json(&self) -> Json<'_> {
        let hosts = &self.confirmation.hosts;
        Json {
            id: &self.id,
            title: &self.event.title,
            starts: time::rfc3339(self.span.starts, &self.zone),
            ends: time::rfc3339(self.span.ends, &self.zone),
            zone: &self.event.zone,
            places: &self.places,
            confirmation: Counts {
                confirmed: hosts.confirmed,
                tentative: hosts.tentative,
                requested: hosts.total(),
            },
            conflicts: &self.conflicts,
        }
    }

    /// The state in a few words, coloured.
    fn state(&self) -> String {
        if self.event.cancelled {
            return style("cancelled").dim().to_string();
        }
        let hosts = &self.confirmation.hosts;
        let Some(percent) = hosts.percent() else {
            return style("nothing requested").dim().to_string();
        };
        let text = format!("{percent:>3}% confirmed");
        match percent {
            100 => style(text).green().to_string(),
            _ if hosts.conflicted > 0 || hosts.denied > 0 => style(text).red().to_string(),
            _ => style(text).yellow().to_string(),
        }
    }

    /// What is missing, where something is.
    fn remark(&self, titles: &HashMap<&EntityId, &str>) -> String {
        let hosts = &self.confirmation.hosts;
        let mut remarks = Vec::new();
        if self.event.cancelled {
            return String::new();
        }
        if !self.conflicts.is_empty() {
            let shown = self.conflicts.iter().take(2).map(|id| {
                titles.get(id).map_or_else(|| crate::app::short(&id.local), |title| plain(title))
            });
            let more = match self.conflicts.len() {
                0..=2 => String::new(),
                many => format!(" and {} more", many - 2),
            };
            remarks.push(format!("conflicts with {}{more}", shown.collect::<Vec<_>>().join(", ")));
        }
        for (number, word) in
            [(hosts.tentative, "tentative"), (hosts.requested, "waiting"), (hosts.denied, "denied")]
        {
            if number > 0 {
                remarks.push(format!("{number} {word}"));
            }
        }
        match &remarks[..] {
            [] => String::new(),
            remarks if self.conflicts.is_empty() => {
                style(format!("({})", remarks.join(", "))).dim().to_string()
            }
            remarks => style(format!("✗ {}", remarks.join(", "))).red().to_string(),
        }
    }
}

/// The schedule, grouped by day.
pub(crate) fn for_people(entries: &[Entry]) -> String {
    let titles: HashMap<&EntityId, &str> =
        entries.iter().map(|entry| (&entry.id, entry.event.title.as_str())).collect();
    let mut days: Vec<(Option<Date>, Vec<&Entry>)> = Vec::new();
    for entry in entries {
        match days.last_mut() {
            Some((day, entries)) if *day == entry.day() => entries.push(entry),
            _ => days.push((entry.day(), vec![entry])),
        }
    }
    let mut text = String::new();
    for (day, entries) in days {
        let day = day.map_or_else(|| "Some day".to_owned(), time::date_for_people);
        text.push_str(&format!("\n{}\n", style(day).bold()));
        let mut table = Table::default();
        for entry in entries {
            let title = plain(&entry.event.title);
            let title = if entry.event.cancelled {
                style(title).strikethrough().dim().to_string()
            } else {
                title
            };
            table.row([
                format!(
                    "{}–{}",
                    time::clock(entry.span.starts, &entry.zone),
                    time::clock(entry.span.ends, &entry.zone)
                ),
                short_places(&entry.places),
                entry.state(),
                format!("{title}\n{}", entry.remark(&titles)),
            ]);
        }
        text.push_str(&table.render("  "));
        text.push('\n');
    }
    text.trim_start_matches('\n').to_owned()
}

/// The places in at most 30 columns.
fn short_places(places: &[String]) -> String {
    let all = places.join(", ");
    let shown = match places {
        [first, _, ..] if console::measure_text_width(&all) > 30 => {
            format!("{} +{}", console::truncate_str(first, 26, "…"), places.len() - 1)
        }
        _ => all,
    };
    style(console::truncate_str(&shown, 30, "…")).cyan().to_string()
}

/// A verdict's name in its colour.
pub(crate) fn coloured(verdict: &str) -> String {
    match verdict {
        "confirmed" => style(verdict).green(),
        "conflicted" | "denied" | "invalid" => style(verdict).red(),
        "withdrawn" => style(verdict).dim(),
        _ => style(verdict).yellow(),
    }
    .to_string()
}
