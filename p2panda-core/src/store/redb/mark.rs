//! A small file beside a store's that says what the process is about to try.

use std::{
    fs::{self, File},
    io::{ErrorKind, Read as _, Seek as _, SeekFrom, Write as _},
    path::PathBuf,
};

use crate::store::StoreError;

/// Written without `fsync`: what was written outlives the process, which is what marks are for, and
/// a write costs about a microsecond.
#[derive(Debug)]
pub(super) struct MarkFile {
    path: PathBuf,
    /// Opened by the first mark.
    file: Option<File>,
    is_clear: bool,
}

impl MarkFile {
    pub(super) const fn new(path: PathBuf) -> Self {
        Self { path, file: None, is_clear: false }
    }

    pub(super) fn write(&mut self, mark: &[u8]) -> Result<(), StoreError> {
        if mark.is_empty() && self.is_clear {
            return Ok(());
        }
        self.try_write(mark)
            .map_err(|error| StoreError::Io(format!("{}: {error}", self.path.display())))?;
        self.is_clear = mark.is_empty();
        Ok(())
    }

    fn try_write(&mut self, mark: &[u8]) -> std::io::Result<()> {
        let file = match self.file.take() {
            Some(file) => file,
            None if mark.is_empty() && !self.path.try_exists()? => return Ok(()),
            None => File::options().write(true).create(true).truncate(false).open(&self.path)?,
        };
        let file = self.file.insert(file);
        // In one write, its length first: a shorter mark leaves the end of a longer one behind.
        let length = u32::try_from(mark.len()).unwrap_or(u32::MAX);
        file.seek(SeekFrom::Start(0))?;
        file.write_all(&[&length.to_be_bytes()[..], mark].concat())
    }

    pub(super) fn read(&self) -> Result<Option<Vec<u8>>, StoreError> {
        let failed =
            |error: std::io::Error| StoreError::Io(format!("{}: {error}", self.path.display()));
        let mut bytes = Vec::new();
        match fs::File::open(&self.path) {
            Ok(file) => file.take(4096).read_to_end(&mut bytes).map_err(failed)?,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed(error)),
        };
        let Some((length, rest)) = bytes.split_first_chunk::<4>() else { return Ok(None) };
        let length = usize::try_from(u32::from_be_bytes(*length)).unwrap_or(usize::MAX);
        Ok(rest.get(..length).filter(|mark| !mark.is_empty()).map(<[u8]>::to_vec))
    }
}
