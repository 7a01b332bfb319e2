//! The one encoding of a value.

use serde_json::json;

use crate::{Topic, hex, invalid, valid};

pub(crate) fn topic() -> Topic {
    let mut cases = Vec::new();
    let deep = |depth: usize| [vec![0x81; depth], vec![0x00]].concat();
    let good: [(&str, Vec<u8>); 25] = [
        ("0", vec![0x00]),
        ("23", vec![0x17]),
        ("24", vec![0x18, 0x18]),
        ("255", vec![0x18, 0xff]),
        ("256", vec![0x19, 0x01, 0x00]),
        ("65535", vec![0x19, 0xff, 0xff]),
        ("65536", vec![0x1a, 0x00, 0x01, 0x00, 0x00]),
        ("2^32", vec![0x1b, 0, 0, 0, 1, 0, 0, 0, 0]),
        ("2^64 - 1", [vec![0x1b], vec![0xff; 8]].concat()),
        ("-1", vec![0x20]),
        ("-24", vec![0x37]),
        ("-25", vec![0x38, 0x18]),
        ("-2^63", vec![0x3b, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]),
        ("-2^64", [vec![0x3b], vec![0xff; 8]].concat()),
        ("no bytes", vec![0x40]),
        ("bytes", vec![0x43, 1, 2, 3]),
        ("no text", vec![0x60]),
        ("text", vec![0x62, 0xc3, 0xa9]),
        ("24 bytes of text", [vec![0x78, 24], vec![b'a'; 24]].concat()),
        ("an array", vec![0x83, 0x01, 0x61, b'a', 0x80]),
        ("a map, its shorter key first", vec![0xa2, 0x61, b'b', 0, 0x62, b'a', b'a', 0]),
        ("false, true, null", vec![0x83, 0xf4, 0xf5, 0xf6]),
        ("an empty map", vec![0xa0]),
        ("nesting 16 deep", deep(16)),
        ("an instant", vec![0x81, 0x1b, 0, 0, 1, 0x8b, 0xcf, 0xe5, 0x68, 0]),
    ];
    for (name, bytes) in good {
        cases.push(valid(name, json!({"bytes": hex(bytes)})));
    }
    let bad: [(&str, &str, Vec<u8>); 34] = [
        ("an integer as key", "key", vec![0xa1, 0x00, 0x01]),
        ("nothing", "truncated", vec![]),
        ("0 in two bytes", "not shortest", vec![0x18, 0x00]),
        ("23 in two bytes", "not shortest", vec![0x18, 0x17]),
        ("24 in three bytes", "not shortest", vec![0x19, 0x00, 0x18]),
        ("65535 in five bytes", "not shortest", vec![0x1a, 0, 0, 0xff, 0xff]),
        ("1 in nine bytes", "not shortest", vec![0x1b, 0, 0, 0, 0, 0, 0, 0, 1]),
        ("-1 in two bytes", "not shortest", vec![0x38, 0x00]),
        ("a length in two bytes", "not shortest", vec![0x58, 0x01, 0xaa]),
        ("a text's length in two bytes", "not shortest", vec![0x78, 0x01, b'a']),
        ("an array's length in two bytes", "not shortest", vec![0x98, 0x01, 0x00]),
        ("a byte behind the value", "trailing", vec![0x00, 0x00]),
        ("an integer cut off", "truncated", vec![0x19, 0x01]),
        ("bytes cut off", "truncated", vec![0x43, 1, 2]),
        ("an array cut off", "truncated", vec![0x82, 0x01]),
        ("a map without its last value", "truncated", vec![0xa1, 0x01]),
        (
            "2^63 items claimed",
            "truncated",
            vec![0x9b, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
        ),
        (
            "2^63 bytes claimed",
            "truncated",
            vec![0x5b, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
        ),
        ("an array without a length", "indefinite", vec![0x9f, 0x01, 0xff]),
        ("a map without a length", "indefinite", vec![0xbf, 0x01, 0x02, 0xff]),
        ("bytes without a length", "indefinite", vec![0x5f, 0x41, 0x01, 0xff]),
        ("text without a length", "indefinite", vec![0x7f, 0x61, b'a', 0xff]),
        ("keys out of order", "unsorted", vec![0xa2, 0x61, b'b', 1, 0x61, b'a', 2]),
        ("a longer key first", "unsorted", vec![0xa2, 0x62, b'a', b'a', 1, 0x61, b'b', 2]),
        ("a key twice", "duplicate", vec![0xa2, 0x61, b'a', 1, 0x61, b'a', 2]),
        ("a half float", "float", vec![0xf9, 0x3c, 0x00]),
        ("a float", "float", vec![0xfa, 0x3f, 0x80, 0, 0]),
        ("a double in an array", "float", vec![0x81, 0xfb, 0x3f, 0xf0, 0, 0, 0, 0, 0, 0]),
        ("a tag", "tag", vec![0xc1, 0x05]),
        ("undefined", "simple", vec![0xf7]),
        ("simple value 32", "simple", vec![0xf8, 0x20]),
        ("text that is not UTF-8", "utf-8", vec![0x61, 0xff]),
        ("a reserved length", "malformed", vec![0x1c]),
        ("nesting 60,000 deep", "depth", vec![]),
    ];
    for (name, reason, bytes) in bad {
        let fields = if reason == "depth" {
            json!({"bytes": "81", "times": 60_000})
        } else {
            json!({"bytes": hex(bytes)})
        };
        cases.push(invalid(name, reason, fields));
    }
    cases.push(invalid("nesting 17 deep", "depth", json!({"bytes": hex(deep(17))})));
    Topic::new(
        "cbor",
        "Values in deterministic CBOR. `times` repeats the bytes. What is valid is encoded again to the same bytes.",
        cases,
    )
}
