//! `panda festival`

use anyhow::{Result, bail};
use p2panda_core::{
    Festival, FestivalId, Ticket,
    schema::{FestivalInfo, Profile},
};
use serde_json::{Value, json};

use crate::{
    app::{App, Names},
    cli::{CreateArgs, FestivalCommand},
    output::{Table, plain},
    time,
};

pub(super) fn run(app: &mut App, command: &FestivalCommand) -> Result<()> {
    match command {
        FestivalCommand::Create(args) => create(app, args),
        FestivalCommand::Join { ticket, name } => join(app, ticket, name.as_deref()),
        FestivalCommand::List => list(app),
        FestivalCommand::Ticket => ticket(app),
        FestivalCommand::Follow(args) => super::follow::follow(app, args),
        FestivalCommand::Link(args) => super::follow::link(app, args),
        FestivalCommand::Leave => leave(app),
    }
}

fn create(app: &mut App, args: &CreateArgs) -> Result<()> {
    if args.title.trim().is_empty() {
        bail!("a festival needs a title");
    }
    let (name, zone) = time::zone(&args.zone.clone().unwrap_or_else(time::local_zone))?;
    let read =
        |text: &Option<String>| text.as_deref().map(|text| time::parse(text, &zone)).transpose();
    let (starts, ends) = (read(&args.starts)?, read(&args.ends)?);
    if starts.zip(ends).is_some_and(|(starts, ends)| ends <= starts) {
        bail!("the festival ends before it starts: see --starts and --ends");
    }
    let info = FestivalInfo {
        title: args.title.trim().to_owned(),
        description: args.description.clone(),
        starts,
        ends,
        zone: name,
        place: args.place.clone(),
        ..FestivalInfo::default()
    };
    let device = &mut app.device;
    let festival = device.replica.create_festival(&info, time::now(), &mut device.rng)?;
    introduce(app, festival.id(), args.name.as_deref())?;
    answer_ticket(app, festival, |ticket| {
        format!("Founded \"{}\". Whoever has this ticket can join:\n\n{ticket}", plain(&info.title))
    })
}

fn join(app: &mut App, ticket: &str, name: Option<&str>) -> Result<()> {
    let festival = ticket.parse::<Ticket>()?.festival;
    let known = app.device.replica.festival(festival.id())?.is_some();
    app.device.replica.join(&festival)?;
    introduce(app, festival.id(), name)?;
    answer_ticket(app, festival, |_| {
        if known {
            "You take part in this festival already.".to_owned()
        } else {
            "You take part. Now sync with somebody who does: panda sync ADDRESS".to_owned()
        }
    })
}

/// Says how the user wants to be called.
fn introduce(app: &mut App, festival: FestivalId, name: Option<&str>) -> Result<()> {
    let Some(name) = name.map(str::trim).filter(|name| !name.is_empty()) else { return Ok(()) };
    let profile = Profile { name: name.to_owned(), about: String::new() };
    let local = "profile".parse()?;
    app.edit(festival, |edit| Ok(edit.put(&local, &profile)?))?;
    Ok(())
}

fn ticket(app: &App) -> Result<()> {
    let id = app.festival()?;
    let Some(festival) = app.device.replica.festival(id)? else {
        bail!("the festival {id} is gone")
    };
    answer_ticket(app, festival, |ticket| ticket.to_owned())
}

fn answer_ticket(app: &App, festival: Festival, text: impl FnOnce(&str) -> String) -> Result<()> {
    let id = festival.id();
    let ticket = Ticket { festival }.to_string();
    app.out.answer(&json!({"festival": id, "ticket": ticket}), || text(&ticket))
}

fn list(app: &App) -> Result<()> {
    let mut values = Vec::new();
    let mut table = Table::default();
    for festival in app.device.replica.festivals()? {
        let id = festival.id();
        let info = app.info(id)?;
        let zone = time::zone_or_utc(&info.zone);
        let at = |instant: Option<_>| instant.map(|instant| time::rfc3339(instant, &zone));
        values.push(json!({
            "festival": id,
            "title": info.title,
            "starts": at(info.starts),
            "ends": at(info.ends),
            "zone": info.zone,
            "place": info.place,
            "founder": festival.founder(),
            "mine": festival.founder() == app.user(),
        }));
        let title = match plain(&info.title) {
            title if title.is_empty() => "(not synced yet)".to_owned(),
            title => title,
        };
        let founder = Names::of(app.view(id))?.of_user(&festival.founder());
        table.row([crate::app::short(id), format!("by {founder}"), plain(&info.place), title]);
    }
    app.out.answer(&Value::Array(values), || {
        let text = table.render("");
        if text.is_empty() {
            "None yet: `panda festival create TITLE`, or `panda festival join TICKET`.".into()
        } else {
            text
        }
    })
}

fn leave(app: &mut App) -> Result<()> {
    let festival = app.festival()?;
    app.device.replica.leave_festival(festival)?;
    app.out.answer(&json!({"festival": festival}), || {
        "Left. Nothing of the festival is here any more; with a ticket you can join again."
            .to_owned()
    })
}
