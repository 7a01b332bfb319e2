//! How far an event is confirmed.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use p2panda_core::{
    EntityId, UserId,
    schema::{Record, Request},
    view::Fact,
};
use serde::Serialize;

use crate::Verdict;

/// The state of an event: what became of the requests made for it.
///
/// Requests of its hosts (its owner and editors) make up its confirmation; anyone can request
/// something for anybody's event, so the others are counted apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct EventConfirmation {
    /// Requests of the hosts.
    pub hosts: Share,
    /// Requests of everyone else.
    pub strangers: Share,
}

/// How many requests have which verdict. Withdrawn ones are not counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Share {
    /// Signed as required.
    pub confirmed: usize,
    /// There is room, nobody has signed.
    pub tentative: usize,
    /// Waiting for answers.
    pub requested: usize,
    /// Without room, or at a time that is not offered.
    pub conflicted: usize,
    /// Answered with no.
    pub denied: usize,
    /// Nothing that can be judged here: an unsupported policy, terms without sense.
    pub unclear: usize,
    /// What the confirmed ones weigh.
    pub confirmed_weight: u64,
    /// What the tentative ones weigh.
    pub tentative_weight: u64,
    /// What all of them weigh.
    pub weight: u64,
}

impl EventConfirmation {
    /// Counts the requests for an event, each with its verdict. Requests for other events, other
    /// records and repetitions are left out.
    #[must_use]
    pub fn of<'a>(
        event: &EntityId,
        hosts: &BTreeSet<UserId>,
        requests: impl IntoIterator<Item = (&'a Fact, &'a Verdict)>,
    ) -> Self {
        Self::weighted(event, hosts, requests, |_, _| 1)
    }

    /// As [`EventConfirmation::of`], where some requests matter more than others: a stage more than
    /// a fog machine. One that weighs nothing is counted and has no share.
    #[must_use]
    pub fn weighted<'a>(
        event: &EntityId,
        hosts: &BTreeSet<UserId>,
        requests: impl IntoIterator<Item = (&'a Fact, &'a Verdict)>,
        weight: impl Fn(&Fact, &Request) -> u64,
    ) -> Self {
        let for_event = |(fact, verdict): (&'a Fact, &'a Verdict)| match &fact.record {
            Record::Request(request) if request.terms.event == *event => {
                Some((&fact.id, (fact, request, verdict)))
            }
            _ => None,
        };
        let by_id: BTreeMap<&EntityId, (&Fact, &Request, &Verdict)> =
            requests.into_iter().filter_map(for_event).collect();
        let mut confirmation = Self::default();
        for (fact, request, verdict) in by_id.values() {
            let ours = hosts.contains(&fact.author);
            let share = if ours { &mut confirmation.hosts } else { &mut confirmation.strangers };
            share.add(verdict, weight(fact, request));
        }
        confirmation
    }

    /// The share of the hosts' requests that are confirmed, as in "75% confirmed".
    ///
    /// Rounded down, so 100 means all of them; `None` where nothing is requested.
    #[must_use]
    pub fn percent(&self) -> Option<u8> {
        self.hosts.percent()
    }
}

impl Share {
    /// All requests that are counted.
    #[must_use]
    pub const fn total(&self) -> usize {
        self.confirmed
            + self.tentative
            + self.requested
            + self.conflicted
            + self.denied
            + self.unclear
    }

    /// What the confirmed ones weigh in 100, rounded down; `None` where nothing weighs anything.
    #[must_use]
    pub fn percent(&self) -> Option<u8> {
        Self::in_hundred(self.confirmed_weight, self.weight)
    }

    /// What the tentative ones weigh in 100, rounded down; `None` where nothing weighs anything.
    #[must_use]
    pub fn percent_tentative(&self) -> Option<u8> {
        Self::in_hundred(self.tentative_weight, self.weight)
    }

    fn in_hundred(part: u64, whole: u64) -> Option<u8> {
        let hundredths = (u128::from(part) * 100).checked_div(u128::from(whole))?;
        u8::try_from(hundredths).ok()
    }

    const fn add(&mut self, verdict: &Verdict, weight: u64) {
        let counter = match verdict {
            Verdict::Confirmed { .. } => &mut self.confirmed,
            Verdict::Tentative { .. } => &mut self.tentative,
            Verdict::Requested { .. } => &mut self.requested,
            Verdict::Conflicted { .. } | Verdict::Outside { .. } => &mut self.conflicted,
            Verdict::Denied { .. } => &mut self.denied,
            Verdict::Unsupported { .. } | Verdict::Invalid { .. } => &mut self.unclear,
            Verdict::Withdrawn { .. } => return,
        };
        *counter += 1;
        self.weight = self.weight.saturating_add(weight);
        match verdict {
            Verdict::Confirmed { .. } => {
                self.confirmed_weight = self.confirmed_weight.saturating_add(weight);
            }
            Verdict::Tentative { .. } => {
                self.tentative_weight = self.tentative_weight.saturating_add(weight);
            }
            _ => {}
        }
    }
}

/// For people: `75% confirmed (3 of 4; 1 tentative)`.
impl fmt::Display for EventConfirmation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hosts = &self.hosts;
        let Some(percent) = hosts.percent() else {
            return f.write_str("nothing requested");
        };
        write!(f, "{percent}% confirmed ({} of {}", hosts.confirmed, hosts.total())?;
        let mut separator = "; ";
        for (count, name) in [
            (hosts.tentative, "tentative"),
            (hosts.requested, "requested"),
            (hosts.conflicted, "conflicted"),
            (hosts.denied, "denied"),
            (hosts.unclear, "unclear"),
        ] {
            if count > 0 {
                write!(f, "{separator}{count} {name}")?;
                separator = ", ";
            }
        }
        f.write_str(")")
    }
}
