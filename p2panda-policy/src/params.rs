//! Reading and writing the parameters of policies: plain data, checked before anything is judged.

use std::collections::BTreeSet;

use p2panda_core::{
    EntityId, UserId,
    schema::{Fields, Instant, PolicySpec, Value},
};

/// Refuses parameters that are not among these.
pub(crate) fn only(spec: &PolicySpec, known: &[&str]) -> Result<(), String> {
    match spec.params.keys().find(|name| !known.contains(&name.as_str())) {
        Some(name) => Err(format!("it has the unknown parameter \"{name}\"")),
        None => Ok(()),
    }
}

fn get<'a>(spec: &'a PolicySpec, name: &str) -> Result<&'a Value, String> {
    spec.params.get(name).ok_or_else(|| format!("its parameter \"{name}\" is missing"))
}

fn wrong(name: &str, expected: &str) -> String {
    format!("its parameter \"{name}\" is not {expected}")
}

/// The named voters, where voters are named: a map from their ids to true.
pub(crate) fn voters(spec: &PolicySpec) -> Result<Option<BTreeSet<UserId>>, String> {
    let Some(value) = spec.params.get("voters") else { return Ok(None) };
    let expected = || wrong("voters", "a map from user ids to true");
    let Value::Map(entries) = value else { return Err(expected()) };
    if entries.is_empty() {
        return Err("it names no voter".to_owned());
    }
    let mut voters = BTreeSet::new();
    for (voter, named) in entries {
        if *named != Value::Bool(true) {
            return Err(expected());
        }
        // Ids are read in upper and lower case, so one user can be written twice.
        if !voters.insert(voter.parse().map_err(|_| expected())?) {
            return Err("it names a voter twice".to_owned());
        }
    }
    Ok(Some(voters))
}

pub(crate) fn voters_value(voters: impl IntoIterator<Item = UserId>) -> Value {
    Value::Map(voters.into_iter().map(|voter| (voter.to_string(), Value::Bool(true))).collect())
}

/// How many votes are needed, of how many where that is known.
pub(crate) fn quorum(spec: &PolicySpec, of: Option<usize>) -> Result<usize, String> {
    let &Value::Int(n) = get(spec, "n")? else { return Err(wrong("n", "a whole number")) };
    match usize::try_from(n) {
        Ok(0) | Err(_) => Err(format!("it needs {n} votes, at least 1 makes sense")),
        Ok(n) => match of {
            Some(of) if n > of => Err(format!("it needs {n} votes of {of} voters")),
            _ => Ok(n),
        },
    }
}

pub(crate) fn entity(spec: &PolicySpec, name: &str) -> Result<EntityId, String> {
    let text = get(spec, name)?.as_text();
    text.and_then(|text| text.parse().ok()).ok_or_else(|| wrong(name, "an entity's id"))
}

pub(crate) fn instant(spec: &PolicySpec, name: &str) -> Result<Instant, String> {
    match get(spec, name)? {
        Value::Instant(instant) => Ok(*instant),
        _ => Err(wrong(name, "a time")),
    }
}

pub(crate) fn hash(spec: &PolicySpec, name: &str) -> Result<[u8; 32], String> {
    match get(spec, name)? {
        Value::Bytes(bytes) => bytes.as_slice().try_into().map_err(|_| wrong(name, "a hash")),
        _ => Err(wrong(name, "a hash")),
    }
}

/// A policy as a parameter of another one.
pub(crate) fn member(spec: &PolicySpec, name: &str) -> Result<PolicySpec, String> {
    policy_of(get(spec, name)?).ok_or_else(|| wrong(name, "a policy"))
}

/// The members of a combination, by their names.
pub(crate) fn members(spec: &PolicySpec) -> Result<Vec<PolicySpec>, String> {
    let expected = || wrong("of", "a map of policies");
    let Value::Map(entries) = get(spec, "of")? else { return Err(expected()) };
    if entries.is_empty() {
        return Err("it combines no policies".to_owned());
    }
    entries.values().map(|value| policy_of(value).ok_or_else(expected)).collect()
}

pub(crate) fn members_value(members: impl IntoIterator<Item = PolicySpec>) -> Value {
    // Two digits keep the order for as many as can be checked.
    let named = members.into_iter().enumerate();
    Value::Map(named.map(|(at, member)| (format!("{:02}", at + 1), policy_value(member))).collect())
}

pub(crate) fn policy_value(spec: PolicySpec) -> Value {
    let mut fields = Fields::from([("kind".to_owned(), Value::Text(spec.kind))]);
    if !spec.params.is_empty() {
        fields.insert("params".to_owned(), Value::Map(spec.params));
    }
    Value::Map(fields)
}

fn policy_of(value: &Value) -> Option<PolicySpec> {
    let Value::Map(fields) = value else { return None };
    let known = fields.keys().all(|name| name == "kind" || name == "params");
    let kind = fields.get("kind")?.as_text()?.to_owned();
    let params = match fields.get("params") {
        None => Fields::new(),
        Some(Value::Map(params)) => params.clone(),
        Some(_) => return None,
    };
    known.then_some(PolicySpec { kind, params })
}

/// A policy with these parameters.
pub(crate) fn spec<const N: usize>(kind: &str, params: [(&str, Value); N]) -> PolicySpec {
    let params = params.map(|(name, value)| (name.to_owned(), value)).into();
    PolicySpec { kind: kind.to_owned(), params }
}

/// The policies that stand in the parameters of one, whatever its kind.
pub(crate) fn policies_in(spec: &PolicySpec) -> Vec<PolicySpec> {
    let nested = |value: &Value| match value {
        Value::Map(fields) => fields.values().filter_map(policy_of).collect(),
        _ => Vec::new(),
    };
    spec.params
        .values()
        .flat_map(|value| policy_of(value).map_or_else(|| nested(value), |of| vec![of]))
        .collect()
}
