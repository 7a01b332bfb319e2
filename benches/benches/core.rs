//! The costs of core, each beside its baseline.

use std::hint::black_box;

use benches::{OneLog, Programme};
use criterion::{BenchmarkId, Criterion, Throughput};

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    checking(&mut criterion);
    materialising(&mut criterion);
    asking(&mut criterion);
    criterion.final_summary();
}

fn checking(criterion: &mut Criterion) {
    let log = OneLog::new(100);
    let mut group = criterion.benchmark_group("check 100 entries");
    group.throughput(Throughput::Elements(100));
    group.bench_function("one signed head", |bench| bench.iter(|| log.verify_segments()));
    group.bench_function("a signature an entry", |bench| bench.iter(|| log.verify_entries()));
    group.finish();
}

fn materialising(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("take entries in");
    for entries in [100, 1_000] {
        let log = OneLog::new(entries);
        group.throughput(Throughput::Elements(entries as u64));
        let id = |name| BenchmarkId::new(name, entries);
        group.bench_function(id("verify, gate, view"), |bench| bench.iter(|| log.accept()));
        group.bench_function(id("plain Automerge"), |bench| bench.iter(|| log.apply()));
    }
    group.finish();
}

fn asking(criterion: &mut Criterion) {
    let programme = Programme::new(1_351);
    let mut group = criterion.benchmark_group("six hours of 1,351 events");
    group.bench_function("view index", |bench| bench.iter(|| black_box(programme.afternoon())));
    let all = || black_box(programme.afternoon_of_all());
    group.bench_function("reading all", |bench| bench.iter(all));
    group.finish();
}
