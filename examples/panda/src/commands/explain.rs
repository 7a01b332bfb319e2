//! `panda explain`: a verdict with everything that it rests on.

use anyhow::Result;
use p2panda_core::{EntityId, schema::Record, view::View};
use serde_json::{Value, json};

use crate::{
    app::{App, Names},
    ids,
    judge::Judgement,
    output::plain,
};

pub(super) fn run(app: &App, text: &str) -> Result<()> {
    let view = app.view(app.festival()?);
    let judgement = Judgement::of(view)?;
    let names = Names::of(view)?;
    let asked = ids::request(&judgement, text)?;
    let mut records = Vec::new();
    for id in asked.verdict.signatures() {
        records.push(record(view, id)?);
    }
    let findings: Vec<String> = asked
        .resource
        .evaluation
        .findings
        .iter()
        .filter(|finding| {
            finding.signatures().contains(&&asked.fact.id) || is_about(finding, &asked.fact.id)
        })
        .map(p2panda_policy::Finding::explanation)
        .collect();
    let value = json!({
        "request": asked.fact.id,
        "resource": asked.request.terms.resource,
        "event": asked.request.terms.event,
        "by": asked.fact.author,
        "verdict": asked.verdict,
        "explanation": asked.verdict.explanation(),
        "rests_on": records,
        "findings": findings,
    });
    app.out.answer(&value, || {
        let mut lines = vec![
            format!(
                "{} for {}, asked by {}",
                super::schedule::coloured(asked.verdict.name()),
                asked.title(),
                names.of_user(&asked.fact.author)
            ),
            asked.verdict.explanation(),
        ];
        for record in &records {
            let text = |key: &str| record[key].as_str().unwrap_or_default().to_owned();
            let by = text("by")
                .parse()
                .map_or_else(|_| "nobody known".to_owned(), |by| names.of_user(&by));
            lines.push(format!(
                "  {} {} by {by} {}",
                text("what"),
                text("id"),
                plain(&text("words"))
            ));
        }
        lines.extend(findings.iter().map(|finding| format!("  ! {finding}")));
        lines.join("\n")
    })
}

fn is_about(finding: &p2panda_policy::Finding, id: &EntityId) -> bool {
    use p2panda_policy::Finding as F;
    match finding {
        F::BrokenPromise { request, .. }
        | F::Contradiction { request, .. }
        | F::OtherTerms { request, .. }
        | F::Stale { request, .. }
        | F::Unreleased { request, .. } => request == id,
        _ => false,
    }
}

/// A signed record as data: what it is, who signed it, and their words.
fn record(view: View<'_>, id: &EntityId) -> Result<Value> {
    let Some(fact) = view.record(id)? else {
        return Ok(json!({"id": id, "what": "a record that has not arrived", "by": null}));
    };
    let (what, words) = match &fact.record {
        Record::Request(request) => ("request", &request.note),
        Record::Decision(decision) => ("decision", &decision.reason),
        Record::Release(release) => ("release", &release.reason),
        Record::Withdrawal(withdrawal) => ("withdrawal", &withdrawal.reason),
    };
    Ok(json!({"id": id, "what": what, "by": fact.author, "words": words}))
}
