//! `panda decide`

use anyhow::{Result, bail};
use p2panda_core::{
    EntityId, FestivalId,
    schema::{Answer, Decision, Record, Release},
};
use p2panda_policy::{Standing, Verdict};
use serde_json::json;

use crate::{
    app::App,
    cli::{DecideArgs, DecideCommand},
    ids,
    judge::{Asked, Judgement},
};

pub(super) fn run(app: &mut App, command: &DecideCommand) -> Result<()> {
    let (DecideCommand::Confirm(args) | DecideCommand::Deny(args) | DecideCommand::Release(args)) =
        command;
    app.device.check_may_decide()?;
    let festival = app.festival()?;
    let judgement = Judgement::of(app.view(festival))?;
    let asked = ids::request(&judgement, &args.request)?;
    if asked.resource.facts.owner != app.user() {
        bail!("\"{}\" belongs to somebody else, who decides about it", asked.resource.title());
    }
    match command {
        DecideCommand::Confirm(_) => answer(app, festival, asked, args, Answer::Confirm),
        DecideCommand::Deny(_) => answer(app, festival, asked, args, Answer::Deny),
        DecideCommand::Release(_) => release(app, festival, asked, args),
    }
}

fn answer(
    app: &mut App,
    festival: FestivalId,
    asked: Asked<'_>,
    args: &DecideArgs,
    answer: Answer,
) -> Result<()> {
    let Some(resource) = &asked.resource.facts.resource else {
        bail!("the resource is gone or cannot be read, so nothing can be decided about it");
    };
    match (asked.verdict, answer) {
        (Verdict::Confirmed { .. }, Answer::Confirm) => bail!("this request is confirmed already"),
        (Verdict::Confirmed { .. }, Answer::Deny) => {
            bail!("this request is confirmed; take that back with `panda decide release` first")
        }
        (Verdict::Denied { .. }, Answer::Deny) => bail!("this request is denied already"),
        (Verdict::Withdrawn { .. } | Verdict::Invalid { .. }, _) => {
            bail!("this request cannot be answered. {}", asked.verdict.explanation())
        }
        (Verdict::Conflicted { with, .. }, Answer::Confirm)
            if with.iter().any(|obstacle| obstacle.decision.is_some()) =>
        {
            bail!("you cannot promise that. {}", asked.verdict.explanation())
        }
        _ => {}
    }
    let decision = Decision {
        request: asked.fact.id.clone(),
        terms: asked.request.terms.clone(),
        policy: resource.policy.hash(),
        answer,
        reason: args.reason.clone(),
    };
    let request = asked.fact.id.clone();
    let id = app.edit(festival, |edit| Ok(edit.decide(decision)?))?;
    tell(app, festival, &json!({"decision": id, "request": request}), &request)
}

fn release(app: &mut App, festival: FestivalId, asked: Asked<'_>, args: &DecideArgs) -> Result<()> {
    let me = app.user();
    let allocation = &asked.resource.evaluation.allocation;
    let decisions: Vec<EntityId> = asked
        .resource
        .facts
        .records
        .iter()
        .filter(|fact| match &fact.record {
            Record::Decision(decision) => fact.author == me && decision.request == asked.fact.id,
            _ => false,
        })
        .filter(|fact| allocation.standing(&fact.id) != Some(&Standing::Released))
        .map(|fact| fact.id.clone())
        .collect();
    if decisions.is_empty() {
        bail!("you have not answered this request, so there is nothing to take back");
    }
    let request = asked.fact.id.clone();
    let resource = asked.request.terms.resource.clone();
    let release = Release { resource, decisions, reason: args.reason.clone() };
    let id = app.edit(festival, |edit| Ok(edit.release(release)?))?;
    tell(app, festival, &json!({"release": id, "request": request}), &request)
}

fn tell(
    app: &App,
    festival: FestivalId,
    value: &serde_json::Value,
    request: &EntityId,
) -> Result<()> {
    let judgement = Judgement::of(app.view(festival))?;
    let verdict = judgement.requests().find(|asked| asked.fact.id == *request);
    let verdict = verdict.map(|asked| asked.verdict.explanation()).unwrap_or_default();
    app.out.answer(value, || format!("Signed. {verdict}"))
}
