#![no_main]

use interchange::frab::{ParseOptions, parse, write};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok((schedule, _)) = parse(data, &ParseOptions::default()) else { return };
    let (again, skipped) =
        parse(&write(&schedule), &ParseOptions::default()).expect("what was written is a schedule");
    assert_eq!(skipped, [], "nothing of what was written is malformed");
    assert_eq!(again, schedule);
});
