//! `panda decide` and `panda vote`

use anyhow::{Result, bail};
use p2panda_core::{
    EntityId, FestivalId, LocalId,
    schema::{Answer, Decision, Record, Release, Resource, Terms},
};
use p2panda_policy::{Allocation, Policies, Standing, Verdict};
use serde_json::json;

use crate::{
    app::App,
    cli::{DecideArgs, DecideCommand},
    home::check_may_decide,
    ids,
    judge::{Asked, Judgement},
};

/// In which role somebody answers.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum As {
    /// The resource is theirs.
    Owner,
    /// The resource's policy asks them.
    Voter,
}

pub(super) fn run(app: &mut App, command: &DecideCommand, role: As) -> Result<()> {
    let (DecideCommand::Confirm(args) | DecideCommand::Deny(args) | DecideCommand::Release(args)) =
        command;
    let festival = app.festival()?;
    check_may_decide(&app.device.replica, Some(festival))?;
    let judgement = Judgement::of(app.view(festival))?;
    let asked = ids::request(&judgement, &args.request)?;
    let facts = &asked.resource.facts;
    let owns = facts.owner == app.user();
    match role {
        As::Owner if !owns => {
            bail!("\"{}\" belongs to somebody else, who decides about it", asked.title())
        }
        As::Voter if owns => bail!("\"{}\" is yours: `panda decide` decides", asked.title()),
        As::Voter => {
            let policy = facts.resource.as_ref().map(|resource| &resource.policy);
            let asks = |spec| Policies::default().asks(spec, facts.owner, &app.user());
            if !policy.is_some_and(asks) {
                bail!("the policy of \"{}\" does not ask you", asked.title());
            }
        }
        As::Owner => {}
    }
    match command {
        DecideCommand::Confirm(_) => answer(app, festival, asked, args, Answer::Confirm, role),
        DecideCommand::Deny(_) => answer(app, festival, asked, args, Answer::Deny, role),
        DecideCommand::Release(_) => release(app, festival, asked, args),
    }
}

fn answer(
    app: &mut App,
    festival: FestivalId,
    asked: Asked<'_>,
    args: &DecideArgs,
    answer: Answer,
    role: As,
) -> Result<()> {
    let Some(resource) = &asked.resource.facts.resource else {
        bail!("the resource is gone or cannot be read, so nothing can be decided about it");
    };
    match (asked.verdict, answer) {
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
    let me = app.user();
    let terms = &asked.request.terms;
    let mine = Some(&asked.resource.evaluation.allocation).filter(|_| role == As::Owner);
    if let Some(own) = mine.or_else(|| asked.resource.evaluation.votes.of(&me)) {
        let confirmed = own.grant(&asked.fact.id, terms).is_some();
        match answer {
            Answer::Confirm if confirmed => bail!("this request is confirmed already, by you"),
            Answer::Deny if confirmed => {
                bail!("you confirmed this request; take that back with `release` first")
            }
            Answer::Confirm if !has_room(resource, own, terms) => bail!(
                "you promised other requests that do not fit beside this one; release them first"
            ),
            _ => {}
        }
    }
    let decision = Decision {
        request: asked.fact.id.clone(),
        terms: terms.clone(),
        policy: resource.policy.hash(),
        answer,
        reason: args.reason.clone(),
    };
    let name = LocalId::of_record(&Record::Decision(decision.clone()).to_bytes());
    let known = |fact: &p2panda_core::view::Fact| fact.id.local == name && fact.author == me;
    if asked.resource.facts.records.iter().any(known) {
        bail!(
            "you gave this answer before; if you took it back, say with --reason why you give it again"
        );
    }
    let request = asked.fact.id.clone();
    let id = app.edit(festival, |edit| Ok(edit.decide(decision)?))?;
    tell(app, festival, &json!({"decision": id, "request": request}), &request)
}

/// Whether own promises leave room for these terms at every moment.
fn has_room(resource: &Resource, own: &Allocation, terms: &Terms) -> bool {
    let wanted = resource.occupied(&terms.span);
    let held: Vec<_> = own
        .grants()
        .iter()
        .map(|grant| (resource.occupied(&grant.terms.span), grant.terms.units))
        .filter(|(span, _)| span.overlaps(&wanted))
        .collect();
    let moments = held.iter().map(|(span, _)| span.starts.max(wanted.starts));
    moments.into_iter().all(|moment| {
        let now = held.iter().filter(|(span, _)| span.starts <= moment && moment < span.ends);
        let used = now.fold(terms.units, |sum, (_, units)| sum.saturating_add(*units));
        used <= resource.capacity
    })
}

fn release(app: &mut App, festival: FestivalId, asked: Asked<'_>, args: &DecideArgs) -> Result<()> {
    let me = app.user();
    let evaluation = &asked.resource.evaluation;
    let own = if asked.resource.facts.owner == me {
        Some(&evaluation.allocation)
    } else {
        evaluation.votes.of(&me)
    };
    let decisions: Vec<EntityId> = asked
        .resource
        .facts
        .records
        .iter()
        .filter(|fact| match &fact.record {
            Record::Decision(decision) => fact.author == me && decision.request == asked.fact.id,
            _ => false,
        })
        .filter(|fact| own.and_then(|own| own.standing(&fact.id)) != Some(&Standing::Released))
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
