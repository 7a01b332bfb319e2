//! A file that is not written to before it is known to be one that this version may write.
//!
//! redb writes to a file when it opens it, and again when it closes it. A store that is refused,
//! because a newer version wrote it or it is damaged, has to stay as it is.

use std::{
    io,
    ops::Bound,
    sync::{Arc, Mutex, PoisonError},
};

use ::redb::{BackendError, StorageBackend};

/// Keeps what is written in memory until it is [released](Self::release); dropped before, the file
/// was only read.
#[derive(Debug)]
pub(super) struct Held<B>(Arc<Inner<B>>);

#[derive(Debug)]
struct Inner<B> {
    file: B,
    /// `None` once everything goes to the file.
    held: Mutex<Option<Vec<Change>>>,
}

#[derive(Debug)]
enum Change {
    Length(u64),
    Bytes(u64, Vec<u8>),
    /// What was written before has to be on the disk before what comes behind.
    Sync,
}

impl<B> Clone for Held<B> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<B: StorageBackend> Held<B> {
    pub(super) fn new(file: B) -> Self {
        Self(Arc::new(Inner { file, held: Mutex::new(Some(Vec::new())) }))
    }

    /// Writes what was held, and from here on all else, to the file. After an error, what was not
    /// written is still held.
    pub(super) fn release(&self) -> io::Result<()> {
        self.with(|held| {
            let file = &self.0.file;
            let Some(changes) = held else { return Ok(()) };
            let mut made = 0;
            let all = changes.iter().try_for_each(|change| {
                match change {
                    Change::Length(length) => file.set_len(*length),
                    Change::Bytes(at, bytes) => file.write(*at, bytes),
                    Change::Sync => file.sync_data(),
                }?;
                made += 1;
                Ok(())
            });
            if all.is_err() {
                changes.drain(..made);
            } else {
                *held = None;
            }
            all
        })
    }

