"""Identifiers as text, and hashes under their contexts (SPEC.md, sections 1 and 2)."""

import base64
import re

from blake3 import blake3

from cbor import Refused

LETTERS = re.compile(r"[A-Za-z2-7]*", re.ASCII)
LOCAL = re.compile(r"#?[A-Za-z0-9._-]+", re.ASCII)


def hash_as(context, data):
    return blake3(data, derive_key_context=context).digest()


def to_text(data):
    return base64.b32encode(data).decode().rstrip("=").lower()


def from_text(text, length=None):
    """The bytes that a text stands for."""
    if not LETTERS.fullmatch(text):
        raise Refused("a letter that base32 has not")
    size = len(text) * 5 // 8
    if length is not None and size != length:
        raise Refused(f"not the text of {length} bytes")
    padded = text.upper() + "=" * (-len(text) % 8)
    try:
        data = base64.b32decode(padded)
    except ValueError as error:
        raise Refused("not base32") from error
    if to_text(data) != text.lower():
        raise Refused("bits behind the last byte")
    return data


def local_id(text):
    if len(text) > 64 or not LOCAL.fullmatch(text):
        raise Refused("not a local id")
    return text


def record_id(content):
    return "#" + to_text(hash_as("p2panda 1 record", content))


def entity_id(text):
    """The entity id in its one written form."""
    if not isinstance(text, str) or "/" not in text:
        raise Refused("not an entity id")
    document, local = text.split("/", 1)
    return f"{to_text(from_text(document, 32))}/{local_id(local)}"
