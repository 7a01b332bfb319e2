//! What every command works with: an open home, the festival meant, and where answers go.

use std::collections::HashMap;

use anyhow::{Result, anyhow, bail};
use jiff::tz::TimeZone;
use p2panda_core::{
    Edit, FestivalId, Replica, UserId,
    schema::{FestivalInfo, Profile},
    view::View,
};

use crate::{
    home::Device,
    output::{Output, plain},
    time,
};

pub(crate) struct App {
    pub(crate) device: Device,
    pub(crate) out: Output,
    /// What `--festival` said.
    pub(crate) chosen: Option<String>,
}

impl App {
    /// The festival that is meant.
    pub(crate) fn festival(&self) -> Result<FestivalId> {
        choose(&self.device.replica, self.chosen.as_deref())
    }

    pub(crate) fn view(&self, festival: FestivalId) -> View<'_> {
        self.device.replica.view(festival)
    }

    pub(crate) fn user(&self) -> UserId {
        self.device.replica.user()
    }

    /// What is known of the festival; empty before it has arrived.
    pub(crate) fn info(&self, festival: FestivalId) -> Result<FestivalInfo> {
        Ok(self.view(festival).info()?.unwrap_or_default())
    }

    /// The zone of times that name none: the given one, else the festival's.
    pub(crate) fn zone(
        &self,
        festival: FestivalId,
        given: Option<&str>,
    ) -> Result<(String, TimeZone)> {
        match given {
            Some(name) => time::zone(name),
            None => {
                let name = self.info(festival)?.zone;
                Ok(time::zone(&name).unwrap_or_else(|_| ("Etc/UTC".to_owned(), TimeZone::UTC)))
            }
        }
    }

    /// Makes one commit, now.
    pub(crate) fn edit<T>(
        &mut self,
        festival: FestivalId,
        change: impl FnOnce(&mut Edit<'_>) -> Result<T>,
    ) -> Result<T> {
        let Device { replica, rng, .. } = &mut self.device;
        replica.edit(festival, time::now(), rng, change)
    }
}

fn choose(replica: &Replica, chosen: Option<&str>) -> Result<FestivalId> {
    let ids: Vec<FestivalId> =
        replica.festivals()?.iter().map(p2panda_core::Festival::id).collect();
    let Some(prefix) = chosen else {
        return match ids[..] {
            [only] => Ok(only),
            [] => bail!(
                "you take part in no festival; found one with `panda festival create TITLE`, or \
                 join one with `panda festival join TICKET`"
            ),
            _ => bail!(
                "you take part in {} festivals; say which one with --festival ID (`panda festival \
                 list` shows them)",
                ids.len()
            ),
        };
    };
    let prefix = prefix.to_ascii_lowercase();
    let mut matching = ids.into_iter().filter(|id| id.to_string().starts_with(&prefix));
    match (matching.next(), matching.next()) {
        (Some(only), None) if !prefix.is_empty() => Ok(only),
        (None, _) => Err(anyhow!(
            "you take part in no festival {prefix:?}; `panda festival list` shows yours"
        )),
        _ => Err(anyhow!("several festivals begin with {prefix:?}; write more of the id")),
    }
}

/// What people call themselves.
pub(crate) struct Names(HashMap<UserId, String>);

impl Names {
    pub(crate) fn of(view: View<'_>) -> Result<Self> {
        let mut names = HashMap::new();
        for (id, profile) in view.list::<Profile>()? {
            let Some(user) = view.author(&id.document)? else { continue };
            if let Ok(profile) = profile
                && !plain(&profile.name).is_empty()
            {
                names.insert(user, plain(&profile.name));
            }
        }
        Ok(Self(names))
    }

    /// The name of a user, else the beginning of the id. Names are claims: nobody checks them.
    pub(crate) fn of_user(&self, user: &UserId) -> String {
        self.0.get(user).cloned().unwrap_or_else(|| short(user))
    }
}

/// The beginning of an id.
pub(crate) fn short(id: impl std::fmt::Display) -> String {
    id.to_string().chars().take(8).collect()
}
