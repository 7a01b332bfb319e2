"""The bytes of a change (SPEC.md, section 6.1): decoding and encoding, both complete."""

import hashlib
from itertools import groupby

from cbor import Refused

MAGIC = bytes.fromhex("856f4a83")
MAKE, PUT, DELETE = 0, 1, 3
MAX_DEPENDENCIES, MAX_ACTORS, MAX_ROWS = 32, 448, 4096
COLUMNS = (1, 2, 21, 52, 66, 86, 87, 112, 113, 115)


class Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, length):
        if length > len(self.data) - self.at:
            raise Refused("cut off")
        self.at += length
        return self.data[self.at - length : self.at]

    def uleb(self):
        value = 0
        for shift in range(0, 70, 7):
            byte = self.take(1)[0]
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
        raise Refused("an integer that does not end")

    def sleb(self):
        start = self.at
        value = self.uleb()
        bits = 7 * (self.at - start)
        return value - (1 << bits) if value >> (bits - 1) & 1 else value

    @property
    def is_done(self):
        return self.at == len(self.data)


def uleb(value):
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes(out) + bytes([value])


def sleb(value):
    out = bytearray()
    while not -0x40 <= value < 0x40:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes(out) + bytes([value & 0x7F])


def read_runs(data, value, limit=MAX_ROWS):
    """The rows of a run-length column; never more than the limit."""
    reader, rows = Reader(data), []
    while not reader.is_done:
        count = reader.sleb()
        if count > 0:
            times, item = count, [value(reader)]
        elif count < 0:
            times, item = 1, None
            if -count > limit - len(rows):
                raise Refused("too many rows")
            rows.extend(value(reader) for _ in range(-count))
            continue
        else:
            times, item = reader.uleb(), [None]
        if times > limit - len(rows):
            raise Refused("too many rows")
        rows.extend(item * times)
    return rows


def write_runs(rows, value):
    if all(row is None for row in rows):
        return b""
    out, literals = b"", []

    def flush():
        nonlocal out, literals
        if literals:
            out += sleb(-len(literals)) + b"".join(literals)
        literals = []

    for row, same in groupby(rows):
        times = len(list(same))
        if row is not None and times == 1:
            literals.append(value(row))
            continue
        flush()
        out += sleb(0) + uleb(times) if row is None else sleb(times) + value(row)
    flush()
    return out


def read_string(reader):
    try:
        return reader.take(reader.uleb()).decode()
    except UnicodeDecodeError as error:
        raise Refused("a key is not UTF-8") from error


def write_string(text):
    return uleb(len(text.encode())) + text.encode()


def differences(values):
    last, rows = 0, []
    for value in values:
        rows.append(value - last)
        last = value
    return rows


class Operation:
    """One operation; ids are (counter, actor)."""

    def __init__(self, map_id, key, action, value, predecessors):
        self.map, self.key, self.action = map_id, key, action
        self.value, self.predecessors = value, predecessors


