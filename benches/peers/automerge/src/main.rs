//! Automerge 0.12 and its sync protocol, one for each document.

use std::{error::Error, process::ExitCode};

use automerge::{
    Automerge, Change, ROOT, ScalarValue,
    sync::{Message, State, SyncDoc as _},
    transaction::Transactable as _,
};
use peer_automerge::{document, documents, screen, write};
use peers::{
    Cost, DIFFERENT, History, Measure, Row, Side, Wire, Workload, congress, payloads, serve,
};

type Failure = Box<dyn Error>;

fn main() -> ExitCode {
    serve(|workload, size| run(workload, size).map_err(|error| error.to_string()))
}

fn run(workload: Workload, size: usize) -> Result<Row, Failure> {
    match workload {
        Workload::VerifyHundreds | Workload::VerifySingle => verify(size),
        Workload::FirstSyncOne => first_sync(&History::of(1, size)),
        Workload::FirstSyncMany => first_sync(&History::of((size / 100).max(1), size)),
        Workload::Congress => first_sync(&congress(Workload::revisions(size))?),
        Workload::FewDiffer => differ(Workload::documents(size), DIFFERENT),
        Workload::Reconnect => differ(Workload::documents(size), 0),
        Workload::ColdOpen => cold_open(Workload::documents(size)),
        Workload::EqualFork => fork(),
    }
}

/// Decoding changes, which recomputes their hashes.
fn verify(count: usize) -> Result<Row, Failure> {
    let mut changes = Vec::new();
    for payload in payloads(count) {
        let mut document = document(0);
        let mut transaction = document.transaction();
        transaction.put(ROOT, "payload", ScalarValue::Bytes(payload))?;
        transaction.commit();
        changes.extend(
            document.get_changes(&[]).into_iter().map(|change| change.raw_bytes().to_vec()),
        );
    }
    let (decoded, cost) =
        Measure::of(|| changes.into_iter().map(Change::from_bytes).filter(Result::is_ok).count());
    Ok(Row::local(cost, format!("UNSIGNED: {decoded} changes decoded and hashed")))
}

/// The documents of one peer, each with what is known of the other's.
struct Peer {
    documents: Vec<Automerge>,
    states: Vec<State>,
}

impl Peer {
    fn new(documents: Vec<Automerge>) -> Self {
        let states = documents.iter().map(|_| State::new()).collect();
        Self { documents, states }
    }

    /// The states as an application keeps them over a reconnect.
    fn reconnect(&mut self) -> Result<(), Failure> {
        for state in &mut self.states {
            *state = State::decode(&state.encode())?;
        }
        Ok(())
    }
}

fn empty(history: &History) -> Peer {
    Peer::new((0..history.documents).map(|at| document(1_000_000 + at)).collect())
}

fn first_sync(history: &History) -> Result<Row, Failure> {
    let mut there = Peer::new(documents(history)?);
    let mut here = empty(history);
    let (bytes, apply) = apply(&there.documents)?;
    let note = format!(
        "UNSIGNED; in the documents, saved nowhere. The same as {bytes} bytes of raw changes, \
         decoded and applied in one batch a document: {:.0?} of CPU",
        apply.cpu
    );
    exchange(&mut here, &mut there, &note)
}

/// What the changes cost that others sign: each as it was committed, applied to fresh documents.
fn apply(documents: &[Automerge]) -> Result<(usize, Cost), Failure> {
    let mut all = Vec::new();
    for document in documents {
        let changes = document.get_changes(&[]);
        all.push(changes.iter().map(|change| change.raw_bytes().to_vec()).collect::<Vec<_>>());
    }
    let bytes = all.iter().flatten().map(Vec::len).sum();
    let (applied, cost) = Measure::of(|| {
        let mut documents = Vec::new();
        for changes in all {
            let mut document = Automerge::new();
            let changes = changes.into_iter().map(Change::from_bytes);
            document.apply_changes(changes.collect::<Result<Vec<_>, _>>()?)?;
            documents.push(document);
        }
        Ok::<_, Failure>(documents)
    });
    applied?;
    Ok((bytes, cost))
}

