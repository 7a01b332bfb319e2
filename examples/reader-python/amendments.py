"""Amendments: fields that an entity's owner and editors write for it (SPEC.md, section 8.1)."""

import cbor
from cbor import Refused, int64
from logs import Document
from names import from_text, to_text
from records import instant

MAX_COUNTER = 1 << 53
MAX_EDITORS = 64
MAX_DEPTH = 7
OWNERS = {
    *("kind", "editors", "policy", "draw", "capacity", "minimum", "maximum", "consumable", "unit"),
    *("unit_amount", "available", "slots", "buffer_before", "buffer_after"),
}


def read(content):
    """An amendment's counter and value; the value is None where the field is deleted."""
    parts = cbor.decode(content)
    if not isinstance(parts, list) or len(parts) not in (1, 2):
        raise Refused("an amendment is an array of one or two")
    counter = int64(parts[0])
    if not 1 <= counter <= MAX_COUNTER:
        raise Refused("a counter that is not allowed")
    return counter, value(parts[1], 0) if len(parts) == 2 else None


def value(found, depth):
    """A field's value."""
    if found is None:
        return "null", True
    if isinstance(found, bool):
        return "bool", found
    if isinstance(found, int):
        return "int", int64(found)
    if isinstance(found, str):
        return "text", found
    if isinstance(found, bytes):
        return "bytes", found
    if isinstance(found, list):
        return "instant", instant(found)
    if depth == MAX_DEPTH:
        raise Refused("maps nested too deep")
    if any(not 1 <= len(name.encode()) <= 128 for name in found):
        raise Refused("a name of a length that is not allowed")
    return "map", {name: value(inner, depth + 1) for name, inner in found.items()}


def editors(fields, owner):
    """The users who may amend an entity besides its owner."""
    kind, entries = fields.get("editors", ("map", {}))
    found = set()
    for name, is_in in entries.items() if kind == "map" else ():
        try:
            user = from_text(name, 32)
        except Refused:
            continue
        if is_in == ("bool", True) and user != owner:
            found.add(user)
    return sorted(found)[:MAX_EDITORS]


def document_of(festival, user, document):
    """Where a user amends the entities of a document."""
    return Document(festival, user, "amends/" + to_text(document)).id


def merged(fields, owner, amended, others):
    """An entity's fields, its owner's amendments and those of its editors: what it shows."""
    found = {name: (0, owner, value) for name, value in fields.items() if name != "amended"}
    for user, amendments in [(owner, amended)] + others:
        for name, (counter, value) in amendments.items():
            if name in OWNERS or name == "amended":
                continue
            last = found.get(name)
            if last is None or (counter, user) > last[:2]:
                found[name] = (counter, user, value)
    return {name: value for name, (_, _, value) in sorted(found.items()) if value is not None}
