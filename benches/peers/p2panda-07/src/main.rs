//! p2panda-core, p2panda-store and p2panda-sync 0.7.1 of crates.io.

mod exchange;

use std::{collections::HashMap, error::Error, process::ExitCode};

use p2panda_core_07::{
    Body, Hash, Header, Operation, SigningKey, Topic, VerifyingKey, validate_operation,
};
use p2panda_store_07::{
    SqliteStore, SqliteStoreBuilder, Transaction as _, logs::LogStore,
    operations::OperationStore as _, topics::TopicStore as _,
};
use peers::{Change, DIFFERENT, History, Measure, Row, Wire, Workload, congress, payloads, serve};

use crate::exchange::sync;

type Failure = Box<dyn Error>;

/// A document is a log of its author; the header's extension names it.
type LogId = u64;

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
            Ok(Row::none("has neither documents nor a view: an application brings both"))
        }
        Workload::EqualFork => fork().await,
    }
}

fn key(author: usize) -> SigningKey {
    let mut secret = [7; 32];
    secret[..8].copy_from_slice(&(author as u64).to_le_bytes());
    SigningKey::from_bytes(&secret)
}

/// `Header::decode` checks the signature, `validate_operation` the body.
fn verify(count: usize) -> Result<Row, Failure> {
    let key = key(0);
    let mut previous = None;
    let mut operations = Vec::new();
    for (at, payload) in (0_u32..).zip(payloads(count)) {
        let builder = Header::<LogId>::builder().body(&payload).seq_num(at).backlink(previous);
        let header = builder.build(&key, 1);
        previous = Some(header.hash());
        operations.push((header.encode(), payload));
    }
    let size: usize = operations.iter().map(|(header, _)| header.len()).sum();
    let (verified, cost) = Measure::of(|| {
        let mut verified = 0;
        for (header, body) in operations {
            let body = Body::from(body);
            let operation = Operation::from_parts(Header::<LogId>::decode(&header)?, Some(body));
            validate_operation(&operation)?;
            verified += 1;
        }
        Ok::<usize, Failure>(verified)
    });
    let each = size / count;
    let note = format!("{} signatures, {each} bytes of header each; no segments", verified?);
    Ok(Row::local(cost, note))
}

/// A store, and the heads of the logs that are written here.
pub(crate) struct Peer {
    pub(crate) store: SqliteStore,
    heads: HashMap<u64, (u32, Hash)>,
}

pub(crate) fn topic() -> Topic {
    Topic::from([9; 32])
}

impl Peer {
    async fn new(history: &History) -> Result<Self, Failure> {
        let store = SqliteStoreBuilder::memory().build().await?;
        let permit = store.begin().await?;
        for document in 0..history.documents {
            let author = key(history.author(document)).verifying_key();
            store.associate(&topic(), &author, &(document as u64)).await?;
        }
        store.commit(permit).await?;
        Ok(Self { store, heads: HashMap::new() })
    }

    /// Everybody writes, all in one transaction.
    async fn write<'a>(
        &mut self,
        history: &History,
        changes: impl IntoIterator<Item = &'a Change>,
    ) -> Result<(), Failure> {
        let permit = self.store.begin().await?;
        for change in changes {
            let log = change.document as u64;
            let body = Body::from(change.to_payload());
            let head = self.heads.get(&log);
            let seq_num = head.map_or(0, |(seq_num, _)| seq_num + 1);
            let builder = Header::<LogId>::builder().body(&body).seq_num(seq_num);
            let builder = builder.backlink(head.map(|(_, hash)| *hash));
            let header = builder.build(&key(history.author(change.document)), log);
            self.heads.insert(log, (seq_num, header.hash()));
            let operation = Operation::from_parts(header, Some(body));
            self.store.insert_operation(&operation.hash, &operation, &log).await?;
        }
        self.store.commit(permit).await?;
        Ok(())
    }

    async fn head(&self, author: &VerifyingKey, log: LogId) -> Result<Option<Hash>, Failure> {
        let latest: Option<Operation<LogId>> = self.store.get_latest_entry(author, &log).await?;
        Ok(latest.map(|operation| operation.hash))
    }
}

async fn first_sync(history: &History) -> Result<Row, Failure> {
    let (here, mut there) = (Peer::new(history).await?, Peer::new(history).await?);
    there.write(history, &history.changes).await?;
    exchange(&here, &there, history.changes.len()).await
}

async fn differ(documents: usize, different: usize) -> Result<Row, Failure> {
    let (history, more) = History::with_more(documents, documents * 3, different);
    let (mut here, mut there) = (Peer::new(&history).await?, Peer::new(&history).await?);
    here.write(&history, &history.changes).await?;
    there.write(&history, history.changes.iter().chain(&more)).await?;
    exchange(&here, &there, different).await
}

async fn exchange(here: &Peer, there: &Peer, expected: usize) -> Result<Row, Failure> {
    let mut wire = Wire::default();
    let measure = Measure::start();
    let stored = sync(here, there, &mut wire).await?;
    let cost = measure.stop();
    if stored != expected {
        return Err(format!("{stored} operations were stored, not {expected}").into());
    }
    Ok(Row::exchange(&wire, cost, "stored and verified; payloads opaque, nothing materialised"))
}

async fn fork() -> Result<Row, Failure> {
    let history = History::of(1, 12);
    let (mut here, mut there) = (Peer::new(&history).await?, Peer::new(&history).await?);
    let (common, branches) = history.changes.split_at(10);
    here.write(&history, common.iter().chain(&branches[..1])).await?;
    there.write(&history, common.iter().chain(&branches[1..])).await?;
    let mut wire = Wire::default();
    let measure = Measure::start();
    let stored = sync(&here, &there, &mut wire).await?;
    let cost = measure.stop();
    let author = key(0).verifying_key();
    let same = here.head(&author, 0).await? == there.head(&author, 0).await?;
    let note = match (stored, same) {
        (0, false) => "unnoticed: the sync ends well, the two logs stay different",
        (_, true) => "both hold the same log",
        (_, false) => "the logs differ, operations were exchanged",
    };
    Ok(Row::exchange(&wire, cost, note))
}
