//! samod 0.16: automerge documents with storage and connections.

mod link;

use std::{error::Error, process::ExitCode, time::Duration};

use automerge::Automerge;
use futures::future::try_join_all;
use peer_automerge::{document, documents, screen, write};
use peers::{DIFFERENT, History, Measure, Row, Workload, congress, serve};
use samod::{DocHandle, DocumentId, Repo, storage::TokioFilesystemStorage};

use crate::link::Link;

type Failure = Box<dyn Error>;

/// How long nothing may travel until an exchange counts as over.
const QUIET: Duration = Duration::from_millis(300);

fn main() -> ExitCode {
    serve(|workload, size| {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        let runtime = runtime.map_err(|error| error.to_string())?;
        runtime.block_on(run(workload, size)).map_err(|error| error.to_string())
    })
}

async fn run(workload: Workload, size: usize) -> Result<Row, Failure> {
    match workload {
        Workload::VerifyHundreds | Workload::VerifySingle => {
            Ok(Row::none("UNSIGNED; decodes changes as automerge does"))
        }
        Workload::FirstSyncOne => first_sync(&History::of(1, size)).await,
        Workload::FirstSyncMany => first_sync(&History::of((size / 100).max(1), size)).await,
        Workload::Congress => first_sync(&congress(Workload::revisions(size))?).await,
        Workload::FewDiffer => differ(Workload::documents(size), DIFFERENT).await,
        Workload::Reconnect => differ(Workload::documents(size), 0).await,
        Workload::ColdOpen => cold_open(Workload::documents(size)).await,
        Workload::EqualFork => fork().await,
    }
}

async fn create(repo: &Repo, documents: Vec<Automerge>) -> Result<Vec<DocHandle>, Failure> {
    let mut handles = Vec::new();
    for document in documents {
        handles.push(repo.create(document).await?);
    }
    Ok(handles)
}

/// Asks for every document, and waits for all.
async fn find(repo: &Repo, ids: &[DocumentId]) -> Result<Vec<DocHandle>, Failure> {
    let found = try_join_all(ids.iter().map(|id| repo.find(id.clone()))).await?;
    let found: Option<Vec<_>> = found.into_iter().collect();
    found.ok_or_else(|| "a document was not found".into())
}

fn ids(handles: &[DocHandle]) -> Vec<DocumentId> {
    handles.iter().map(|handle| handle.document_id().clone()).collect()
}

fn check(here: &[DocHandle], there: &[DocHandle]) -> Result<(), Failure> {
    let heads = |handle: &DocHandle| handle.with_document(|document| document.get_heads());
    let same = here.iter().zip(there).all(|(here, there)| heads(here) == heads(there));
    if same { Ok(()) } else { Err("the documents differ after the sync".into()) }
}

async fn first_sync(history: &History) -> Result<Row, Failure> {
    let here = Repo::build_tokio().load().await;
    let there = Repo::build_tokio().load().await;
    let theirs = create(&there, documents(history)?).await?;
    let mut link = Link::new(&there)?;
    let measure = Measure::start();
    link.connect(&here).await?;
    let ours = find(&here, &ids(&theirs)).await?;
    link.settle().await;
    let cost = measure.stop();
    check(&ours, &theirs)?;
    let row = Row::exchange(&link.wire(), cost, "UNSIGNED; stored, in the documents");
    Ok(if history.documents == 1 { row } else { row.without_steps() })
}

async fn differ(count: usize, different: usize) -> Result<Row, Failure> {
    let (history, more) = History::with_more(count, count * 3, different);
    let here = Repo::build_tokio().load().await;
    let there = Repo::build_tokio().load().await;
    let theirs = create(&there, documents(&history)?).await?;
    let mut link = Link::new(&there)?;
    link.connect(&here).await?;
    let ours = find(&here, &ids(&theirs)).await?;
    link.settle().await;
    link.disconnect().await;
    for change in &more {
        theirs[change.document].with_document(|document| write(document, change))?;
    }
    let measure = Measure::start();
    link.connect(&here).await?;
    link.settle().await;
    let cost = measure.stop();
    check(&ours, &theirs)?;
    let note = "UNSIGNED; the same two processes connect again";
    Ok(Row::exchange(&link.wire(), cost, note).without_steps())
}

async fn cold_open(count: usize) -> Result<Row, Failure> {
    let folder = tempfile::tempdir()?;
    let storage = || TokioFilesystemStorage::new(folder.path());
    let repo = Repo::build_tokio().with_storage(storage()).load().await;
    let ids = ids(&create(&repo, documents(&History::of(count, count * 3))?).await?);
    repo.stop().await;
    drop(repo);
    let measure = Measure::start();
    let repo = Repo::build_tokio().with_storage(storage()).load().await;
    let handles = find(&repo, &ids).await?;
    let mut events = Vec::new();
    for handle in &handles {
        events.extend(handle.with_document(|document| screen(document))?);
    }
    events.sort();
    let cost = measure.stop();
    let note = format!("{} events shown, {} documents loaded", events.len(), handles.len());
    Ok(Row::local(cost, note))
}

/// A folder is copied, and both copies go on.
async fn fork() -> Result<Row, Failure> {
    let history = History::of(1, 12);
    let folders = [tempfile::tempdir()?, tempfile::tempdir()?];
    let storage = |at: usize| TokioFilesystemStorage::new(folders[at].path());
    let mut start = document(0);
    for change in &history.changes[..10] {
        write(&mut start, change)?;
    }
    let repo = Repo::build_tokio().with_storage(storage(0)).load().await;
    let ids = ids(&create(&repo, vec![start]).await?);
    repo.stop().await;
    copy(folders[0].path(), folders[1].path())?;
    let here = Repo::build_tokio().with_storage(storage(0)).load().await;
    let there = Repo::build_tokio().with_storage(storage(1)).load().await;
    let (ours, theirs) = (find(&here, &ids).await?, find(&there, &ids).await?);
    for (handle, change) in [&ours[0], &theirs[0]].into_iter().zip(&history.changes[10..]) {
        handle.with_document(|document| write(document, change))?;
    }
    let mut link = Link::new(&there)?;
    let measure = Measure::start();
    link.connect(&here).await?;
    link.settle().await;
    let cost = measure.stop();
    let note = match check(&ours, &theirs) {
        Ok(()) => "no fork: every load writes as a fresh actor, both branches are merged",
        Err(_) => "the documents differ after the sync",
    };
    Ok(Row::exchange(&link.wire(), cost, note))
}

fn copy(from: &std::path::Path, to: &std::path::Path) -> std::io::Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            std::fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}
