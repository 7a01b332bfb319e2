//! `panda status`

use anyhow::Result;
use serde_json::json;

use crate::{
    app::App,
    output::{Table, count, plain},
};

/// What is held of the festival and not shown, and why.
pub(super) fn run(app: &App) -> Result<()> {
    let festival = app.festival()?;
    let mut table = Table::default();
    let mut stopped = Vec::new();
    for (log, why) in app.device.replica.stopped_logs(festival)? {
        let (document, incarnation) = (log.document, log.incarnation);
        let why = format!("{why:?}");
        table.row([format!("log {document}/{incarnation}"), why.clone()]);
        stopped.push(json!({"document": document, "incarnation": incarnation, "why": why}));
    }
    let mut malformed = Vec::new();
    for (id, why) in app.view(festival).malformed()? {
        let why = plain(&why.to_string());
        table.row([id.to_string(), why.clone()]);
        malformed.push(json!({"id": id, "why": why}));
    }
    let number = stopped.len() + malformed.len();
    app.out.answer(&json!({"stopped": stopped, "malformed": malformed}), || {
        if number == 0 {
            return "Everything that is held is shown.".to_owned();
        }
        format!("{}:\n{}", count(number, "thing held and not shown"), table.render("  "))
    })
}
