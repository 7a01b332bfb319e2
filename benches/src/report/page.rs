//! The page: a table of all scenarios, and each with its plots.

use std::fmt::Write as _;

use p2panda_sync::sim::{Sample, Summary};

use super::{
    COMMAND, Part, Played, Size,
    chart::Chart,
    importers::REVISIONS,
    observer::{AGREEMENT, CONFIRMED, DOUBLE_GRANTS, PROMISED_TWICE, REQUESTS, SAME_VIEW, VIEWS},
};

const STYLE: &str = include_str!("page.css");

/// What the page says before anything else.
const INTRO: &str = "Peers write while they cannot reach each other, so for a while there is no \
    one truth but several views. This page shows how long that lasts. Everything on it was \
    played in a seeded simulator with the real replicas, sessions and policies: time and links \
    are virtual, bytes and verdicts are not. When the time for writing is over the network is \
    healed (nothing is lost, all are there, every link is used once a round), and all honest \
    peers that follow the same have to come to the same.";

/// The words of the page that need explaining.
const WORDS: [(&str, &str); 7] = [
    (
        "Same view",
        "of the online peers that follow a festival, the share that holds exactly the most common set of its logs, hence the same view",
    ),
    (
        "Agreement",
        "for each event the share of its followers that have heard of it and agree on what became of each of its requests; averaged over events",
    ),
    (
        "To converge",
        "from the healing until the last honest peer holds what all others hold; rounds, and how many there may be: one more than there are links between the two peers farthest apart",
    ),
    (
        "Ideal",
        "every payload once to every honest peer but its author, without signatures and framing; less is possible, as payloads travel deflated",
    ),
    (
        "Double grants",
        "grants in one peer's view for which its resource has no room; looked for while it is played. One would end the run as a failure",
    ),
    (
        "Promised twice",
        "pairs of grants of one slot, each confirmed in some peer's view, at the worst moment and in the end: by an owner's two devices that are apart, or because a slot was given back and given to another, and not all have heard",
    ),
    (
        "Wake-ups",
        "how often a peer became active after at least 100 ms of rest, for each honest peer and hour; with bytes, what costs a phone its battery",
    ),
];

/// The whole page.
///
/// # Errors
/// Where a plot cannot be drawn.
pub fn page(parts: &[Part], seed: u64, size: Size) -> Result<String, String> {
    let quick = if size == Size::Quick { " --quick" } else { "" };
    let mut html = format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" \
         content=\"width=device-width\">\n<meta name=\"color-scheme\" content=\"light dark\">\n\
         <title>p2panda: convergence under plurality</title>\n<style>\n{STYLE}</style>\n<main>\n\
         <header><h1>Convergence under plurality</h1>\n<p>{INTRO}</p>\n<p class=\"command\">\
         <code>{COMMAND} --seed {seed}{quick}</code></p></header>\n"
    );
    table(&mut html, parts);
    html.push_str("<dl class=\"words\">");
    for (word, meaning) in WORDS {
        let _ = write!(html, "<div><dt>{word}</dt><dd>{meaning}</dd></div>");
    }
    html.push_str("</dl>\n");
    for part in parts {
        match part {
            Part::Played(played) => section(&mut html, played)?,
            Part::Skipped { key, why } => {
                let _ = writeln!(
                    html,
                    "<section id=\"{key}\" class=\"skipped\"><h2>Skipped: {key}</h2><p>{}</p></section>",
                    escape(why)
                );
            }
        }
    }
    html.push_str("</main>\n</html>\n");
    Ok(html)
}

/// The figures of one scenario that the table and its section share.
struct Figures<'a> {
    summary: &'a Summary,
}

