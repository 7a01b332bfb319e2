//! Naming entities on the command line: by id, by a unique beginning of it, or by title.

use std::collections::BTreeSet;

use anyhow::{Result, bail};
use p2panda_core::{
    EntityId, UserId,
    schema::{Event, Profile, Resource},
    view::View,
};

use crate::{
    judge::{Asked, Judgement},
    output::plain,
};

/// The event that a text names.
pub(crate) fn event(view: View<'_>, text: &str) -> Result<(EntityId, Event)> {
    let events = view.list::<Event>()?;
    let named =
        events.iter().filter_map(|(id, event)| Some((id, event.as_ref().ok()?.title.as_str())));
    let id = find("event", "panda event list", named, text)?;
    match view.entity(&id)? {
        Some(event) => Ok((id, event?)),
        None => bail!("the event {id} is gone"),
    }
}

/// The resource that a text names.
pub(crate) fn resource(view: View<'_>, text: &str) -> Result<(EntityId, Resource)> {
    let resources = view.list::<Resource>()?;
    let named =
        resources.iter().filter_map(|(id, of)| Some((id, of.as_ref().ok()?.title.as_str())));
    let id = find("resource", "panda resource list", named, text)?;
    match view.entity(&id)? {
        Some(resource) => Ok((id, resource?)),
        None => bail!("the resource {id} is gone"),
    }
}

/// The user that a text names: by name, by id, or by a unique beginning of it.
pub(crate) fn user(view: View<'_>, text: &str) -> Result<UserId> {
    let wanted = text.trim();
    if let Ok(user) = wanted.parse() {
        return Ok(user);
    }
    let mut found = BTreeSet::new();
    for (id, profile) in view.list::<Profile>()? {
        let Some(user) = view.author(&id.document)? else { continue };
        let called = profile.is_ok_and(|profile| {
            plain(&profile.name).to_lowercase() == wanted.to_lowercase() && !wanted.is_empty()
        });
        if called || (wanted.len() >= 4 && user.to_string().starts_with(wanted)) {
            found.insert(user);
        }
    }
    match (found.pop_first(), found.pop_first()) {
        (Some(only), None) => Ok(only),
        (None, _) => bail!(
            "nobody here is called {:?}; write the whole id, as `panda whoami` says it there",
            plain(text)
        ),
        _ => bail!("several users are called {:?}; write the id of the one you mean", plain(text)),
    }
}

/// The request that a text names.
pub(crate) fn request<'a>(judgement: &'a Judgement, text: &str) -> Result<Asked<'a>> {
    let named = judgement.requests().map(|asked| (&asked.fact.id, ""));
    let id = find("request", "panda request list", named, text)?;
    match judgement.requests().find(|asked| asked.fact.id == id) {
        Some(asked) => Ok(asked),
        None => bail!("the request {id} is gone"),
    }
}

fn find<'a>(
    what: &str,
    list: &str,
    candidates: impl Iterator<Item = (&'a EntityId, &'a str)>,
    text: &str,
) -> Result<EntityId> {
    let wanted = text.trim();
    if wanted.is_empty() {
        bail!("an empty text names no {what}; `{list}` shows them");
    }
    let (mut exact, mut titled, mut begins) = (Vec::new(), Vec::new(), Vec::new());
    for (id, title) in candidates {
        let local = id.local.as_str();
        let name = local.trim_start_matches('#');
        let wanted_name = wanted.trim_start_matches('#');
        let full = id.to_string();
        if full == wanted || local == wanted || name == wanted_name {
            exact.push((id, title));
        } else if title.trim().to_lowercase() == wanted.to_lowercase() {
            titled.push((id, title));
        } else if name.starts_with(wanted_name) || full.starts_with(wanted) {
            begins.push((id, title));
        }
    }
    let found =
        [exact, titled, begins].into_iter().find(|found| !found.is_empty()).unwrap_or_default();
    match &found[..] {
        [(only, _)] => Ok((*only).clone()),
        [] => bail!("there is no {what} {:?} in this festival; `{list}` shows them", plain(text)),
        several => {
            let shown =
                several.iter().take(5).map(|(id, title)| format!("\n  {id}  {}", plain(title)));
            bail!(
                "{} {what}s are called {:?}; write the id of the one you mean:{}",
                several.len(),
                plain(text),
                shown.collect::<String>()
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use p2panda_core::DocumentId;

    use super::*;

    #[test]
    fn a_unique_beginning_or_a_title_names_an_entity() {
        let id =
            |local: &str| EntityId::new(DocumentId::from_bytes([1; 32]), local.parse().unwrap());
        let (abc, abd, record) = (id("abcx"), id("abdx"), id("#xyz"));
        let all = [(&abc, "Fire show"), (&abd, "Choir"), (&record, "")];
        let find = |text: &str| find("event", "panda event list", all.into_iter(), text);
        assert_eq!(find("abc").unwrap(), abc);
        assert_eq!(find("fire SHOW").unwrap(), abc);
        assert_eq!(find("xy").unwrap(), record);
        assert_eq!(find(&abd.to_string()).unwrap(), abd);
        assert!(find("ab").unwrap_err().to_string().starts_with("2 events are called \"ab\""));
        assert!(find("q").unwrap_err().to_string().contains("there is no event \"q\""));
        assert!(find(" ").is_err());
    }
}
