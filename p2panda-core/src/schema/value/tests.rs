use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::*;

const NOON: Instant = Instant::from_millis(43_200_000);

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct One<T> {
    field: T,
}

fn written<T: Serialize>(field: T) -> Result<Fields, Malformed> {
    write_fields(&One { field })
}

fn reads<T: DeserializeOwned>(value: Value) -> Result<T, Malformed> {
    read_fields::<One<T>>(&[("field".to_owned(), value)].into()).map(|one| one.field)
}

/// Types that look like an instant to any serializer that does not know its name.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Instants(Vec<i64>);
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename = "Instant")]
struct Mimic((i64,));

#[test]
fn only_an_instant_becomes_one_and_lists_are_refused_whatever_they_hold() {
    assert_eq!(written(NOON).unwrap()["field"], Value::Instant(NOON));
    assert_eq!(written(Some(NOON)).unwrap()["field"], Value::Instant(NOON));
    assert_eq!(written(Value::Instant(NOON)).unwrap()["field"], Value::Instant(NOON));
    for length in 0..3 {
        assert!(written(vec![7_i64; length]).is_err(), "a list of {length}");
    }
    assert!(written((7_i64,)).is_err());
    assert!(written([7_i64]).is_err());
    assert!(written(Instants(vec![7])).is_err());
    assert!(written(Mimic((7,))).is_err());
}

#[test]
fn only_an_instant_is_read_from_one() {
    assert_eq!(reads::<Instant>(NOON.into()).unwrap(), NOON);
    assert_eq!(reads::<Option<Instant>>(NOON.into()).unwrap(), Some(NOON));
    assert_eq!(reads::<Value>(NOON.into()).unwrap(), Value::Instant(NOON));
    assert!(reads::<Vec<i64>>(NOON.into()).is_err());
    assert!(reads::<(i64,)>(NOON.into()).is_err());
    assert!(reads::<Instants>(NOON.into()).is_err());
    assert!(reads::<Mimic>(NOON.into()).is_err());
    assert!(reads::<i64>(NOON.into()).is_err());
    assert!(reads::<Instant>(7.into()).is_err());
    assert!(reads::<Instant>(Value::Bytes(vec![7])).is_err());
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Choice {
    Nothing,
    Text(String),
    Times { from: Instant, to: Option<Instant> },
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Rich {
    choices: BTreeMap<String, Choice>,
    letter: char,
    bytes: serde_bytes::ByteBuf,
    small: u8,
    large: u64,
    nothing: Option<i64>,
    when: Option<Instant>,
    #[serde(flatten)]
    rest: Fields,
}

#[test]
fn types_read_back_as_they_were_written_with_what_they_do_not_know() {
    let rich = Rich {
        choices: [
            ("a".to_owned(), Choice::Nothing),
            ("b".to_owned(), Choice::Text("x".into())),
            ("c".to_owned(), Choice::Times { from: NOON, to: None }),
        ]
        .into(),
        letter: 'ß',
        bytes: serde_bytes::ByteBuf::from(vec![1, 2]),
        small: 255,
        large: 1 << 62,
        nothing: None,
        when: Some(NOON),
        rest: [
            ("unknown".to_owned(), Value::Map([("at".to_owned(), NOON.into())].into())),
            ("unknown too".to_owned(), NOON.into()),
        ]
        .into(),
    };
    let fields = write_fields(&rich).unwrap();
    assert_eq!(fields["unknown too"], Value::Instant(NOON));
    assert_eq!(read_fields::<Rich>(&fields).unwrap(), rich);
}

#[test]
fn what_no_field_can_hold_is_refused() {
    assert!(written(1.5).is_err());
    assert!(written(u64::MAX).is_err());
    assert!(written(BTreeMap::from([(1, 2)])).is_err());
    assert!(write_fields(&7).is_err(), "an entity is a map");
}

#[test]
fn plain_data_has_one_encoding_in_which_an_instant_is_the_only_list() {
    let fields: Fields = [("i".to_owned(), 7.into()), ("t".to_owned(), NOON.into())].into();
    let bytes = crate::codec::encode(&fields);
    assert_eq!(bytes[..5], [0xa2, 0x61, b'i', 0x07, 0x61]);
    assert_eq!(bytes[6..8], [0x81, 0x1a], "a list of one integer");
    assert_eq!(crate::codec::decode::<Fields>(&bytes, 64).unwrap(), fields);
    for list in [&[0x80][..], &[0x82, 1, 2], &[0x81, 0x61, b'x'], &[0x81, 0x81, 1]] {
        assert!(crate::codec::decode::<Value>(list, 64).is_err(), "{list:02x?}");
    }
}
