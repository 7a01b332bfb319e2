//! `panda block` and `panda forget`: what this home no longer wants.

use anyhow::{Result, anyhow};
use p2panda_core::UserId;
use serde_json::json;

use crate::app::App;

pub(super) fn block(app: &mut App, user: &str, undo: bool) -> Result<()> {
    let user = parse(user)?;
    if undo {
        app.device.replica.unblock(&user)?;
    } else {
        app.device.replica.block(user)?;
    }
    app.out.answer(&json!({"user": user, "blocked": !undo}), || {
        if undo {
            format!("What {user} writes is taken in again, from the next sync on.")
        } else {
            format!("What {user} wrote is removed here, and nothing more of it is taken in.")
        }
    })
}

pub(super) fn forget(app: &mut App, user: &str) -> Result<()> {
    let user = parse(user)?;
    app.device.replica.forget(user)?;
    app.out.answer(&json!({"user": user}), || {
        format!(
            "What {user} wrote is removed here. The next peer that has it may bring it back; \
             `panda block` keeps it away."
        )
    })
}

fn parse(user: &str) -> Result<UserId> {
    user.trim().parse().map_err(|error| anyhow!("{error}; `panda doctor` and --json show them"))
}
