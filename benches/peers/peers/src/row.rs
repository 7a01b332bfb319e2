//! What one system gives for one workload.

use std::process::ExitCode;

use serde::{Deserialize, Serialize};

use crate::{Cost, Wire, Workload};

/// One line of the table.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Row {
    /// Bytes of both directions, payloads included.
    pub bytes: Option<u64>,
    /// Messages of both directions.
    pub messages: Option<u64>,
    /// One-way steps that follow from each other.
    pub steps: Option<u32>,
    /// CPU and memory.
    pub cost: Option<Cost>,
    /// What came of it, or what is not done.
    pub note: String,
}

/// A row, or why there is none.
pub type Outcome = Result<Row, String>;

impl Row {
    /// A row about work without a wire.
    #[must_use]
    pub fn local(cost: Cost, note: impl Into<String>) -> Self {
        Self { bytes: None, messages: None, steps: None, cost: Some(cost), note: note.into() }
    }

    /// A row about an exchange.
    #[must_use]
    pub fn exchange(wire: &Wire, cost: Cost, note: impl Into<String>) -> Self {
        Self {
            bytes: Some(wire.bytes()),
            messages: Some(wire.messages()),
            steps: Some(wire.steps()),
            ..Self::local(cost, note)
        }
    }

    /// The row without steps, where many independent exchanges share a connection and the order in
    /// which they happen to run would count as waiting.
    #[must_use]
    pub fn without_steps(self) -> Self {
        Self { steps: None, ..self }
    }

    /// A row that says only why there is nothing to measure.
    #[must_use]
    pub fn none(note: impl Into<String>) -> Self {
        Self { bytes: None, messages: None, steps: None, cost: None, note: note.into() }
    }
}

/// The `main` of a system's binary: `SYSTEM WORKLOAD SIZE` prints the row as JSON.
pub fn serve(run: impl FnOnce(Workload, usize) -> Outcome) -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let row = match &arguments[..] {
        [workload, size] => workload.parse().and_then(|workload| {
            let size = size.parse().map_err(|_| format!("{size} is not a size"))?;
            run(workload, size)
        }),
        _ => Err("usage: WORKLOAD SIZE".to_owned()),
    };
    match row.and_then(|row| serde_json::to_string(&row).map_err(|error| error.to_string())) {
        Ok(row) => {
            println!("{row}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
