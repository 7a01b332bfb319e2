//! Which places of a document changed: what of the view has to be looked at again.

use std::collections::{BTreeMap, BTreeSet};

use smol_str::SmolStr;

use crate::id::LocalId;

/// What of an entity or record was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Wrote {
    /// It was made or deleted.
    Whole,
    /// What stands at these paths; none of them lies below another.
    Paths(BTreeSet<Vec<SmolStr>>),
}

/// The places that changes wrote, by entity or record.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Touched(BTreeMap<LocalId, Wrote>);

impl Touched {
    /// Everything that is there.
    pub(crate) fn whole(locals: impl IntoIterator<Item = LocalId>) -> Self {
        Self(locals.into_iter().map(|local| (local, Wrote::Whole)).collect())
    }

    pub(crate) fn extend(&mut self, other: Self) {
        for (local, wrote) in other.0 {
            match wrote {
                Wrote::Whole => drop(self.0.insert(local, Wrote::Whole)),
                Wrote::Paths(paths) => {
                    for path in paths {
                        self.insert(local.clone(), &path);
                    }
                }
            }
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&LocalId, &Wrote)> {
        self.0.iter()
    }

    /// Adds a path of an entity; an empty one is the entity itself.
    pub(super) fn add(&mut self, entity: &str, path: &[SmolStr]) {
        // The gate let no other key pass.
        let Ok(local) = entity.parse() else { return };
        self.insert(local, path);
    }

    fn insert(&mut self, local: LocalId, path: &[SmolStr]) {
        if path.is_empty() {
            self.0.insert(local, Wrote::Whole);
            return;
        }
        let wrote = self.0.entry(local).or_insert_with(|| Wrote::Paths(BTreeSet::new()));
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
        assert_eq!(touched, Touched::whole(["e".parse().unwrap()]));
    }
}
