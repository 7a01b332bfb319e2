//! The first sync of a whole congress: what it costs, and what is left of it after a cut.
//!
//! The data is not part of this repository: where it is absent, the test says so and does nothing.
//! `P2PANDA_DATA` names its folder.
#![allow(clippy::unwrap_used)]

use std::{collections::VecDeque, io::Write as _, path::Path, time::Duration};

use flate2::{Compression, write::ZlibEncoder};
use interchange::frab::{self, ParseOptions};
use p2panda_core::{
    ChannelBinding, Festival, Identity, Replica,
    schema::{FestivalInfo, Instant},
    store::{MemoryStore, NoResume},
};
use p2panda_sync::{Input, Output, Role, Session, Sketches, Stats};
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng as _};

fn rng(seed: u64) -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(seed)
}

fn open(seed: u64) -> Replica {
    let identity = Identity::generate(&mut rng(seed));
    Replica::open(Box::new(MemoryStore::new()), identity, Box::new(NoResume)).unwrap()
}

/// A replica that holds the 36C3.
fn congress() -> Option<(Replica, Festival)> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
    let path = std::env::var_os("P2PANDA_DATA").map_or(beside, Into::into);
    let path = path.join("36c3/schedule.json");
    let Ok(file) = std::fs::read(&path) else {
        eprintln!("SKIPPED: {} is not here", path.display());
        return None;
    };
    let (schedule, _) = frab::parse(&file, &ParseOptions::default()).unwrap();
    let (mut replica, mut rng) = (open(1), rng(1));
    let now = Instant::from_millis(1_577_000_000_000);
    let info = FestivalInfo { title: "36C3".into(), ..FestivalInfo::default() };
    let festival = replica.create_festival(&info, now, &mut rng).unwrap();
    interchange::import(&mut replica, festival.id(), &schedule, now, &mut rng, &mut |_| {})
        .unwrap();
    Some((replica, festival))
}

/// One side of a link.
struct Side<'a> {
    replica: &'a mut Replica,
    sketches: Sketches,
    session: Session,
    inbox: VecDeque<bytes::Bytes>,
    over: bool,
}

impl<'a> Side<'a> {
    fn new(replica: &'a mut Replica, role: Role, seed: u64) -> Self {
        let mut rng = rng(seed);
        let link = ChannelBinding::from_bytes([7; 32]);
        let session = Session::new(role, Duration::ZERO, &mut rng).bound(link);
        let sketches = Sketches::new(&mut rng);
        Self { replica, sketches, session, inbox: VecDeque::new(), over: false }
    }

    fn take(&mut self, input: Input) {
        if self.over {
            return;
        }
        let closed = matches!(input, Input::Closed);
        let taken = self.session.handle(Duration::ZERO, input, self.replica, &mut self.sketches);
        assert!(closed || taken.is_ok(), "{taken:?}");
        self.over |= closed;
    }

    fn next(&mut self) -> Option<bytes::Bytes> {
        while !self.over {
            match self.session.poll(Duration::ZERO, self.replica, &mut self.sketches).unwrap() {
                Some(Output::Send(frame)) => return Some(frame),
                Some(Output::Event(_)) => {}
                Some(Output::Finished) => self.over = true,
                None => return None,
            }
        }
        None
    }
}

/// Syncs until so many bytes have gone over the link, in both directions, and cuts it there: what
/// each side counted, and whether it came to its end.
fn sync(from: &mut Replica, to: &mut Replica, mut bytes: usize) -> ([Stats; 2], bool) {
    let mut sides = [Side::new(to, Role::Sync, 5), Side::new(from, Role::Accept, 6)];
    let mut cut = false;
    while !sides[0].over && !cut {
        let mut moved = false;
        for at in 0..2 {
            while let Some(frame) = sides[at].inbox.pop_front() {
                moved = true;
                sides[at].take(Input::Frame(frame));
            }
            while !cut && let Some(frame) = sides[at].next() {
                moved = true;
                match bytes.checked_sub(frame.len() + 3) {
                    Some(left) => {
                        bytes = left;
                        sides[1 - at].inbox.push_back(frame);
                    }
                    // Within this frame: nothing of it arrives.
                    None => cut = true,
                }
            }
        }
        assert!(moved || cut || sides[0].over, "both wait");
    }
    for side in &mut sides {
        while let Some(frame) = side.inbox.pop_front() {
            side.take(Input::Frame(frame));
        }
        side.take(Input::Closed);
    }
    (sides.each_ref().map(|side| side.session.stats()), !cut)
}

