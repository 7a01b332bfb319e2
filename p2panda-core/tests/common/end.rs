//! All that a replica makes of what arrived, to be compared with another's.

use std::collections::{BTreeMap, BTreeSet};

use automerge::{Automerge, ROOT, ReadDoc as _, hydrate};
use p2panda_core::{DocumentId, EntityId, FestivalId, LogId, Replica, Stopped, Tip, schema::Value};

/// What peers that hold the same have in common, whatever the order in which it came.
#[derive(Clone, Debug, PartialEq)]
pub struct End {
    pub logs: [u8; 32],
    pub rows: [u8; 32],
    /// Every payload held, in the order of its log.
    pub held: BTreeMap<LogId, (Tip, Vec<Vec<u8>>)>,
    pub stopped: Vec<(LogId, Stopped)>,
    pub documents: BTreeMap<DocumentId, DocumentEnd>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct DocumentEnd {
    pub fingerprint: [u8; 32],
    /// The changes of which Automerge's document consists.
    pub changes: BTreeSet<Vec<u8>>,
    /// What Automerge reads of them.
    pub read: hydrate::Value,
}

/// Takes everything in, and holds Automerge's documents to the view's rows on the way.
pub fn end(replica: &Replica, festival: FestivalId) -> End {
    assert_eq!(replica.caught(), 0, "the last net caught something");
    let mut held = BTreeMap::new();
    let mut ids = BTreeSet::new();
    for (log, tip) in replica.logs(festival).unwrap() {
        let mut payloads = Vec::new();
        while let Some(segment) = replica.segment(&log, payloads.len() as u64).unwrap() {
            payloads.extend(segment.payloads().iter().cloned());
        }
        assert_eq!(payloads.len() as u64, tip.length);
        ids.insert(log.document);
        held.insert(log, (tip, payloads));
    }
    let documents = ids.into_iter().map(|id| (id, document_end(replica, festival, id, &held)));
    let documents = documents.collect();
    End {
        logs: replica.fingerprint_logs().unwrap(),
        rows: replica.fingerprint_view().unwrap(),
        stopped: replica.stopped_logs(festival).unwrap(),
        held,
        documents,
    }
}

fn document_end(
    replica: &Replica,
    festival: FestivalId,
    id: DocumentId,
    held: &BTreeMap<LogId, (Tip, Vec<Vec<u8>>)>,
) -> DocumentEnd {
    let saved = replica.automerge(&id).unwrap().unwrap();
    let automerge = Automerge::load(&saved).unwrap();
    let changes = automerge.get_changes(&[]).into_iter().map(|change| change.raw_bytes().to_vec());
    let changes: BTreeSet<Vec<u8>> = changes.collect();
    let payloads = held.iter().filter(|(log, _)| log.document == id);
    let payloads: BTreeSet<_> = payloads.flat_map(|(_, (_, payloads))| payloads.clone()).collect();
    assert!(changes.is_subset(&payloads), "Automerge has a change that no log has");
    // Where one map and one text stand, nothing is left to be chosen.
    let view = replica.view(festival);
    for local in automerge.keys(ROOT).filter(|key| !key.starts_with('#')) {
        let maps = automerge.get_all(ROOT, local.as_str()).unwrap();
        let [(_, map)] = &maps[..] else { continue };
        let titles = automerge.get_all(map, "title").unwrap();
        let [(title, _)] = &titles[..] else { continue };
        let Ok(local) = local.parse() else { continue };
        let fields = view.fields(&EntityId::new(id, local)).unwrap();
        if let Some(fields) = fields.filter(|fields| !fields.contains_key("editors")) {
            let shown = fields.get("title").cloned();
            assert_eq!(shown, title.as_str().map(Value::from), "{title:?}");
        }
    }
    let fingerprint = replica.document_fingerprint(&id).unwrap().unwrap();
    DocumentEnd { fingerprint, changes, read: automerge.hydrate(None) }
}
