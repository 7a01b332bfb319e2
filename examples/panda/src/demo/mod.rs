//! `panda demo`: three people with stores of their own plan apart, meet in pairs, and agree.

mod peer;
mod show;
mod stage;

use std::{
    path::{Path, PathBuf},
    time::Instant as Stopwatch,
};

use anyhow::{Context as _, Result, bail};
use interchange::{
    Schedule,
    frab::{self, ParseOptions},
};
use p2panda_core::{
    EntityId, Festival, FestivalId,
    schema::{Event, FestivalInfo, Instant, PolicySpec, Request, Resource, Span, Terms},
};

use crate::{
    commands::import,
    output::{Output, count},
    time,
};
use peer::{Meeting, Peer, meet};

#[derive(Debug, clap::Args)]
pub(crate) struct DemoArgs {
    /// A schedule in frab/c3voc JSON, in place of the built-in one
    #[arg(long, value_name = "FILE")]
    pub(crate) schedule: Option<PathBuf>,
}

/// A schedule small enough to look at.
pub(crate) const BUILT_IN: &[u8] = include_bytes!("schedule.json");

/// How much earlier Cleo says that she asked.
const EARLIER: i64 = 5 * 60 * 1000;

/// What the demo contends for.
struct Contest {
    stage: EntityId,
    room: String,
    span: Span,
    zone: String,
    winner: EntityId,
    loser: EntityId,
}

pub(crate) fn run(args: &DemoArgs, out: Output) -> Result<()> {
    let stopwatch = Stopwatch::now();
    let (schedule, skipped) = match &args.schedule {
        Some(path) => import::read(path, None)?,
        None => frab::parse(BUILT_IN, &ParseOptions::default())
            .context("the built-in schedule is damaged")?,
    };
    if !skipped.is_empty() {
        out.note(format_args!("Of the file, this is left out:{}", import::left_out(&skipped)));
    }
    let folder = tempfile::tempdir().context("there is no place for the three homes")?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let played = runtime.block_on(play(&schedule, folder.path(), out, stopwatch));
    drop(runtime);
    let removed = folder.close().context("the three homes could not be removed");
    played.and(removed)
}

async fn play(schedule: &Schedule, folder: &Path, out: Output, stopwatch: Stopwatch) -> Result<()> {
    out.say(show::headline())?;
    let mut meetings = Vec::new();
    let [mut ada, mut ben, mut cleo] =
        [Peer::new("Ada", folder)?, Peer::new("Ben", folder)?, Peer::new("Cleo", folder)?];
    let now = time::now();

    let festival = found(&mut ada, schedule, now, out)?;
    let id = festival.id();
    ben.join(&festival, now)?;
    cleo.join(&festival, now)?;
    let fog = cleo.edit(id, now, |edit| Ok(edit.create(&resource("Fog machine", "manual"))?))?;
    meetings.push(meet(&cleo, &ada).await?);
    meetings.push(meet(&ben, &ada).await?);
    out.say(show::step(
        2,
        "Ben and Cleo join with a ticket and fetch it all; Cleo lends her fog machine",
    ))?;
    out.say(show::meetings(&meetings))?;

    let contest = apart(schedule, id, [&mut ada, &mut ben, &mut cleo], &fog, now)?;
    let here = time::zone_or_utc(&contest.zone);
    let when = time::span_for_people(contest.span.starts, contest.span.ends, &here);
    out.say(show::step(3, "They go offline, and each goes on planning"))?;
    let mut lines = Vec::new();
    for (peer, event, what) in
        [(&mut ben, &contest.winner, "Fire show"), (&mut cleo, &contest.loser, "Moon choir")]
    {
        let verdict = show::stage_verdict(peer, id, event, &contest.stage)?;
        lines.push(format!(
            "{} wants {} for \"{what}\", {when}: {}",
            peer.name, contest.room, verdict.name
        ));
    }
    lines.push("Ada plans a farewell, and says where the lost and found is".to_owned());
    out.say(show::bullets(&lines))?;

    out.say(show::step(
        4,
        "They meet in pairs, over TCP; Ada's steward decides as requests come in",
    ))?;
    let first = meetings.len();
    meetings.push(meet(&ben, &ada).await?);
    let after_ben = ada.decide(|_, _| {})?;
    meetings.push(meet(&cleo, &ada).await?);
    let after_cleo = ada.decide(|_, _| {})?;
    meetings.push(meet(&ben, &cleo).await?);
    out.say(show::meetings(meetings.get(first..).unwrap_or_default()))?;
    out.say(show::bullets(&[
        format!(
            "after Ben came, Ada's steward confirmed {}",
            count(after_ben.confirmed, "request")
        ),
        format!(
            "after Cleo came, it confirmed {}: the stage was promised",
            count(after_cleo.confirmed, "request")
        ),
    ]))?;

    out.say(show::step(5, "The day, as all three see it now"))?;
    out.say(show::day(&mut ben, id, &contest)?)?;
    let result =
        show::Outcome::of([&mut ada, &mut ben, &mut cleo], id, &contest, &meetings, stopwatch)?;
    out.say(show::step(6, &format!("Who got {}, and why", contest.room)))?;
    out.say(result.why())?;
    out.say(show::step(7, "What travelled"))?;
    out.say(result.travelled())?;
    out.say(show::step(8, "Do they agree?"))?;
    out.answer(&result.json(), || result.agreement())?;
    if !result.equal() {
        bail!("the three do not agree: their fingerprints differ. This is a bug; please report it");
    }
    Ok(())
}

