//! Prints what it costs two peers to find out what differs and to exchange it, with the real
//! messages: `cargo run --release -p benches --bin sync`. `--quick` for the small ones, `--all` for
//! those of 100,000 logs too; two numbers for so many logs of which so many differ.
//!
//! *Metadata* is every byte of both directions, framing included, but for `PUSH` frames.

use benches::meeting::{Meeting, Spread};

fn main() {
    let has = |name: &str| std::env::args().any(|argument| argument == name);
    let sizes: &[usize] = match (has("--quick"), has("--all")) {
        (true, _) => &[1_000],
        (_, true) => &[1_000, 10_000, 100_000],
        _ => &[1_000, 10_000],
    };
    println!("logs     differ  which      metadata  each  round trips  bytes in all  compare  all");
    let numbers: Vec<usize> =
        std::env::args().filter_map(|argument| argument.parse().ok()).collect();
    if let [logs, differences] = numbers[..] {
        for spread in [Spread::Random, Spread::Clustered] {
            row(logs, differences, spread);
        }
        return;
    }
    for logs in sizes {
        for differences in [0, 1, 10, 100, 1_000] {
            for spread in [Spread::Random, Spread::Clustered, Spread::New] {
                if differences == 0 && spread != Spread::Random {
                    continue;
                }
                row(*logs, differences, spread);
            }
        }
    }
}

fn row(logs: usize, differences: usize, spread: Spread) {
    let cost = Meeting::new(logs, differences, spread).meet();
    let metadata = cost.opener.metadata_sent + cost.opener.metadata_received;
    let bytes = cost.opener.bytes_sent + cost.opener.bytes_received;
    let each = metadata.checked_div(differences as u64).map_or_else(String::new, |n| n.to_string());
    println!(
        "{logs:<8} {differences:<7} {:<9} {metadata:>9}  {each:>4}  {:>11}  {bytes:>12}  {:>7.1?}  {:.1?}",
        format!("{spread:?}").to_lowercase(),
        cost.opener.round_trips,
        cost.comparing,
        cost.all,
    );
}