impl Figures<'_> {
    fn last(&self, name: &str) -> u64 {
        self.summary.figures.get(name).copied().unwrap_or(0)
    }

    fn worst(&self, name: &str) -> u64 {
        self.of_samples(name).map(|(_, figure)| figure).max().unwrap_or(0)
    }

    fn of_samples<'a>(&'a self, name: &'a str) -> impl Iterator<Item = (&'a Sample, u64)> {
        let figure = |sample: &Sample| sample.figures.get(name).copied().unwrap_or(0);
        self.summary.samples.iter().map(move |sample| (sample, figure(sample)))
    }

    /// The average while people write, in percent.
    fn average(&self, name: &str) -> String {
        let writing = self.of_samples(name).filter(|(one, _)| one.ms < self.summary.healed_ms);
        let all: Vec<u64> = writing.map(|(_, figure)| figure).collect();
        percent(all.iter().sum::<u64>() as f64 / all.len().max(1) as f64)
    }

    fn honest(&self) -> u64 {
        (self.summary.peers.0 - self.summary.peers.1) as u64
    }

    /// Every payload once to every honest peer but its author.
    fn ideal(&self) -> u64 {
        self.summary.payload_bytes * self.honest().saturating_sub(1)
    }

    fn of_ideal(&self) -> String {
        format!("{:.1}×", self.summary.traffic.bytes as f64 / self.ideal().max(1) as f64)
    }

    fn to_converge(&self) -> String {
        seconds(self.summary.converged_ms - self.summary.healed_ms)
    }

    /// From the healing until all agree on every confirmation.
    fn to_agree(&self) -> String {
        let healed = self.summary.healed_ms;
        let agreed = self
            .of_samples(AGREEMENT)
            .find(|(sample, figure)| sample.ms >= healed && *figure == 1000);
        agreed.map_or_else(|| "–".to_owned(), |(sample, _)| seconds(sample.ms - healed))
    }

    fn wake_ups(&self) -> String {
        let hours = self.summary.converged_ms as f64 / 3_600_000.0;
        format!("{:.0}", self.summary.wake_ups as f64 / self.honest() as f64 / hours)
    }
}

/// The heads of the table's columns.
const HEADS: [&str; 13] = [
    "Scenario",
    "Peers",
    "Written",
    "To converge",
    "Bytes for that",
    "Bytes in all",
    "Views, at most",
    "Same view",
    "Agreement",
    "All agree after",
    "Double grants",
    "Promised twice",
    "Wake-ups",
];

fn table(html: &mut String, parts: &[Part]) {
    html.push_str("<div class=\"wide\"><table>\n<thead><tr>");
    HEADS.iter().for_each(|head| _ = write!(html, "<th>{head}</th>"));
    html.push_str("</tr></thead>\n<tbody>\n");
    for part in parts {
        match part {
            Part::Played(played) => row(html, played),
            Part::Skipped { key, why } => {
                let (why, columns) = (escape(why), HEADS.len() - 1);
                let _ = writeln!(
                    html,
                    "<tr><th>{key}</th><td colspan=\"{columns}\" class=\"why\">skipped: {why}</td></tr>"
                );
            }
        }
    }
    html.push_str("</tbody></table></div>\n");
}

fn row(html: &mut String, played: &Played) {
    let (one, figures) = (&played.summary, Figures { summary: &played.summary });
    let hostile = match one.peers.1 {
        0 => String::new(),
        hostile => format!("{hostile} hostile"),
    };
    let cells = [
        (one.peers.0.to_string(), hostile),
        (format!("{} entries", thousands(one.entries)), format!("in {}", span(one.healed_ms))),
        (figures.to_converge(), format!("{} of {} rounds", one.rounds, one.allowed_rounds)),
        (bytes(one.healing.bytes), String::new()),
        (bytes(one.traffic.bytes), format!("{} ideal", figures.of_ideal())),
        (figures.worst(VIEWS).to_string(), String::new()),
        (figures.average(SAME_VIEW), String::new()),
        (figures.average(AGREEMENT), String::new()),
        (figures.to_agree(), String::new()),
        (figures.worst(DOUBLE_GRANTS).to_string(), String::new()),
        (
            format!("{} → {}", figures.worst(PROMISED_TWICE), figures.last(PROMISED_TWICE)),
            String::new(),
        ),
        (figures.wake_ups(), String::new()),
    ];
    let _ = write!(html, "<tr><th><a href=\"#{}\">{}</a></th>", played.key, played.title);
    for (cell, below) in cells {
        let _ = write!(html, "<td>{cell}");
        if !below.is_empty() {
            let _ = write!(html, "<small>{below}</small>");
        }
        html.push_str("</td>");
    }
    html.push_str("</tr>\n");
}

