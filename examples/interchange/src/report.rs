//! What could not be read, and where it stands.

use std::fmt;

use crate::limits;

/// A part of the input that was left out, while everything around it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    /// A JSON pointer into the input (RFC 6901), for example
    /// `/schedule/conference/days/0/rooms/Ada/3`. Empty stands for the whole.
    pub at: String,
    /// The reason, as an English clause.
    pub why: String,
}

impl fmt::Display for Skipped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.at, self.why)
    }
}

/// Gathers [`Skipped`], so many and no more: a hostile file must not turn
/// its megabytes of nonsense into gigabytes of complaints.
#[derive(Debug, Default)]
pub(crate) struct Report {
    listed: Vec<Skipped>,
    unlisted: usize,
}

impl Report {
    pub(crate) fn skip(&mut self, at: impl Into<String>, why: impl Into<String>) {
        if self.listed.len() < limits::REPORTS {
            let (at, why) = (at.into(), why.into());
            self.listed.push(Skipped { at, why });
        } else {
            self.unlisted += 1;
        }
    }

    pub(crate) fn append(&mut self, other: Self) {
        for Skipped { at, why } in other.listed {
            self.skip(at, why);
        }
        self.unlisted += other.unlisted;
    }

    pub(crate) fn finish(mut self) -> Vec<Skipped> {
        if self.unlisted > 0 {
            self.listed.push(Skipped {
                at: String::new(),
                why: format!("{} more were left out and are not listed", self.unlisted),
            });
        }
        self.listed
    }
}
