//! `panda event`

use std::collections::BTreeSet;

use anyhow::{Result, anyhow, bail};
use p2panda_core::{
    EditError, EntityId, FestivalId, UserId,
    schema::{Event, Instant, Request, Span, Terms},
    view::View,
};
use serde_json::{Value, json};

use crate::{
    app::{App, Names},
    cli::{EventCommand, Texts, When},
    ids,
    judge::Judgement,
    output::{Table, count, plain},
    time,
};

pub(super) fn run(app: &mut App, command: &EventCommand) -> Result<()> {
    match command {
        EventCommand::Add { title, when, texts, requests } => {
            add(app, title, when, texts, requests)
        }
        EventCommand::Edit {
            event,
            title,
            when,
            texts,
            cancel,
            revive,
            add_editor,
            remove_editor,
        } => {
            let festival = app.festival()?;
            let (id, mut event) = ids::event(app.view(festival), event)?;
            if let Some(title) = title {
                event.title.clone_from(title);
            }
            if *cancel || *revive {
                event.cancelled = *cancel;
            }
            set_editors(app, festival, &id, &mut event, add_editor, remove_editor)?;
            edit(app, festival, &id, event, when, texts)
        }
        EventCommand::List => list(app),
    }
}

fn add(app: &mut App, title: &str, when: &When, texts: &Texts, requests: &[String]) -> Result<()> {
    let festival = app.festival()?;
    let mut event = Event { title: title.trim().to_owned(), ..Event::default() };
    set_times(app, festival, &mut event, when)?;
    set_texts(&mut event, texts);
    check(&event)?;
    let view = app.view(festival);
    let resources: Vec<EntityId> =
        requests.iter().map(|text| Ok(ids::resource(view, text)?.0)).collect::<Result<_>>()?;
    let span = span_of(&event);
    if !resources.is_empty() && span.is_none() {
        bail!("to request something the event needs a time: --starts, and --ends or --for");
    }
    let (id, requested) = app.edit(festival, |edit| {
        let id = edit.create(&event)?;
        let mut requested = Vec::new();
        let mut claimed = edit.now();
        for (resource, span) in resources.into_iter().zip(span.into_iter().cycle()) {
            let terms = Terms { event: id.clone(), resource, span, units: 1 };
            requested.push(edit.request(Request { terms, claimed, note: String::new() })?);
            // One after the other, so that the first one named stays the first.
            claimed = Instant::from_millis(claimed.millis() + 1);
        }
        Ok((id, requested))
    })?;
    app.out.answer(&json!({"event": id, "requests": requested}), || {
        let requests = match requested.len() {
            0 => String::new(),
            number => format!(", with {}", count(number, "request")),
        };
        format!("Planned \"{}\" as {}{requests}.", plain(&event.title), id.local)
    })
}

fn edit(
    app: &mut App,
    festival: FestivalId,
    id: &EntityId,
    mut event: Event,
    when: &When,
    texts: &Texts,
) -> Result<()> {
    set_times(app, festival, &mut event, when)?;
    set_texts(&mut event, texts);
    check(&event)?;
    app.edit(festival, |edit| Ok(edit.update(id, &event)?)).map_err(|error| {
        match error.downcast_ref() {
            Some(EditError::NotYours(_)) => anyhow!(
                "\"{}\" belongs to somebody else: only its owner and its editors can change it",
                plain(&event.title)
            ),
            _ => error,
        }
    })?;

    let judgement = Judgement::of(app.view(festival))?;
    let stale: Vec<&EntityId> = judgement
        .of_event(id)
        .iter()
        .filter(|asked| asked.fact.author == app.device.replica.user() && !asked.is_withdrawn())
        .filter(|asked| event.cancelled || Some(asked.request.terms.span) != span_of(&event))
        .map(|asked| &asked.fact.id)
        .collect();
    if !stale.is_empty() {
        app.out.note(format_args!(
            "{} of this event still stand for what it was; requests never change. Withdraw them \
             (`panda request withdraw ID`), and request anew what it needs:",
            count(stale.len(), "request")
        ));
        stale.iter().for_each(|id| app.out.note(format_args!("  {}", id.local)));
    }
    app.out.answer(&json!({"event": id, "stale_requests": stale}), || {
        format!("Changed \"{}\".", plain(&event.title))
    })
}