fn section(html: &mut String, played: &Played) -> Result<(), String> {
    let (one, figures) = (&played.summary, Figures { summary: &played.summary });
    let _ = writeln!(
        html,
        "<section id=\"{}\"><h2>{}</h2>\n<p>{}</p>\n<ul class=\"tiles\">",
        played.key, played.title, played.says
    );
    let tiles = [
        (figures.to_converge(), "to converge once healed"),
        (bytes(one.healing.bytes), "sent for that"),
        (figures.average(AGREEMENT), "agreement while writing"),
        (
            format!(
                "{} of {}",
                thousands(figures.last(CONFIRMED)),
                thousands(figures.last(REQUESTS))
            ),
            "requests confirmed",
        ),
        (figures.worst(DOUBLE_GRANTS).to_string(), "double grants"),
        (figures.wake_ups(), "wake-ups a peer and hour"),
        (seconds(one.spread.p50_ms), "from author to peer, half of all"),
        (seconds(one.spread.p99_ms), "from author to peer, 99%"),
    ];
    let revisions =
        one.figures.get(REVISIONS).map(|count| (thousands(*count), "revisions written"));
    for (value, name) in tiles.into_iter().chain(revisions) {
        let _ = write!(html, "<li><b>{value}</b> {name}</li>");
    }
    html.push_str("</ul>\n<div class=\"plots\">\n");
    for (class, caption, svg) in plots(&figures, played.title)? {
        let _ = writeln!(
            html,
            "<figure class=\"{class}\">{svg}<figcaption>{caption}</figcaption></figure>"
        );
    }
    let _ = writeln!(
        html,
        "</div>\n<p class=\"transcript\">Seed {}, transcript {}</p></section>",
        one.seed,
        one.transcript.get(..16).unwrap_or(&one.transcript)
    );
    Ok(())
}

type Plot = (&'static str, String, String);

fn plots(figures: &Figures<'_>, title: &str) -> Result<[Plot; 3], String> {
    let healed = figures.summary.healed_ms;
    let share = |name| {
        let of = figures.of_samples(name);
        of.map(|(sample, figure)| (sample.ms, figure as f64 / 10.0)).collect::<Vec<_>>()
    };
    let views = figures.of_samples(VIEWS).map(|(sample, views)| (sample.ms, views as f64));
    let (divisor, unit) = match figures.summary.traffic.bytes.max(figures.ideal()) {
        ..2_000_000 => (1e3, "kB"),
        _ => (1e6, "MB"),
    };
    let sent = figures.summary.samples.iter();
    let sent = sent.map(|sample| (sample.ms, sample.bytes as f64 / divisor));
    let labels = ["Agreement over time", "Different views", "Bytes sent"];
    let labels = labels.map(|label| format!("{label}: {title}"));
    let chart = Chart {
        label: &labels[0],
        size: (560, 270),
        unit: "share of peers, %",
        top: Some(100.0),
        series: &[share(SAME_VIEW), share(AGREEMENT)],
        whole: true,
        steps: false,
        level: None,
        healed,
    };
    let agreement = chart.svg()?;
    let (views, sent) = ([views.collect()], [sent.collect()]);
    let small = Chart { size: (350, 270), top: None, ..chart };
    let views =
        Chart { label: &labels[1], unit: "different views", series: &views, steps: true, ..small };
    let views_svg = views.svg()?;
    let sent = Chart {
        label: &labels[2],
        unit,
        series: &sent,
        whole: false,
        steps: false,
        level: Some(figures.ideal() as f64 / divisor),
        ..views
    };
    Ok([
        (
            "broad",
            "<i class=\"first\"></i>same view, <i class=\"second\"></i>agreement on \
             confirmations; <i class=\"mark\"></i>from here the network is healed"
                .to_owned(),
            agreement,
        ),
        ("small", "Different views of one festival at the same time".to_owned(), views_svg),
        (
            "small",
            "Bytes sent by all; dotted: every payload once to everybody".to_owned(),
            sent.svg()?,
        ),
    ])
}

pub(super) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

fn percent(of_thousand: f64) -> String {
    match of_thousand / 10.0 {
        99.95.. => "100%".to_owned(),
        share => format!("{share:.1}%"),
    }
}

fn seconds(ms: u64) -> String {
    match ms {
        0 => "at once".to_owned(),
        1..1_000 => format!("{ms} ms"),
        1_000..120_000 => format!("{:.1} s", ms as f64 / 1e3),
        120_000..7_200_000 => format!("{:.1} min", ms as f64 / 60e3),
        _ => format!("{:.1} h", ms as f64 / 3_600e3),
    }
}

fn span(ms: u64) -> String {
    match ms / 60_000 {
        0..=4 => format!("{} s", ms / 1_000),
        minutes @ 5..300 => format!("{minutes} min"),
        minutes => format!("{} h", minutes / 60),
    }
}

fn bytes(count: u64) -> String {
    match count {
        0..10_000 => format!("{} B", thousands(count)),
        10_000..10_000_000 => format!("{} kB", thousands(count / 1_000)),
        _ => format!("{:.1} MB", count as f64 / 1e6),
    }
}

/// With a thin space between thousands.
fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    text
}
