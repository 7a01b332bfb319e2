//! Encrypted links beside plain TCP, both ends on this machine.

use std::hint::black_box;

use benches::Links;
use criterion::{Criterion, criterion_group, criterion_main};

fn links(criterion: &mut Criterion) {
    let links = Links::new();
    let mut group = criterion.benchmark_group("carry 16 MB");
    group.sample_size(20);
    group.bench_function("plain TCP", |bencher| bencher.iter(|| black_box(links.plain(100))));
    group.bench_function("noise over TCP", |bencher| bencher.iter(|| black_box(links.noise(100))));
    group.bench_function("noise over WebSocket", |bencher| {
        bencher.iter(|| black_box(links.websocket(100)));
    });
    group.finish();
    let mut group = criterion.benchmark_group("make a link");
    group.sample_size(20);
    group.bench_function("TCP alone", |bencher| bencher.iter(|| links.connect()));
    group.bench_function("with the handshake", |bencher| bencher.iter(|| links.handshake()));
    group.finish();
}

criterion_group!(benches, links);
criterion_main!(benches);
