//! The scenarios of the report, at the size of a look or of a real run.

use std::time::Duration;

use p2panda_sync::sim::{
    App, Link, Peer, Scenario,
    named::{self, Cast},
};

use super::{
    crowd::Crowd,
    importers::{Importers, history, revisions},
};

/// How large the scenarios are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Size {
    /// Seconds of CPU time in all.
    Quick,
    /// Minutes.
    Full,
}

/// A scenario that is ready to be played.
pub struct Planned {
    /// A word for it: on the command line and in links.
    pub key: &'static str,
    /// Its title.
    pub title: &'static str,
    /// What it shows, in a sentence or two.
    pub says: String,
    /// Who takes part and what happens.
    pub scenario: Scenario,
    /// What they do.
    pub app: Box<dyn App>,
}

/// What makes a scenario, at a size; or why it cannot be played.
type Make = fn(Size) -> Result<Planned, String>;

/// All of them, in the order of the page.
pub const ALL: [(&str, Make); 9] = [
    ("camp", camp),
    ("congress", congress),
    ("mesh", mesh),
    ("city", city),
    ("rush", rush),
    ("apart", apart),
    ("siege", siege),
    ("nested", nested),
    ("36c3", schedule),
];

fn size(size: Size, full: usize) -> usize {
    if size == Size::Quick { 1 } else { full }
}

fn camp(of: Size) -> Result<Planned, String> {
    let cast = named::camp(size(of, 3));
    Ok(Planned {
        key: "camp",
        title: "Camp without internet, one courier",
        says: "Three camps out of each other's reach; one courier walks from one to the next and \
               stays for two minutes. Between visits the camps differ, and each visit levels \
               them. The owner of the stages decides on two devices in two camps, so that some \
               slots are promised twice until the courier has passed."
            .to_owned(),
        app: Box::new(Crowd::new(&cast)),
        scenario: cast.scenario,
    })
}

fn congress(of: Size) -> Result<Planned, String> {
    let cast = named::congress(size(of, 4));
    Ok(Planned {
        key: "congress",
        title: "Congress with good Wi-Fi",
        says: "Everybody is linked with a few others all the time and writes every half minute. \
               What one writes is pushed to all within a fraction of a second, so that views \
               agree almost always, for as long as people write."
            .to_owned(),
        app: Box::new(Crowd::new(&cast)),
        scenario: cast.scenario,
    })
}

fn mesh(of: Size) -> Result<Planned, String> {
    let peers = if of == Size::Quick { 8 } else { 60 };
    let cast = named::mesh(peers, 0.1);
    Ok(Planned {
        key: "mesh",
        title: "Crowded air: a mesh that loses a tenth",
        says: format!(
            "{peers} peers, each linked with a few others, on links that lose one packet in ten, \
             and for half a minute split in two. Trees of links carry what is new, and sketches \
             find what was missed."
        ),
        app: Box::new(Crowd::new(&cast)),
        scenario: cast.scenario,
    })
}

fn city(of: Size) -> Result<Planned, String> {
    let cast = named::city(size(of, 4));
    Ok(Planned {
        key: "city",
        title: "City-wide festival, sparse meetings",
        says: "Phones meet in twos, by chance, a few times in a day. Hardly two views are ever \
               the same, and news takes hours to go round; whoever meets sees what both know, and \
               one evening together settles the rest."
            .to_owned(),
        app: Box::new(Crowd::new(&cast)),
        scenario: cast.scenario,
    })
}

/// The rush: so many slots, and for how many of them each event asks.
fn rushing(of: Size, apart: bool) -> (Cast, u64, usize) {
    let mut cast = named::rush(size(of, 4));
    if !apart {
        cast.seconds.clear();
    }
    cast.scenario.checked_every(if of == Size::Quick { 10 } else { 100 });
    if of == Size::Quick { (cast, 20, 4) } else { (cast, 1_000, 20) }
}

fn rush(of: Size) -> Result<Planned, String> {
    let (cast, slots, wants) = rushing(of, false);
    Ok(Planned {
        key: "rush",
        title: "Rush at ticket opening",
        says: format!(
            "{slots} slots of one stage, asked for by everybody at once, while the network is \
             split for fifty seconds. First come, first served: the owner's steward signs in its \
             order of arrival. No slot is ever granted twice, in any view; those on the far side \
             of the split wait, and know that they do."
        ),
        app: Box::new(Crowd::new(&cast).rushing(slots, wants)),
        scenario: cast.scenario,
    })
}

fn apart(of: Size) -> Result<Planned, String> {
    let (cast, slots, wants) = rushing(of, true);
    Ok(Planned {
        key: "apart",
        title: "The same rush, the owner's devices apart",
        says: "The worst that an owner can do without wanting to: two devices with one key, on \
               either side of the split, promise the same slots. Even then no view shows a slot \
               granted twice. Once the two sides meet, one promise stands, and the other is \
               shown as broken, the same at every peer."
            .to_owned(),
        app: Box::new(Crowd::new(&cast).rushing(slots, wants)),
        scenario: cast.scenario,
    })
}

fn siege(of: Size) -> Result<Planned, String> {
    let cast = named::siege(size(of, 3));
    Ok(Planned {
        key: "siege",
        title: "Half the peers hostile",
        says: "At least as many peers as are honest send garbage, forge, replay, stall, flood or \
               sign two histories. The honest ones drop whom they find out, and come to the same."
            .to_owned(),
        app: Box::new(Crowd::new(&cast)),
        scenario: cast.scenario,
    })
}

fn nested(of: Size) -> Result<Planned, String> {
    let cast = named::nested(size(of, 3));
    Ok(Planned {
        key: "nested",
        title: "Nested festivals, partly followed",
        says: "A festival with two stages that are festivals of their own. Some follow all, some \
               one stage, some nothing but the festival itself. Each holds what it follows and \
               nothing else, and those who follow the same come to the same."
            .to_owned(),
        app: Box::new(Crowd::new(&cast)),
        scenario: cast.scenario,
    })
}

/// How many importers share the schedule.
const IMPORTERS: usize = 3;

fn schedule(of: Size) -> Result<Planned, String> {
    let (count, turns, readers) = if of == Size::Quick { (12, 6, 2) } else { (941, 40, 6) };
    let revisions = revisions(&history(), count)?;
    let mut scenario = Scenario::new("36C3, several importers");
    let festival = scenario.festival();
    let every = Duration::from_secs(20);
    let importer = Peer::new([festival]).acting_every(every);
    let importers: Vec<_> = (0..IMPORTERS).map(|_| scenario.peer(importer.clone())).collect();
    let link = Link { every: Some(Duration::from_secs(30)), ..Link::mobile() };
    scenario.link_all(&importers, &link);
    for number in 0..readers {
        let reader = scenario.peer(Peer::new([festival]));
        scenario.link(reader, importers[number % IMPORTERS], link.clone());
        scenario.link(reader, importers[(number + 1) % IMPORTERS], link.clone());
    }
    // A turn comes after half the time to one and a half times.
    scenario.lasting(every * turns * 3 / 2);
    scenario.sampled_every(every);
    scenario.checked_every(200);
    let each = revisions.len().div_ceil(turns as usize);
    Ok(Planned {
        key: "36c3",
        title: "The 36C3 schedule through its revisions",
        says: format!(
            "The real programme of a congress, {} revisions of it, one after the other, written \
             by {IMPORTERS} importers with a third of the events each, and carried to readers on \
             mobile links.",
            revisions.len()
        ),
        app: Box::new(Importers::new(&importers, revisions, each)),
        scenario,
    })
}
