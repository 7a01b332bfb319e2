//! Both stores answer alike, and the one on disk keeps its promises whatever happens to its file.
#![cfg(feature = "redb")]
#![allow(clippy::unwrap_used, clippy::cast_possible_truncation)]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Barrier;

use p2panda_core::store::{
    Batch, CommitId, Entry, FORMAT_KEY, MemoryStore, RedbStore, Store, StoreError, Table,
    prefix_end,
};
use proptest::collection::vec;
use proptest::prelude::*;
use tempfile::TempDir;

fn folder() -> (TempDir, PathBuf) {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("festival.redb");
    (folder, path)
}

fn put(table: Table, key: &[u8], value: &[u8]) -> Batch {
    let mut batch = Batch::new();
    batch.put(table, key, value);
    batch
}

fn contents(store: &impl Store) -> Vec<Vec<Entry>> {
    Table::ALL.iter().map(|table| store.range(*table, b"", None, usize::MAX).unwrap()).collect()
}

/// A closed store with a few pages in each table.
fn filled(path: &Path) {
    let mut store = RedbStore::open(path).unwrap();
    let mut batch = Batch::new();
    for number in 0..400_u32 {
        let table = Table::ALL[number as usize % Table::ALL.len()];
        batch.put(table, number.to_be_bytes(), vec![number as u8; 300]);
    }
    store.commit(batch).unwrap();
    store.flush().unwrap();
}

// ---- Both stores against each other

#[derive(Clone, Debug)]
enum Step {
    Commit(Vec<(Table, Vec<u8>, Option<Vec<u8>>)>),
    Flush,
    Get(Table, Vec<u8>),
    Range(Table, Vec<u8>, Option<Vec<u8>>, usize),
    Reopen,
    /// The process is killed: the file stays as it is, and nothing is written after.
    Kill,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let table = || (0..Table::ALL.len()).prop_map(|index| Table::ALL[index]);
    let key = || vec(0_u8..3, 0..4);
    let value = prop_oneof![vec(any::<u8>(), 0..20), vec(any::<u8>(), 3000..6000)];
    let writes = vec((table(), key(), proptest::option::of(value)), 0..8);
    let limit = prop_oneof![0_usize..5, Just(usize::MAX)];
    let step = prop_oneof![
        6 => writes.prop_map(Step::Commit),
        2 => Just(Step::Flush),
        3 => (table(), key()).prop_map(|(table, key)| Step::Get(table, key)),
        3 => (table(), key(), proptest::option::of(key()), limit)
            .prop_map(|(table, start, end, limit)| Step::Range(table, start, end, limit)),
        1 => Just(Step::Reopen),
        1 => Just(Step::Kill),
    ];
    vec(step, 1..40)
}

/// The model among the states that a crash may leave whose contents `store` has.
fn survivor(model: &MemoryStore, last: CommitId, store: &RedbStore) -> MemoryStore {
    let found = contents(store);
    (model.durable().0..=last.0)
        .map(|kept| model.after_crash(CommitId(kept)))
        .find(|model| contents(model) == found)
        .expect("a crash takes back whole commits from the newest, and none that was flushed")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_store_on_disk_answers_as_one_in_memory(steps in steps()) {
        let (folder, mut path) = folder();
        let mut disk = RedbStore::open(&path).unwrap();
        let mut memory = MemoryStore::buffered();
        let mut last = CommitId::default();
        for (number, step) in steps.into_iter().enumerate() {
            match step {
                Step::Commit(writes) => {
                    let mut batch = Batch::new();
                    for (table, key, value) in writes {
                        match value {
                            Some(value) => batch.put(table, key, value),
                            None => batch.delete(table, key),
                        }
                    }
                    last = memory.commit(batch.clone()).unwrap();
                    prop_assert_eq!(disk.commit(batch).unwrap(), last);
                }
                Step::Flush => {
                    memory.flush().unwrap();
                    disk.flush().unwrap();
                }
                Step::Get(table, key) => {
                    prop_assert_eq!(memory.get(table, &key).unwrap(), disk.get(table, &key).unwrap());
                }
                Step::Range(table, start, end, limit) => {
                    let expected = memory.range(table, &start, end.as_deref(), limit).unwrap();
                    prop_assert_eq!(expected, disk.range(table, &start, end.as_deref(), limit).unwrap());
                }
                Step::Reopen => {
                    drop(disk);
                    disk = RedbStore::open(&path).unwrap();
                    memory = survivor(&memory, last, &disk);
                    last = CommitId::default();
                }
                Step::Kill => {
                    let copy = folder.path().join(number.to_string());
                    fs::copy(&path, &copy).unwrap();
                    path = copy;
                    disk = RedbStore::open(&path).unwrap();
                    memory = survivor(&memory, last, &disk);
                    last = CommitId::default();
                }
            }
            prop_assert_eq!(memory.durable(), disk.durable());
        }
        prop_assert_eq!(contents(&memory), contents(&disk));
    }
}

