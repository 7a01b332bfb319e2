//! `panda resource`

use anyhow::{Context as _, Result, anyhow, bail};
use p2panda_core::{
    DocumentDescriptor, EntityId, FestivalId, LocalId,
    schema::{Draw, Resource, Span, Spans},
};
use p2panda_policy::{Filling, Policies};
use serde_json::{Value, json};

use crate::{
    app::{App, Names},
    cli::{ResourceCommand, ResourceData},
    ids,
    judge::Judgement,
    output::{Table, plain},
    policies::{Reader, shown},
    time,
};

pub(super) fn run(app: &mut App, command: &ResourceCommand) -> Result<()> {
    match command {
        ResourceCommand::Add { title, data } => add(app, title, data),
        ResourceCommand::Edit { resource, title, data } => {
            edit(app, resource, title.as_deref(), data)
        }
        ResourceCommand::Show { resource } => show(app, resource),
        ResourceCommand::List => list(app),
    }
}

fn add(app: &mut App, title: &str, data: &ResourceData) -> Result<()> {
    if title.trim().is_empty() {
        bail!("a resource needs a title");
    }
    let festival = app.festival()?;
    let local = LocalId::random(&mut app.device.rng);
    let document = DocumentDescriptor { festival, user: app.user(), label: String::new() };
    let id = EntityId::new(document.id(), local.clone());
    let mut resource = Resource {
        title: title.trim().to_owned(),
        policy: p2panda_policy::FirstCome::spec(),
        ..Resource::default()
    };
    set(app, festival, &id, &mut resource, data)?;
    app.edit(festival, |edit| Ok(edit.put(&local, &resource)?))?;
    app.out.answer(&json!({"resource": id}), || {
        format!("Offered \"{}\" as {}.", plain(&resource.title), id.local)
    })
}

fn edit(app: &mut App, text: &str, title: Option<&str>, data: &ResourceData) -> Result<()> {
    let festival = app.festival()?;
    let (id, mut resource) = ids::resource(app.view(festival), text)?;
    let descriptor = app.view(festival).descriptor(&id.document)?;
    let descriptor = descriptor.filter(|own| own.user == app.user()).ok_or_else(|| {
        anyhow!("\"{}\" belongs to somebody else: only its owner can change it", resource.title)
    })?;
    if let Some(title) = title {
        title.trim().clone_into(&mut resource.title);
    }
    let before = resource.policy.clone();
    set(app, festival, &id, &mut resource, data)?;
    app.edit(festival, |edit| Ok(edit.label(&descriptor.label).put(&id.local, &resource)?))?;
    if resource.policy != before {
        app.out.note(
            "Votes count under the policy under which they were given: voters have to vote again.",
        );
    }
    app.out.answer(&json!({"resource": id}), || format!("Changed \"{}\".", plain(&resource.title)))
}

/// Writes what was said into the resource.
fn set(
    app: &App,
    festival: FestivalId,
    id: &EntityId,
    resource: &mut Resource,
    data: &ResourceData,
) -> Result<()> {
    let (_, zone) = app.zone(festival, None)?;
    let copy = |to: &mut i64, from: Option<i64>| *to = from.unwrap_or(*to);
    copy(&mut resource.capacity, data.capacity);
    copy(&mut resource.minimum, data.minimum);
    copy(&mut resource.unit_amount, data.unit_amount);
    resource.consumable |= data.consumable;
    if let Some(unit) = &data.unit {
        resource.unit.clone_from(unit);
    }
    if let Some(description) = &data.description {
        resource.description.clone_from(description);
    }
    if !data.tags.is_empty() {
        resource.tags = data.tags.iter().cloned().collect();
    }
    for (to, from) in [
        (&mut resource.buffer_before, &data.buffer_before),
        (&mut resource.buffer_after, &data.buffer_after),
    ] {
        if let Some(text) = from {
            *to = time::length(text)?;
        }
    }
    for (to, from) in
        [(&mut resource.available, &data.available), (&mut resource.slots, &data.slots)]
    {
        if !from.is_empty() {
            let spans: Vec<Span> =
                from.iter().map(|text| time::parse_span(text, &zone)).collect::<Result<_>>()?;
            *to = Spans::new(spans).with_context(|| {
                format!("at most {} times can be named, none of them empty", Spans::MAX)
            })?;
        }
    }
    if let Some(text) = &data.policy {
        let seed = Draw::seed(&app.device.home.read_key()?.secret(), id);
        resource.policy = Reader { view: app.view(festival), zone, seed }.read(text)?;
        Policies::default()
            .check(&resource.policy, app.user())
            .map_err(|why| anyhow!("this policy makes no sense: {why}"))?;
    }
    Ok(())
}

