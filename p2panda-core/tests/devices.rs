//! Backups, clones, disk images and crashes, with real store files: whatever was copied, all edits
//! end up merged and nobody has forked.
#![allow(clippy::unwrap_used)]

mod common;

use std::{
    fs,
    path::{Path, PathBuf},
};

use common::{forks::*, *};
use p2panda_core::{
    FestivalId, Identity, Replica,
    store::{NoResume, RedbStore, RuntimeDir},
};
use rand_chacha::ChaCha20Rng;

/// A device: its disk, with the store, and its runtime folder, which no copy of the disk holds.
struct Device {
    disk: PathBuf,
    runtime: PathBuf,
}

struct Workshop {
    folder: tempfile::TempDir,
    key: Identity,
    rng: ChaCha20Rng,
}

impl Workshop {
    fn new(seed: u64) -> Self {
        let mut rng = rng(seed);
        Self { folder: tempfile::tempdir().unwrap(), key: Identity::generate(&mut rng), rng }
    }

    fn device(&self, name: &str) -> Device {
        let at = |part: &str| self.folder.path().join(format!("{name}-{part}"));
        fs::create_dir_all(at("disk")).unwrap();
        Device { disk: at("disk"), runtime: at("runtime") }
    }

    fn open(&self, device: &Device) -> Replica {
        let store = RedbStore::open(device.disk.join("store.redb")).unwrap();
        let tokens = RuntimeDir::at(&device.runtime);
        Replica::open(Box::new(store), self.key.clone(), Box::new(tokens)).unwrap()
    }

    /// Opens, writes one event and closes cleanly, as a client that is called once does.
    fn call(&mut self, device: &Device, festival: FestivalId, event_name: &str) {
        let mut replica = self.open(device);
        put(&mut replica, festival, event_name, &event(event_name), &mut self.rng);
        replica.close(&mut self.rng).unwrap();
    }

    fn founded(&mut self, device: &Device) -> FestivalId {
        let mut replica = self.open(device);
        let festival = festival_of(&mut replica, &mut self.rng).id();
        replica.close(&mut self.rng).unwrap();
        festival
    }

