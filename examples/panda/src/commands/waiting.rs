//! `panda waiting`: who has to act next.

use anyhow::{Context as _, Result};
use p2panda_core::schema::Event;
use p2panda_policy::{must_act, waits_for};
use serde_json::{Value, json};

use crate::{
    app::{App, Names, short},
    ids,
    judge::{self, Judgement},
    output::{Table, plain},
};

pub(super) fn run(app: &App, event: Option<&str>) -> Result<()> {
    let view = app.view(app.festival()?);
    let judgement = Judgement::of(view)?;
    let names = Names::of(view)?;
    let tasks = match event {
        Some(text) => {
            let (id, event) = ids::event(view, text)?;
            let hosts = judge::hosts(&event, view.author(&id.document)?);
            must_act(&id, &hosts, judgement.all())
        }
        None => waits_for(&app.user(), judgement.all()),
    };
    let mut values = Vec::new();
    let mut table = Table::default();
    for task in &tasks {
        let resource = judgement.resources.get(&task.resource).context("the resource is gone")?;
        let event = view.entity::<Event>(&task.event)?.and_then(Result::ok);
        let title = event.map_or_else(|| short(&task.event.local), |event| plain(&event.title));
        let who = task.user.map_or_else(|| "anyone".to_owned(), |user| names.of_user(&user));
        values.push(json!({
            "who": task.user,
            "what": task.what,
            "request": task.request,
            "resource": task.resource,
            "event": task.event,
            "by": task.requester,
        }));
        table.row([
            short(task.request.local.as_str().trim_start_matches('#')),
            format!("{who}: {}", task.what.words()),
            format!("{} for {title}", judge::title(resource)),
            format!("by {}", names.of_user(&task.requester)),
        ]);
    }
    app.out.answer(&Value::Array(values), || {
        if tasks.is_empty() { "Nothing waits.".to_owned() } else { table.render("") }
    })
}
