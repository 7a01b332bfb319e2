//! What is measured: one function for each side of a comparison, shared by the criterion benches
//! (`cargo bench -p benches`) and by the table of ratios
//! (`cargo run --release -p benches --bin ratios`).

mod commits;
mod cpu;
pub mod documents;
mod festival;
mod history;
mod judging;
mod links;
mod log;
pub mod meeting;
mod received;
#[cfg(feature = "report")]
pub mod report;
pub mod sketches;

pub use commits::Commits;
pub use cpu::cpu;
pub use festival::Programme;
pub use history::History;
pub use judging::Judging;
pub use links::Links;
pub use log::OneLog;
pub use received::{Edited, Received};
pub use sketches::Sketches;
