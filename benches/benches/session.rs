//! What meeting again costs two peers, beside Automerge's own sync protocol, one document a log.

use benches::{
    documents::Documents,
    meeting::{Meeting, Spread},
};
use criterion::Criterion;

const LOGS: usize = 1_000;

fn main() {
    let mut criterion = Criterion::default().sample_size(10).configure_from_args();
    for differ in [0, 10] {
        let mut group = criterion.benchmark_group(format!("meet again, N = {LOGS}, d = {differ}"));
        let mut meeting = Meeting::new(LOGS, 10);
        meeting.meet();
        group.bench_function("session", |bench| {
            // What is written is part of both.
            bench.iter(|| {
                meeting.write(differ, Spread::Random);
                meeting.meet()
            });
        });
        let mut documents = Documents::new(LOGS, 10);
        documents.sync();
        group.bench_function("Automerge, states saved", |bench| {
            bench.iter(|| {
                documents.write(differ);
                documents.reconnect(true);
                documents.sync()
            });
        });
        group.finish();
    }
    let mut group = criterion.benchmark_group(format!("meet first, N = {LOGS}, d = 10"));
    let mut meeting = Meeting::new(LOGS, 10);
    group.bench_function("session", |bench| {
        bench.iter(|| {
            meeting.write(10, Spread::Random);
            meeting.forget();
            meeting.meet()
        });
    });
    let mut documents = Documents::new(LOGS, 10);
    group.bench_function("Automerge, no states", |bench| {
        bench.iter(|| {
            documents.write(10);
            documents.reconnect(false);
            documents.sync()
        });
    });
    group.finish();
    criterion.final_summary();
}
