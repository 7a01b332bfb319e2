"""Deterministic CBOR: one encoding of each value, everything else refused (SPEC.md, section 1)."""

MAX_DEPTH = 16


class Refused(Exception):
    """Bytes or a structure that the format does not allow."""


def encode(value):
    if value is None:
        return b"\xf6"
    if value is True:
        return b"\xf5"
    if value is False:
        return b"\xf4"
    if isinstance(value, int):
        return _head(0, value) if value >= 0 else _head(1, -1 - value)
    if isinstance(value, bytes):
        return _head(2, len(value)) + value
    if isinstance(value, str):
        text = value.encode()
        return _head(3, len(text)) + text
    if isinstance(value, (list, tuple)):
        return _head(4, len(value)) + b"".join(encode(item) for item in value)
    if isinstance(value, dict):
        entries = sorted((encode(key), encode(item)) for key, item in value.items())
        return _head(5, len(value)) + b"".join(key + item for key, item in entries)
    raise TypeError(f"{type(value)} cannot be encoded")


def _head(major, argument):
    if argument < 24:
        return bytes([major << 5 | argument])
    for code, size in ((24, 1), (25, 2), (26, 4), (27, 8)):
        if argument < 1 << (8 * size):
            return bytes([major << 5 | code]) + argument.to_bytes(size, "big")
    raise Refused("an integer beyond 64 bits")


def decode(data):
    """The value of these bytes, all of them."""
    value, end = _decode(data, 0, 0)
    if end != len(data):
        raise Refused("bytes behind the value")
    return value


def _decode(data, at, depth):
    if at >= len(data):
        raise Refused("the value is cut off")
    major, code = data[at] >> 5, data[at] & 0x1F
    at += 1
    if major == 7:
        simple = {20: False, 21: True, 22: None}
        if code not in simple:
            raise Refused("a float, or an unknown simple value")
        return simple[code], at
    if major == 6:
        raise Refused("a tag")
    if code < 24:
        argument = code
    elif code < 28:
        size = 1 << (code - 24)
        if at + size > len(data):
            raise Refused("an integer is cut off")
        argument = int.from_bytes(data[at : at + size], "big")
        at += size
        if argument < 24 or (size > 1 and argument < 1 << (4 * size)):
            raise Refused("an integer is not in its shortest form")
    else:
        raise Refused("an indefinite or reserved length")
    if major == 0:
        return argument, at
    if major == 1:
        return -1 - argument, at
    if argument > len(data) - at:
        raise Refused("more is claimed than there is")
    if major in (2, 3):
        content, at = data[at : at + argument], at + argument
        if major == 2:
            return content, at
        try:
            return content.decode(), at
        except UnicodeDecodeError as error:
            raise Refused("a text is not UTF-8") from error
    if depth == MAX_DEPTH:
        raise Refused("nested too deep")
    if major == 4:
        items = []
        for _ in range(argument):
            item, at = _decode(data, at, depth + 1)
            items.append(item)
        return items, at
    entries, last = {}, None
    for _ in range(argument):
        start = at
        key, at = _decode(data, at, depth + 1)
        encoded = data[start:at]
        if last is not None and encoded <= last:
            raise Refused("keys are not sorted, or one comes twice")
        last = encoded
        value, at = _decode(data, at, depth + 1)
        if not isinstance(key, str):
            raise Refused("a key that is no text")
        entries[key] = value
    return entries, at


# --- shapes of closed structures ---


def array(value, *parts):
    """Checks an array of exactly these parts and returns them checked."""
    if not isinstance(value, list) or len(value) != len(parts):
        raise Refused(f"not an array of {len(parts)}")
    return [part(item) for part, item in zip(parts, value)]


def bytes_of(length):
    def check(value):
        if not isinstance(value, bytes) or len(value) != length:
            raise Refused(f"not {length} bytes")
        return value

    return check


def byte_string(value):
    if not isinstance(value, bytes):
        raise Refused("no byte string")
    return value


def uint(value):
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 1 << 64:
        raise Refused("no unsigned integer")
    return value


def int64(value):
    if isinstance(value, bool) or not isinstance(value, int) or not -(1 << 63) <= value < 1 << 63:
        raise Refused("no integer of 64 bits")
    return value


def text(value):
    if not isinstance(value, str):
        raise Refused("no text")
    return value


def boolean(value):
    if not isinstance(value, bool):
        raise Refused("neither true nor false")
    return value


def array_of(part):
    def check(value):
        if not isinstance(value, list):
            raise Refused("no array")
        return [part(item) for item in value]

    return check
