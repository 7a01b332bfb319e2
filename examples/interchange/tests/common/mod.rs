//! What the tests of this directory share.

#![allow(dead_code, reason = "every test program uses a part of it")]

use std::path::{Path, PathBuf};

use interchange::frab::{self, ParseOptions};
use interchange::{Schedule, Skipped};

pub(crate) fn fixture(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

pub(crate) fn parse(bytes: &[u8]) -> (Schedule, Vec<Skipped>) {
    frab::parse(bytes, &ParseOptions::default()).expect("a frab schedule")
}

/// Reads a schedule in which nothing is wrong.
pub(crate) fn parse_clean(bytes: &[u8]) -> Schedule {
    let (schedule, skipped) = parse(bytes);
    assert_eq!(skipped, []);
    schedule
}

/// A schedule of one day with these events, as JSON, in the room "Meadow".
pub(crate) fn one_room(events: &str) -> String {
    conference(&format!(r#""days": [{{"date": "2026-07-10", "rooms": {{"Meadow": [{events}]}}}}]"#))
}

/// A schedule whose conference has these members.
pub(crate) fn conference(members: &str) -> String {
    format!(r#"{{"schedule": {{"conference": {{"acronym": "t", "title": "T", {members}}}}}}}"#)
}

/// A file of the real schedules that are not part of this repository, or `None`,
/// which it says. `P2PANDA_DATA` names their directory where it is not beside the
/// workspace.
pub(crate) fn real_data(name: &str) -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
    let directory = std::env::var_os("P2PANDA_DATA").map_or(beside, PathBuf::from);
    let path = directory.join(name);
    if path.is_file() {
        return Some(path);
    }
    eprintln!("SKIPPED: the real schedule {} is not here", path.display());
    None
}

/// The whole text of a file, decompressed if its name ends in `.gz`.
pub(crate) fn read_real(name: &str) -> Option<Vec<u8>> {
    let bytes = std::fs::read(real_data(name)?).expect("a readable file");
    if !name.ends_with(".gz") {
        return Some(bytes);
    }
    let mut plain = Vec::new();
    let mut decoder = flate2::read::MultiGzDecoder::new(&*bytes);
    std::io::Read::read_to_end(&mut decoder, &mut plain).expect("a whole gzip file");
    Some(plain)
}
