use std::io::{self, Write};

use serde_bytes::ByteBuf;

use super::{CUT, CutBody, DOCUMENT, FESTIVAL, SEGMENT, SegmentBody, frame::Writer};
use crate::{
    codec,
    id::{DocumentId, FestivalId, LogId},
    log::{DocumentDescriptor, Seal, Tip, VerifiedFork},
    replica::{Replica, damaged},
    store::StoreError,
};

/// What an archive came to hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Exported {
    /// Documents.
    pub documents: u64,
    /// Logs.
    pub logs: u64,
    /// Entries of logs.
    pub entries: u64,
}

/// Why an archive was not written whole.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The caller's fault: this replica does not follow the festival.
    #[error("this replica does not follow festival {0}")]
    UnknownFestival(FestivalId),
    /// Where the archive was to go failed.
    #[error("the archive could not be written: {0}")]
    Io(#[from] io::Error),
    /// This device's store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Replica {
    /// Writes all that is held, and durable, of a festival: the same bytes for the same contents.
    /// Besides one segment, memory holds the id and length of each log.
    ///
    /// # Errors
    /// [`ExportError`]; what was written by then is no whole archive.
    pub fn export(
        &self,
        festival: FestivalId,
        to: &mut impl Write,
    ) -> Result<Exported, ExportError> {
        let unknown = || ExportError::UnknownFestival(festival);
        let descriptor = self.festival(festival)?.ok_or_else(unknown)?;
        let mut writer = Writer::new(to)?;
        writer.frame(FESTIVAL, &descriptor.to_bytes())?;
        let mut exported = Exported::default();
        let mut document: Option<DocumentId> = None;
        for (log, tip) in self.logs(festival)? {
            if document != Some(log.document) {
                let missing = || damaged("a log's document is unknown");
                let descriptor = self.descriptor(&log.document)?.ok_or_else(missing)?;
                let DocumentDescriptor { festival, user, label } = descriptor;
                writer.frame(DOCUMENT, &codec::encode(&(festival, user, label)))?;
                exported.documents += 1;
                document = Some(log.document);
            }
            exported.entries += self.export_log(&mut writer, &log, tip)?;
            exported.logs += 1;
        }
        writer.finish()?;
        Ok(exported)
    }

    /// Writes a log; how many entries.
    fn export_log(
        &self,
        writer: &mut Writer<'_>,
        log: &LogId,
        tip: Tip,
    ) -> Result<u64, ExportError> {
        let mut at = 0;
        let mut cut = self.fork_proof(log)?.map(VerifiedFork::into_proof);
        while at < tip.length {
            let missing = || damaged(format!("entry {at} of a log is missing"));
            let segment = self.segment(log, at)?.ok_or_else(missing)?.into_segment();
            let payloads = segment.payloads.into_iter().map(ByteBuf::from).collect::<Vec<_>>();
            let entries = payloads.len() as u64;
            match segment.seal {
                Seal::Signature(signature) => {
                    let body: SegmentBody = (log.incarnation, at, payloads, signature);
                    writer.frame(SEGMENT, &codec::encode(&body))?;
                }
                Seal::Fork(proof) => {
                    let body: CutBody = (at, payloads, *proof);
                    writer.frame(CUT, &codec::encode(&body))?;
                    cut = None;
                }
            }
            at += entries;
        }
        if let Some(proof) = cut {
            let body: CutBody = (at, Vec::new(), proof);
            writer.frame(CUT, &codec::encode(&body))?;
        }
        Ok(at)
    }
}
