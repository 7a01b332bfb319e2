"""Records and policies (SPEC.md, section 9)."""

import cbor
from cbor import Refused, array, bytes_of, int64, text
from names import entity_id, hash_as

MAX_BYTES = 16 * 1024


def instant(value):
    return array(value, int64)[0]


def entity_ids(value):
    return cbor.array_of(entity_id)(value)


def span(value):
    return fields(value, {"starts": instant, "ends": instant})


def terms(value):
    return fields(value, {"event": entity_id, "resource": entity_id, "span": span, "units": int64})


def answer(value):
    if value not in ("confirm", "deny"):
        raise Refused("an answer is confirm or deny")
    return value


KINDS = {
    "request": {"terms": terms, "claimed": instant, "note?": text},
    "decision": {
        "request": entity_id,
        "terms": terms,
        "policy": bytes_of(32),
        "answer": answer,
        "reason?": text,
    },
    "release": {"resource": entity_id, "decisions": entity_ids, "reason?": text},
    "withdrawal": {"resource": entity_id, "request": entity_id, "reason?": text},
}


def fields(value, wanted):
    """The fields of an open map; a name with a question mark may be absent."""
    if not isinstance(value, dict):
        raise Refused("not a map")
    found = {}
    for name, check in wanted.items():
        plain = name.rstrip("?")
        if plain in value:
            found[plain] = check(value[plain])
        elif plain == name:
            raise Refused(f"{name} is missing")
    return found


def record(content):
    """A record's kind and fields."""
    if len(content) > MAX_BYTES:
        raise Refused("a record is too large")
    value = cbor.decode(content)
    if not isinstance(value, dict) or len(value) != 1:
        raise Refused("not a map with one key")
    ((kind, inner),) = value.items()
    if kind not in KINDS:
        raise Refused("an unknown kind of record")
    return kind, fields(inner, KINDS[kind])


def field_value(value):
    """A field's value in CBOR."""
    if isinstance(value, list):
        return ("instant", instant(value))
    if isinstance(value, dict):
        return ("map", {name: field_value(item) for name, item in value.items()})
    if isinstance(value, int) and not isinstance(value, bool):
        return ("int", int64(value))
    return value


def policy(content):
    """A policy's kind and hash."""
    if len(content) > MAX_BYTES:
        raise Refused("a policy is too large")
    kind, parameters = array(cbor.decode(content), text, lambda value: value)
    if not isinstance(parameters, dict):
        raise Refused("parameters are a map")
    field_value(parameters)
    return kind, hash_as("p2panda 1 policy", content)
