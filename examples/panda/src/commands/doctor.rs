//! `panda doctor`: what is held but does not count, and why.

use anyhow::Result;
use p2panda_core::{CutBranch, Fork, LogId, Stopped, UserId};
use serde_json::{Value, json};

use crate::{
    app::{App, Names, short},
    output::{count, plain},
};

pub(super) fn run(app: &App) -> Result<()> {
    let replica = &app.device.replica;
    let (mut stopped, mut forks, mut malformed) = (Vec::new(), Vec::new(), Vec::new());
    let mut lines = Vec::new();
    let mut may_decide = true;
    for festival in replica.festivals()? {
        let id = festival.id();
        let names = Names::of(app.view(id))?;
        if !replica.may_decide(id) {
            may_decide = false;
            lines.push(format!(
                "This home may not decide yet in \"{}\": it may not know all that its key promised \
                 there. Sync once; or, if there is no other copy of it, `panda init --only-copy`.",
                plain(&app.info(id)?.title),
            ));
        }
        for (log, why) in replica.stopped_logs(id)? {
            let author = app.view(id).author(&log.document)?;
            let by = author.map_or_else(|| "somebody".to_owned(), |user| names.of_user(&user));
            lines.push(format!("Log {} of {by}: {}.", name(&log), reason(why)));
            stopped.push(json!({
                "festival": id, "log": log_json(&log), "author": author, "why": why_json(why),
            }));
        }
        for fork in replica.forks(id)? {
            lines.push(describe(&fork, &names.of_user(&fork.author), app.user()));
            forks.push(fork_json(&id.to_string(), &fork));
        }
        for (entity, why) in app.view(id).malformed()? {
            let why = plain(&why.to_string());
            lines.push(format!("{entity}: {why}."));
            malformed.push(json!({"festival": id, "id": entity, "why": why}));
        }
    }
    let blocked = replica.blocked()?;
    lines.extend(blocked.iter().map(|user| format!("{user} is blocked here.")));
    let answer = json!({
        "may_decide": may_decide,
        "stopped": stopped,
        "forks": forks,
        "malformed": malformed,
        "blocked": blocked,
    });
    app.out.answer(&answer, || {
        if lines.is_empty() {
            "All that is held here counts and shows.".to_owned()
        } else {
            lines.join("\n")
        }
    })
}

/// A log's name for people: the beginnings of its document and incarnation.
pub(super) fn name(log: &LogId) -> String {
    format!("{}.{}", short(log.document), short(log.incarnation))
}

fn reason(why: Stopped) -> String {
    match why {
        Stopped::Waiting => {
            "it waits for something that has not arrived, or was cut off".to_owned()
        }
        Stopped::Refused(refusal) => format!("it stands still, for everyone: {refusal}"),
        Stopped::Failed => {
            "this version could not apply it: please report that, and try a newer one".to_owned()
        }
    }
}

fn why_json(why: Stopped) -> Value {
    match why {
        Stopped::Waiting => json!("waiting"),
        Stopped::Refused(refusal) => json!({"refused": refusal}),
        Stopped::Failed => json!("failed"),
    }
}

fn describe(fork: &Fork, author: &str, user: UserId) -> String {
    let entries: u64 = fork.branches.iter().map(|branch| branch.entries).sum();
    let mut text = format!(
        "Log {} of {author}: two versions were signed with its key. It counts up to entry {}; {} \
         behind that stand aside.",
        name(&fork.log),
        fork.at.length,
        count(usize::try_from(entries).unwrap_or(usize::MAX), "change"),
    );
    if fork.author == user && entries > 0 {
        let branches = fork.branches.iter().map(|branch| short(branch.end.chain));
        text.push_str(&format!(
            " It is yours: `panda fork reissue {}` writes them again (branch {}).",
            name(&fork.log),
            branches.collect::<Vec<_>>().join(" or "),
        ));
    }
    text
}

fn log_json(log: &LogId) -> Value {
    json!({"document": log.document, "incarnation": log.incarnation, "name": name(log)})
}

fn fork_json(festival: &str, fork: &Fork) -> Value {
    let branch = |branch: &CutBranch| json!({"end": branch.end.chain, "entries": branch.entries});
    json!({
        "festival": festival,
        "log": log_json(&fork.log),
        "author": fork.author,
        "at": fork.at.length,
        "branches": fork.branches.iter().map(branch).collect::<Vec<_>>(),
    })
}
