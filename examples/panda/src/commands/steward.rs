//! `panda steward --once`

use anyhow::Result;
use serde_json::json;

use crate::{
    app::App,
    home,
    output::count,
    stewarding::{Signed, Steward},
};

pub(super) fn once(app: &mut App) -> Result<()> {
    let only = app.chosen.as_ref().map(|_| app.festival()).transpose()?;
    home::check_may_decide(&app.device.replica, only)?;
    let bar = app.out.progress("deciding");
    let mut steward = Steward::new(app.device.home.clone(), home::rng()?);
    let signed = steward.run(&mut app.device.replica, only, |done, total| {
        bar.set_length(total as u64);
        bar.set_position(done as u64);
    })?;
    bar.finish_and_clear();
    let Signed { confirmed, released } = signed;
    app.out.answer(&json!({"confirmed": confirmed, "released": released}), || describe(signed))
}

pub(crate) fn describe(signed: Signed) -> String {
    match (signed.confirmed, signed.released) {
        (0, 0) => "Nothing to decide.".to_owned(),
        (confirmed, 0) => format!("Confirmed {}.", count(confirmed, "request")),
        (confirmed, released) => {
            format!(
                "Confirmed {}, released {}.",
                count(confirmed, "request"),
                count(released, "promise")
            )
        }
    }
}