    fn with<T>(&self, act: impl FnOnce(&mut Option<Vec<Change>>) -> T) -> T {
        act(&mut self.0.held.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Holds a change, or makes it.
    fn change(&self, change: Change, make: impl FnOnce(&B) -> io::Result<()>) -> io::Result<()> {
        self.with(|held| match held {
            Some(held) => {
                held.push(change);
                Ok(())
            }
            None => make(&self.0.file),
        })
    }
}

fn length(file: u64, held: &[Change]) -> u64 {
    let last = held.iter().rev().find_map(|change| match change {
        Change::Length(length) => Some(*length),
        _ => None,
    });
    last.unwrap_or(file)
}

/// A place in memory for what of `at..at + length` lies behind `from`.
fn behind(out: &mut [u8], at: u64, from: u64) -> &mut [u8] {
    let start = usize::try_from(from.saturating_sub(at)).unwrap_or(usize::MAX).min(out.len());
    &mut out[start..]
}

impl<B: StorageBackend> StorageBackend for Held<B> {
    fn len(&self) -> io::Result<u64> {
        let file = self.0.file.len()?;
        Ok(self.with(|held| length(file, held.as_deref().unwrap_or_default())))
    }

    fn read(&self, at: u64, out: &mut [u8]) -> io::Result<()> {
        self.with(|held| {
            let held = match held.as_deref() {
                None | Some([]) => return self.0.file.read(at, out),
                Some(held) => held,
            };
            let file = self.0.file.len()?;
            if at + out.len() as u64 > length(file, held) {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            behind(out, at, file).fill(0);
            let there = out.len() - behind(out, at, file).len();
            if there > 0 {
                self.0.file.read(at, &mut out[..there])?;
            }
            for change in held {
                match change {
                    Change::Length(length) => behind(out, at, *length).fill(0),
                    Change::Bytes(start, bytes) => {
                        let skip = usize::try_from(at.saturating_sub(*start)).unwrap_or(usize::MAX);
                        let new = bytes.get(skip..).unwrap_or_default();
                        let place = behind(out, at, *start);
                        let count = new.len().min(place.len());
                        place[..count].copy_from_slice(&new[..count]);
                    }
                    Change::Sync => {}
                }
            }
            Ok(())
        })
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        self.change(Change::Length(length), |file| file.set_len(length))
    }

    fn sync_data(&self) -> io::Result<()> {
        self.change(Change::Sync, StorageBackend::sync_data)
    }

    fn write(&self, at: u64, data: &[u8]) -> io::Result<()> {
        let held = self.with(|held| {
            held.as_mut().map(|held| held.push(Change::Bytes(at, data.to_vec()))).is_some()
        });
        if held { Ok(()) } else { self.0.file.write(at, data) }
    }

    fn close(&self) -> io::Result<()> {
        self.0.file.close()
    }

    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.0.file.try_lock_range(start, end)
    }

    fn try_lock_shared_range(
        &self,
        start: Bound<u64>,
        end: Bound<u64>,
    ) -> Result<bool, BackendError> {
        self.0.file.try_lock_shared_range(start, end)
    }

    fn lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.0.file.lock_range(start, end)
    }

    fn lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.0.file.lock_shared_range(start, end)
    }

    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.0.file.unlock_range(start, end)
    }

    fn query_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.0.file.query_lock_range(start, end)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use ::redb::backends::InMemoryBackend;

    use super::*;

    /// A file of which changes fail after so many.
    #[derive(Debug)]
    struct Failing {
        file: InMemoryBackend,
        left: AtomicUsize,
    }

    impl Failing {
        const fn new(file: InMemoryBackend) -> Self {
            Self { file, left: AtomicUsize::new(usize::MAX) }
        }

        /// Whether something fails where the file takes so many more changes.
        fn fails_after(&self, changes: usize, act: impl FnOnce() -> io::Result<()>) -> bool {
            self.left.store(changes, Ordering::Relaxed);
            let failed = act().is_err();
            self.left.store(usize::MAX, Ordering::Relaxed);
            failed
        }

        fn change(&self) -> io::Result<()> {
            let left = self.left.load(Ordering::Relaxed);
            self.left.store(left.saturating_sub(1), Ordering::Relaxed);
            if left > 0 { Ok(()) } else { Err(io::Error::other("full")) }
        }
    }

    impl StorageBackend for Failing {
        fn len(&self) -> io::Result<u64> {
            self.file.len()
        }
        fn read(&self, at: u64, out: &mut [u8]) -> io::Result<()> {
            self.file.read(at, out)
        }
        fn set_len(&self, length: u64) -> io::Result<()> {
            self.change()?;
            self.file.set_len(length)
        }
        fn sync_data(&self) -> io::Result<()> {
            self.change()
        }
        fn write(&self, at: u64, data: &[u8]) -> io::Result<()> {
            self.change()?;
            self.file.write(at, data)
        }
    }

    fn whole(backend: &impl StorageBackend) -> Vec<u8> {
        let mut bytes = vec![0; usize::try_from(backend.len().unwrap()).unwrap()];
        backend.read(0, &mut bytes).unwrap();
        bytes
    }

    /// Random changes, held and made at once: they read alike, at every place, before and after.
    #[test]
    fn what_is_held_reads_as_if_it_were_written() {
        let mut random = 7_u64;
        let mut below = |bound: u64| {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            random % bound
        };
        for _ in 0..200 {
            let (held, made) =
                (Held::new(Failing::new(InMemoryBackend::new())), InMemoryBackend::new());
            for backend in [&held.0.file.file, &made] {
                backend.set_len(40).unwrap();
                backend.write(0, &[9; 40]).unwrap();
            }
            let mut length = 40;
            for step in 0..12_u8 {
                if below(4) == 0 {
                    length = below(80);
                    held.set_len(length).unwrap();
                    made.set_len(length).unwrap();
                } else if length > 0 {
                    let at = below(length);
                    let count = usize::try_from(1 + below(length - at)).unwrap();
                    held.write(at, &vec![step; count]).unwrap();
                    made.write(at, &vec![step; count]).unwrap();
                }
                held.sync_data().unwrap();
                assert_eq!(held.len().unwrap(), made.len().unwrap());
                for at in 0..length {
                    for end in at..=length {
                        let size = usize::try_from(end - at).unwrap();
                        let (mut one, mut other) = (vec![1; size], vec![2; size]);
                        held.read(at, &mut one).unwrap();
                        made.read(at, &mut other).unwrap();
                        assert_eq!(one, other);
                    }
                }
                assert!(held.read(length, &mut [0; 1]).is_err());
            }
            assert_eq!(whole(&held.0.file), [9; 40], "nothing was written");
            for changes in [0, 1, 5, 13] {
                let failed = held.0.file.fails_after(changes, || held.release());
                assert!(failed || changes > 5, "there are at least twelve");
                assert_eq!(whole(&held), whole(&made), "what could not be written is still held");
            }
            held.release().unwrap();
            assert_eq!(whole(&held.0.file), whole(&made));
            held.set_len(7).unwrap();
            assert_eq!(held.0.file.len().unwrap(), 7, "from here on it goes to the file");
        }
    }
}
