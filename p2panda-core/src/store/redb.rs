//! The embedded default: a store in one redb file.

mod file;
mod held;
mod mark;

#[cfg(test)]
mod faults;

use std::cell::OnceCell;
use std::fmt;
use std::io::ErrorKind;
use std::path::Path;

use ::redb::backends::FileBackend;
use ::redb::{
    Builder, Database, Durability, ReadOnlyTable, ReadTransaction, ReadableDatabase as _,
    StorageBackend, TableDefinition, TableError,
};

use held::Held;
use mark::MarkFile;

use super::{Batch, CommitId, Entry, FORMAT, FORMAT_KEY, Store, StoreError, Table};

/// Bytes of the file held in memory.
const CACHE: usize = 32 << 20;

type Bytes = &'static [u8];

/// A [`Store`] in one file, which one process at a time can open.
///
/// Commits are held back in memory and written out by [`flush`](Store::flush), with one `fsync`
/// for all of them. Dropping the store writes out what is left, but cannot report a failure:
/// whoever needs to know flushes first.
///
/// Opening reads the whole file (about a second a gigabyte, or as fast as the device is) and
/// compares every checksum: redb trusts what it reads later, and on damaged pages it would panic.
///
/// After an I/O error no commit and no flush succeeds until the store is opened again; what was
/// flushed before is then still there.
///
/// ```
/// use p2panda_core::store::{Batch, RedbStore, Store, Table};
///
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("festival.redb");
/// let mut store = RedbStore::open(&path)?;
/// let mut batch = Batch::new();
/// batch.put(Table::Rows, *b"stage", *b"main");
/// let commit = store.commit(batch)?;
/// store.flush()?;
/// assert!(store.durable() >= commit);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct RedbStore {
    /// The path, for errors.
    name: String,
    /// What the last commit made visible, opened by the first read after it.
    reader: OnceCell<Reader>,
    database: Database,
    last: CommitId,
    durable: CommitId,
    /// Beside the file; a store in another backend keeps no marks.
    mark: Option<MarkFile>,
}

impl RedbStore {
    /// Opens the store at `path`, or creates one if there is nothing.
    ///
    /// A file that is empty, damaged, no store or one of a newer version is refused and left as it is. A crash while a store is
    /// created leaves nothing at `path`; beside it, files with `.new` and `.lock` appended to its
    /// name may stay behind, which the next creation clears away. `.trying` holds the
    /// [mark](Store::mark).
    pub fn open(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        let path = path.as_ref();
        if !file::exists(path)? {
            file::create(path, |new| Self::with_file(new, path))?;
        }
        let mut store = Self::with_file(file::open(path)?, path)?;
        store.mark = Some(MarkFile::new(file::beside(path, ".trying")));
        Ok(store)
    }

    fn with_file(file: std::fs::File, path: &Path) -> Result<Self, StoreError> {
        let name = path.display().to_string();
        let backend = FileBackend::new(file).map_err(|error| refuse(&name, error))?;
        Self::with_backend(backend, name)
    }

    /// Opens the store in `backend`, setting one up if the backend is empty. Errors call it `name`.
    pub(crate) fn with_backend(
        backend: impl StorageBackend,
        name: String,
    ) -> Result<Self, StoreError> {
        let empty = backend.len().map_err(|error| refuse(&name, error))? == 0;
        let backend = Held::new(backend);
        let file = backend.clone();
        let database = Builder::new()
            .set_cache_size(CACHE)
            .set_check_integrity_on_open(true)
            .create_with_backend(backend)
            .map_err(|error| refuse(&name, error))?;
        let store = Self {
            name,
            reader: OnceCell::new(),
            database,
            last: CommitId::default(),
            durable: CommitId::default(),
            mark: None,
        };
        if empty {
            set_up(&store.database).map_err(|error| refuse(&store.name, error))?;
        }
        store.check_format()?;
        file.release().map_err(|error| refuse(&store.name, error))?;
        Ok(store)
    }

    fn check_format(&self) -> Result<(), StoreError> {
        let format = match self.get(Table::Meta, FORMAT_KEY)?.as_deref() {
            Some(&[a, b, c, d]) => u32::from_be_bytes([a, b, c, d]),
            _ => {
                let name = &self.name;
                return Err(StoreError::Damaged(format!(
                    "{name} has no format number, so it is no store of this library"
                )));
            }
        };
        if format > FORMAT {
            return Err(StoreError::NewerFormat { found: format, supported: FORMAT });
        }
        Table::ALL.into_iter().try_for_each(|table| self.read(table, |_| Ok(())))
    }

    /// Reads from a table as of the last commit.
    fn read<T>(
        &self,
        table: Table,
        read: impl FnOnce(&ReadOnlyTable<Bytes, Bytes>) -> Result<T, ::redb::Error>,
    ) -> Result<T, StoreError> {
        let opened = match self.reader.get() {
            Some(reader) => Ok(reader),
            None => Reader::new(&self.database).map(|new| self.reader.get_or_init(|| new)),
        };
        opened
            .and_then(|reader| read(reader.table(table)?))
            .map_err(|error| refuse(&self.name, error))
    }

