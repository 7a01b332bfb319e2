//! Going on with an incarnation: a single-use name, left outside the store.
//!
//! A restored backup or a copied device holds the same store as its original, and if both wrote on
//! in one log they would fork it. So a store that is closed cleanly records a random name and
//! leaves a token of that name where copies of the store do not reach; whoever opens the store goes
//! on only if it can take the token away, which one of them can, once.

#[cfg(not(target_arch = "wasm32"))]
mod runtime_dir;

#[cfg(not(target_arch = "wasm32"))]
pub use runtime_dir::RuntimeDir;

/// Where the single-use names of cleanly closed stores are left: outside the store.
pub trait ResumeTokens: Send {
    /// Leaves a token. If none can be left that is fit for its purpose, leaving nothing is right.
    fn leave(&mut self, name: &[u8; 16]) -> std::io::Result<()>;

    /// Takes a token: true only if it was there and is now gone.
    fn claim(&mut self, name: &[u8; 16]) -> bool;
}

/// Never goes on: every opening of a store draws a fresh incarnation. For browsers, and for doubts.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoResume;

impl ResumeTokens for NoResume {
    fn leave(&mut self, _: &[u8; 16]) -> std::io::Result<()> {
        Ok(())
    }

    fn claim(&mut self, _: &[u8; 16]) -> bool {
        false
    }
}