fn show(app: &App, text: &str) -> Result<()> {
    let view = app.view(app.festival()?);
    let (id, resource) = ids::resource(view, text)?;
    let names = Names::of(view)?;
    let judgement = Judgement::of(view)?;
    let judged = judgement.resources.get(&id).context("the resource is gone")?;
    let zone = app.zone(view.festival(), None)?.1;
    let span = |span: &Span| json!({"starts": time::rfc3339(span.starts, &zone), "ends": time::rfc3339(span.ends, &zone)});
    let spans = |spans: &Spans| spans.as_slice().iter().map(span).collect::<Vec<_>>();
    let slots = resource.slots.as_slice().iter();
    let filled: Vec<(Span, Filling)> =
        slots.map(|slot| (*slot, Filling::of(judged, slot))).collect();
    let findings: Vec<String> =
        judged.evaluation.findings.iter().map(p2panda_policy::Finding::explanation).collect();
    let value = json!({
        "id": id,
        "title": resource.title,
        "owner": judged.facts.owner,
        "policy": shown(&resource.policy, &names),
        "capacity": resource.capacity,
        "minimum": resource.minimum,
        "consumable": resource.consumable,
        "unit": resource.unit,
        "unit_amount": resource.unit_amount,
        "buffer_before_ms": resource.buffer_before,
        "buffer_after_ms": resource.buffer_after,
        "available": spans(&resource.available),
        "slots": filled.iter().map(|(slot, filling)| {
            let mut value = span(slot);
            value["filling"] = json!(filling);
            value
        }).collect::<Vec<_>>(),
        "findings": findings,
    });
    app.out.answer(&value, || {
        let mut lines = vec![
            plain(&resource.title),
            format!(
                "  {} by {}",
                shown(&resource.policy, &names),
                names.of_user(&judged.facts.owner)
            ),
            format!("  {}", units(&resource)),
        ];
        for (slot, filling) in &filled {
            lines.push(format!(
                "  {}: {} of {} to {}{}",
                time::span_for_people(slot.starts, slot.ends, &zone),
                filling.confirmed,
                filling.minimum,
                filling.maximum,
                if filling.is_enough() { "" } else { ", not enough yet" },
            ));
        }
        lines.extend(findings.iter().map(|finding| format!("  ! {finding}")));
        lines.join("\n")
    })
}

/// How much there is, in words.
fn units(resource: &Resource) -> String {
    let each = match (resource.unit_amount, plain(&resource.unit)) {
        (_, unit) if unit.is_empty() => String::new(),
        (1, unit) => format!(" × {unit}"),
        (amount, unit) => format!(" × {amount} {unit}"),
    };
    let how = if resource.consumable { ", used up" } else { "" };
    format!("{}{each}{how}", resource.capacity)
}

fn list(app: &App) -> Result<()> {
    let view = app.view(app.festival()?);
    let names = Names::of(view)?;
    let mut values = Vec::new();
    let mut table = Table::default();
    for (id, resource) in view.list::<Resource>()? {
        let resource = match resource {
            Ok(resource) => resource,
            Err(malformed) => {
                app.out.note(format_args!("resource {id} is left out: {malformed}"));
                continue;
            }
        };
        let owner = view.author(&id.document)?;
        values.push(json!({
            "id": id,
            "title": resource.title,
            "capacity": resource.capacity,
            "policy": resource.policy.kind,
            "owner": owner,
            "mine": owner == Some(app.user()),
            "tags": resource.tags,
        }));
        let many = resource.capacity != 1 || !resource.unit.is_empty();
        let amount = if many { format!("×{}", units(&resource)) } else { String::new() };
        let owner = owner.map_or_else(String::new, |owner| format!("by {}", names.of_user(&owner)));
        table.row([
            id.local.to_string(),
            amount,
            shown(&resource.policy, &names),
            owner,
            plain(&resource.title),
        ]);
    }
    app.out.answer(&Value::Array(values), || table.render(""))
}
