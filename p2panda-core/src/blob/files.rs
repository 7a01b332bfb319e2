//! The few files that a store of blobs needs, in a folder or in memory.

use std::{
    collections::BTreeMap,
    io::{self, Read},
};
#[cfg(not(target_arch = "wasm32"))]
use std::{
    fs::{self, File, OpenOptions},
    io::{Seek as _, SeekFrom, Write as _},
    path::PathBuf,
};

/// Named files. What was written is durable once the file is synced.
#[derive(Debug)]
pub(super) enum Files {
    Memory(BTreeMap<String, Vec<u8>>),
    #[cfg(not(target_arch = "wasm32"))]
    Folder(PathBuf),
}

impl Files {
    /// The size of a file; `None` where there is none.
    pub(super) fn size(&self, name: &str) -> io::Result<Option<u64>> {
        match self {
            Self::Memory(files) => Ok(files.get(name).map(|file| file.len() as u64)),
            #[cfg(not(target_arch = "wasm32"))]
            Self::Folder(folder) => match fs::metadata(folder.join(name)) {
                Ok(metadata) => Ok(Some(metadata.len())),
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
                Err(error) => Err(error),
            },
        }
    }

    /// So many bytes from a place on.
    pub(super) fn read(&self, name: &str, at: u64, length: usize) -> io::Result<Vec<u8>> {
        match self {
            Self::Memory(files) => {
                let missing = || io::Error::from(io::ErrorKind::UnexpectedEof);
                let file = files.get(name).ok_or_else(missing)?;
                let at = usize::try_from(at).map_err(io::Error::other)?;
                let end = at.checked_add(length).ok_or_else(missing)?;
                file.get(at..end).map(<[u8]>::to_vec).ok_or_else(missing)
            }
            #[cfg(not(target_arch = "wasm32"))]
            Self::Folder(folder) => {
                let mut file = File::open(folder.join(name))?;
                file.seek(SeekFrom::Start(at))?;
                let mut bytes = vec![0; length];
                file.read_exact(&mut bytes)?;
                Ok(bytes)
            }
        }
    }

    /// A whole file.
    pub(super) fn read_all(&self, name: &str) -> io::Result<Vec<u8>> {
        let size = self.size(name)?.ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))?;
        self.read(name, 0, usize::try_from(size).map_err(io::Error::other)?)
    }

    /// Writes from a place on, in a file that is made where there is none.
    pub(super) fn write(&mut self, name: &str, at: u64, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Memory(files) => {
                let file = files.entry(name.to_owned()).or_default();
                let at = usize::try_from(at).map_err(io::Error::other)?;
                let end = at.checked_add(bytes.len()).ok_or(io::ErrorKind::InvalidInput)?;
                if file.len() < end {
                    file.resize(end, 0);
                }
                file[at..end].copy_from_slice(bytes);
                Ok(())
            }
            #[cfg(not(target_arch = "wasm32"))]
            Self::Folder(folder) => {
                let path = folder.join(name);
                let mut file =
                    OpenOptions::new().write(true).create(true).truncate(false).open(path)?;
                file.seek(SeekFrom::Start(at))?;
                file.write_all(bytes)
            }
        }
    }

    pub(super) fn append(&mut self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let end = self.size(name)?.unwrap_or(0);
        self.write(name, end, bytes)
    }

    /// Makes what was written to a file durable.
    pub(super) fn sync(&self, name: &str) -> io::Result<()> {
        match self {
            Self::Memory(files) if files.contains_key(name) => Ok(()),
            Self::Memory(_) => Err(io::ErrorKind::NotFound.into()),
            #[cfg(not(target_arch = "wasm32"))]
            Self::Folder(folder) => {
                OpenOptions::new().write(true).open(folder.join(name))?.sync_all()
            }
        }
    }

    /// Makes durable which files there are, and under which names.
    pub(super) fn sync_names(&self) -> io::Result<()> {
        match self {
            Self::Memory(_) => Ok(()),
            #[cfg(not(target_arch = "wasm32"))]
            Self::Folder(folder) => {
                if cfg!(unix) {
                    File::open(folder)?.sync_all()?;
                }
                Ok(())
            }
        }
    }

    /// Puts a file in the place of another one, whole or not at all.
    pub(super) fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        match self {
            Self::Memory(files) => {
                let file = files.remove(from).ok_or(io::ErrorKind::NotFound)?;
                files.insert(to.to_owned(), file);
                Ok(())
            }
            #[cfg(not(target_arch = "wasm32"))]
            Self::Folder(folder) => fs::rename(folder.join(from), folder.join(to)),
        }
    }

    /// Removes a file; that there is none is no error.
    pub(super) fn remove(&mut self, name: &str) -> io::Result<()> {
        match self {
            Self::Memory(files) => {
                files.remove(name);
                Ok(())
            }
            #[cfg(not(target_arch = "wasm32"))]
            Self::Folder(folder) => match fs::remove_file(folder.join(name)) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
                removed => removed,
            },
        }
    }

    /// The names of all files.
    #[cfg(not(target_arch = "wasm32"))]
    pub(super) fn names(&self) -> io::Result<Vec<String>> {
        match self {
            Self::Memory(files) => Ok(files.keys().cloned().collect()),
            Self::Folder(folder) => {
                let mut names = Vec::new();
                for entry in fs::read_dir(folder)? {
                    names.extend(entry?.file_name().into_string());
                }
                names.sort();
                Ok(names)
            }
        }
    }

    /// Reads a file from its beginning, a piece at a time.
    pub(super) const fn reader<'a>(&'a self, name: &'a str) -> Reader<'a> {
        Reader { files: self, name, at: 0 }
    }
}

/// Reads a file from its beginning.
pub(super) struct Reader<'a> {
    files: &'a Files,
    name: &'a str,
    at: u64,
}

impl Read for Reader<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let size = self.files.size(self.name)?.unwrap_or(0);
        let rest = usize::try_from(size.saturating_sub(self.at)).unwrap_or(usize::MAX);
        let length = rest.min(into.len());
        into[..length].copy_from_slice(&self.files.read(self.name, self.at, length)?);
        self.at += length as u64;
        Ok(length)
    }
}
