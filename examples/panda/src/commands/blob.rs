//! `panda blob`: images and files.

use std::{
    fs::File,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail};
use clap::{Args, Subcommand};
use p2panda_core::{
    BlobId, BlobProgress, BlobStore,
    schema::{Event, Resource},
};
use p2panda_sync::BlobPolicy;
use serde_json::{Value, json};

use crate::{
    app::App,
    ids,
    output::{Table, count, grouped, plain},
};

#[derive(Debug, Subcommand)]
pub(crate) enum BlobCommand {
    /// Put a picture to an event or a resource of yours; who syncs fetches it
    Image {
        /// The event or the resource
        of: String,
        /// The picture
        file: PathBuf,
    },
    /// Put a file to an event or a resource of yours
    File {
        /// The event or the resource
        of: String,
        /// The file
        file: PathBuf,
    },
    /// The images and files of the festival, and how much of each is here
    List,
    /// Write an image or a file that is here to a file
    Save {
        /// Its id, or a unique beginning of it
        blob: String,
        /// The file to write
        file: PathBuf,
    },
}

#[derive(Debug, Args)]
pub(crate) struct BlobArgs {
    /// Fetch images and files up to so many bytes each; 0 fetches none
    #[arg(long, value_name = "BYTES", default_value_t = 8 << 20)]
    pub(crate) blobs: u64,
}

impl BlobArgs {
    pub(crate) const fn policy(&self) -> BlobPolicy {
        match self.blobs {
            0 => BlobPolicy::None,
            bytes => BlobPolicy::UpTo(bytes),
        }
    }
}

pub(super) fn run(app: &mut App, command: &BlobCommand) -> Result<()> {
    match command {
        BlobCommand::Image { of, file } => attach(app, of, file, Field::Images),
        BlobCommand::File { of, file } => attach(app, of, file, Field::Files),
        BlobCommand::List => list(app),
        BlobCommand::Save { blob, file } => save(app, blob, file),
    }
}

/// Where an entity refers to a blob.
#[derive(Clone, Copy)]
enum Field {
    Images,
    Files,
}

/// Where this home keeps blobs.
fn kept(app: &mut App) -> Result<&mut BlobStore> {
    app.device.replica.blobs().context("this home keeps no images and files")
}

fn attach(app: &mut App, of: &str, file: &Path, field: Field) -> Result<()> {
    let festival = app.festival()?;
    let view = app.view(festival);
    // It is told as an event where it is neither.
    let found = ids::event(view, of);
    let resource = if found.is_err() { ids::resource(view, of).ok() } else { None };
    let from = File::open(file).with_context(|| format!("{} cannot be read", file.display()))?;
    let blob = kept(app)?.add(from).with_context(|| file.display().to_string())?;
    let id = if let Some((id, mut resource)) = resource {
        match field {
            Field::Images => resource.images.insert(blob),
            Field::Files => resource.files.insert(blob),
        };
        app.edit(festival, |edit| Ok(edit.update(&id, &resource)?))?;
        id
    } else {
        let (id, mut event) = found?;
        match field {
            Field::Images => event.images.insert(blob),
            Field::Files => event.files.insert(blob),
        };
        app.edit(festival, |edit| Ok(edit.update(&id, &event)?))?;
        id
    };
    app.out.answer(&json!({"blob": blob, "of": id}), || blob.to_string())
}

fn list(app: &mut App) -> Result<()> {
    let festival = app.festival()?;
    let mut values = Vec::new();
    let mut table = Table::default();
    for blob in app.view(festival).blobs()? {
        let view = app.view(festival);
        let mut titles = Vec::new();
        for id in view.entities_with(&blob)? {
            let event = view.entity::<Event>(&id)?.and_then(Result::ok).map(|event| event.title);
            let title = match event {
                Some(title) => Some(title),
                None => view.entity::<Resource>(&id)?.and_then(Result::ok).map(|of| of.title),
            };
            titles.extend(title.map(|title| plain(&title)));
        }
        let progress = kept(app)?.progress(&blob)?;
        let (size, state) = match progress {
            BlobProgress::Absent => (None, "not here".to_owned()),
            BlobProgress::Partial { size, pieces } => {
                let pieces = usize::try_from(pieces).unwrap_or(usize::MAX);
                (Some(size), format!("{} of {} bytes", count(pieces, "piece"), grouped(size)))
            }
            BlobProgress::Whole { size } => (Some(size), format!("{} bytes", grouped(size))),
        };
        let is_here = matches!(progress, BlobProgress::Whole { .. });
        values.push(json!({"blob": blob, "of": titles, "size": size, "here": is_here}));
        table.row([blob.to_string(), state, titles.join(", ")]);
    }
    app.out.answer(&Value::Array(values), || match table.render("") {
        text if text.is_empty() => "There are no images and files.".to_owned(),
        text => text,
    })
}

fn save(app: &mut App, text: &str, file: &Path) -> Result<()> {
    let text = text.to_ascii_lowercase();
    let blobs = kept(app)?;
    let named: Vec<BlobId> =
        blobs.list().map(|(id, _)| id).filter(|id| id.to_string().starts_with(&text)).collect();
    let blob = match named[..] {
        [only] => only,
        [] => bail!("nothing of this id is here whole; `panda blob list` shows what is"),
        _ => bail!("several begin with {text:?}; write more of the id"),
    };
    let bytes = blobs.read(&blob)?.context("it is gone")?;
    crate::home::write_whole(file, &bytes)?;
    let size = bytes.len() as u64;
    app.out.answer(&json!({"blob": blob, "size": size}), || {
        format!("{} bytes written to {}.", grouped(size), file.display())
    })
}