fn entries(replica: &Replica, festival: &Festival) -> u64 {
    replica.logs(festival.id()).unwrap().iter().map(|(_, tip)| tip.length).sum()
}

/// All payloads, in the order of their logs.
fn payloads(replica: &Replica, festival: &Festival) -> Vec<u8> {
    let mut all = Vec::new();
    for (log, _) in replica.logs(festival.id()).unwrap() {
        let mut at = 0;
        while let Some(segment) = replica.segment(&log, at).unwrap() {
            at = segment.end().length;
            segment.payloads().iter().for_each(|payload| all.extend_from_slice(payload));
        }
    }
    all
}

#[test]
fn a_whole_congress_costs_its_deflated_payload_and_is_gone_on_with_after_any_cut() {
    let Some((mut full, festival)) = congress() else { return };
    let payloads = payloads(&full, &festival);
    let mut deflating = ZlibEncoder::new(Vec::new(), Compression::default());
    deflating.write_all(&payloads).unwrap();
    let deflated = deflating.finish().unwrap().len();

    let mut empty = open(2);
    empty.join(&festival).unwrap();
    let ([stats, _], ended) = sync(&mut full, &mut empty, usize::MAX);
    assert!(ended);
    assert_eq!(full.fingerprint_logs().unwrap(), empty.fingerprint_logs().unwrap());
    assert_eq!(full.fingerprint_view().unwrap(), empty.fingerprint_view().unwrap());
    let all = usize::try_from(stats.bytes_sent + stats.bytes_received).unwrap();
    let hundredths = all * 100 / deflated;
    println!(
        "{} logs, {} entries, {} segments, {} bytes of payload, deflated {deflated}; {all} bytes \
         over the link, {}.{:02} times that, {} of them metadata, in {} round trips",
        full.logs(festival.id()).unwrap().len(),
        entries(&full, &festival),
        stats.segments_received,
        payloads.len(),
        hundredths / 100,
        hundredths % 100,
        stats.metadata_sent + stats.metadata_received,
        stats.round_trips,
    );
    assert!(hundredths <= 130, "{all} bytes for {deflated}");

    // Cut at every tenth, and gone on with: each session gets as far as the next one.
    let mut empty = open(3);
    empty.join(&festival).unwrap();
    let (mut received, mut sessions, mut over_all) = (0, 0, 0);
    loop {
        sessions += 1;
        let before = entries(&empty, &festival);
        let ([opener, acceptor], ended) = sync(&mut full, &mut empty, all / 10);
        // Every segment that arrived was new, is held and was paid for once.
        assert_eq!(opener.signatures_checked, opener.segments_received);
        assert_eq!(entries(&empty, &festival), before + opener.entries_received);
        received += opener.segments_received;
        over_all += opener.bytes_received + acceptor.bytes_received;
        if ended {
            break;
        }
        assert!(sessions < 20 && opener.entries_received > 0, "no progress");
    }
    println!("cut at every tenth: {sessions} sessions, {received} segments, {over_all} bytes");
    assert!(sessions >= 10);
    assert_eq!(full.fingerprint_logs().unwrap(), empty.fingerprint_logs().unwrap());
    assert_eq!(full.fingerprint_view().unwrap(), empty.fingerprint_view().unwrap());
    assert_eq!(entries(&empty, &festival), entries(&full, &festival));
}
