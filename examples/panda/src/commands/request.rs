//! `panda request`

use anyhow::{Result, bail};
use p2panda_core::{
    EntityId,
    schema::{Request, Span, Terms, Withdrawal},
};
use p2panda_policy::Verdict;
use serde_json::{Value, json};

use super::event::span_of;
use crate::{
    app::{App, Names},
    cli::RequestCommand,
    ids,
    judge::{Asked, Judgement},
    output::{Table, plain},
    time,
};

pub(super) fn run(app: &mut App, command: &RequestCommand) -> Result<()> {
    match command {
        RequestCommand::Add { event, resource, units, starts, ends, note } => {
            let times = (starts.as_deref(), ends.as_deref());
            let (id, terms) = terms(app, event, resource, *units, times)?;
            add(app, id, terms, note)
        }
        RequestCommand::Withdraw { request, reason } => withdraw(app, request, reason),
        RequestCommand::List { event, resource, mine } => {
            list(app, event.as_deref(), resource.as_deref(), *mine)
        }
    }
}

fn terms(
    app: &App,
    event: &str,
    resource: &str,
    units: i64,
    (starts, ends): (Option<&str>, Option<&str>),
) -> Result<(p2panda_core::FestivalId, Terms)> {
    let festival = app.festival()?;
    let view = app.view(festival);
    let (event_id, event) = ids::event(view, event)?;
    let (resource_id, resource) = ids::resource(view, resource)?;
    if units > resource.capacity {
        bail!(
            "\"{}\" has {} units, you ask for {units}",
            plain(&resource.title),
            resource.capacity
        );
    }
    let (_, zone) =
        app.zone(festival, Some(event.zone.as_str()).filter(|zone| !zone.is_empty()))?;
    let own = span_of(&event);
    let read =
        |text: Option<&str>, own| text.map_or(Ok(own), |text| time::parse(text, &zone).map(Some));
    let starts = read(starts, own.map(|span| span.starts))?;
    let ends = read(ends, own.map(|span| span.ends))?;
    let span = match (starts, ends) {
        (Some(starts), Some(ends)) => match Span::new(starts, ends) {
            Some(span) => span,
            None => bail!("the request ends before it starts: see --starts and --ends"),
        },
        _ => bail!("the event has no time yet: say for when you ask, with --starts and --ends"),
    };
    Ok((festival, Terms { event: event_id, resource: resource_id, span, units }))
}

fn add(app: &mut App, festival: p2panda_core::FestivalId, terms: Terms, note: &str) -> Result<()> {
    let id = app.edit(festival, |edit| {
        let request = Request { terms, claimed: edit.now(), note: note.to_owned() };
        Ok(edit.request(request)?)
    })?;
    let judgement = Judgement::of(app.view(festival))?;
    let verdict = judgement.requests().find(|asked| asked.fact.id == id).map(|asked| asked.verdict);
    let name = verdict.map_or("requested", Verdict::name);
    let explanation = verdict.map(Verdict::explanation).unwrap_or_default();
    app.out.answer(&json!({"request": id, "verdict": name, "explanation": explanation}), || {
        format!("Asked, as {}. {explanation}", id.local.as_str().trim_start_matches('#'))
    })
}

fn withdraw(app: &mut App, text: &str, reason: &str) -> Result<()> {
    let festival = app.festival()?;
    let judgement = Judgement::of(app.view(festival))?;
    let asked = ids::request(&judgement, text)?;
    if asked.fact.author != app.user() {
        bail!("this request was made by somebody else; only its requester can withdraw it");
    }
    if asked.is_withdrawn() {
        bail!("this request is withdrawn already; withdrawing is for ever");
    }
    let withdrawal = Withdrawal {
        resource: asked.request.terms.resource.clone(),
        request: asked.fact.id.clone(),
        reason: reason.to_owned(),
    };
    let request: EntityId = asked.fact.id.clone();
    app.edit(festival, |edit| Ok(edit.withdraw(withdrawal)?))?;
    app.out.answer(&json!({"request": request}), || "Withdrawn.".to_owned())
}

fn list(app: &App, event: Option<&str>, resource: Option<&str>, mine: bool) -> Result<()> {
    let view = app.view(app.festival()?);
    let event = event.map(|text| ids::event(view, text)).transpose()?.map(|(id, _)| id);
    let resource = resource.map(|text| ids::resource(view, text)).transpose()?.map(|(id, _)| id);
    let judgement = Judgement::of(view)?;
    let names = Names::of(view)?;
    let me = app.user();
    let wanted = |asked: &Asked<'_>| {
        let terms = &asked.request.terms;
        event.as_ref().is_none_or(|event| terms.event == *event)
            && resource.as_ref().is_none_or(|resource| terms.resource == *resource)
            && (!mine || waits_for(asked, &me))
    };
    let mut values = Vec::new();
    let mut table = Table::default();
    let mut events = std::collections::HashMap::new();
    for asked in judgement.requests().filter(wanted) {
        let terms = &asked.request.terms;
        if !events.contains_key(&terms.event) {
            let event = view.entity::<p2panda_core::schema::Event>(&terms.event)?;
            events.insert(&terms.event, event.and_then(Result::ok));
        }
        let event = events.get(&terms.event).and_then(Option::as_ref);
        let zone = time::zone_or_utc(event.map_or("", |event| &event.zone));
        values.push(json!({
            "id": asked.fact.id,
            "event": terms.event,
            "resource": terms.resource,
            "starts": time::rfc3339(terms.span.starts, &zone),
            "ends": time::rfc3339(terms.span.ends, &zone),
            "units": terms.units,
            "note": asked.request.note,
            "by": asked.fact.author,
            "verdict": asked.verdict.name(),
            "explanation": asked.verdict.explanation(),
        }));
        let title = event
            .map_or_else(|| crate::app::short(&terms.event.local), |event| plain(&event.title));
        table.row([
            crate::app::short(asked.fact.id.local.as_str().trim_start_matches('#')),
            super::schedule::coloured(asked.verdict.name()),
            time::span_for_people(terms.span.starts, terms.span.ends, &zone),
            format!("{} for {title}", asked.title()),
            format!("by {}", names.of_user(&asked.fact.author)),
            asked.verdict.explanation(),
        ]);
    }
    app.out.answer(&Value::Array(values), || table.render(""))
}

fn waits_for(asked: &Asked<'_>, me: &p2panda_core::UserId) -> bool {
    asked.verdict.waits_for().contains(me)
}