/// Ada founds the festival, imports its schedule, and her steward confirms what there is room for.
fn found(ada: &mut Peer, schedule: &Schedule, now: Instant, out: Output) -> Result<Festival> {
    let zone = schedule.zone.clone().unwrap_or_default();
    let info = FestivalInfo { title: schedule.title.clone(), zone, ..FestivalInfo::default() };
    let festival = ada.with(|replica, rng| replica.create_festival(&info, now, rng))?;
    ada.join(&festival, now)?;
    let bar = out.progress("Ada imports");
    let report = ada.with(|replica, rng| {
        interchange::import(replica, festival.id(), schedule, now, rng, &mut |progress| {
            bar.set_length(progress.total as u64);
            bar.set_position(progress.done as u64);
        })
    })?;
    bar.finish_and_clear();
    ada.edit(festival.id(), now, |edit| {
        edit.create(&resource("Sound system", "first-come"))?;
        edit.create(&resource("Light rig", "first-come"))?;
        Ok(())
    })?;
    let bar = out.progress("Ada's steward decides");
    let signed = ada.decide(|done, total| {
        bar.set_length(total as u64);
        bar.set_position(done as u64);
    })?;
    bar.finish_and_clear();
    out.say(show::step(
        1,
        &format!("Ada founds \"{}\" and imports its schedule", crate::output::plain(&info.title)),
    ))?;
    out.say(show::bullets(&[
        format!(
            "{} in {}, each asking for its place; {} overlap",
            count(report.events, "event"),
            count(report.resources, "place"),
            count(report.conflicts, "pair"),
        ),
        format!(
            "her steward confirmed {} of {}",
            crate::output::grouped(signed.confirmed as u64),
            count(report.requests, "request")
        ),
    ]))?;
    Ok(festival)
}

/// What each of the three does while nobody can reach anybody.
fn apart(
    schedule: &Schedule,
    festival: FestivalId,
    [ada, ben, cleo]: [&mut Peer; 3],
    fog: &EntityId,
    now: Instant,
) -> Result<Contest> {
    let (room, span) = stage::contested(schedule)?;
    let zone = schedule.zone.clone().unwrap_or_default();
    let [stage, sound, light] = ben.with(|replica, _| -> Result<_> {
        let view = replica.view(festival);
        let find = |title: &str| Ok::<_, anyhow::Error>(crate::ids::resource(view, title)?.0);
        Ok([find(&room)?, find("Sound system")?, find("Light rig")?])
    })?;
    let show = |title: &str, person: &str| Event {
        title: title.to_owned(),
        starts: Some(span.starts),
        ends: Some(span.ends),
        zone: zone.clone(),
        people: [person.to_owned()].into(),
        ..Event::default()
    };

    // Cleo's clock says that she asked first.
    let earlier = Instant::from_millis(now.millis() - EARLIER);
    let loser = plan(cleo, festival, earlier, &show("Moon choir", "Cleo"), span, &[&stage])?;
    let resources = [&stage, &sound, &light, fog];
    let winner = plan(ben, festival, now, &show("Fire show", "Ben"), span, &resources)?;
    let farewell = Event { starts: None, ends: None, ..show("Farewell", "Ada") };
    ada.edit(festival, now, |edit| {
        let lost = edit.create(&Event { title: "Lost and found".into(), ..Event::default() })?;
        edit.create(&farewell)?;
        edit.set(&lost, &["description"], "It is at the kitchen now.".into())?;
        Ok(())
    })?;
    Ok(Contest { stage, room: crate::output::plain(&room), span, zone, winner, loser })
}

fn plan(
    peer: &mut Peer,
    festival: FestivalId,
    now: Instant,
    event: &Event,
    span: Span,
    resources: &[&EntityId],
) -> Result<EntityId> {
    peer.edit(festival, now, |edit| {
        let event = edit.create(event)?;
        for (resource, millis) in resources.iter().zip(now.millis()..) {
            let terms =
                Terms { event: event.clone(), resource: (*resource).clone(), span, units: 1 };
            let claimed = Instant::from_millis(millis);
            edit.request(Request { terms, claimed, note: String::new() })?;
        }
        Ok(event)
    })
}

fn resource(title: &str, policy: &str) -> Resource {
    Resource { title: title.to_owned(), policy: PolicySpec::new(policy), ..Resource::default() }
}

/// The sum over all meetings.
fn total(meetings: &[Meeting], of: impl Fn(&Meeting) -> u64) -> u64 {
    meetings.iter().map(of).sum()
}
