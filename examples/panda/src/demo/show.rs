//! What the demo prints.

use std::time::Instant as Stopwatch;

use anyhow::{Result, anyhow};
use console::{measure_text_width, style};
use p2panda_core::{EntityId, FestivalId};
use serde_json::{Value, json};

use super::{Contest, Meeting, peer::Peer, total};
use crate::{
    commands::{fingerprint::hex, schedule},
    judge::Judgement,
    output::{Table, count, grouped},
    time,
};

/// More events of a day than these are not all shown.
const SHOWN: usize = 30;

pub(super) fn headline() -> String {
    let lines = [
        style("p2panda").bold().cyan().to_string()
            + "  a festival planned by three people who are never all online",
        "Three homes, three keys, three stores on disk; real signatures, real TCP.".to_owned(),
    ];
    boxed(&lines)
}

pub(super) fn step(number: usize, title: &str) -> String {
    format!("\n{}  {}", style(number).bold().cyan(), style(title).bold())
}

pub(super) fn bullets(lines: &[String]) -> String {
    lines.iter().map(|line| format!("   · {line}")).collect::<Vec<_>>().join("\n")
}

pub(super) fn meetings(meetings: &[Meeting]) -> String {
    let mut table = Table::default();
    for meeting in meetings {
        let [trips, entries, signatures] =
            [meeting.round_trips, meeting.entries, meeting.signatures].map(grouped);
        let s = if meeting.round_trips == 1 { "" } else { "s" };
        table.row([
            format!("· {}", meeting.between),
            format!("{:>9} bytes", grouped(meeting.bytes)),
            format!("{trips} round trip{s}"),
            format!("{entries:>3} new entries"),
            format!("{signatures:>3} signatures checked"),
        ]);
    }
    table.render("   ")
}

/// Lines in a frame.
fn boxed(lines: &[String]) -> String {
    let width = lines.iter().map(|line| measure_text_width(line)).max().unwrap_or(0);
    let edge = "─".repeat(width + 4);
    let mut text = format!("╭{edge}╮\n");
    for line in lines {
        let space = " ".repeat(width - measure_text_width(line));
        text.push_str(&format!("│  {line}{space}  │\n"));
    }
    text + &format!("╰{edge}╯")
}

/// A verdict in its name and its words.
pub(super) struct Said {
    pub(super) name: String,
    plain: &'static str,
    explanation: String,
    /// The beginning of the request's id, as explanations name it.
    request: String,
}

/// What is said of the request for the stage that an event makes.
pub(super) fn stage_verdict(
    peer: &mut Peer,
    festival: FestivalId,
    event: &EntityId,
    stage: &EntityId,
) -> Result<Said> {
    peer.with(|replica, _| {
        let judgement = Judgement::of(replica.view(festival))?;
        let asked = judgement.of_event(event);
        let asked = asked.iter().find(|asked| asked.request.terms.resource == *stage);
        let asked = asked.ok_or_else(|| anyhow!("the request for the stage is missing"))?;
        let verdict = asked.verdict;
        Ok(Said {
            name: schedule::coloured(verdict.name()),
            plain: verdict.name(),
            explanation: verdict.explanation(),
            request: crate::app::short(asked.fact.id.local.as_str().trim_start_matches('#')),
        })
    })
}

/// The day of the contest; of a crowded one, what concerns the stage.
pub(super) fn day(peer: &mut Peer, festival: FestivalId, contest: &Contest) -> Result<String> {
    let day = time::day(contest.span.starts, &time::zone_or_utc(&contest.zone));
    let mut entries = peer.with(|replica, _| schedule::entries(replica.view(festival)))?;
    entries.retain(|entry| entry.day() == day);
    let all = entries.len();
    if all > SHOWN {
        entries.retain(|entry| entry.resources.contains(&contest.stage));
    }
    let more = match all - entries.len() {
        0 => String::new(),
        more => style(format!("\n  … and {} elsewhere", count(more, "event"))).dim().to_string(),
    };
    Ok(schedule::for_people(&entries).trim_end().to_owned() + &more)
}

