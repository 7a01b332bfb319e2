//! What new is taken in, and from whom: limits on how fast, and the application's own word.
//!
//! Everybody may write documents in a festival, so nothing but these limits keeps one peer from
//! bringing any number of them. They delay and never decide: what is refused is told to the peer with
//! a time, and taken when it is offered after that.

use std::{collections::BTreeMap, time::Duration};

use p2panda_core::{DocumentDescriptor, FestivalId, LogId, UserId};

use crate::peers::PeerId;

/// How long what an application refuses is not offered again.
const REFUSED: Duration = Duration::from_secs(60 * 60);

/// How many refused logs are remembered. Of more, peers hear it when they offer them.
pub(crate) const MAX_REFUSED: usize = 16_384;

/// How many peers' and authors' windows are kept; of more, those that began first are dropped.
const MAX_PEERS: usize = 1024;
const MAX_AUTHORS: usize = 16_384;

/// The most new things that are taken within a window of time. The author who writes here is under
/// no limit.
///
/// By default a peer may bring at once about what the largest festivals have, so that a first sync is
/// one sync, and as much again an hour later. A flood costs that much and no more:
///
/// ```
/// use p2panda_sync::Quotas;
///
/// let quotas = Quotas::default();
/// assert_eq!((quotas.users_per_peer, quotas.logs_per_peer), (8_192, 32_768));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quotas {
    /// How long a window is.
    pub window: Duration,
    /// New users that one peer may bring in a window. Peers without an id count as one.
    pub users_per_peer: u32,
    /// New logs that one peer may bring in a window. A new document is at least one new log.
    pub logs_per_peer: u32,
    /// New logs of one user that all peers together may bring in a window.
    pub logs_per_author: u32,
}

impl Default for Quotas {
    fn default() -> Self {
        Self {
            window: Duration::from_secs(60 * 60),
            users_per_peer: 8_192,
            logs_per_peer: 32_768,
            logs_per_author: 8_192,
        }
    }
}

/// A document that is new here, and the peer that offers it. Its signature has not been checked.
#[derive(Clone, Copy, Debug)]
pub struct Newcomer<'a> {
    /// The document: its festival, its user and its label.
    pub document: &'a DocumentDescriptor,
    /// Whether nothing else is held here that the user wrote in this festival.
    pub is_new_user: bool,
    /// The peer that offers it, where the link tells who that is.
    pub peer: Option<&'a PeerId>,
    /// The time since any fixed moment.
    pub now: Duration,
}

/// What becomes of a document that is new here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admit {
    /// It is taken.
    Now,
    /// It is not taken before so long, by any peer.
    Later(Duration),
    /// It is not taken. Whoever offers it is told so, and asks again after an hour.
    Refuse,
}

/// An application's own word on what new is taken, before any limit; closures are one.
///
/// ```
/// use std::time::Duration;
/// use p2panda_sync::{Admit, Newcomer};
///
/// // Nobody new in the night.
/// let mut doorkeeper = |new: &Newcomer<'_>| {
///     if new.is_new_user { Admit::Later(Duration::from_secs(8 * 3600)) } else { Admit::Now }
/// };
/// # fn takes(_: impl p2panda_sync::Admission) {}
/// # takes(move |new: &Newcomer<'_>| doorkeeper(new));
/// ```
pub trait Admission: Send {
    /// Whether a document is taken.
    fn admit(&mut self, new: &Newcomer<'_>) -> Admit;
}

impl<F: FnMut(&Newcomer<'_>) -> Admit + Send> Admission for F {
    fn admit(&mut self, new: &Newcomer<'_>) -> Admit {
        self(new)
    }
}

/// Where new logs pass, for all sessions of a replica.
#[derive(Default)]
pub(crate) struct Gate {
    pub(crate) quotas: Quotas,
    pub(crate) admission: Option<Box<dyn Admission>>,
    peers: BTreeMap<Option<PeerId>, Window>,
    authors: BTreeMap<UserId, Window>,
    refused: BTreeMap<LogId, Refused>,
}

/// What was taken since a moment.
#[derive(Clone, Copy, Debug, Default)]
struct Window {
    since: Duration,
    users: u32,
    logs: u32,
}

/// A log that was refused.
#[derive(Clone, Copy, Debug)]
struct Refused {
    festival: FestivalId,
    by: By,
    since: Duration,
    until: Duration,
}

/// Whom a refusal concerns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum By {
    /// Whoever offers the log.
    All,
    /// One peer that has brought enough: what it offers beyond that others may still bring, or it
    /// could keep out whom it likes.
    Peer(Option<PeerId>),
}

impl By {
    fn concerns(self, peer: Option<PeerId>) -> bool {
        self == Self::All || self == Self::Peer(peer)
    }
}

