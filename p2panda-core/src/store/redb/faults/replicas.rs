//! Replicas on a disk that loses power: whatever was acknowledged is there, and no part of a segment.

use crate::{
    DocumentDescriptor, Festival, Identity, Replica, Segment, Tip,
    schema::{Event, FestivalInfo, Instant},
    store::{MemoryStore, NoResume, Store},
};
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng as _};

use super::{Disk, Fault, images, open};

const NOW: Instant = Instant::from_millis(0);

/// What every run starts from.
struct Scene {
    base: Vec<u8>,
    festival: Festival,
    descriptor: DocumentDescriptor,
    /// Of a friend's log, one entry each.
    segments: Vec<Segment>,
}

fn replica(store: impl Store + 'static, key: u8) -> Option<Replica> {
    Replica::open(Box::new(store), Identity::from_secret(&[key; 32]), Box::new(NoResume)).ok()
}

fn event(replica: &mut Replica, festival: &Festival, name: &str) -> bool {
    let mut rng = ChaCha20Rng::seed_from_u64(name.len() as u64);
    let event = Event { title: name.into(), description: "x".repeat(900), ..Event::default() };
    let edit = replica.edit(festival.id(), NOW, &mut rng, |edit| {
        edit.put(&name.parse().unwrap(), &event).map(drop)
    });
    edit.map_err(|_: crate::EditError| ()).is_ok()
}

fn scene() -> Scene {
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let mut friend = replica(MemoryStore::new(), 2).unwrap();
    let festival = friend.create_festival(&FestivalInfo::default(), NOW, &mut rng).unwrap();
    for number in 0..9 {
        assert!(event(&mut friend, &festival, &format!("f{number}")));
    }
    let (log, tip) = friend.logs(festival.id()).unwrap()[0];
    let descriptor = friend.descriptor(&log.document).unwrap().unwrap();
    let whole = friend.segment(&log, 0).unwrap().unwrap();
    let (mut at, mut segments) = (Tip::start(&log), Vec::new());
    for payload in whole.payloads() {
        let one = vec![payload.clone()];
        let one = crate::VerifiedSegment::sign(&Identity::from_secret(&[2; 32]), log, &at, one);
        let one = one.unwrap();
        at = *one.end();
        segments.push(one.into_segment());
    }
    assert_eq!(at, tip);
    let disk = Disk::new(Vec::new(), Fault::Never);
    let mut own = replica(open(&disk).unwrap(), 1).unwrap();
    own.join(&festival).unwrap();
    drop(own);
    Scene { base: disk.bytes(), festival, descriptor, segments }
}

type Work = fn(&Scene, &Disk) -> usize;

/// Edits one by one; how many were acknowledged.
fn edits(scene: &Scene, disk: &Disk) -> usize {
    let Ok(store) = open(disk) else { return 0 };
    let Some(mut own) = replica(store, 1) else { return 0 };
    (0..5).take_while(|number| event(&mut own, &scene.festival, &format!("e{number}"))).count()
}

/// Takes in a friend's segments, made durable after every third; how many were acknowledged.
fn intake(scene: &Scene, disk: &Disk) -> usize {
    let Ok(store) = open(disk) else { return 0 };
    let Some(mut own) = replica(store, 1) else { return 0 };
    let mut acknowledged = 0;
    for (number, segment) in (1..).zip(&scene.segments) {
        if own.accept(&scene.descriptor, segment.clone()).is_err() {
            break;
        }
        if number % 3 == 0 && own.flush().is_ok() {
            acknowledged = number;
        }
    }
    acknowledged
}

/// Everything held is whole and verifies, and is at least what was acknowledged.
fn assert_whole(scene: &Scene, bytes: Vec<u8>, acknowledged: usize, context: &str) {
    let own = replica(open(&Disk::new(bytes, Fault::Never)).expect(context), 1).expect(context);
    let mut entries = 0;
    for (log, tip) in own.logs(scene.festival.id()).expect(context) {
        let author = own.descriptor(&log.document).expect(context).expect(context).user;
        let mut at = Tip::start(&log);
        while let Some(segment) = own.segment(&log, at.length).expect(context) {
            let verified = segment.into_segment().verify(&at, &author).expect(context);
            at = *verified.end();
        }
        assert_eq!(at, tip, "{context}: a segment is not whole");
        entries += usize::try_from(tip.length).unwrap();
    }
    assert!(entries >= acknowledged, "{context}: {entries} of {acknowledged} entries");
    // Rows came in the batch of their entries.
    let events = own.view(scene.festival.id()).list::<Event>().expect(context);
    assert!(events.len() + 1 >= acknowledged, "{context}: {} events", events.len());
    assert!(events.iter().all(|(_, event)| event.is_ok()), "{context}");
}

#[test]
fn a_power_cut_keeps_what_a_replica_acknowledged_and_no_part_of_a_segment() {
    let scene = scene();
    let works: [(&str, Work); 2] = [("edits", edits), ("intake", intake)];
    let mut seen = 0;
    for (name, work) in works {
        let whole = Disk::new(scene.base.clone(), Fault::Never);
        assert!(work(&scene, &whole) >= 5, "{name}");
        let calls = whole.calls();
        for at in 0..=calls {
            let disk = Disk::new(scene.base.clone(), Fault::From(at));
            let acknowledged = work(&scene, &disk);
            seen += images(&disk, at as u64, |bytes, kept| {
                let context = format!("{name}, cut at {at}, {kept} % kept");
                assert_whole(&scene, bytes, acknowledged, &context);
            });
        }
        for at in 0..calls {
            for fault in [Fault::Once(at), Fault::From(at)] {
                let disk = Disk::new(scene.base.clone(), fault);
                let acknowledged = work(&scene, &disk);
                assert_whole(&scene, disk.bytes(), acknowledged, &format!("{name}, {fault:?}"));
            }
        }
    }
    assert!(seen > 300, "{seen} images");
    println!("{seen} images");
}
