//! What the fuzz targets share: how their inputs are laid out, and what has to hold.

pub mod bed;
mod exchange;
mod payloads;

pub use payloads::{join, split};