/// Says who may change the event besides its owner.
fn set_editors(
    app: &mut App,
    festival: FestivalId,
    id: &EntityId,
    event: &mut Event,
    add: &[UserId],
    remove: &[UserId],
) -> Result<()> {
    if add.is_empty() && remove.is_empty() {
        return Ok(());
    }
    app.edit(festival, |edit| {
        for user in add {
            edit.add_editor(id, user)?;
        }
        for user in remove {
            edit.remove_editor(id, user, true)?;
        }
        Ok(())
    })?;
    event.editors.extend(add);
    event.editors.retain(|user| !remove.contains(user));
    Ok(())
}

fn set_times(app: &App, festival: FestivalId, event: &mut Event, when: &When) -> Result<()> {
    let own = Some(event.zone.as_str()).filter(|zone| !zone.is_empty());
    let given = when.zone.as_deref().or(own);
    let (name, zone) = app.zone(festival, given)?;
    event.zone = name;
    let before = span_of(event);
    if let Some(starts) = &when.starts {
        let starts = time::parse(starts, &zone)?;
        event.starts = Some(starts);
        // An event that is moved keeps its length.
        event.ends = before.and_then(|span| {
            let length = span.ends.millis().checked_sub(span.starts.millis())?;
            starts.millis().checked_add(length).map(Instant::from_millis)
        });
    }
    if let Some(ends) = &when.ends {
        event.ends = Some(time::parse(ends, &zone)?);
    }
    if let Some(duration) = &when.duration {
        let starts =
            event.starts.ok_or_else(|| anyhow!("--for needs a start: add --starts TIME"))?;
        event.ends = Some(time::after(starts, duration)?);
    }
    Ok(())
}

fn set_texts(event: &mut Event, texts: &Texts) {
    let set = |field: &mut String, text: &Option<String>| {
        if let Some(text) = text {
            field.clone_from(text);
        }
    };
    set(&mut event.summary, &texts.summary);
    set(&mut event.description, &texts.description);
    set(&mut event.language, &texts.language);
    let replace = |field: &mut BTreeSet<String>, words: &[String]| {
        if !words.is_empty() {
            *field = words.iter().filter(|word| !word.is_empty()).cloned().collect();
        }
    };
    replace(&mut event.people, &texts.people);
    replace(&mut event.tags, &texts.tags);
}

fn check(event: &Event) -> Result<()> {
    if event.title.trim().is_empty() {
        bail!("an event needs a title");
    }
    match (event.starts, event.ends) {
        (None, None) => Ok(()),
        (Some(starts), Some(ends)) if starts < ends => Ok(()),
        (Some(_), Some(_)) => {
            bail!("the event ends before it starts: see --starts, --ends and --for")
        }
        (Some(_), None) => bail!("say when the event ends: --ends TIME or --for DURATION"),
        (None, Some(_)) => bail!("say when the event starts: --starts TIME"),
    }
}

/// When the event takes place, if that is known.
pub(crate) fn span_of(event: &Event) -> Option<Span> {
    Span::new(event.starts?, event.ends?)
}

fn list(app: &App) -> Result<()> {
    let view: View<'_> = app.view(app.festival()?);
    let names = Names::of(view)?;
    let mut events = Vec::new();
    for (id, event) in view.list::<Event>()? {
        match event {
            Ok(event) => events.push((id, event)),
            Err(malformed) => app.out.note(format_args!("event {id} is left out: {malformed}")),
        }
    }
    events.sort_by(|a, b| (a.1.starts, &a.0).cmp(&(b.1.starts, &b.0)));
    let mut values = Vec::new();
    let mut table = Table::default();
    for (id, event) in events {
        let owner = view.author(&id.document)?;
        let zone = time::zone_or_utc(&event.zone);
        let at = |instant: Option<_>| instant.map(|instant| time::rfc3339(instant, &zone));
        let span = span_of(&event).map(|span| time::span_for_people(span.starts, span.ends, &zone));
        let mark = if event.cancelled { "cancelled" } else { "" };
        table.row([
            id.local.to_string(),
            span.unwrap_or_else(|| "no time yet".to_owned()),
            owner.map_or_else(String::new, |owner| format!("by {}", names.of_user(&owner))),
            mark.to_owned(),
            plain(&event.title),
        ]);
        values.push(json!({
            "id": id,
            "title": event.title,
            "starts": at(event.starts),
            "ends": at(event.ends),
            "zone": event.zone,
            "cancelled": event.cancelled,
            "owner": owner,
            "mine": owner == Some(app.user()),
        }));
    }
    app.out.answer(&Value::Array(values), || table.render(""))
}
