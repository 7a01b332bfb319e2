//! Checking what came, without storing it.

use p2panda_core::{
    DocumentDescriptor, FestivalId, Incarnation, LogId, Segment, Tip, VerifiedSegment,
};
use peers::{Measure, Row, payloads};

use crate::adapter::{Failure, user};

/// Entries of each log.
const LOG: usize = 100;

/// Verifies so many entries that came in segments of `each`.
pub(crate) fn verify(entries: usize, each: usize) -> Result<Row, Failure> {
    let author = user(0);
    let mut logs: Vec<(Tip, Vec<Segment>)> = Vec::new();
    for (number, payloads) in payloads(entries).chunks(LOG).enumerate() {
        let label = number.to_string();
        let festival = FestivalId::from_bytes([1; 32]);
        let document = DocumentDescriptor { festival, user: author.user(), label };
        let log = LogId { document: document.id(), incarnation: Incarnation::from_bytes([0; 8]) };
        let start = Tip::start(&log);
        let mut tip = start;
        let mut segments = Vec::new();
        for payloads in payloads.chunks(each) {
            let segment = VerifiedSegment::sign(&author, log, &tip, payloads.to_vec())?;
            tip = *segment.end();
            segments.push(segment.into_segment());
        }
        logs.push((start, segments));
    }
    let (verified, cost) = Measure::of(|| {
        let mut verified = 0;
        for (mut tip, segments) in logs {
            for segment in segments {
                let segment = segment.verify(&tip, &author.user())?;
                verified += segment.payloads().len();
                tip = *segment.end();
            }
        }
        Ok::<_, Failure>(verified)
    });
    let signatures = entries.div_ceil(each);
    let note = format!("{} entries, {signatures} signatures, chain recomputed", verified?);
    Ok(Row::local(cost, note))
}
