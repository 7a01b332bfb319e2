//! Several importers that follow the 36C3's schedule through its revisions, each writing a part of
//! the programme.

use std::{
    collections::BTreeMap,
    fs::File,
    io::BufReader,
    path::{Path, PathBuf},
};

use flate2::read::GzDecoder;
use interchange::{
    Schedule,
    edits::{Revision, Revisions, apply},
    import_as,
};
use p2panda_core::{EditError, Replica};
use p2panda_sync::sim::{App, PeerId, Turn};

use super::observer::Observer;

/// How many revisions all importers have written.
pub(super) const REVISIONS: &str = "revisions";

/// Where the edit history is: the file that `P2PANDA_36C3` names, or beside the workspace.
#[must_use]
pub(super) fn history() -> PathBuf {
    let beside = || {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let all = here.ancestors().map(|folder| folder.join("shared/data/36c3/edits.jsonl.gz"));
        let found = all.clone().find(|path| path.exists());
        found.unwrap_or_else(|| Path::new("../shared/data/36c3/edits.jsonl.gz").to_owned())
    };
    std::env::var_os("P2PANDA_36C3").map_or_else(beside, PathBuf::from)
}

/// The first revisions of a history.
///
/// # Errors
/// In words, where the file is absent or something else.
pub(super) fn revisions(path: &Path, count: usize) -> Result<Vec<Revision>, String> {
    let file = File::open(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let lines = BufReader::new(GzDecoder::new(file));
    let read: Result<Vec<_>, _> = Revisions::new(lines).take(count).collect();
    read.map_err(|error| error.to_string())
}

/// How far an importer is.
#[derive(Default)]
struct Progress {
    schedule: Schedule,
    next: usize,
}

/// Importers that share the programme out by the events' guids.
pub(super) struct Importers {
    observer: Observer,
    revisions: Vec<Revision>,
    /// How many revisions go by from turn to turn.
    each: usize,
    progress: BTreeMap<PeerId, Progress>,
}

impl Importers {
    /// These peers import these revisions, so many at a turn.
    #[must_use]
    pub(super) fn new(peers: &[PeerId], revisions: Vec<Revision>, each: usize) -> Self {
        let progress = peers.iter().map(|peer| (*peer, Progress::default())).collect();
        Self { observer: Observer::default(), revisions, each, progress }
    }
}

impl App for Importers {
    fn act(&mut self, turn: Turn<'_>) -> Result<(), EditError> {
        let importers = self.progress.len();
        let number = self.progress.keys().position(|peer| *peer == turn.peer);
        let Some((number, progress)) = number.zip(self.progress.get_mut(&turn.peer)) else {
            return Ok(());
        };
        let due = self.revisions.iter().skip(progress.next).take(self.each);
        let before = progress.next;
        for revision in due {
            // What does not fit is the source's own muddle, the same for every importer.
            let _ = apply(&mut progress.schedule, revision);
            progress.next += 1;
        }
        if progress.next == before {
            return Ok(());
        }
        let mut part = progress.schedule.clone();
        part.events.retain(|event| {
            event.guid.bytes().map(usize::from).sum::<usize>() % importers == number
        });
        part.drop_unused_rooms();
        let Turn { replica, now, festivals, random, .. } = turn;
        let done = import_as("36c3", replica, festivals[0], &part, now, random, &mut |_| {});
        done.map(drop).map_err(|error| match error {
            interchange::ImportError::Edit(error) => error,
            interchange::ImportError::Store(error) => error.into(),
            interchange::ImportError::Malformed(error) => error.into(),
        })
    }

    fn check(&mut self, _: PeerId, replica: &Replica) -> Result<(), String> {
        self.observer.check(replica)
    }

    fn measure(&mut self, peers: &[(PeerId, &Replica)]) -> Result<BTreeMap<String, u64>, String> {
        let mut figures = self.observer.measure(peers)?;
        let slowest = self.progress.values().map(|progress| progress.next as u64).min();
        figures.insert(REVISIONS.to_owned(), slowest.unwrap_or(0));
        Ok(figures)
    }
}
