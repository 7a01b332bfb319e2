//! The implementation judges every case as it is written, and the files are what the generator writes.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod judge;

use std::{
    fs,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
};

use serde_json::Value;

type Judge = fn(&Value, &Value) -> Result<(), String>;

/// Every topic, with what judges a case of it: the file and the case are given.
const TOPICS: [(&str, Judge); 14] = [
    ("ids", judge::plain::id),
    ("cbor", judge::plain::cbor),
    ("hashes", judge::plain::hash),
    ("signatures", judge::signed::head),
    ("festivals", judge::signed::festival),
    ("tickets", judge::signed::ticket),
    ("documents", judge::signed::document),
    ("segments", judge::signed::segment),
    ("equivocation", judge::forks::equivocation),
    ("payloads", judge::payload::payload),
    ("records", judge::plain::record),
    ("entities", judge::payload::entities),
    ("archives", judge::signed::archive),
    ("amendments", judge::payload::amended),
];

fn read(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name).with_extension("json");
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn every_case_is_judged_as_it_is_written() {
    let mut wrong = Vec::new();
    for (topic, judge) in TOPICS {
        let file: Value = serde_json::from_str(&read(topic)).unwrap();
        for case in file["cases"].as_array().unwrap() {
            let judged = catch_unwind(AssertUnwindSafe(|| judge(&file, case)));
            let verdict = judged.unwrap_or_else(|_| Err("panicked".to_owned()));
            wrong.extend(verdict.err().map(|why| format!("{topic}: {}: {why}", case["name"])));
        }
    }
    assert!(wrong.is_empty(), "{} cases:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn writing_the_vectors_anew_changes_nothing() {
    let topics = vectors::topics();
    let names: Vec<&str> = topics.iter().map(|topic| topic.name).collect();
    assert_eq!(names, TOPICS.map(|(name, _)| name), "every topic is judged");
    for topic in topics {
        let same = topic.to_json() == read(topic.name);
        assert!(same, "{}.json is not what `cargo run -p vectors` writes", topic.name);
    }
}

#[test]
fn there_are_enough_cases_and_each_says_what_it_is() {
    let (mut valid, mut invalid) = (0, 0);
    let mut kinds = std::collections::BTreeMap::<String, usize>::new();
    for (topic, _) in TOPICS {
        let file: Value = serde_json::from_str(&read(topic)).unwrap();
        let mut names = std::collections::BTreeSet::new();
        for case in file["cases"].as_array().unwrap() {
            let name = case["name"].as_str().unwrap();
            assert!(names.insert(name.to_owned()), "{topic}: {name} comes twice");
            match case["valid"].as_bool().unwrap() {
                true => valid += 1,
                false => invalid += 1,
            }
            let is_refused = case["verdict"] == "refused";
            let reasoned = case["reason"].as_str().is_some_and(|reason| !reason.is_empty());
            assert!(case["valid"] == true || case["verdict"] == "waiting" || reasoned, "{name}");
            if is_refused {
                *kinds.entry(case["reason"].as_str().unwrap().to_owned()).or_default() += 1;
            }
        }
    }
    assert!(valid >= 150 && invalid >= 150, "{valid} valid, {invalid} invalid");
    for kind in judge::payload::kinds() {
        assert!(kinds.get(&kind).is_some_and(|cases| *cases >= 2), "refusals as {kind}: {kinds:?}");
    }
}