#[test]
fn a_range_that_ends_before_it_starts_is_empty() {
    let (_folder, path) = folder();
    let mut disk = RedbStore::open(path).unwrap();
    let mut memory = MemoryStore::new();
    for store in [&mut disk as &mut dyn Store, &mut memory] {
        store.commit(put(Table::Rows, b"m", b"1")).unwrap();
        for end in [&b"m"[..], b"a", b""] {
            let found = store.range(Table::Rows, b"m", Some(end), 9).unwrap();
            assert!(found.is_empty());
        }
    }
}

#[test]
fn a_prefix_range_has_every_key_with_the_prefix_and_no_other() {
    let mut store = MemoryStore::new();
    for key in [&[1, 255][..], &[1, 255, 255, 0], &[2], &[255], &[255, 255]] {
        store.commit(put(Table::Rows, key, b"")).unwrap();
    }
    let count = |prefix: &[u8]| {
        let end = prefix_end(prefix);
        store.range(Table::Rows, prefix, end.as_deref(), 9).unwrap().len()
    };
    assert_eq!((count(&[1]), count(&[1, 255]), count(&[255])), (2, 2, 2));
    assert_eq!((count(&[]), count(&[2]), count(&[3])), (5, 1, 0));
}

#[test]
fn a_store_in_memory_is_durable_at_once_unless_it_is_buffered() {
    let mut store = MemoryStore::new();
    let first = store.commit(put(Table::Rows, b"k", b"1")).unwrap();
    assert_eq!(store.durable(), first);
    assert!(store.after_crash(first).get(Table::Rows, b"k").unwrap().is_some());

    let mut store = MemoryStore::buffered();
    let first = store.commit(put(Table::Rows, b"k", b"1")).unwrap();
    let second = store.commit(put(Table::Rows, b"k", b"2")).unwrap();
    let after = |kept| store.after_crash(kept).get(Table::Rows, b"k").unwrap();
    assert_eq!(after(store.durable()), None);
    assert_eq!(after(first), Some(b"1".to_vec()));
    assert_eq!(after(second), Some(b"2".to_vec()));
}

// ---- Files that are no good

#[test]
fn a_file_that_is_no_store_is_refused_by_name_and_left_as_it_is() {
    let (_folder, path) = folder();
    let text = b"Programme of Saturday\n".repeat(4000);
    let almost = [&b"redb\x1a\x0a\xa9\x0d\x0a"[..], &text].concat();
    for bytes in [&b""[..], b"x", &[0; 8192], &text, &almost, &almost[..12]] {
        fs::write(&path, bytes).unwrap();
        let error = RedbStore::open(&path).unwrap_err();
        assert!(matches!(error, StoreError::Damaged(_)), "{error}");
        assert!(error.to_string().contains("festival.redb"), "{error}");
        assert_eq!(fs::read(&path).unwrap(), bytes);
    }
}

