//! What storing costs: commits that share a flush, beside one that is flushed each.

use criterion::Criterion;
use p2panda_core::store::{Batch, MemoryStore, RedbStore, Store, Table};

const COMMITS: u32 = 20;

fn main() {
    let mut criterion = Criterion::default().sample_size(20).configure_from_args();
    let mut group = criterion.benchmark_group(format!("{COMMITS} commits of five rows"));
    let folder = tempfile::tempdir().expect("a folder");
    let mut disk = RedbStore::open(folder.path().join("store")).expect("a new file");
    let mut memory = MemoryStore::new();
    let mut number = 0;
    group.bench_function("memory", |bench| bench.iter(|| commit(&mut memory, &mut number, false)));
    group.bench_function("redb, one flush", |bench| {
        bench.iter(|| commit(&mut disk, &mut number, false));
    });
    group.bench_function("redb, a flush each", |bench| {
        bench.iter(|| commit(&mut disk, &mut number, true));
    });
    group.finish();
    criterion.final_summary();
}

fn commit(store: &mut dyn Store, number: &mut u32, each: bool) {
    for _ in 0..COMMITS {
        *number += 1;
        let mut batch = Batch::new();
        for row in 0..5 {
            let key = [number.to_be_bytes(), u32::to_be_bytes(row)].concat();
            batch.put(Table::Segments, key, vec![7; 200]);
        }
        store.commit(batch).expect("a store that works");
        if each {
            store.flush().expect("a store that works");
        }
    }
    store.flush().expect("a store that works");
}
