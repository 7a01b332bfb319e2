//! From the fields that stand to the fields that should: which single steps lead there.

use crate::schema::{Fields, Value};

/// Merges a map into a field, as the document does.
fn merge(into: &mut Fields, name: &str, new: Fields) {
    let field = into.entry(name.to_owned()).or_insert(Value::Null);
    if !matches!(field, Value::Map(_)) {
        *field = Value::Map(Fields::new());
    }
    let Value::Map(old) = field else { return };
    for (name, value) in new {
        match value {
            Value::Map(new) => merge(old, &name, new),
            value => drop(old.insert(name, value)),
        }
    }
}

pub(super) type Step = (Vec<String>, Option<Value>);

/// The steps from one set of fields to another.
pub(super) fn differences(
    old: &Fields,
    new: &Fields,
    is_set: &dyn Fn(&[String]) -> bool,
    path: &mut Vec<String>,
    steps: &mut Vec<Step>,
) {
    for (name, value) in old.iter().filter(|(name, _)| !new.contains_key(*name)) {
        path.push(name.clone());
        match value {
            Value::Map(items) if all_true(items) && is_set(path) => {
                differences(items, &Fields::new(), is_set, path, steps);
            }
            _ => steps.push((path.clone(), None)),
        }
        path.pop();
    }
    for (name, value) in new {
        path.push(name.clone());
        match (old.get(name), value) {
            (Some(Value::Map(old)), Value::Map(new)) => {
                differences(old, new, is_set, path, steps);
            }
            (Some(old), new) if old == new => {}
            _ => steps.push((path.clone(), Some(value.clone()))),
        }
        path.pop();
    }
}

fn all_true(items: &Fields) -> bool {
    !items.is_empty() && items.values().all(|value| *value == Value::Bool(true))
}

pub(super) fn apply(fields: &mut Fields, path: &[&str], value: Option<Value>) {
    let Some((last, parents)) = path.split_last() else {
        fields.clear();
        return;
    };
    let mut at = fields;
    for name in parents {
        let below = at.entry((*name).to_owned()).or_insert_with(|| Value::Map(Fields::new()));
        if !matches!(below, Value::Map(_)) {
            *below = Value::Map(Fields::new());
        }
        let Value::Map(map) = below else { return };
        at = map;
    }
    match value {
        Some(Value::Map(new)) => merge(at, last, new),
        Some(value) => {
            at.insert((*last).to_owned(), value);
        }
        None => {
            at.remove(*last);
        }
    }
}
