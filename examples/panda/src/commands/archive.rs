//! Archives: all that is held of a festival, in one file.

use std::{
    fs::File,
    io::{self, BufReader, BufWriter, Read as _, Write},
    path::Path,
};

use anyhow::{Context as _, Result, anyhow};
use p2panda_core::archive::{ExportError, Exported, ImportError, ImportFault, Imported, MAGIC};
use serde_json::json;

use crate::{
    app::{App, short},
    home::replace_whole,
    output::{ReaderGone, count, grouped, plain},
};

/// Whether a file begins as an archive does.
pub(super) fn is_one(path: &Path) -> Result<bool> {
    let mut begin = Vec::new();
    let file = File::open(path).with_context(|| format!("{} cannot be opened", path.display()))?;
    file.take(MAGIC.len() as u64)
        .read_to_end(&mut begin)
        .with_context(|| format!("{} cannot be read", path.display()))?;
    Ok(begin == MAGIC)
}

pub(super) fn import(app: &mut App, path: &Path) -> Result<()> {
    let file = File::open(path).with_context(|| format!("{} cannot be opened", path.display()))?;
    let imported = app.device.replica.import(&mut BufReader::new(file)).map_err(explain)?;
    let refused: Vec<_> = imported
        .refused
        .iter()
        .map(|frame| json!({"at": frame.at, "why": frame.why.to_string()}))
        .collect();
    let festival = imported.festival.map(|id| id.to_string()).unwrap_or_default();
    let value = json!({
        "festival": festival,
        "documents": imported.documents,
        "entries": imported.new,
        "refused": refused,
    });
    app.out.answer(&value, || for_people(&imported, &festival))
}

fn for_people(imported: &Imported, festival: &str) -> String {
    let mut text = format!(
        "Festival {}: {} with {}, every one verified.",
        short(festival),
        count(usize::try_from(imported.documents).unwrap_or(usize::MAX), "document"),
        match imported.new {
            1 => "1 new entry".to_owned(),
            new => format!("{} new entries", grouped(new)),
        },
    );
    if imported.skipped > 0 {
        let skipped = grouped(imported.skipped);
        text.push_str(&format!("\nSkipped {skipped} parts that a newer panda understands."));
    }
    if imported.refusals > 0 {
        text.push_str(&format!("\nRefused {} parts of the file:", grouped(imported.refusals)));
        for frame in &imported.refused {
            text.push_str(&format!("\n  at byte {}: {}", frame.at, plain(&frame.why.to_string())));
        }
    }
    text
}

fn explain(error: ImportError) -> anyhow::Error {
    let new = error.imported.new;
    let advice = match (&error.why, new) {
        (ImportFault::Store(_), _) => "the import stopped; import the file again".to_owned(),
        (_, 0) => "nothing was imported".to_owned(),
        _ => format!("{} entries were imported before; they stay", grouped(new)),
    };
    anyhow!(error).context(advice)
}

pub(super) fn export(app: &App, path: &Path) -> Result<()> {
    let festival = app.festival()?;
    let replica = &app.device.replica;
    if path.as_os_str() == "-" {
        let mut out = BufWriter::new(io::stdout().lock());
        return match replica.export(festival, &mut out) {
            Err(ExportError::Io(error)) if error.kind() == io::ErrorKind::BrokenPipe => {
                Err(ReaderGone.into())
            }
            done => Ok(done.map(|_| ())?),
        };
    }
    let mut exported = Exported::default();
    replace_whole(path, |file| {
        let mut file = BufWriter::new(file);
        exported = replica.export(festival, &mut file)?;
        Ok(file.flush()?)
    })?;
    let Exported { documents, logs, entries } = exported;
    let file = path.display().to_string();
    let value = json!({"file": file, "documents": documents, "logs": logs, "entries": entries});
    app.out.answer(&value, || {
        let documents = count(usize::try_from(documents).unwrap_or(usize::MAX), "document");
        format!("Wrote {documents} with {} entries to {file}.", grouped(entries))
    })
}