/// A log that is new here, and whether its document is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NewLog {
    pub(crate) log: LogId,
    pub(crate) is_new_document: bool,
    pub(crate) is_new_user: bool,
    pub(crate) is_own: bool,
    pub(crate) peer: Option<PeerId>,
    pub(crate) now: Duration,
}

impl Gate {
    /// Until when a log is refused that is offered now; `None` where it may come in.
    pub(crate) fn refuses(
        &mut self,
        new: &NewLog,
        document: &DocumentDescriptor,
    ) -> Option<Duration> {
        let NewLog { is_new_user, now, .. } = *new;
        if new.is_own {
            return None;
        }
        if let Some(refused) = self.refused.get(&new.log)
            && refused.until > now
            && refused.by.concerns(new.peer)
        {
            return Some(refused.until);
        }
        let admit = match &mut self.admission {
            Some(admission) if new.is_new_document => {
                let peer = new.peer.as_ref();
                admission.admit(&Newcomer { document, is_new_user, peer, now })
            }
            _ => Admit::Now,
        };
        let (until, by) = match admit {
            Admit::Now => self.full_until(new, &document.user)?,
            Admit::Later(after) => (now.saturating_add(after), By::All),
            Admit::Refuse => (now.saturating_add(REFUSED), By::All),
        };
        if self.refused.len() >= MAX_REFUSED {
            self.refused.retain(|_, refused| refused.until > now);
        }
        if self.refused.len() < MAX_REFUSED {
            let refused = Refused { festival: document.festival, by, since: now, until };
            self.refused.insert(new.log, refused);
        }
        Some(until)
    }

    /// A log has come in.
    pub(crate) fn admitted(&mut self, new: &NewLog, user: UserId) {
        if new.is_own {
            return;
        }
        let (length, now) = (self.quotas.window, new.now);
        let peer = window(&mut self.peers, new.peer, MAX_PEERS, length, now);
        peer.users = peer.users.saturating_add(u32::from(new.is_new_user));
        peer.logs = peer.logs.saturating_add(1);
        let author = window(&mut self.authors, user, MAX_AUTHORS, length, now);
        author.logs = author.logs.saturating_add(1);
    }

    /// The logs of a festival that a peer need not offer, with when that began and when it ends.
    pub(crate) fn refused(
        &self,
        festival: FestivalId,
        peer: Option<PeerId>,
        now: Duration,
    ) -> impl Iterator<Item = (LogId, Duration, Duration)> {
        self.refused.iter().filter_map(move |(log, refused)| {
            let Refused { festival: of, by, since, until } = *refused;
            let counts = of == festival && until > now && by.concerns(peer);
            counts.then_some((*log, since, until))
        })
    }

    /// When the window ends that has no room for one more, if any has none, and whose it is.
    fn full_until(&self, new: &NewLog, user: &UserId) -> Option<(Duration, By)> {
        let Quotas { window, users_per_peer, logs_per_peer, logs_per_author } = self.quotas;
        let now = new.now;
        let ends = |window: Option<&Window>, full: &dyn Fn(&Window) -> bool, length: Duration| {
            let window = window.filter(|window| now.saturating_sub(window.since) < length)?;
            full(window).then(|| window.since.saturating_add(length))
        };
        let none = Window { since: now, ..Window::default() };
        let peer = self.peers.get(&new.peer).or(Some(&none));
        let author = self.authors.get(user).or(Some(&none));
        let peer_full = |peer: &Window| {
            peer.logs >= logs_per_peer || (new.is_new_user && peer.users >= users_per_peer)
        };
        let by_peer = ends(peer, &peer_full, window);
        let by_author = ends(author, &|author| author.logs >= logs_per_author, window);
        let by_author = by_author.map(|until| (until, By::All));
        by_author.or_else(|| by_peer.map(|until| (until, By::Peer(new.peer))))
    }
}

impl std::fmt::Debug for Gate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Gate").field("quotas", &self.quotas).finish_non_exhaustive()
    }
}

/// A window that is open now.
fn window<K: Ord + Copy>(
    windows: &mut BTreeMap<K, Window>,
    of: K,
    most: usize,
    length: Duration,
    now: Duration,
) -> &mut Window {
    if !windows.contains_key(&of) && windows.len() >= most {
        let first = windows.iter().min_by_key(|(_, window)| window.since).map(|(key, _)| *key);
        first.and_then(|first| windows.remove(&first));
    }
    let fresh = Window { since: now, ..Window::default() };
    let window = windows.entry(of).or_insert(fresh);
    if now.saturating_sub(window.since) >= length {
        *window = fresh;
    }
    window
}

#[cfg(test)]
mod tests;