/// How it ended.
pub(super) struct Outcome {
    winner: Said,
    loser: Said,
    room: String,
    fingerprints: Vec<(&'static str, [u8; 32], [u8; 32])>,
    travelled: [u64; 5],
    meetings: usize,
    seconds: f64,
}

impl Outcome {
    pub(super) fn of(
        mut peers: [&mut Peer; 3],
        festival: FestivalId,
        contest: &Contest,
        meetings: &[Meeting],
        stopwatch: Stopwatch,
    ) -> Result<Self> {
        let [_, _, cleo] = &mut peers;
        let winner = stage_verdict(cleo, festival, &contest.winner, &contest.stage)?;
        let loser = stage_verdict(cleo, festival, &contest.loser, &contest.stage)?;
        let mut fingerprints = Vec::new();
        for peer in peers {
            let (logs, view) = peer.fingerprints()?;
            fingerprints.push((peer.name, logs, view));
        }
        Ok(Self {
            winner,
            loser,
            room: contest.room.clone(),
            fingerprints,
            travelled: [
                total(meetings, |meeting| meeting.bytes),
                total(meetings, |meeting| meeting.segments),
                total(meetings, |meeting| meeting.entries),
                total(meetings, |meeting| meeting.signatures),
                total(meetings, |meeting| meeting.round_trips),
            ],
            meetings: meetings.len(),
            seconds: stopwatch.elapsed().as_secs_f64(),
        })
    }

    pub(super) fn why(&self) -> String {
        let line = |mark: String, who: &str, said: &Said| {
            format!(
                "   {mark} {who}, request {}: {}\n     {}",
                said.request, said.name, said.explanation
            )
        };
        [
            line(style("✓").green().to_string(), "Ben's Fire show", &self.winner),
            line(style("✗").red().to_string(), "Cleo's Moon choir", &self.loser),
            "     Cleo's clock says that she asked five minutes before Ben. But first come is what \
             reaches\n     the owner's steward first, and that was Ben's request: anybody can set a \
             clock back."
                .to_owned(),
        ]
        .join("\n")
    }

    pub(super) fn travelled(&self) -> String {
        let [bytes, segments, entries, signatures, round_trips] = self.travelled.map(grouped);
        bullets(&[
            format!("{bytes} bytes over {} meetings, in {round_trips} round trips", self.meetings),
            format!("{segments} segments with {entries} entries that were new to somebody"),
            format!("{signatures} signatures checked, each for a whole chain of entries"),
        ])
    }

    pub(super) fn equal(&self) -> bool {
        let same = |pair: &[(&str, [u8; 32], [u8; 32])]| match pair {
            [a, b] => (a.1, a.2) == (b.1, b.2),
            _ => true,
        };
        self.fingerprints.windows(2).all(same)
    }

    pub(super) fn agreement(&self) -> String {
        let short = |hash: &[u8; 32]| hex(*hash).chars().take(16).collect::<String>();
        let mut lines: Vec<String> = self
            .fingerprints
            .iter()
            .map(|(name, logs, view)| {
                format!("{name:<6} logs {}   view {}", short(logs), short(view))
            })
            .collect();
        lines.push(if self.equal() {
            style("equal: all three hold the same festival").green().bold().to_string()
        } else {
            style("NOT EQUAL").red().bold().to_string()
        });
        let took = style(format!("{:.1} s. Your turn: panda init", self.seconds)).dim();
        format!("{}\n{took}", boxed(&lines))
    }

    pub(super) fn json(&self) -> Value {
        let [bytes, segments, entries, signatures, round_trips] = self.travelled;
        let prints: serde_json::Map<String, Value> = self
            .fingerprints
            .iter()
            .map(|(name, logs, view)| {
                (name.to_lowercase(), json!({"logs": hex(*logs), "view": hex(*view)}))
            })
            .collect();
        json!({
            "stage": self.room,
            "winner": {"event": "Fire show", "verdict": self.winner.plain, "explanation": self.winner.explanation},
            "loser": {"event": "Moon choir", "verdict": self.loser.plain, "explanation": self.loser.explanation},
            "travelled": {
                "bytes": bytes,
                "segments": segments,
                "entries": entries,
                "signatures_checked": signatures,
                "round_trips": round_trips,
            },
            "fingerprints": prints,
            "equal": self.equal(),
        })
    }
}
