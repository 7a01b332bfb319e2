//! What verdicts cost, beside algorithms that anyone would write first.

use std::hint::black_box;

use benches::Judging;
use criterion::{BenchmarkId, Criterion};

fn main() {
    let mut criterion = Criterion::default().sample_size(20).configure_from_args();
    evaluating(&mut criterion);
    judging(&mut criterion);
    criterion.final_summary();
}

fn evaluating(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("evaluate a stage");
    for requests in [100, 1_000] {
        let judging = Judging::new(1, requests);
        let facts = judging.facts(0);
        assert_eq!(judging.evaluate(&facts), judging.pairs(&facts));
        let id = |name| BenchmarkId::new(name, requests);
        group.bench_function(id("verdicts and reasons"), |bench| {
            bench.iter(|| judging.evaluate(black_box(&facts)));
        });
        group.bench_function(id("every pair, no reasons"), |bench| {
            bench.iter(|| judging.pairs(black_box(&facts)));
        });
    }
    group.finish();
}

fn judging(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("one request more, 50 stages of 40");
    let mut judging = Judging::new(50, 40);
    judging.judge();
    judging.ask(7, 1);
    assert_eq!(judging.judge(), 1);
    group.bench_function("a judge who remembers", |bench| {
        bench.iter(|| {
            judging.ask(7, 1);
            judging.judge()
        });
    });
    let mut judging = Judging::new(50, 40);
    group.bench_function("all stages anew", |bench| {
        bench.iter(|| {
            judging.ask(7, 1);
            judging.judge_all()
        });
    });
    group.finish();
}
