//! Verdicts in words: one sentence of one line. Ids are shortened; the data has them whole.

use p2panda_core::{EntityId, UserId};

use crate::{Obstacle, Pending, Verdict};

impl Verdict {
    /// The verdict and its reason in one sentence of one line. Ids are shortened.
    #[must_use]
    pub fn explanation(&self) -> String {
        match self {
            Self::Requested { have, need, from, pending, by } => {
                requested(*have, *need, from, pending, by)
            }
            Self::Tentative { from, by } if by.is_empty() => {
                format!("There is room for it, but {} has not confirmed it yet.", users(from))
            }
            Self::Tentative { from, by } => format!(
                "There is room for it and {} let it in, but {} has not confirmed it yet.",
                records(by),
                users(from)
            ),
            Self::Confirmed { by, conditions } if conditions.is_empty() => {
                format!("It is confirmed by {}.", records(by))
            }
            Self::Confirmed { by, conditions } => {
                let words = conditions.iter().map(|words| plain(words));
                format!("It is confirmed by {}: {}.", records(by), list(words))
            }
            Self::Denied { by, reason } if reason.is_empty() => {
                format!("It is denied by {}.", records(by))
            }
            Self::Denied { by, reason } => {
                format!("It is denied by {}: {}.", records(by), plain(reason))
            }
            Self::Conflicted { with, broken: None } => {
                format!("There is no room for it beside {}.", obstacles(with))
            }
            Self::Conflicted { with, broken: Some(decision) } => format!(
                "It was promised by {}, but there is no room for it beside {}.",
                record("decision", decision),
                obstacles(with),
            ),
            Self::Outside { .. } => {
                "It is outside the times for which the resource is offered.".to_owned()
            }
            Self::Withdrawn { by, reason } => {
                let withdrawal = record("withdrawal", by);
                if reason.is_empty() {
                    format!("Its requester withdrew it with {withdrawal}.")
                } else {
                    format!("Its requester withdrew it with {withdrawal}: {}.", plain(reason))
                }
            }
            Self::Unsupported { kind, reason } => format!(
                "This program cannot evaluate the policy \"{}\": {}.",
                plain(kind),
                plain(reason),
            ),
            Self::Invalid { reason } => format!("It cannot be granted: {reason}."),
        }
    }
}

fn requested(
    have: usize,
    need: usize,
    from: &[UserId],
    pending: &Pending,
    by: &[EntityId],
) -> String {
    match pending {
        Pending::Resource => "The resource has not arrived, was deleted or cannot be read, so \
                              nothing can be said yet."
            .to_owned(),
        Pending::Reconsideration { release } => format!(
            "It was confirmed once, but the owner took that back with {} and has not answered \
             again.",
            record("release", release)
        ),
        Pending::Draw => format!("It waits until {} has drawn lots.", users(from)),
        Pending::Token { resource } => format!(
            "Its requester holds no confirmed unit of {}; {} can bring that on.",
            record("resource", resource),
            users(from)
        ),
        Pending::Answers | Pending::Votes => {
            let from =
                if from.is_empty() { "anyone but its requester".to_owned() } else { users(from) };
            let there = if by.is_empty() { String::new() } else { format!(" ({})", records(by)) };
            format!("{have} of {need} answers are there{there}; {from} can give one.")
        }
    }
}

pub(crate) fn obstacles(with: &[Obstacle]) -> String {
    list(with.iter().map(|obstacle| match &obstacle.decision {
        Some(_) => format!("{}, which is confirmed", record("request", &obstacle.request)),
        None => format!("{}, which comes first", record("request", &obstacle.request)),
    }))
}

/// A record as people tell it from others: the first letters of its name.
pub(crate) fn record(what: &str, id: &EntityId) -> String {
    let name = id.local.as_str().trim_start_matches('#');
    format!("{what} {}", name.chars().take(8).collect::<String>())
}

fn records(by: &[EntityId]) -> String {
    list(by.iter().map(|id| record("decision", id)))
}

pub(crate) fn user(user: &UserId) -> String {
    user.to_string().chars().take(8).collect()
}

fn users(from: &[UserId]) -> String {
    list(from.iter().map(user))
}

/// At most five items; the data has them all.
pub(crate) fn list(items: impl ExactSizeIterator<Item = String>) -> String {
    let more = items.len().saturating_sub(5);
    let mut items: Vec<String> = items.take(5).collect();
    if more > 0 {
        items.push(format!("{more} more"));
    }
    let Some(last) = items.pop() else {
        return "nothing that is known".to_owned();
    };
    if items.is_empty() { last } else { format!("{} and {last}", items.join(", ")) }
}

/// Other people's words, fit for one line: no control characters, of bounded length.
fn plain(text: &str) -> String {
    let visible = |c: char| if c.is_control() { ' ' } else { c };
    text.trim_end_matches('.').chars().take(200).map(visible).collect()
}
