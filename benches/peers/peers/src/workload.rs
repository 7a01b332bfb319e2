//! What is run.

use std::{fmt, str::FromStr};

/// How many documents differ where few do.
pub const DIFFERENT: usize = 10;

/// One workload of the comparison. `n` is the size that was asked for: 100,000 in full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Workload {
    /// Verify n payloads of 200 bytes, 100 at a time where the system can.
    VerifyHundreds,
    /// Verify n payloads of 200 bytes that came one by one.
    VerifySingle,
    /// First sync of n changes in one document.
    FirstSyncOne,
    /// First sync of n changes in n / 100 documents.
    FirstSyncMany,
    /// n / 10 documents of three changes, of which ten have one more at one side.
    FewDiffer,
    /// n / 10 documents, nothing new.
    Reconnect,
    /// Open n / 10 documents that were stored, and show the first screen of the schedule.
    ColdOpen,
    /// Two devices with one key that have written equally many, different entries meet.
    EqualFork,
    /// First sync of the first n / 100 revisions of the 36C3 schedule, all 941 in full.
    Congress,
}

impl Workload {
    /// All of them, in the order of the table.
    pub const ALL: [Self; 9] = [
        Self::VerifyHundreds,
        Self::VerifySingle,
        Self::FirstSyncOne,
        Self::FirstSyncMany,
        Self::FewDiffer,
        Self::Reconnect,
        Self::ColdOpen,
        Self::EqualFork,
        Self::Congress,
    ];

    /// Its name on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::VerifyHundreds => "verify-100",
            Self::VerifySingle => "verify-1",
            Self::FirstSyncOne => "first-sync-1",
            Self::FirstSyncMany => "first-sync-many",
            Self::FewDiffer => "differ-10",
            Self::Reconnect => "reconnect",
            Self::ColdOpen => "cold-open",
            Self::EqualFork => "fork",
            Self::Congress => "36c3",
        }
    }

    /// What it is, at this size.
    #[must_use]
    pub fn title(self, size: usize) -> String {
        let documents = Self::documents(size);
        match self {
            Self::VerifyHundreds => format!("verify {size} x 200 bytes, 100 at a time"),
            Self::VerifySingle => format!("verify {size} x 200 bytes, one at a time"),
            Self::FirstSyncOne => format!("first sync of {size} changes in 1 document"),
            Self::FirstSyncMany => {
                format!("first sync of {size} changes in {} documents", (size / 100).max(1))
            }
            Self::FewDiffer => format!("{documents} documents, {DIFFERENT} differ"),
            Self::Reconnect => format!("reconnect at {documents} documents, nothing new"),
            Self::ColdOpen => format!("cold open of {documents} documents and first screen"),
            Self::EqualFork => "fork: two branches of equal length".to_owned(),
            Self::Congress => {
                format!("36C3 edit history, {} revisions", Self::revisions(size))
            }
        }
    }

    /// How many documents stand in the workloads about many documents.
    #[must_use]
    pub fn documents(size: usize) -> usize {
        (size / 10).max(DIFFERENT)
    }

    /// How many revisions of the 36C3 schedule are taken.
    #[must_use]
    pub fn revisions(size: usize) -> usize {
        if size >= 100_000 { 941 } else { (size / 100).max(1) }
    }
}

impl FromStr for Workload {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|workload| workload.name() == text);
        let names = || Self::ALL.map(Self::name).join(", ");
        found.ok_or_else(|| format!("there is no workload {text}, there are: {}", names()))
    }
}

impl fmt::Display for Workload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