#[test]
fn a_store_cut_short_is_refused_and_left_as_it_is() {
    let (_folder, path) = folder();
    filled(&path);
    let whole = fs::read(&path).unwrap();
    for kept in [100, 320, 4095, 4096, 8192, whole.len() / 2, whole.len() - 1] {
        fs::write(&path, &whole[..kept]).unwrap();
        let error = RedbStore::open(&path).unwrap_err();
        assert!(matches!(error, StoreError::Damaged(_)), "{kept}: {error}");
        assert_eq!(fs::read(&path).unwrap(), whole[..kept]);
    }
}

#[test]
fn a_damaged_store_gives_errors_and_neither_panics_nor_lies() {
    let (_folder, path) = folder();
    filled(&path);
    let expected = contents(&RedbStore::open(&path).unwrap());
    let whole = fs::read(&path).unwrap();
    let used = whole.iter().rposition(|byte| *byte != 0).unwrap();
    let mut refused = 0;
    // Some in the header, most in the trees.
    for round in 0..600_usize {
        let mut bytes = whole.clone();
        let at = if round < 200 { round } else { round * 7919 % used };
        bytes[at] ^= 1 << (round % 8);
        fs::write(&path, &bytes).unwrap();
        match RedbStore::open(&path) {
            Ok(store) => assert!(contents(&store) == expected, "byte {at}"),
            Err(StoreError::Damaged(_)) => refused += 1,
            Err(error) => panic!("byte {at}: {error}"),
        }
    }
    assert!(refused > 100);
}

#[test]
fn a_folder_or_a_missing_folder_is_an_error() {
    let (folder, _) = folder();
    let error = RedbStore::open(folder.path()).unwrap_err();
    assert!(matches!(error, StoreError::Damaged(_)), "{error}");
    let error = RedbStore::open(folder.path().join("no/festival.redb")).unwrap_err();
    assert!(matches!(error, StoreError::Io(_)), "{error}");
}

#[test]
fn a_store_of_a_newer_format_is_refused_and_left_as_it_is() {
    let (_folder, path) = folder();
    let mut store = RedbStore::open(&path).unwrap();
    store.commit(put(Table::Meta, FORMAT_KEY, &7_u32.to_be_bytes())).unwrap();
    drop(store);
    let before = std::fs::read(&path).unwrap();
    for _ in 0..2 {
        let error = RedbStore::open(&path).unwrap_err();
        assert!(matches!(error, StoreError::NewerFormat { found: 7, supported: 1 }), "{error}");
        assert!(std::fs::read(&path).unwrap() == before, "not a byte of it is changed");
    }
}

#[test]
fn a_store_without_a_format_number_is_damaged() {
    for value in [None, Some(b"123")] {
        let (_folder, path) = folder();
        let mut batch = Batch::new();
        match value {
            Some(value) => batch.put(Table::Meta, FORMAT_KEY, *value),
            None => batch.delete(Table::Meta, FORMAT_KEY),
        }
        RedbStore::open(&path).unwrap().commit(batch).unwrap();
        let error = RedbStore::open(&path).unwrap_err();
        assert!(matches!(error, StoreError::Damaged(_)), "{error}");
    }
}

#[test]
fn a_redb_file_of_another_program_is_refused() {
    let (_folder, path) = folder();
    let table = redb::TableDefinition::<&str, u64>::new("meta");
    let database = redb::Database::create(&path).unwrap();
    let transaction = database.begin_write().unwrap();
    transaction.open_table(table).unwrap().insert("format", 1).unwrap();
    transaction.commit().unwrap();
    drop(database);
    let error = RedbStore::open(&path).unwrap_err();
    assert!(matches!(error, StoreError::Damaged(_)), "{error}");
}

// ---- One store, one process

#[test]
fn a_store_that_is_open_cannot_be_opened_again() {
    let (_folder, path) = folder();
    let store = RedbStore::open(&path).unwrap();
    for _ in 0..2 {
        let error = RedbStore::open(&path).unwrap_err();
        assert!(matches!(error, StoreError::InUse(_)), "{error}");
    }
    drop(store);
    RedbStore::open(&path).unwrap();
}

