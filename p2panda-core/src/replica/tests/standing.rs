//! Whether a device may decide while logs of its own user stand still.

use super::*;
use crate::log::VerifiedSegment;

/// Two devices of one user in a festival of the first one's.
fn devices(rng: &mut ChaCha20Rng) -> (Replica, Replica, Shared, Identity, Festival) {
    let (store, identity) = (Shared::default(), Identity::generate(rng));
    let info = FestivalInfo { title: "Lake".into(), ..FestivalInfo::default() };
    let mut phone = open(&Shared::default(), &identity);
    let festival = phone.create_festival(&info, NOW, rng).unwrap();
    let mut laptop = open(&store, &identity);
    laptop.join(&festival).unwrap();
    (phone, laptop, store, identity, festival)
}

#[test]
fn a_device_does_not_decide_while_a_payload_of_its_own_user_is_set_aside() {
    let mut rng = ChaCha20Rng::seed_from_u64(21);
    let (mut phone, mut laptop, store, identity, festival) = devices(&mut rng);
    let id = festival.id();
    set(&mut phone, id, "fatal", &mut rng);
    plant(b"fatal", Fault::Panic);
    accept_all(&mut laptop, &phone, &festival);
    clear();
    laptop.allow_decisions_in(id).unwrap();
    assert!(!laptop.may_decide(id), "it does not see all that it promised");
    let mut elsewhere = open(&Shared::default(), &Identity::generate(&mut rng));
    let other = elsewhere
        .create_festival(
            &FestivalInfo { title: "Hill".into(), ..FestivalInfo::default() },
            NOW,
            &mut rng,
        )
        .unwrap();
    laptop.join(&other).unwrap();
    laptop.allow_decisions().unwrap();
    assert!(!laptop.may_decide(id), "whatever its user says");
    assert!(laptop.may_decide(other.id()));
    drop(laptop);
    // The next build takes it, and nothing stands in the way any more.
    let end = prefix_end(aside::ASIDE);
    let [(key, mark)] = &store.range(Table::Meta, aside::ASIDE, end.as_deref(), 9).unwrap()[..]
    else {
        panic!("one mark")
    };
    let mut batch = Batch::new();
    batch.put(Table::Meta, key.clone(), aside::of_an_older_build(mark));
    store.clone().commit(batch).unwrap();
    let mut laptop = open(&store, &identity);
    laptop.allow_decisions_in(id).unwrap();
    assert!(laptop.may_decide(id));
    // Of what others wrote, nothing is asked.
    let (writer, fatal_festival, name) = fatal();
    let mut reader = open(&Shared::default(), &name);
    reader.join(&fatal_festival).unwrap();
    reader.allow_decisions().unwrap();
    plant(b"fatal", Fault::Panic);
    accept_all(&mut reader, &writer, &fatal_festival);
    clear();
    assert_eq!(reader.stopped_logs(fatal_festival.id()).unwrap().len(), 1);
    assert!(reader.may_decide(fatal_festival.id()));
}

/// Even where it is the first entry of a document that holds nothing else.
#[test]
fn a_first_payload_that_is_set_aside_counts_too() {
    let mut rng = ChaCha20Rng::seed_from_u64(22);
    let (phone, mut laptop, _, _, festival) = devices(&mut rng);
    plant(b"Lake", Fault::Panic);
    accept_all(&mut laptop, &phone, &festival);
    clear();
    laptop.allow_decisions_in(festival.id()).unwrap();
    assert_eq!(laptop.caught(), 1);
    assert!(!laptop.may_decide(festival.id()));
}

#[test]
fn a_device_does_not_decide_while_its_own_log_waits_but_with_what_is_refused_it_does() {
    let mut rng = ChaCha20Rng::seed_from_u64(23);
    let (phone, mut laptop, _, identity, festival) = devices(&mut rng);
    let id = festival.id();
    // A third device goes on from the phone, and is met before it.
    let mut third = open(&Shared::default(), &identity);
    third.join(&festival).unwrap();
    accept_all(&mut third, &phone, &festival);
    set(&mut third, id, "behind", &mut rng);
    let (first, _) = phone.logs(id).unwrap()[0];
    let logs = third.logs(id).unwrap();
    let (second, _) = logs.iter().find(|(log, _)| *log != first).unwrap();
    let descriptor = descriptor(&phone, &festival);
    let segment = third.segment(second, 0).unwrap().unwrap().into_segment();
    laptop.accept(&descriptor, segment).unwrap();
    laptop.allow_decisions_in(id).unwrap();
    assert_eq!(laptop.stopped_logs(id).unwrap(), [(*second, Stopped::Waiting)]);
    assert!(!laptop.may_decide(id));
    accept_all(&mut laptop, &phone, &festival);
    assert!(laptop.may_decide(id), "what it waited for has come");
    let junk = LogId { document: first.document, incarnation: Incarnation::from_bytes([9; 8]) };
    let payload = vec![b"no change".to_vec()];
    let segment = VerifiedSegment::sign(&identity, junk, &Tip::start(&junk), payload).unwrap();
    laptop.accept(&descriptor, segment.into_segment()).unwrap();
    let stopped = laptop.stopped_logs(id).unwrap();
    assert!(matches!(stopped[..], [(_, Stopped::Refused(_))]), "{stopped:?}");
    assert!(laptop.may_decide(id));
}