fn differ(count: usize, different: usize) -> Result<Row, Failure> {
    let (history, more) = History::with_more(count, count * 3, different);
    let mut there = Peer::new(documents(&history)?);
    let mut here = empty(&history);
    sync(&mut here, &mut there, &mut Wire::default())?;
    for change in &more {
        write(&mut there.documents[change.document], change)?;
    }
    here.reconnect()?;
    there.reconnect()?;
    exchange(&mut here, &mut there, "UNSIGNED; with the sync states of the last time")
}

fn exchange(here: &mut Peer, there: &mut Peer, note: &str) -> Result<Row, Failure> {
    let mut wire = Wire::default();
    let (synced, cost) = Measure::of(|| sync(here, there, &mut wire));
    synced?;
    let mut pairs = here.documents.iter().zip(&there.documents);
    if pairs.any(|(here, there)| here.get_heads() != there.get_heads()) {
        return Err("the documents differ after the sync".into());
    }
    Ok(Row::exchange(&wire, cost, note))
}

/// Both sides speak in turn, each about all its documents, until neither has anything to say.
fn sync(here: &mut Peer, there: &mut Peer, wire: &mut Wire) -> Result<(), Failure> {
    loop {
        let sent = [speak(here, there, Side::Here, wire)?, speak(there, here, Side::There, wire)?];
        if sent == [0, 0] {
            return Ok(());
        }
    }
}

fn speak(from: &mut Peer, to: &mut Peer, side: Side, wire: &mut Wire) -> Result<usize, Failure> {
    let other = if side == Side::Here { Side::There } else { Side::Here };
    let mut messages = Vec::new();
    for (at, document) in from.documents.iter().enumerate() {
        if let Some(message) = document.generate_sync_message(&mut from.states[at]) {
            let bytes = message.encode();
            messages.push((at, wire.sent(side, bytes.len()), bytes));
        }
    }
    let count = messages.len();
    for (at, stamp, bytes) in messages {
        wire.arrived(other, stamp);
        let message = Message::decode(&bytes)?;
        to.documents[at].receive_sync_message(&mut to.states[at], message)?;
    }
    Ok(count)
}

fn cold_open(count: usize) -> Result<Row, Failure> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("documents");
    let mut lengths = Vec::new();
    let mut bytes = Vec::new();
    for document in documents(&History::of(count, count * 3))? {
        let saved = document.save();
        lengths.push(saved.len());
        bytes.extend(saved);
    }
    std::fs::write(&path, bytes)?;
    let (opened, cost) = Measure::of(|| {
        let bytes = std::fs::read(&path)?;
        let mut rest = &bytes[..];
        let mut documents = Vec::new();
        let mut events = Vec::new();
        for length in lengths {
            let (saved, after) = rest.split_at(length);
            rest = after;
            let document = Automerge::load(saved)?;
            events.extend(screen(&document)?);
            documents.push(document);
        }
        events.sort();
        Ok::<_, Failure>((documents, events))
    });
    let (documents, events) = opened?;
    let note = format!("{} events shown, {} documents loaded", events.len(), documents.len());
    Ok(Row::local(cost, note))
}

fn fork() -> Result<Row, Failure> {
    let history = History::of(1, 12);
    let mut original = document(0);
    for change in &history.changes[..10] {
        write(&mut original, change)?;
    }
    let saved = original.save();
    let mut copy = Automerge::load(&saved)?.with_actor(original.get_actor().clone());
    write(&mut original, &history.changes[10])?;
    write(&mut copy, &history.changes[11])?;
    let (mut here, mut there) = (Peer::new(vec![original]), Peer::new(vec![copy]));
    let mut wire = Wire::default();
    let (synced, cost) = Measure::of(|| sync(&mut here, &mut there, &mut wire));
    let same = here.documents[0].get_heads() == there.documents[0].get_heads();
    let note = match synced {
        Err(error) => format!(
            "with an actor made from the key the sync fails ({error}); with the fresh actor that \
             Automerge draws at each load there is no fork"
        ),
        Ok(()) if same => "both branches in both documents".to_owned(),
        Ok(()) => "unnoticed: the sync ends well, the documents differ".to_owned(),
    };
    Ok(Row::exchange(&wire, cost, note))
}
