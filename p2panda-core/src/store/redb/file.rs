//! The file of a store: made whole or not at all, and never mistaken for another.

use std::ffi::OsString;
use std::fs::{self, File, TryLockError};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use crate::store::StoreError;

/// Whether anything is at `path`; only where nothing is may a store be created.
pub(super) fn exists(path: &Path) -> Result<bool, StoreError> {
    path.try_exists().map_err(|error| failed(path, &error))
}

/// Opens a file that is there already and is not empty.
pub(super) fn open(path: &Path) -> Result<File, StoreError> {
    // Asked before opening: opening a pipe would wait for its other end.
    let found = fs::metadata(path).map_err(|error| failed(path, &error))?;
    if !found.is_file() {
        return Err(damaged(path, "is no file"));
    }
    let file =
        File::options().read(true).write(true).open(path).map_err(|error| failed(path, &error))?;
    // Asked of the open file: redb would make a new store of an empty one.
    let found = file.metadata().map_err(|error| failed(path, &error))?;
    if found.len() == 0 {
        return Err(damaged(
            path,
            "is empty; restore it from a backup, or remove it to start anew",
        ));
    }
    Ok(file)
}

/// Creates a store at `path`: `set_up` fills an empty file under another name, which takes its
/// place once it is complete and on the disk.
///
/// Two processes that create one store would each have a complete file to put at `path`, and the
/// second would replace the first while that is in use. Hence the lock, and the second look under
/// it.
pub(super) fn create<T>(
    path: &Path,
    set_up: impl FnOnce(File) -> Result<T, StoreError>,
) -> Result<(), StoreError> {
    let lock_path = beside(path, ".lock");
    let new_path = beside(path, ".new");

    let lock = File::options()
        .write(true)
        .create(true)
        .truncate(false)
        .open(&lock_path)
        .map_err(|error| failed(&lock_path, &error))?;
    match lock.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            return Err(StoreError::InUse(path.display().to_string()));
        }
        // Without locks, redb cannot keep two processes apart either.
        Err(TryLockError::Error(error)) if error.kind() == ErrorKind::Unsupported => {}
        Err(TryLockError::Error(error)) => return Err(failed(&lock_path, &error)),
    }
    if !exists(path)? {
        match fs::remove_file(&new_path) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(failed(&new_path, &error));
            }
            _ => {}
        }
        let new = File::options()
            .read(true)
            .write(true)
            .create_new(true)
            .open(&new_path)
            .map_err(|error| failed(&new_path, &error))?;
        drop(set_up(new)?);
        fs::rename(&new_path, path).map_err(|error| failed(path, &error))?;
        sync_folder(path).map_err(|error| failed(path, &error))?;
    }
    // Only now that there is a file, so that whoever still waits to lock the removed one, or
    // makes a new one, finds it. If it stays, it is in nobody's way.
    let _ = fs::remove_file(&lock_path);
    Ok(())
}

pub(super) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    name.into()
}

/// Makes a change of the folder's entries durable; elsewhere than on Unix a folder cannot be
/// opened, and renaming is as durable as it gets.
fn sync_folder(path: &Path) -> io::Result<()> {
    if cfg!(unix) {
        let parent = path.parent().filter(|parent| *parent != Path::new(""));
        File::open(parent.unwrap_or_else(|| Path::new(".")))?.sync_all()?;
    }
    Ok(())
}

fn failed(path: &Path, error: &io::Error) -> StoreError {
    StoreError::Io(format!("{}: {error}", path.display()))
}

fn damaged(path: &Path, why: &str) -> StoreError {
    StoreError::Damaged(format!("{} {why}", path.display()))
}