#[test]
fn processes_that_create_a_store_at_once_come_to_share_one() {
    let (folder, path) = folder();
    let barrier = Barrier::new(6);
    let add = |name: u8| {
        barrier.wait();
        let mut store = loop {
            match RedbStore::open(&path) {
                Ok(store) => break store,
                Err(StoreError::InUse(_)) => std::thread::yield_now(),
                Err(error) => panic!("{error}"),
            }
        };
        store.commit(put(Table::Rows, &[name], b"here")).unwrap();
        store.flush().unwrap();
    };
    std::thread::scope(|scope| {
        for name in 0..6 {
            scope.spawn(move || add(name));
        }
    });
    let store = RedbStore::open(&path).unwrap();
    assert_eq!(store.range(Table::Rows, b"", None, 9).unwrap().len(), 6);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn what_a_crash_during_creation_left_is_cleared_away() {
    let (folder, path) = folder();
    fs::write(folder.path().join("festival.redb.new"), b"redb\x1a\x0a half").unwrap();
    fs::write(folder.path().join("festival.redb.lock"), b"").unwrap();
    filled(&path);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    RedbStore::open(&path).unwrap();
}

// ---- Tokens

/// Only Linux names its boots; elsewhere no token is left.
#[cfg(target_os = "linux")]
mod tokens {
    use std::os::unix::fs::PermissionsExt as _;

    use p2panda_core::store::{NoResume, ResumeTokens, RuntimeDir};

    use super::*;

    const NAME: [u8; 16] = [0xab; 16];

    /// A folder that does not exist yet, and the file of the token in it.
    fn tokens() -> (TempDir, RuntimeDir, PathBuf) {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("p2panda");
        let file = path.join("ab".repeat(16));
        (folder, RuntimeDir::at(path), file)
    }

    #[test]
    fn a_token_can_be_claimed_once() {
        let (_folder, mut tokens, file) = tokens();
        assert!(!tokens.claim(&NAME));
        tokens.leave(&NAME).unwrap();
        assert!(!tokens.claim(&[0; 16]));
        assert!(tokens.clone().claim(&NAME));
        assert!(!tokens.claim(&NAME));
        assert!(!file.exists());

        tokens.leave(&NAME).unwrap();
        assert!(tokens.claim(&NAME), "a name may be left again");
    }

    #[test]
    fn a_token_of_another_boot_is_refused_and_gone() {
        let (_folder, mut tokens, file) = tokens();
        tokens.leave(&NAME).unwrap();
        let boot = fs::read_to_string(&file).unwrap();
        for other in ["8c1f0f0a-57c4-4f6c-9f3e-0123456789ab", "", &boot[1..]] {
            fs::write(&file, other).unwrap();
            assert!(!tokens.claim(&NAME));
            assert!(!file.exists());
        }
    }

    #[test]
    fn a_token_that_cannot_be_deleted_is_refused() {
        let (_folder, mut tokens, file) = tokens();
        tokens.leave(&NAME).unwrap();
        fs::remove_file(&file).unwrap();
        fs::create_dir(&file).unwrap();
        assert!(!tokens.claim(&NAME));
    }

    #[test]
    fn a_folder_that_others_can_write_to_holds_no_tokens() {
        let (folder, mut tokens, file) = tokens();
        tokens.leave(&NAME).unwrap();
        let path = folder.path().join("p2panda");
        let mode = |mode| fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
        mode(0o777);
        assert!(!tokens.claim(&NAME));
        tokens.leave(&[1; 16]).unwrap();
        assert_eq!(fs::read_dir(&path).unwrap().count(), 1);
        mode(0o700);
        assert!(file.exists() && tokens.claim(&NAME));
    }

    #[test]
    fn without_tokens_nothing_goes_on() {
        NoResume.leave(&NAME).unwrap();
        assert!(!NoResume.claim(&NAME));
    }
}
