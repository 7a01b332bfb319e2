//! iroh-docs 0.101: its replica and store, without the network below.

use std::{error::Error, process::ExitCode};

use iroh_blobs::Hash;
use iroh_docs::{
    Author, Entry, NamespaceSecret, ProtocolMessage, Record, RecordIdentifier, Replica,
    SyncOutcome, store::fs::Store,
};
use peers::{
    Change, Cost, DIFFERENT, History, Measure, Row, Side, Wire, Workload, congress, payloads, serve,
};

type Failure = Box<dyn Error>;

fn main() -> ExitCode {
    serve(|workload, size| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| error.to_string())?;
        runtime.block_on(run(workload, size)).map_err(|error| error.to_string())
    })
}

async fn run(workload: Workload, size: usize) -> Result<Row, Failure> {
    match workload {
        Workload::VerifyHundreds | Workload::VerifySingle => verify(size),
        Workload::FirstSyncOne => first_sync(&History::of(1, size)).await,
        Workload::FirstSyncMany => first_sync(&History::of((size / 100).max(1), size)).await,
        Workload::Congress => first_sync(&congress(Workload::revisions(size))?).await,
        Workload::FewDiffer => differ(Workload::documents(size), DIFFERENT).await,
        Workload::Reconnect => differ(Workload::documents(size), 0).await,
        Workload::ColdOpen => {
            Ok(Row::none("an entry names a value that lies in the blob store: no screen to show"))
        }
        Workload::EqualFork => fork().await,
    }
}

fn author(number: usize) -> Author {
    let mut secret = [7; 32];
    secret[..8].copy_from_slice(&(number as u64).to_le_bytes());
    Author::from_bytes(&secret)
}

fn namespace() -> NamespaceSecret {
    NamespaceSecret::from_bytes(&[9; 32])
}

/// Two signatures an entry, and the hash of the value that comes as a blob.
fn verify(count: usize) -> Result<Row, Failure> {
    let (namespace, author) = (namespace(), author(0));
    let entries: Vec<_> = payloads(count)
        .into_iter()
        .enumerate()
        .map(|(at, payload)| {
            let id = RecordIdentifier::new(namespace.id(), author.id(), at.to_be_bytes());
            let record = Record::new(Hash::new(&payload), 200, at as u64);
            (Entry::new(id, record).sign(&namespace, &author), payload)
        })
        .collect();
    let (verified, cost) = Measure::of(|| {
        let valid = entries.iter().filter(|(entry, payload)| {
            entry.verify(&()).is_ok() && Hash::new(payload) == entry.content_hash()
        });
        valid.count()
    });
    Ok(Row::local(cost, format!("{verified} entries, two signatures each; no segments")))
}

/// How changes become entries.
#[derive(Clone, Copy)]
enum Keys {
    /// One for each change, so that none replaces another.
    OfChanges,
    /// One for each event: the last write wins.
    OfEvents,
}

/// Writes changes as their authors; how many bytes of values belong to them.
async fn write(
    replica: &mut Replica<'_>,
    history: &History,
    changes: &[Change],
    keys: Keys,
) -> Result<usize, Failure> {
    let mut values = 0;
    for (number, change) in changes.iter().enumerate() {
        let author = author(history.author(change.document));
        match keys {
            Keys::OfChanges => {
                let payload = change.to_payload();
                values += payload.len();
                let key = format!("{}/{number}", change.document);
                replica.insert(key, &author, Hash::new(&payload), payload.len() as u64).await?;
            }
            Keys::OfEvents => {
                for edit in &change.edits {
                    let Some(event) = &edit.event else { continue };
                    let payload = serde_json::to_vec(event)?;
                    values += payload.len();
                    let key = format!("{}/{}", change.document, edit.id);
                    replica.insert(key, &author, Hash::new(&payload), payload.len() as u64).await?;
                }
            }
        }
    }
    Ok(values)
}

async fn first_sync(history: &History) -> Result<Row, Failure> {
    let (mut here, mut there) = (Store::memory(), Store::memory());
    let mut here = here.new_replica(namespace())?;
    let mut there = there.new_replica(namespace())?;
    let values = write(&mut there, history, &history.changes, Keys::OfChanges).await?;
    let (wire, cost, received) = exchange(&mut here, &mut there).await?;
    let note = format!("{received} entries; {values} bytes of values still to fetch as blobs");
    Ok(Row::exchange(&wire, cost, note))
}

async fn differ(documents: usize, different: usize) -> Result<Row, Failure> {
    let (history, more) = History::with_more(documents, documents * 3, different);
    let (mut here, mut there) = (Store::memory(), Store::memory());
    let mut here = here.new_replica(namespace())?;
    let mut there = there.new_replica(namespace())?;
    write(&mut there, &history, &history.changes, Keys::OfEvents).await?;
    exchange(&mut here, &mut there).await?;
    let values = write(&mut there, &history, &more, Keys::OfEvents).await?;
    let (wire, cost, received) = exchange(&mut here, &mut there).await?;
    let note = format!("{received} entries; {values} bytes of values still to fetch as blobs");
    Ok(Row::exchange(&wire, cost, note))
}

/// Messages to and fro, as bytes.
async fn exchange(
    here: &mut Replica<'_>,
    there: &mut Replica<'_>,
) -> Result<(Wire, Cost, usize), Failure> {
    let mut wire = Wire::default();
    let mut outcomes = [SyncOutcome::default(), SyncOutcome::default()];
    let measure = Measure::start();
    let mut next = Some(here.sync_initial_message()?);
    while let Some(message) = next.take() {
        let message = travel(&mut wire, Side::Here, &message)?;
        let answer = there.sync_process_message(message, [1; 32], &mut outcomes[1]).await?;
        if let Some(answer) = answer {
            let answer = travel(&mut wire, Side::There, &answer)?;
            next = here.sync_process_message(answer, [2; 32], &mut outcomes[0]).await?;
        }
    }
    Ok((wire, measure.stop(), outcomes[0].num_recv))
}

fn travel(
    wire: &mut Wire,
    from: Side,
    message: &ProtocolMessage,
) -> Result<ProtocolMessage, Failure> {
    let frame = postcard::to_stdvec(message)?;
    let stamp = wire.sent(from, frame.len());
    wire.arrived(if from == Side::Here { Side::There } else { Side::Here }, stamp);
    Ok(postcard::from_bytes(&frame)?)
}

/// Two devices of one author write different values under one key.
async fn fork() -> Result<Row, Failure> {
    let (mut here, mut there) = (Store::memory(), Store::memory());
    let mut here = here.new_replica(namespace())?;
    let mut there = there.new_replica(namespace())?;
    for (replica, value) in [(&mut here, "one"), (&mut there, "other")] {
        replica.insert("event", &author(0), Hash::new(value), value.len() as u64).await?;
    }
    let (wire, cost, _) = exchange(&mut here, &mut there).await?;
    let note = "no logs, so no fork: the later value of a key wins, the other is gone";
    Ok(Row::exchange(&wire, cost, note))
}
