use std::io::{self, Read, Write};

use super::{END, ImportFault, MAGIC, OPTIONAL, VERSION, limit};
use crate::codec;

/// Writes a file frame by frame.
pub(super) struct Writer<'a> {
    to: &'a mut dyn Write,
    frames: u64,
}

impl<'a> Writer<'a> {
    pub(super) fn new(to: &'a mut dyn Write) -> io::Result<Self> {
        to.write_all(MAGIC)?;
        to.write_all(VERSION)?;
        Ok(Self { to, frames: 0 })
    }

    pub(super) fn frame(&mut self, kind: u8, body: &[u8]) -> io::Result<()> {
        let length = u32::try_from(body.len()).map_err(io::Error::other)?;
        self.to.write_all(&[kind])?;
        self.to.write_all(&length.to_be_bytes())?;
        self.to.write_all(body)?;
        self.frames += 1;
        Ok(())
    }

    pub(super) fn finish(mut self) -> io::Result<()> {
        self.frame(END, &codec::encode(&self.frames))?;
        self.to.flush()
    }
}

/// Reads a file frame by frame; no more than one of bounded size is held at a time.
pub(super) struct Reader<'a> {
    from: &'a mut dyn Read,
    at: u64,
    frames: u64,
    skipped: u64,
}

/// A frame of a kind that this version knows.
pub(super) struct Frame {
    /// Where it starts in the file.
    pub(super) at: u64,
    pub(super) kind: u8,
    pub(super) body: Vec<u8>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(from: &'a mut dyn Read) -> Result<Self, ImportFault> {
        let mut reader = Self { from, at: 0, frames: 0, skipped: 0 };
        let begin = reader.read(MAGIC.len() + VERSION.len());
        match begin {
            Ok(begin) if begin == [MAGIC, VERSION].concat() => Ok(reader),
            Ok(begin) if begin.starts_with(MAGIC) => Err(ImportFault::NewerFormat),
            Err(ImportFault::Io(error)) => Err(ImportFault::Io(error)),
            _ => Err(ImportFault::NotAnArchive),
        }
    }

    /// The next frame, or `None` where the file ends as it should.
    pub(super) fn next(&mut self) -> Result<Option<Frame>, ImportFault> {
        loop {
            let at = self.at;
            let [kind] = self.read_array()?;
            let length = u32::from_be_bytes(self.read_array()?);
            let Some(limit) = limit(kind) else {
                if kind < OPTIONAL {
                    return Err(ImportFault::NewerFrame { at, kind });
                }
                self.skip(length.into())?;
                self.frames += 1;
                self.skipped += 1;
                continue;
            };
            let length = usize::try_from(length).unwrap_or(usize::MAX);
            if length > limit {
                return Err(ImportFault::Damaged { at, what: "a frame is too large" });
            }
            let body = self.read(length)?;
            if kind == END {
                return self.end(at, &body);
            }
            self.frames += 1;
            return Ok(Some(Frame { at, kind, body }));
        }
    }

    /// Frames of unknown kinds that were skipped.
    pub(super) const fn skipped(&self) -> u64 {
        self.skipped
    }

    fn end(&mut self, at: u64, body: &[u8]) -> Result<Option<Frame>, ImportFault> {
        if codec::decode(body, body.len()) != Ok(self.frames) {
            return Err(ImportFault::Damaged { at, what: "frames are missing" });
        }
        match self.read_array::<1>() {
            Err(ImportFault::Truncated { .. }) => Ok(None),
            Err(error) => Err(error),
            Ok(_) => Err(ImportFault::Damaged { at, what: "bytes follow the last frame" }),
        }
    }

    fn read_array<const N: usize>(&mut self) -> Result<[u8; N], ImportFault> {
        let mut bytes = [0; N];
        self.fill(&mut bytes)?;
        Ok(bytes)
    }

    fn read(&mut self, length: usize) -> Result<Vec<u8>, ImportFault> {
        let mut bytes = vec![0; length];
        self.fill(&mut bytes)?;
        Ok(bytes)
    }

    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), ImportFault> {
        self.from.read_exact(bytes).map_err(|error| self.explain(error))?;
        self.at += bytes.len() as u64;
        Ok(())
    }

    fn skip(&mut self, length: u64) -> Result<(), ImportFault> {
        let skipped = io::copy(&mut Read::take(&mut *self.from, length), &mut io::sink());
        let skipped = skipped.map_err(|error| self.explain(error))?;
        self.at += skipped;
        if skipped == length { Ok(()) } else { Err(ImportFault::Truncated { at: self.at }) }
    }

    fn explain(&self, error: io::Error) -> ImportFault {
        match error.kind() {
            io::ErrorKind::UnexpectedEof => ImportFault::Truncated { at: self.at },
            _ => ImportFault::Io(error),
        }
    }
}
