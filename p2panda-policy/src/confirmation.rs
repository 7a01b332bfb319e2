//! How far an event is confirmed.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use p2panda_core::{EntityId, UserId, schema::Record, view::Fact};
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
    /// Without room.
    pub conflicted: usize,
    /// Answered with no.
    pub denied: usize,
    /// Nothing that can be judged here: an unsupported policy, terms without sense.
    pub unclear: usize,
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
        let for_event = |fact: &Fact| match &fact.record {
            Record::Request(request) => request.terms.event == *event,
            _ => false,
        };
        let requests = requests.into_iter().filter(|(fact, _)| for_event(fact));
        let by_id: BTreeMap<&EntityId, (&Fact, &Verdict)> =
            requests.map(|(fact, verdict)| (&fact.id, (fact, verdict))).collect();
        let mut confirmation = Self::default();
        for (fact, verdict) in by_id.values() {
            let ours = hosts.contains(&fact.author);
            let share = if ours { &mut confirmation.hosts } else { &mut confirmation.strangers };
            share.add(verdict);
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

    /// The confirmed ones among 100, rounded down; `None` where there are no requests.
    #[must_use]
    pub fn percent(&self) -> Option<u8> {
        self.confirmed.saturating_mul(100).checked_div(self.total())?.try_into().ok()
    }

    const fn add(&mut self, verdict: &Verdict) {
        let counter = match verdict {
            Verdict::Confirmed { .. } => &mut self.confirmed,
            Verdict::Tentative { .. } => &mut self.tentative,
            Verdict::Requested { .. } => &mut self.requested,
            Verdict::Conflicted { .. } => &mut self.conflicted,
            Verdict::Denied { .. } => &mut self.denied,
            Verdict::Unsupported { .. } | Verdict::Invalid { .. } => &mut self.unclear,
            Verdict::Withdrawn { .. } => return,
        };
        *counter += 1;
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
