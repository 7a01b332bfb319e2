//! What is measured: one function for each side of a comparison, shared by the criterion benches
//! (`cargo bench -p benches`) and by the table of ratios
//! (`cargo run --release -p benches --bin ratios`).

mod festival;
mod history;
mod judged;
mod links;
mod log;
pub mod meeting;
mod received;
pub mod sketches;

pub use festival::Programme;
pub use history::History;
pub use judged::Judged;
pub use links::Links;
pub use log::OneLog;
pub use received::{Edited, Received};
pub use sketches::Sketches;
