//! What sketches cost, for `cargo bench -p benches --bench sketch`.

use benches::{Sketches, sketches::logs};
use criterion::Criterion;

fn main() {
    let mut criterion = Criterion::default().sample_size(20).configure_from_args();
    decoding(&mut criterion);
    keeping(&mut criterion);
    criterion.final_summary();
}

fn decoding(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("decode");
    for (name, differences, syndromes) in [("SYN d=8", 8, 16), ("SYN d=64", 64, 128)] {
        let mut sketches = Sketches::new(10_000, differences);
        assert_eq!(
            sketches.decode_syndromes(syndromes).map(|found| found.len()),
            Some(differences)
        );
        group.bench_function(name, |bencher| {
            bencher.iter(|| sketches.decode_syndromes(syndromes));
        });
    }
    let mut sketches = Sketches::new(100_000, 1000);
    assert_eq!(sketches.decode_cells(1700).map(|found| found.len()), Some(1000));
    group.bench_function("CELL d=1000", |bencher| bencher.iter(|| sketches.decode_cells(1700)));
    group.bench_function("estimate d=1000", |bencher| bencher.iter(|| sketches.estimate()));
    group.finish();
}

fn keeping(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("keep");
    let mut sketches = Sketches::new(10_000, 0);
    group.bench_function("a log grows: sketches", |bencher| bencher.iter(|| sketches.grow()));
    let mut sketches = Sketches::new(10_000, 0);
    group
        .bench_function("a log grows: fingerprint", |bencher| bencher.iter(|| sketches.grow_sum()));
    let (sketches, many) = (Sketches::new(10, 0), logs(100_000));
    let mut salt = 0_u8;
    group.sample_size(10);
    group.bench_function("a new salt, N=100,000, 16 syndromes", |bencher| {
        bencher.iter(|| {
            salt = salt.wrapping_add(1);
            sketches.salted(salt, &many)
        });
    });
    group.finish();
}
