//! `panda fingerprint`

use anyhow::Result;
use serde_json::json;

use crate::app::App;

pub(super) fn run(app: &App) -> Result<()> {
    let replica = &app.device.replica;
    let (logs, view) = (hex(replica.fingerprint_logs()?), hex(replica.fingerprint_view()?));
    app.out.answer(&json!({"logs": logs, "view": view}), || format!("logs  {logs}\nview  {view}"))
}

pub(crate) fn hex(bytes: [u8; 32]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
