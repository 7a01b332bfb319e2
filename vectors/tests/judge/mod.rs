//! Judges cases by what the public interface of the implementation says.

pub(crate) mod forks;
pub(crate) mod payload;
pub(crate) mod plain;
pub(crate) mod signed;

use data_encoding::HEXLOWER;
use serde_json::Value;

pub(crate) fn text<'a>(case: &'a Value, field: &str) -> &'a str {
    case[field].as_str().unwrap_or_else(|| panic!("{field} of {case}"))
}

pub(crate) fn number(case: &Value, field: &str) -> u64 {
    case[field].as_u64().unwrap_or_else(|| panic!("{field} of {case}"))
}

pub(crate) fn bytes(value: &Value) -> Vec<u8> {
    let hex = value.as_str().unwrap_or_else(|| panic!("hex: {value}"));
    HEXLOWER.decode(hex.as_bytes()).unwrap()
}

pub(crate) fn array<const N: usize>(value: &Value) -> [u8; N] {
    bytes(value).try_into().unwrap()
}

/// Compares a verdict with the case's.
pub(crate) fn verdict<T, E: std::fmt::Debug>(
    case: &Value,
    found: Result<T, E>,
) -> Result<Option<T>, String> {
    match (found, case["valid"].as_bool().unwrap()) {
        (Ok(value), true) => Ok(Some(value)),
        (Err(_), false) => Ok(None),
        (Ok(_), false) => Err("judged valid".to_owned()),
        (Err(error), true) => Err(format!("judged invalid: {error:?}")),
    }
}

pub(crate) fn same<T: PartialEq + std::fmt::Debug>(found: T, expected: T) -> Result<(), String> {
    if found == expected { Ok(()) } else { Err(format!("{found:?} in place of {expected:?}")) }
}
