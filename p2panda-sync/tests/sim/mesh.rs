//! Trees over live links, against pushing everything over all of them.
//!
//! Ideal is each entry once to each peer: its payload and one signature, and nothing around it.

use p2panda_sync::sim::{
    Summary,
    named::{Cast, mesh},
};

use crate::{organisers::Organisers, play, seeds};

fn run(test: &str, count: usize, loss: f64, floods: bool, seed: u64) -> Summary {
    let Cast { mut scenario, owners, slots, .. } = mesh(count, loss);
    scenario.flooding(floods);
    let mut app = Organisers::new(owners);
    app.slots = slots;
    let started = std::time::Instant::now();
    let summary = play(&format!("mesh::{test}"), scenario, seed, &mut app);
    println!("{summary} [{:?}]", started.elapsed());
    println!("{:?} {:?}", summary.spread, summary.traffic);
    summary
}

#[test]
fn sixty_peers() {
    for seed in seeds(1) {
        for loss in [0.1] {
            for floods in [false, true] {
                let summary = run("sixty_peers", 60, loss, floods, seed);
                let ideal = 59 * (summary.payload_bytes + 64 * summary.entries);
                println!("x {}", summary.traffic.bytes as f64 / ideal as f64);
            }
        }
    }
}