    /// All devices meet, and a friend reads what came of it.
    fn check(&mut self, devices: &[&Device], festival: FestivalId, all: &[&str], logs: usize) {
        let mut replicas: Vec<Replica> = devices.iter().map(|device| self.open(device)).collect();
        let mut friend = replica(&Identity::generate(&mut self.rng));
        friend.join(&replicas[0].festival(festival).unwrap().unwrap()).unwrap();
        for _ in 0..2 {
            for replica in &mut replicas {
                meet(replica, &mut friend, festival);
            }
        }
        for replica in &replicas {
            assert_equal(replica, &friend);
        }
        assert_eq!(titles(&friend, festival), all);
        assert_eq!(friend.forks(festival).unwrap(), []);
        assert_eq!(friend.stopped_logs(festival).unwrap(), []);
        assert_eq!(friend.logs(festival).unwrap().len(), logs);
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

#[test]
fn a_restored_backup_does_not_fork_its_user() {
    let mut shop = Workshop::new(300);
    let (phone, backup) = (shop.device("phone"), shop.device("backup"));
    let festival = shop.founded(&phone);
    shop.call(&phone, festival, "a");
    copy(&phone.disk, &backup.disk);
    shop.call(&phone, festival, "b");
    shop.call(&phone, festival, "c");

    // The phone is lost; the new one, in the same boot or not, has the backup of its disk.
    let restored = Device { disk: backup.disk, runtime: phone.runtime.clone() };
    shop.call(&restored, festival, "d");
    shop.call(&restored, festival, "e");
    shop.check(&[&restored, &phone], festival, &["a", "b", "c", "d", "e"], 2);
}

#[test]
fn a_cloned_device_does_not_fork_its_user() {
    let mut shop = Workshop::new(301);
    let (phone, clone) = (shop.device("phone"), shop.device("clone"));
    let festival = shop.founded(&phone);
    copy(&phone.disk, &clone.disk);
    for round in ["1", "2"] {
        shop.call(&phone, festival, &format!("phone {round}").replace(' ', "-"));
        shop.call(&clone, festival, &format!("clone {round}").replace(' ', "-"));
    }
    let all = ["clone-1", "clone-2", "phone-1", "phone-2"];
    shop.check(&[&phone, &clone], festival, &all, 2);
}

/// An image of a machine without a runtime folder in memory holds the tokens too. Each boot has
/// another id, so the token of the boot that the image was taken in is worth nothing in another.
#[test]
fn a_disk_image_with_its_tokens_does_not_fork_its_user() {
    let mut shop = Workshop::new(302);
    let (machine, image) = (shop.device("machine"), shop.device("image"));
    let festival = shop.founded(&machine);
    shop.call(&machine, festival, "a");
    copy(&machine.disk, &image.disk);
    copy(&machine.runtime, &image.runtime);
    fs::set_permissions(&image.runtime, fs::metadata(&machine.runtime).unwrap().permissions())
        .unwrap();
    for token in fs::read_dir(&image.runtime).unwrap() {
        let token = token.unwrap().path();
        assert_eq!(fs::read(&token).unwrap().len(), 36, "a boot id");
        fs::write(token, "00000000-0000-4000-8000-00000000beef").unwrap();
    }
    shop.call(&machine, festival, "b");
    shop.call(&image, festival, "c");
    shop.check(&[&machine, &image], festival, &["a", "b", "c"], 2);
}

#[test]
fn one_key_on_two_devices_is_two_logs() {
    let mut shop = Workshop::new(303);
    let (phone, laptop) = (shop.device("phone"), shop.device("laptop"));
    let festival = shop.founded(&phone);
    let ticket = shop.open(&phone).festival(festival).unwrap().unwrap();
    shop.open(&laptop).join(&ticket).unwrap();
    for round in ["1", "2", "3"] {
        shop.call(&phone, festival, &format!("phone-{round}"));
        shop.call(&laptop, festival, &format!("laptop-{round}"));
    }
    let all = ["laptop-1", "laptop-2", "laptop-3", "phone-1", "phone-2", "phone-3"];
    // The ticket was read in an opening that was not closed: one more log.
    shop.check(&[&phone, &laptop], festival, &all, 3);
}

#[test]
fn a_crash_after_sending_loses_nothing_and_forks_nobody() {
    let mut shop = Workshop::new(304);
    let phone = shop.device("phone");
    let festival = shop.founded(&phone);
    let mut friend = replica(&Identity::generate(&mut shop.rng));
    for name in ["a", "b", "c"] {
        let mut crashing = shop.open(&phone);
        friend.join(&crashing.festival(festival).unwrap().unwrap()).unwrap();
        put(&mut crashing, festival, name, &event(name), &mut shop.rng);
        meet(&mut crashing, &mut friend, festival);
        // What a power cut leaves: the file as it is now, and no goodbye.
        let disk = shop.device("after").disk;
        copy(&phone.disk, &disk);
        drop(crashing);
        copy(&disk, &phone.disk);
    }
    assert_eq!(titles(&friend, festival), ["a", "b", "c"]);
    shop.call(&phone, festival, "d");
    shop.check(&[&phone], festival, &["a", "b", "c", "d"], 4);
}

#[test]
fn many_calls_of_a_client_that_closes_cleanly_make_one_log() {
    let calls = std::env::var("P2PANDA_CALLS").ok().and_then(|calls| calls.parse().ok());
    let mut shop = Workshop::new(305);
    let phone = shop.device("phone");
    let festival = shop.founded(&phone);
    for call in 0..calls.unwrap_or(100_u32) {
        shop.call(&phone, festival, &format!("e{}", call % 10));
        // Looking is no reason for a new one either.
        shop.open(&phone).close(&mut shop.rng).unwrap();
    }
    assert_eq!(shop.open(&phone).logs(festival).unwrap().len(), 1);
}

#[test]
fn only_a_device_that_knows_what_its_user_promised_may_decide() {
    let mut shop = Workshop::new(306);
    let (phone, backup) = (shop.device("phone"), shop.device("backup"));
    let mut replica = shop.open(&phone);
    let joined = strange_festival(&mut shop);
    replica.join(&joined).unwrap();
    assert!(!replica.may_decide(joined.id()), "the key may come from another device");
    replica.allow_decisions().unwrap();
    assert!(replica.may_decide(joined.id()));
    let festival = festival_of(&mut replica, &mut shop.rng).id();
    replica.close(&mut shop.rng).unwrap();
    copy(&phone.disk, &backup.disk);
    shop.call(&phone, festival, "a");
    assert!(shop.open(&phone).may_decide(festival), "it was closed cleanly each time");
    // That look was not closed, and who knows what else this file is.
    assert!(!shop.open(&phone).may_decide(festival));
    let mut restored = shop.open(&backup);
    assert!(!restored.may_decide(festival));
    restored.allow_decisions().unwrap();
    restored.close(&mut shop.rng).unwrap();
}

/// A festival that somebody else founded.
fn strange_festival(shop: &mut Workshop) -> p2panda_core::Festival {
    let mut founder = replica(&Identity::generate(&mut shop.rng));
    festival_of(&mut founder, &mut shop.rng)
}

#[test]
fn a_device_with_an_imported_key_may_decide_only_where_it_has_synced_its_own_documents() {
    let mut shop = Workshop::new(308);
    let laptop = shop.device("laptop");
    let [synced, joined, later] = [(); 3].map(|()| strange_festival(&mut shop));
    let may = |replica: &Replica| {
        [&synced, &joined, &later].map(|festival| replica.may_decide(festival.id()))
    };
    let mut replica = shop.open(&laptop);
    replica.join(&synced).unwrap();
    replica.join(&joined).unwrap();
    replica.allow_decisions_in(synced.id()).unwrap();
    let founded = festival_of(&mut replica, &mut shop.rng).id();
    assert!(replica.may_decide(founded), "nobody can have promised anything before");
    replica.close(&mut shop.rng).unwrap();

    let mut replica = shop.open(&laptop);
    replica.join(&later).unwrap();
    assert_eq!(may(&replica), [true, false, false], "what was promised there is not known");
    assert!(replica.may_decide(founded));
    replica.leave_festival(synced.id()).unwrap();
    replica.join(&synced).unwrap();
    assert_eq!(may(&replica), [false; 3]);
    replica.close(&mut shop.rng).unwrap();

    // A user's word that there is no other copy holds for all that is joined, but not for what was
    // known and forgotten.
    let mut replica = shop.open(&laptop);
    replica.allow_decisions().unwrap();
    assert_eq!(may(&replica), [true; 3]);
    replica.leave_festival(later.id()).unwrap();
    replica.join(&later).unwrap();
    replica.close(&mut shop.rng).unwrap();
    let replica = shop.open(&laptop);
    assert_eq!(may(&replica), [true, true, false]);
    assert!(replica.may_decide(founded));
    drop(replica); // not closed: it may be an older copy from here on
    let replica = shop.open(&laptop);
    assert_eq!((may(&replica), replica.may_decide(founded)), ([false; 3], false));
}

#[test]
fn without_a_place_for_tokens_every_opening_starts_a_log() {
    let mut shop = Workshop::new(307);
    let phone = shop.device("phone");
    let festival = shop.founded(&phone);
    for name in ["a", "b"] {
        let store = RedbStore::open(phone.disk.join("store.redb")).unwrap();
        let mut replica =
            Replica::open(Box::new(store), shop.key.clone(), Box::new(NoResume)).unwrap();
        put(&mut replica, festival, name, &event(name), &mut shop.rng);
        replica.close(&mut shop.rng).unwrap();
    }
    shop.check(&[&phone], festival, &["a", "b"], 3);
}