class Change:
    """A change, decoded from a payload that says it in the one way that is allowed."""

    def __init__(self, payload):
        self.payload = payload
        reader = Reader(payload)
        if reader.take(4) != MAGIC:
            raise Refused("no change")
        reader.take(4)
        kind, length = reader.take(1)[0], reader.uleb()
        if kind != 1 or length != len(payload) - reader.at:
            raise Refused("no change, or a wrong length")
        self.hash = hashlib.sha256(payload[8:]).digest()
        count = reader.uleb()
        if count > MAX_DEPENDENCIES:
            raise Refused("too many dependencies")
        self.dependencies = [reader.take(32) for _ in range(count)]
        self.author = self._actor(reader)
        self.sequence, self.start, self.time = reader.uleb(), reader.uleb(), reader.sleb()
        if reader.uleb() != 0:
            raise Refused("a message")
        count = reader.uleb()
        if count > MAX_ACTORS:
            raise Refused("too many actors")
        actors = [self.author] + [self._actor(reader) for _ in range(count)]
        self.operations = self._operations(self._columns(reader), actors)
        if not -(1 << 63) <= self.time < 1 << 63:
            raise Refused("a time beyond 64 bits")
        if self.start < 1 or self.encoded() != payload:
            raise Refused("not the one encoding of this change")

    @staticmethod
    def _actor(reader):
        if reader.uleb() != 40:
            raise Refused("an actor that has not 40 bytes")
        return reader.take(40)

    @staticmethod
    def _columns(reader):
        count = reader.uleb()
        if count > len(COLUMNS):
            raise Refused("too many columns")
        heads = [(reader.uleb(), reader.uleb()) for _ in range(count)]
        if any(spec not in COLUMNS for spec, _ in heads):
            raise Refused("a column outside the profile")
        columns = {spec: reader.take(length) for spec, length in heads}
        if not reader.is_done:
            raise Refused("bytes behind the columns")
        return columns

    @staticmethod
    def _operations(columns, actors):
        def rows(spec, value, fill):
            found = read_runs(columns.get(spec, b""), value)
            return found if spec in columns or not fill else [None] * fill

        actions = rows(66, Reader.uleb, 0)
        count = len(actions)
        map_actors, map_counters = rows(1, Reader.uleb, count), rows(2, Reader.uleb, count)
        keys, metas = rows(21, read_string, count), rows(86, Reader.uleb, count)
        groups = rows(112, Reader.uleb, count)
        lengths = {len(column) for column in (map_actors, map_counters, keys, metas, groups)}
        if lengths != {count} or any(None in column for column in (actions, keys, metas, groups)):
            raise Refused("columns of different lengths")
        if sum(groups) > MAX_ROWS:
            raise Refused("too many predecessors")
        pred_actors, deltas = rows(113, Reader.uleb, 0), rows(115, Reader.sleb, 0)
        if len(pred_actors) != sum(groups) or len(deltas) != sum(groups) or None in pred_actors + deltas:
            raise Refused("columns of different lengths")
        named = [actor for actor in map_actors if actor is not None] + pred_actors
        if any(actor >= len(actors) for actor in named):
            raise Refused("an actor that the change does not name")
        values, operations, at, counter = Reader(columns.get(87, b"")), [], 0, 0
        for row, action in enumerate(actions):
            if action not in (MAKE, PUT, DELETE):
                raise Refused("an action outside the profile")
            if (map_actors[row] is None) != (map_counters[row] is None):
                raise Refused("half an id")
            map_id = None if map_actors[row] is None else (map_counters[row], actors[map_actors[row]])
            predecessors = []
            for place in range(at, at + groups[row]):
                counter += deltas[place]
                predecessors.append((counter, actors[pred_actors[place]]))
            at += groups[row]
            value = read_value(metas[row], values)
            if action != PUT and value != ("null", True):
                raise Refused("a value where nothing is put")
            operations.append(Operation(map_id, keys[row], action, value, predecessors))
        if not values.is_done:
            raise Refused("bytes behind the values")
        return operations

    def encoded(self):
        """The one encoding: what the payload has to be."""
        named = {op.map[1] for op in self.operations if op.map}
        named |= {actor for op in self.operations for _, actor in op.predecessors}
        others = sorted(named - {self.author})
        number = {actor: place for place, actor in enumerate([self.author] + others)}
        body = uleb(len(self.dependencies)) + b"".join(sorted(set(self.dependencies)))
        body += uleb(40) + self.author + uleb(self.sequence) + uleb(self.start) + sleb(self.time)
        body += uleb(0) + uleb(len(others)) + b"".join(uleb(40) + actor for actor in others)
        ops = self.operations
        predecessors = [pred for op in ops for pred in sorted(op.predecessors)]
        values = [write_value(op.value) for op in ops]
        columns = {
            1: write_runs([number[op.map[1]] if op.map else None for op in ops], uleb),
            2: write_runs([op.map[0] if op.map else None for op in ops], uleb),
            21: write_runs([op.key for op in ops], write_string),
            52: uleb(len(ops)) if ops else b"",
            66: write_runs([op.action for op in ops], uleb),
            86: write_runs([len(data) << 4 | kind for kind, data in values], uleb),
            87: b"".join(data for _, data in values),
            112: write_runs([len(op.predecessors) for op in ops], uleb),
            113: write_runs([number[actor] for _, actor in predecessors], uleb),
            115: write_runs(differences([counter for counter, _ in predecessors]), sleb),
        }
        columns = {spec: data for spec, data in columns.items() if data}
        body += uleb(len(columns))
        body += b"".join(uleb(spec) + uleb(len(data)) for spec, data in columns.items())
        body += b"".join(columns.values())
        chunk = b"\x01" + uleb(len(body)) + body
        return MAGIC + hashlib.sha256(chunk).digest()[:4] + chunk


def read_value(meta, reader):
    """A value as (kind, content)."""
    kind, data = meta & 0xF, reader.take(meta >> 4)
    if kind in (0, 1, 2) and not data:
        return (("null", True), ("bool", False), ("bool", True))[kind]
    if kind in (4, 9):
        inner = Reader(data)
        value = inner.sleb()
        if not inner.is_done or not -(1 << 63) <= value < 1 << 63:
            raise Refused("an integer beyond 64 bits")
        return "int" if kind == 4 else "instant", value
    if kind == 6:
        try:
            return "text", data.decode()
        except UnicodeDecodeError as error:
            raise Refused("a text is not UTF-8") from error
    if kind == 7:
        return "bytes", data
    raise Refused("a value outside the profile")


def write_value(value):
    """A value's type and bytes."""
    kind, content = value
    if kind == "null":
        return 0, b""
    if kind == "bool":
        return (2 if content else 1), b""
    if kind in ("int", "instant"):
        return (4 if kind == "int" else 9), sleb(content)
    return (6, content.encode()) if kind == "text" else (7, content)
