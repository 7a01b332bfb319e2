//! The costs of core, each beside its baseline.

use std::hint::black_box;

use benches::{Commits, OneLog, Programme};
use criterion::{BenchmarkId, Criterion, Throughput};

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    signing(&mut criterion);
    checking(&mut criterion);
    materialising(&mut criterion);
    committing(&mut criterion);
    updating(&mut criterion);
    asking(&mut criterion);
    criterion.final_summary();
}

fn signing(criterion: &mut Criterion) {
    let log = OneLog::new(100);
    let mut group = criterion.benchmark_group("sign 100 entries");
    group.throughput(Throughput::Elements(100));
    group.bench_function("one signed head", |bench| bench.iter(|| log.sign_segments()));
    group.bench_function("a signature an entry", |bench| bench.iter(|| log.sign_entries()));
    group.finish();
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

fn committing(criterion: &mut Criterion) {
    for events in [10, 1_351] {
        let mut commits = Commits::new(events);
        let mut group = criterion.benchmark_group(format!("move one of {events} events"));
        group
            .bench_function("signed, in the view, stored", |bench| bench.iter(|| commits.commit()));
        group.bench_function("plain Automerge", |bench| bench.iter(|| commits.automerge()));
        group.finish();
    }
}

fn updating(criterion: &mut Criterion) {
    let mut commits = Commits::new(1_351);
    let mut group = criterion.benchmark_group("an event moves, six hours are shown again");
    group.bench_function("rows and index", |bench| {
        bench.iter(|| {
            commits.commit();
            black_box(commits.screen())
        });
    });
    group.bench_function("all 1,351 events read again", |bench| {
        bench.iter(|| {
            commits.commit();
            black_box(commits.screen_of_all())
        });
    });
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
