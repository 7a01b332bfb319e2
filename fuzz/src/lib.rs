//! What the fuzz targets share: how their inputs are laid out, and what has to hold.

mod archive;
pub mod bed;
pub mod codec;
mod exchange;
pub mod hostile;
mod payloads;
pub mod stored;

pub use payloads::{join, split};
