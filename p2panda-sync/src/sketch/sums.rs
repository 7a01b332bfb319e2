//! What a sketch sums up, without the logs themselves: enough to answer a peer that holds the same.

use p2panda_core::{LogId, codec};
use serde_bytes::ByteBuf;

use super::{
    cell::{Cell, Cells, MAX_CELLS},
    estimate::Estimator,
    key::{Entry, Item, Keys},
    pack::{pack, unpack},
    syn::{MAX_SYNDROMES, Syndromes},
};

/// The sums of a festival's map of logs under one salt, kept up to date log by log. All of them are
/// linear, so whoever knows what a log was and what it is needs no other log to go on with them, and
/// they can be stored and gone on with later.
///
/// Which log has which key they do not tell: see [`Sketch`](super::Sketch).
#[derive(Clone, Debug)]
pub struct Sums {
    pub(super) keys: Keys,
    pub(crate) syndromes: Syndromes,
    pub(crate) cells: Cells,
    estimator: Estimator,
    len: usize,
    pub(super) collided: bool,
    version: u64,
}

impl Sums {
    /// Of no logs.
    #[must_use]
    pub fn new(keys: Keys) -> Self {
        Self {
            keys,
            syndromes: Syndromes::default(),
            cells: Cells::default(),
            estimator: Estimator::default(),
            len: 0,
            collided: false,
            version: 0,
        }
    }

    /// Changes a log's entry; `None` is a log that is not there.
    pub fn set(&mut self, log: &LogId, old: Option<&Entry>, new: Option<&Entry>) {
        if old == new {
            return;
        }
        self.change();
        if let Some(old) = old {
            self.take_out(&self.keys.item(log, old));
        }
        if let Some(new) = new {
            self.put_in(&self.keys.item(log, new));
        }
    }

    /// Something is about to be put in or taken out.
    pub(super) const fn change(&mut self) {
        self.version += 1;
    }

    pub(super) fn put_in(&mut self, item: &Item) {
        self.syndromes.add(item);
        self.cells.add(item);
        self.estimator.add(item);
        self.len += 1;
    }

    pub(super) fn take_out(&mut self, item: &Item) {
        self.syndromes.subtract(item);
        self.cells.subtract(item);
        self.estimator.subtract(item);
        self.len = self.len.saturating_sub(1);
    }

    /// They have just been made, in place of others with lower versions.
    pub(crate) const fn begin(&mut self, version: u64) {
        self.version = version;
    }

    /// How often the map has changed since the sums were made.
    #[must_use]
    pub const fn version(&self) -> u64 {
        self.version
    }

    /// How many logs there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no log.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Whether two logs are known to have one key: another salt is needed.
    #[must_use]
    pub const fn collided(&self) -> bool {
        self.collided
    }

    /// The first syndromes, at most [`MAX_SYNDROMES`]; `None` where fewer are kept.
    #[must_use]
    pub fn syndromes(&self, count: usize) -> Option<Syndromes> {
        let kept = self.syndromes.sums().get(..count.min(MAX_SYNDROMES))?;
        Syndromes::from_sums(kept.to_vec())
    }

    /// The first cells, at most [`MAX_CELLS`]; `None` where fewer are kept.
    #[must_use]
    pub fn cells(&self, count: usize) -> Option<Cells> {
        let kept = self.cells.cells().get(..count.min(MAX_CELLS))?;
        Cells::from_cells(kept.to_vec())
    }

    /// The counters that tell how many logs differ.
    #[must_use]
    pub const fn estimator(&self) -> &Estimator {
        &self.estimator
    }

    /// To be stored.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let cells = self.cells.cells().iter().flat_map(|cell| [cell.values, cell.products]);
        codec::encode(&(
            self.len as u64,
            ByteBuf::from(pack(self.syndromes.sums().iter().copied())),
            ByteBuf::from(pack(cells)),
            ByteBuf::from(self.estimator.to_bytes()),
        ))
    }

    /// What was stored; `None` for anything else.
    pub(crate) fn from_bytes(keys: Keys, bytes: &[u8]) -> Option<Self> {
        let (len, syndromes, cells, estimator): (u64, ByteBuf, ByteBuf, ByteBuf) =
            codec::decode(bytes, bytes.len()).ok()?;
        let cells = unpack(&cells)?;
        let cells = cells.chunks_exact(2).map(|sum| Cell { values: sum[0], products: sum[1] });
        Some(Self {
            syndromes: Syndromes::from_sums(unpack(&syndromes)?)?,
            cells: Cells::from_cells(cells.collect())?,
            estimator: Estimator::from_bytes(&estimator)?,
            len: usize::try_from(len).ok()?,
            ..Self::new(keys)
        })
    }
}
