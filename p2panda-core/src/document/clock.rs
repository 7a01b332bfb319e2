//! How much of each writer a causal past holds.

use std::{mem, sync::Arc};

/// A writer: an incarnation of the document's user, by the order in which this device met them.
pub(crate) type Writer = u32;

const BITS: u32 = 4;
const WIDTH: usize = 1 << BITS;
const SLOTS: Writer = 1 << BITS;

/// How many changes of each writer lie in a causal past.
///
/// Every change has one. A tree whose parts are shared with the clocks it grew from: a change that
/// has seen ten thousand incarnations and met one more costs a few nodes, not ten thousand counts.
#[derive(Clone, Debug, Default)]
pub(crate) struct Clock {
    root: Node,
    /// How many levels of inner nodes stand above the leaves.
    height: u32,
}

#[derive(Clone, Debug, Default)]
enum Node {
    #[default]
    Empty,
    Leaf(Arc<[u32; WIDTH]>),
    Inner(Arc<[Self; WIDTH]>),
}

/// The slot of a writer in a node that stands above `height` levels.
const fn slot(writer: Writer, height: u32) -> usize {
    ((writer >> (BITS * height)) as usize) % WIDTH
}

impl Clock {
    /// How many changes of a writer.
    pub(crate) fn get(&self, writer: Writer) -> u32 {
        if u64::from(writer) >> (BITS * (self.height + 1)) != 0 {
            return 0;
        }
        let (mut node, mut height) = (&self.root, self.height);
        loop {
            match node {
                Node::Empty => return 0,
                Node::Leaf(counts) => return counts[slot(writer, 0)],
                Node::Inner(nodes) => {
                    node = &nodes[slot(writer, height)];
                    height = height.saturating_sub(1);
                }
            }
        }
    }

    /// Adds a writer's changes up to a length.
    pub(crate) fn raise(&mut self, writer: Writer, length: u32) {
        if self.get(writer) < length {
            while u64::from(writer) >> (BITS * (self.height + 1)) != 0 {
                self.grow();
            }
            self.root.set(writer, self.height, length);
        }
    }

    /// Adds all that another past holds.
    pub(crate) fn merge(&mut self, other: &Self) {
        while self.height < other.height {
            self.grow();
        }
        let mut other = other.clone();
        while other.height < self.height {
            other.grow();
        }
        self.root.merge(&other.root);
    }

    /// Whether there is nothing of any writer.
    pub(super) const fn is_empty(&self) -> bool {
        matches!(self.root, Node::Empty)
    }

    /// Every writer of whom there is something, with how much.
    pub(crate) fn for_each(&self, mut each: impl FnMut(Writer, u32)) {
        self.root.for_each(0, self.height, &mut each);
    }

    fn grow(&mut self) {
        if !matches!(self.root, Node::Empty) {
            let mut nodes: [Node; WIDTH] = Default::default();
            nodes[0] = mem::take(&mut self.root);
            self.root = Node::Inner(Arc::new(nodes));
        }
        self.height += 1;
    }
}

impl Node {
    fn set(&mut self, writer: Writer, height: u32, length: u32) {
        if matches!(self, Self::Empty) {
            *self = match height {
                0 => Self::Leaf(Arc::default()),
                _ => Self::Inner(Arc::default()),
            };
        }
        match self {
            Self::Empty => {}
            Self::Leaf(counts) => Arc::make_mut(counts)[slot(writer, 0)] = length,
            Self::Inner(nodes) => {
                Arc::make_mut(nodes)[slot(writer, height)].set(writer, height - 1, length);
            }
        }
    }

    /// Merges a node of the same height. Where one side holds all that the other does, it is
    /// shared, so that pasts that grew apart and met again share what they agree on.
    fn merge(&mut self, other: &Self) {
        match (&mut *self, other) {
            (_, Self::Empty) => {}
            (Self::Leaf(own), Self::Leaf(others)) => {
                if Arc::ptr_eq(own, others) {
                    return;
                }
                if own.iter().zip(&**others).all(|(own, other)| own <= other) {
                    *own = Arc::clone(others);
                } else if own.iter().zip(&**others).any(|(own, other)| own < other) {
                    for (own, other) in Arc::make_mut(own).iter_mut().zip(&**others) {
                        *own = (*own).max(*other);
                    }
                }
            }
            (Self::Inner(own), Self::Inner(others)) => {
                if Arc::ptr_eq(own, others) {
                    return;
                }
                let mut merged = (**own).clone();
                for (own, other) in merged.iter_mut().zip(&**others) {
                    own.merge(other);
                }
                if merged.iter().zip(&**others).all(|(left, right)| left.is_same(right)) {
                    *own = Arc::clone(others);
                } else if !merged.iter().zip(&**own).all(|(left, right)| left.is_same(right)) {
                    *own = Arc::new(merged);
                }
            }
            _ => *self = other.clone(),
        }
    }

    fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Empty, Self::Empty) => true,
            (Self::Leaf(left), Self::Leaf(right)) => Arc::ptr_eq(left, right),
            (Self::Inner(left), Self::Inner(right)) => Arc::ptr_eq(left, right),
            _ => false,
        }
    }

    fn for_each(&self, first: Writer, height: u32, each: &mut impl FnMut(Writer, u32)) {
        match self {
            Self::Empty => {}
            Self::Leaf(counts) => {
                for (at, length) in (0..SLOTS).zip(&**counts) {
                    if *length > 0 {
                        each(first + at, *length);
                    }
                }
            }
            Self::Inner(nodes) => {
                for (at, node) in (0..SLOTS).zip(&**nodes) {
                    node.for_each(first + (at << (BITS * height)), height - 1, each);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    type Model = BTreeMap<Writer, u32>;

    fn of(model: &Model) -> Clock {
        let mut clock = Clock::default();
        for (writer, length) in model {
            clock.raise(*writer, *length);
        }
        clock
    }

    fn contents(clock: &Clock) -> Model {
        let mut model = Model::new();
        clock.for_each(|writer, length| assert!(model.insert(writer, length).is_none()));
        model
    }

    fn model() -> impl Strategy<Value = Model> {
        let writer = prop_oneof![0_u32..40, 0_u32..5_000, Just(u32::MAX)];
        proptest::collection::btree_map(writer, 1_u32..9, 0..60)
    }

    proptest! {
        #[test]
        fn a_clock_is_a_map_of_maxima(left in model(), right in model()) {
            let (mut clock, other) = (of(&left), of(&right));
            prop_assert_eq!(contents(&clock), left.clone());
            let before = clock.clone();
            clock.merge(&other);
            let mut merged = left.clone();
            for (writer, length) in &right {
                let known = merged.entry(*writer).or_default();
                *known = (*known).max(*length);
                prop_assert_eq!(other.get(*writer), *length);
            }
            prop_assert_eq!(contents(&clock), merged);
            prop_assert_eq!(contents(&before), left, "a clock that shares parts changed");
        }
    }
}