    fn write(&mut self, batch: Batch, durability: Durability) -> Result<(), StoreError> {
        // A reader that stays open would keep redb from reusing the space that this frees.
        self.reader.take();
        write(&self.database, batch, durability).map_err(|error| refuse(&self.name, error))
    }
}

impl Store for RedbStore {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.read(table, |table| Ok(table.get(key)?.map(|value| value.value().to_vec())))
    }

    fn range(
        &self,
        table: Table,
        start: &[u8],
        end: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<Entry>, StoreError> {
        if end.is_some_and(|end| end <= start) {
            return Ok(Vec::new());
        }
        self.read(table, |table| {
            let entries = match end {
                Some(end) => table.range(start..end)?,
                None => table.range(start..)?,
            };
            entries
                .take(limit)
                .map(|entry| {
                    let (key, value) = entry?;
                    Ok((key.value().to_vec(), value.value().to_vec()))
                })
                .collect()
        })
    }

    fn commit(&mut self, batch: Batch) -> Result<CommitId, StoreError> {
        self.write(batch, Durability::None)?;
        self.last.0 += 1;
        Ok(self.last)
    }

    fn flush(&mut self) -> Result<(), StoreError> {
        if self.durable < self.last {
            // Makes the earlier ones durable with it.
            self.write(Batch::new(), Durability::Immediate)?;
            self.durable = self.last;
        }
        Ok(())
    }

    fn durable(&self) -> CommitId {
        self.durable
    }

    fn mark(&mut self, mark: &[u8]) -> Result<(), StoreError> {
        self.mark.as_mut().map_or(Ok(()), |file| file.write(mark))
    }

    fn marked(&self) -> Result<Option<Vec<u8>>, StoreError> {
        self.mark.as_ref().map_or(Ok(None), MarkFile::read)
    }
}

impl fmt::Debug for RedbStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedbStore")
            .field("name", &self.name)
            .field("last", &self.last)
            .field("durable", &self.durable)
            .finish_non_exhaustive()
    }
}

/// One state of the store, and the tables opened in it so far: opening them anew for each read
/// would take most of the time.
struct Reader {
    tables: [OnceCell<ReadOnlyTable<Bytes, Bytes>>; Table::ALL.len()],
    transaction: ReadTransaction,
}

impl Reader {
    fn new(database: &Database) -> Result<Self, ::redb::Error> {
        Ok(Self { tables: Default::default(), transaction: database.begin_read()? })
    }

    fn table(&self, table: Table) -> Result<&ReadOnlyTable<Bytes, Bytes>, TableError> {
        let cell = &self.tables[table as usize];
        if let Some(open) = cell.get() {
            return Ok(open);
        }
        let open = self.transaction.open_table(definition(table))?;
        Ok(cell.get_or_init(|| open))
    }
}

const fn definition(table: Table) -> TableDefinition<'static, Bytes, Bytes> {
    TableDefinition::new(table.name())
}

fn set_up(database: &Database) -> Result<(), ::redb::Error> {
    let transaction = database.begin_write()?;
    for table in Table::ALL {
        transaction.open_table(definition(table))?;
    }
    transaction
        .open_table(definition(Table::Meta))?
        .insert(FORMAT_KEY, FORMAT.to_be_bytes().as_slice())?;
    Ok(transaction.commit()?)
}

fn write(database: &Database, batch: Batch, durability: Durability) -> Result<(), ::redb::Error> {
    let mut transaction = database.begin_write()?;
    transaction.set_durability(durability)?;
    // Each table is opened once, and what was written is let go of at once: redb holds it too.
    let mut writes = batch.into_writes().peekable();
    while let Some((table, ..)) = writes.peek() {
        let name = *table;
        let mut table = transaction.open_table(definition(name))?;
        while let Some((_, key, value)) = writes.next_if(|(table, ..)| *table == name) {
            match value {
                Some(value) => table.insert(key.as_slice(), value.as_slice())?,
                None => table.remove(key.as_slice())?,
            };
        }
    }
    Ok(transaction.commit()?)
}

fn refuse(name: &str, error: impl Into<::redb::Error>) -> StoreError {
    use ::redb::Error;
    let error = error.into();
    let text = format!("{name}: {error}");
    match error {
        Error::DatabaseAlreadyOpen | Error::LockProtocolMismatch => StoreError::InUse(name.into()),
        // Not a redb file, or one that ends too early.
        Error::Io(error)
            if matches!(error.kind(), ErrorKind::InvalidData | ErrorKind::UnexpectedEof) =>
        {
            StoreError::Damaged(text)
        }
        Error::Io(_)
        | Error::Backend(_)
        | Error::Unsupported
        | Error::PreviousIo
        | Error::DatabaseClosed
        | Error::ValueTooLarge(_) => StoreError::Io(text),
        _ => StoreError::Damaged(text),
    }
}
