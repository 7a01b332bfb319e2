//! Trees over live links among many peers, against pushing everything over all of them; and how long
//! it takes until all agree on what is confirmed.
//!
//! Ideal is each entry once to each peer: its payload and one signature, and nothing around it.

use std::collections::BTreeSet;

use p2panda_sync::sim::{
    Sample, Summary,
    named::{Cast, mesh},
};

use crate::{keep, organisers::Organisers, play, seeds};

/// When the scenario mends what it has split, in milliseconds.
const MENDED: u64 = 70_000;

fn run(test: &str, (count, loss): (usize, f64), floods: bool, seed: u64) -> Summary {
    let Cast { mut scenario, owners, slots, .. } = mesh(count, loss);
    scenario.flooding(floods);
    let mut app = Organisers::new(owners);
    (app.slots, app.tells_events) = (slots, true);
    let summary = play(&format!("mesh::{test}"), scenario, seed, &mut app);
    let spread = summary.spread;
    println!(
        "{count} peers, {}% lost, {}, seed {seed}: {:.2} times the ideal of {} bytes ({:.2} of it entries with what is around them); {} of {} deliveries before the final healing; p50 {} ms, p90 {}, p99 {}, all {}; split for 30 s, {} deliveries were held up, the last came {:?} ms after; all agreed on every event {} ms after",
        loss * 100.0,
        if floods { "flooding" } else { "trees" },
        times_ideal(&summary, summary.traffic.bytes - summary.healing.bytes),
        ideal(&summary),
        times_ideal(&summary, summary.traffic.content - summary.healing.content),
        spread.delivered,
        spread.due,
        spread.p50_ms,
        spread.p90_ms,
        spread.p99_ms,
        spread.longest_ms,
        spread.held_up,
        spread.mended_ms,
        agreed_after(&summary),
    );
    keep(&format!("{test}-{}", if floods { "flooding" } else { "trees" }), &summary);
    summary
}

fn ideal(summary: &Summary) -> u64 {
    (summary.peers.0 as u64 - 1) * (summary.payload_bytes + 64 * summary.entries)
}

#[expect(clippy::cast_precision_loss, reason = "it is read by people")]
fn times_ideal(summary: &Summary, bytes: u64) -> f64 {
    bytes as f64 / ideal(summary) as f64
}

fn events(sample: &Sample) -> impl Iterator<Item = (&str, u64)> {
    let figures = sample.figures.iter().filter(|(name, _)| name.starts_with("event "));
    figures.map(|(name, share)| (name.as_str(), *share))
}

/// How long after the mending until there was, for each event from before it, a moment at which all
/// peers agreed on how far it is confirmed.
fn agreed_after(summary: &Summary) -> u64 {
    let before = summary.samples.iter().rfind(|sample| sample.ms <= MENDED).unwrap();
    let mut open: BTreeSet<&str> = events(before).map(|(name, _)| name).collect();
    let after = summary.samples.iter().filter(|sample| sample.ms > MENDED);
    for sample in after {
        events(sample)
            .filter(|(_, share)| *share == 1000)
            .for_each(|(name, _)| _ = open.remove(name));
        if open.is_empty() {
            return sample.ms - MENDED;
        }
    }
    panic!("no agreement on {open:?}");
}

/// What has to hold in any case.
fn check(summary: &Summary) {
    let spread = summary.spread;
    assert_eq!(spread.delivered, spread.due, "everything is delivered over live links alone");
    assert!(spread.held_up > 0 && spread.mended_ms.is_some_and(|ms| ms < 30_000), "{spread:?}");
    assert_eq!(summary.rounds, 0, "nothing is left for the final healing");
    let split = summary.samples.iter().filter(|sample| (50_000..MENDED).contains(&sample.ms));
    let figure = |sample: &Sample, name: &str| sample.figures[name];
    let apart = split.map(|sample| figure(sample, "agreement in thousandths")).min().unwrap();
    assert!(apart < 1000, "while the network is split, people see different things");
    let last = summary.samples.last().unwrap();
    assert_eq!(figure(last, "agreement in thousandths"), 1000);
    assert_eq!(figure(last, "events all agree on"), figure(last, "events"));
    assert!(figure(last, "events") > 0);
    assert!(agreed_after(summary) < 60_000);
}

#[test]
fn sixty_peers_push_half_of_what_flooding_does_and_all_agree_after_a_split() {
    let test = "sixty_peers_push_half_of_what_flooding_does_and_all_agree_after_a_split";
    let (trees, flooding) = (run(test, (60, 0.1), false, 1), run(test, (60, 0.1), true, 1));
    check(&trees);
    check(&flooding);
    assert!(trees.figures["confirmed"] > 0, "there is something to agree on");
    let [ours, theirs] = [&trees, &flooding].map(|one| times_ideal(one, one.traffic.bytes));
    assert!(ours * 2.0 < theirs, "{ours} against {theirs}");
}

#[test]
fn a_mesh_is_the_same_for_the_same_seed() {
    let play = |seed| run("a_mesh_is_the_same_for_the_same_seed", (16, 0.3), false, seed);
    let first = play(3);
    check(&first);
    assert_eq!(play(3), first);
    assert_ne!(play(4).transcript, first.transcript);
}

/// All the figures, at both losses and for as many seeds as the environment says.
#[test]
#[ignore = "takes minutes: see CONTRIBUTING"]
fn figures_of_a_mesh() {
    for seed in seeds(3) {
        for loss in [0.1, 0.3] {
            let both = [false, true].map(|floods| {
                let summary = run("figures_of_a_mesh", (60, loss), floods, seed);
                check(&summary);
                summary.traffic.bytes
            });
            assert!(loss > 0.1 || both[0] * 2 < both[1]);
        }
    }
}
