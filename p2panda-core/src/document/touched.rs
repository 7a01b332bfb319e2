//! Which places of a document changed: what of the view has to be looked at again.

use std::collections::{BTreeMap, BTreeSet};

use smol_str::SmolStr;

use super::Merge;
use crate::id::LocalId;

/// What of an entity or record was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Wrote {
    /// It was made or deleted.
    Whole,
    /// What stands at these paths; none of them lies below another.
    Paths(BTreeSet<Vec<SmolStr>>),
}

/// The places that changes wrote, by entity or record, and the changes that merged.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Touched {
    places: BTreeMap<LocalId, Wrote>,
    merges: Merges,
}

/// Entries that depend on entries of other incarnations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Merges {
    These(Vec<Merge>),
    /// Those that there are, and none that there were.
    All,
}

impl Default for Merges {
    fn default() -> Self {
        Self::These(Vec::new())
    }
}

impl Touched {
    /// Everything that is there.
    pub(crate) fn whole(locals: impl IntoIterator<Item = LocalId>) -> Self {
        let places = locals.into_iter().map(|local| (local, Wrote::Whole)).collect();
        Self { places, merges: Merges::All }
    }

    pub(crate) fn extend(&mut self, other: Self) {
        match (&mut self.merges, other.merges) {
            (Merges::These(own), Merges::These(others)) => own.extend(others),
            (merges, _) => *merges = Merges::All,
        }
        for (local, wrote) in other.places {
            match wrote {
                Wrote::Whole => drop(self.places.insert(local, Wrote::Whole)),
                Wrote::Paths(paths) => {
                    for path in paths {
                        self.insert(local.clone(), &path);
                    }
                }
            }
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&LocalId, &Wrote)> {
        self.places.iter()
    }

    pub(crate) const fn merges(&self) -> &Merges {
        &self.merges
    }

    /// Adds an entry that depends on others.
    pub(super) fn merge(&mut self, merge: Merge) {
        if let Merges::These(merges) = &mut self.merges {
            merges.push(merge);
        }
    }

    /// Adds a path of an entity; an empty one is the entity itself.
    pub(super) fn add(&mut self, entity: &str, path: &[SmolStr]) {
        // The gate let no other key pass.
        let Ok(local) = entity.parse() else { return };
        self.insert(local, path);
    }

    fn insert(&mut self, local: LocalId, path: &[SmolStr]) {
        if path.is_empty() {
            self.places.insert(local, Wrote::Whole);
            return;
        }
        let wrote = self.places.entry(local).or_insert_with(|| Wrote::Paths(BTreeSet::new()));
        let Wrote::Paths(paths) = wrote else { return };
        if (1..=path.len()).any(|length| paths.contains(&path[..length])) {
            return;
        }
        // Whatever lies below a path follows it directly in order.
        let below: Vec<Vec<SmolStr>> = paths
            .range(path.to_vec()..)
            .take_while(|other| other.starts_with(path))
            .cloned()
            .collect();
        for path in &below {
            paths.remove(path);
        }
        paths.insert(path.to_vec());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_paths_that_lie_below_each_other_the_upper_one_is_kept() {
        let path = |text: &str| -> Vec<SmolStr> { text.split('.').map(SmolStr::from).collect() };
        let kept = |added: &[&str]| {
            let mut touched = Touched::default();
            for text in added {
                touched.add("e", &path(text));
            }
            let (_, wrote) = touched.iter().next().unwrap();
            wrote.clone()
        };
        let paths = |texts: &[&str]| Wrote::Paths(texts.iter().map(|text| path(text)).collect());
        assert_eq!(kept(&["a.b", "a.c", "ab", "a"]), paths(&["a", "ab"]));
        assert_eq!(kept(&["a", "a.b.c"]), paths(&["a"]));
        let mut touched = Touched::default();
        touched.add("e", &path("a"));
        touched.add("e", &[]);
        touched.add("e", &path("b"));
        assert_eq!(touched.places, Touched::whole(["e".parse().unwrap()]).places);
    }
}
