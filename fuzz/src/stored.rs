//! A store's file, damaged: opening it gives an error, or it works.

use std::{
    fs,
    path::{Path, PathBuf},
};

use p2panda_core::{
    Identity, Replica,
    schema::{Event, Instant},
    store::{NoResume, RedbStore},
};
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng as _};

use crate::bed::Bed;

/// Redb's header, of which every byte decides what the rest means.
const HEADER: usize = 512;

/// A store's file as it was closed, and a place for damaged copies of it.
pub struct Stored {
    bed: Bed,
    good: Vec<u8>,
    /// Emptied before each copy: a store leaves a small file beside its own.
    folder: PathBuf,
    copy: PathBuf,
}

impl Default for Stored {
    fn default() -> Self {
        Self::new()
    }
}

impl Stored {
    /// The same contents at every call. Files in memory, where there are such.
    ///
    /// # Panics
    /// If there is no place for the files.
    #[must_use]
    pub fn new() -> Self {
        let memory = Path::new("/dev/shm");
        let base = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
        let folder = base.join(format!("p2panda-fuzz-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("a place for files");
        let path = folder.join("store.redb");
        let bed = Bed::new();
        let store = RedbStore::open(&path).expect("a new store");
        let mut replica = Self::open(store).expect("an empty store");
        let mut file = Vec::new();
        bed.laptop().export(bed.festival_id(), &mut file).expect("memory does not fail");
        replica.import(&mut &file[..]).expect("a good archive");
        replica.close(&mut ChaCha20Rng::seed_from_u64(1)).expect("a good disk");
        let good = fs::read(&path).expect("the file");
        fs::remove_dir_all(&folder).expect("the folder");
        Self { bed, good, folder, copy: path }
    }

    fn open(store: RedbStore) -> Option<Replica> {
        let identity = Identity::from_secret(&[8; 32]);
        Replica::open(Box::new(store), identity, Box::new(NoResume)).ok()
    }

    /// Damage is a list of steps of six bytes: what (0 a byte of the header, 1 any byte, 2 a run of
    /// bytes, 3 the file's end), a place in four bytes, and a value.
    pub fn damage(&self, data: &[u8]) {
        let mut bytes = self.good.clone();
        for step in data.chunks_exact(6).take(64) {
            let [what, a, b, c, d, value] = step else { continue };
            let place = u32::from_be_bytes([*a, *b, *c, *d]) as usize;
            let length = bytes.len().max(1);
            match what % 4 {
                0 => bytes
                    .iter_mut()
                    .take(HEADER)
                    .skip(place % HEADER)
                    .take(1)
                    .for_each(|byte| *byte ^= value),
                1 => bytes.iter_mut().skip(place % length).take(1).for_each(|byte| *byte ^= value),
                2 => {
                    bytes.iter_mut().skip(place % length).take(4096).for_each(|byte| *byte = *value)
                }
                _ => bytes.truncate(length - place % length),
            }
        }
        fs::create_dir_all(&self.folder).expect("a place for files");
        fs::write(&self.copy, &bytes).expect("a place for the copy");
        self.use_it();
        fs::remove_dir_all(&self.folder).expect("the folder");
    }

    /// Whatever is still there can be read, written and handed on, or says why not.
    fn use_it(&self) {
        let Ok(store) = RedbStore::open(&self.copy) else { return };
        let Some(mut replica) = Self::open(store) else { return };
        let festival = self.bed.festival_id();
        let mut rng = ChaCha20Rng::seed_from_u64(2);
        let _ = replica.view(festival).schedule(None);
        let _ = replica.fingerprint_logs();
        let _ = replica.stopped_logs(festival);
        let mut file = Vec::new();
        let exported = replica.export(festival, &mut file).is_ok();
        let now = Instant::from_millis(1_700_000_000_000);
        let show = Event { title: "Show".into(), ..Event::default() };
        let edited = replica.edit(festival, now, &mut rng, |edit| edit.create(&show)).is_ok();
        assert_eq!(replica.caught(), 0, "the last net caught something");
        let _ = replica.close(&mut rng);
        if exported && edited {
            let store = RedbStore::open(&self.copy).expect("it was whole enough to be written");
            assert!(Self::open(store).is_some());
        }
    }
}
