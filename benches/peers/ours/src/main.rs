//! Our own libraries.

mod adapter;
mod verify;

use std::process::ExitCode;

use p2panda_core::Replica;
use peers::{DIFFERENT, History, Measure, Row, Wire, Workload, congress, serve};

use crate::adapter::{Acquaintance, Failure, World, sync};

const HOST: usize = 1_000_000;
const GUEST: usize = 1_000_001;

fn main() -> ExitCode {
    serve(|workload, size| run(workload, size).map_err(|error| error.to_string()))
}

fn run(workload: Workload, size: usize) -> Result<Row, Failure> {
    match workload {
        Workload::VerifyHundreds => verify::verify(size, 100),
        Workload::VerifySingle => verify::verify(size, 1),
        Workload::FirstSyncOne => first_sync(&History::of(1, size)),
        Workload::FirstSyncMany => first_sync(&History::of((size / 100).max(1), size)),
        Workload::Congress => first_sync(&congress(Workload::revisions(size))?),
        Workload::FewDiffer => differ(Workload::documents(size), DIFFERENT),
        Workload::Reconnect => differ(Workload::documents(size), 0),
        Workload::ColdOpen => cold_open(Workload::documents(size)),
        Workload::EqualFork => fork(),
    }
}

fn first_sync(history: &History) -> Result<Row, Failure> {
    let mut world = World::new();
    let (mut host, mut guest) = (world.peer(HOST)?, world.peer(GUEST)?);
    world.write(history, &mut host)?;
    exchange(&mut guest, &mut host, &mut Acquaintance::none())
}

fn differ(documents: usize, different: usize) -> Result<Row, Failure> {
    let mut world = World::new();
    let (history, more) = History::with_more(documents, documents * 3, different);
    let (mut host, mut guest) = (world.peer(HOST)?, world.peer(GUEST)?);
    world.write(&history, &mut host)?;
    adapter::hand_over(&host, &mut guest, &world.festival)?;
    guest.flush()?;
    // They have met, as the others' documents have been synced once.
    let mut acquaintance = Acquaintance::none();
    sync(&mut guest, &mut host, &mut acquaintance, &mut Wire::default())?;
    world.write_more(&more, &mut host)?;
    exchange(&mut guest, &mut host, &mut acquaintance)
}

fn exchange(
    guest: &mut Replica,
    host: &mut Replica,
    acquaintance: &mut Acquaintance,
) -> Result<Row, Failure> {
    let mut wire = Wire::default();
    let (synced, cost) = Measure::of(|| sync(guest, host, acquaintance, &mut wire));
    synced?;
    if guest.fingerprint_view()? != host.fingerprint_view()? {
        return Err("the views differ after the sync".into());
    }
    Ok(Row::exchange(&wire, cost, "verified, stored, in the view"))
}

fn cold_open(documents: usize) -> Result<Row, Failure> {
    let mut world = World::new();
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("store");
    let mut host = world.peer_on_disk(HOST, &path)?;
    world.write(&History::of(documents, documents * 3), &mut host)?;
    drop(host);
    let (screen, cost) = Measure::of(|| {
        let host = world.peer_on_disk(HOST, &path)?;
        let events = world.screen(&host)?;
        Ok::<_, Failure>((host, events))
    });
    let note = format!("{} events shown, no document loaded", screen?.1.len());
    Ok(Row::local(cost, note))
}

fn fork() -> Result<Row, Failure> {
    let mut world = World::new();
    let folder = tempfile::tempdir()?;
    let paths = ["original", "copy"].map(|name| folder.path().join(name));
    let history = History::of(1, 12);
    let mut original = world.snapshot(0, &paths[0])?;
    for change in &history.changes[..10] {
        world.edit(&mut original, "", &change.edits)?;
    }
    let mut rng =
        <rand_chacha::ChaCha20Rng as rand_chacha::rand_core::SeedableRng>::seed_from_u64(3);
    original.close(&mut rng)?;
    std::fs::copy(&paths[0], &paths[1])?;
    let mut devices = [world.snapshot(0, &paths[0])?, world.snapshot(0, &paths[1])?];
    for (device, change) in devices.iter_mut().zip(&history.changes[10..]) {
        world.edit(device, "", &change.edits)?;
    }
    let [original, copy] = &mut devices;
    let mut wire = Wire::default();
    let (synced, cost) = Measure::of(|| sync(original, copy, &mut Acquaintance::none(), &mut wire));
    synced?;
    let proofs = [world.forks(original)?, world.forks(copy)?];
    let same = original.fingerprint_view()? == copy.fingerprint_view()?;
    let note = match (proofs, same) {
        ([1, 1], true) => "found: both hold the proof and cut the log where the two part",
        ([0, 0], false) => "found, not proved: neither is taken from the other",
        _ => "found by one of them only",
    };
    Ok(Row::exchange(&wire, cost, note))
}
