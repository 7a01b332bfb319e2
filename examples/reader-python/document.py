"""What a document takes, and what it amounts to (SPEC.md, sections 6.2 and 7)."""

import amendments
from cbor import Refused
from change import DELETE, MAKE, PUT, Change
from names import local_id, record_id

MAX_COUNTER = 1 << 31
MAX_DEPTH = 8
MAX_OVERWRITES = 256
OPERATION_WEIGHT, MAP_WEIGHT = 8, 48
MAX_TIME = 1 << 54


class Waiting(Exception):
    """Something that an entry depends on has not come."""


class Entry:
    """A valid entry: its place, its causal past, and how far its counters go."""

    def __init__(self, incarnation, index, past, top):
        self.incarnation, self.index, self.past, self.top = incarnation, index, past, top


class Document:
    """One user's document, grown entry by entry."""

    def __init__(self, user):
        self.user = user
        self.entries = {}  # by hash
        self.lengths = {}  # by incarnation
        self.last = {}  # the hash of each incarnation's last entry
        self.places = {}  # (map, key) -> {id: operation}
        self.operations = {}  # id -> (operation, hash of its entry)
        self.overwritten = {}  # id -> hashes of the entries that overwrite it
        self.maps = {}  # id -> (depth, hash of its entry, place)

    def take(self, incarnation, payload):
        """Takes an incarnation's next entry in, or raises `Refused` or `Waiting`."""
        index = self.lengths.get(incarnation, 0)
        change = Change(payload)
        if change.author != self.user + incarnation:
            raise Refused("an actor that is not the log's")
        named = [change.start] + [op.map[0] for op in change.operations if op.map]
        named += [counter for op in change.operations for counter, _ in op.predecessors]
        if abs(change.time) > MAX_TIME or any(not 0 <= counter <= MAX_COUNTER for counter in named):
            raise Refused("a counter or time beyond its bound")
        if change.sequence != index + 1:
            raise Refused("a sequence number that is not its place")
        weights = [MAP_WEIGHT if op.action == MAKE else OPERATION_WEIGHT for op in change.operations]
        if sum(weights) + sum(len(op.key.encode()) for op in change.operations) > len(payload):
            raise Refused("more operations than the payload pays for")
        if not change.operations and len(change.dependencies) < 2:
            raise Refused("it does nothing")
        own = self.last.get(incarnation)
        if own is not None and own not in change.dependencies:
            raise Refused("its own previous change is no dependency")
        if any(hashed not in self.entries for hashed in change.dependencies):
            raise Waiting
        past, top = set(change.dependencies), 0
        for hashed in change.dependencies:
            past |= self.entries[hashed].past
            top = max(top, self.entries[hashed].top)
        last = change.start + len(change.operations) - 1
        if change.start != top + 1 or last >= MAX_COUNTER:
            raise Refused("its counters do not follow its dependencies")
        self._check(change, past)
        self._record(change, past)
        # Tops grow along every path, so the highest is one of the dependencies' own.
        self.entries[change.hash] = Entry(incarnation, index, past, last)
        self.lengths[incarnation] = index + 1
        self.last[incarnation] = change.hash

    def _check(self, change, past):
        """The rules of operations; the change itself counts as past for those behind."""
        made = {}  # maps of this change: depth, and the place of each
        standing = {}  # places that this change has written
        for counter, op in enumerate(change.operations, change.start):
            if not 1 <= len(op.key.encode()) <= 128:
                raise Refused("a field name of a length that is not allowed")
            actors = [actor for _, actor in op.predecessors] + ([op.map[1]] if op.map else [])
            if any(actor[:32] != self.user for actor in actors):
                raise Refused("an actor of another user")
            if op.map is None:
                depth = 0
            elif op.map in made:
                depth, _ = made[op.map]
            else:
                depth, hashed, _ = self.maps.get(op.map, (None, None, None))
                if depth is None or hashed not in past:
                    raise Refused("a map that its past does not hold")
            self._check_stands(op.map, made, standing, past)
            if op.action == MAKE and depth >= MAX_DEPTH:
                raise Refused("maps nested too deep")
            if op.map is None:
                self._check_root(op)
            place = (op.map, op.key)
            if place not in standing:
                standing[place] = self._standing(place, past)
            expected = self._overwritten(standing[place], change.author)
            if len(op.predecessors) != len(expected) or set(op.predecessors) != expected:
                raise Refused("predecessors that are not what stands at the place")
            if op.action == DELETE and not op.predecessors:
                raise Refused("a deletion of nothing")
            own = (counter, change.author)
            if op.action == MAKE:
                made[own] = depth + 1, place
            standing[place] -= expected
            if op.action != DELETE:
                standing[place].add(own)

    def _check_stands(self, at, made, standing, past):
        """A map that is written, and all that it is in, stand."""
        while at is not None:
            place = made[at][1] if at in made else self.maps[at][2]
            if place not in standing:
                standing[place] = self._standing(place, past)
            if at not in standing[place]:
                raise Refused("a map that does not stand")
            at = place[0]

    @staticmethod
    def _overwritten(standing, author):
        """What an operation names of the operations that stand at its place."""
        if len(standing) <= MAX_OVERWRITES:
            return set(standing)
        return set(sorted(standing, key=lambda op: (op[1] != author, *op))[:MAX_OVERWRITES])

    @staticmethod
    def _check_root(op):
        local_id(op.key)
        if not op.key.startswith("#"):
            if op.action == PUT:
                raise Refused("a scalar in place of an entity")
            return
        if op.action != PUT or op.value[0] != "bytes" or op.predecessors:
            raise Refused("a record that is changed")
        if op.key != record_id(op.value[1]):
            raise Refused("a record under another's id")

    def _standing(self, place, past=None):
        """The operations that stand at a place, for all or for those with this past."""
        found = set()
        for identifier in self.places.get(place, ()):
            over = self.overwritten.get(identifier, ())
            if past is None:
                stands = not over
            else:
                hashed = self.operations[identifier][1]
                stands = hashed in past and not any(by in past for by in over)
            if stands:
                found.add(identifier)
        return found

    def _record(self, change, past):
        for counter, op in enumerate(change.operations, change.start):
            own, place = (counter, change.author), (op.map, op.key)
            for identifier in op.predecessors:
                self.overwritten.setdefault(identifier, []).append(change.hash)
            if op.action == MAKE:
                depth = 0 if op.map is None else self.maps[op.map][0]
                self.maps[own] = (depth + 1, change.hash, place)
            if op.action != DELETE:
                self.places.setdefault(place, []).append(own)
                self.operations[own] = (op, change.hash)

    # --- reading ---

    def entities(self):
        """Local id to fields, of every entity."""
        found = {}
        for map_id, key in sorted(self.places, key=lambda place: place[1]):
            if map_id is None and not key.startswith("#"):
                standing = self._standing((None, key))
                if standing:
                    found[key] = self._fields(standing)
        return found

    def amendments(self, local):
        """What a user amends in the map `amended` of an entity: name to counter and value."""
        maps = self._maps((map_id, "amended") for map_id in self._standing((None, local)))
        found = {}
        for map_id, name in self.places:
            if map_id not in maps:
                continue
            for counter, actor in self._standing((map_id, name)):
                op = self.operations[(counter, actor)][0]
                try:
                    content = op.value[1] if op.action == PUT and op.value[0] == "bytes" else b""
                    amendment = amendments.read(content)
                except Refused:
                    continue
                rank = (amendment[0], actor, content)
                if name not in found or rank > found[name][0]:
                    found[name] = (rank, amendment)
        return {name: amendment for name, (_, amendment) in found.items()}

    def _maps(self, places):
        """The maps that are read as one at some places; none where a scalar wins."""
        standing = {identifier for place in places for identifier in self._standing(place)}
        if not standing or self.operations[max(standing)][0].action != MAKE:
            return set()
        return {found for found in standing if self.operations[found][0].action == MAKE}

    def _fields(self, maps):
        """Several maps read as one."""
        keys = {}
        for map_id, key in self.places:
            if map_id in maps:
                keys.setdefault(key, set()).update(self._standing((map_id, key)))
        return {key: self._value(found) for key, found in sorted(keys.items()) if found}

    def _value(self, standing):
        op = self.operations[max(standing)][0]
        if op.action == PUT:
            return op.value
        is_map = lambda identifier: self.operations[identifier][0].action == MAKE
        return "map", self._fields({identifier for identifier in standing if is_map(identifier)})

    def records(self):
        """Local id to content and position, of every record."""
        found = {}
        for map_id, key in self.places:
            if map_id is not None or not key.startswith("#"):
                continue
            standing = self._standing((map_id, key))
            first = min(standing, key=lambda identifier: identifier[1])
            op, hashed = self.operations[first]
            entry, seen = self.entries[hashed], {}
            for other in (self.entries[by] for by in entry.past):
                if other.incarnation != entry.incarnation:
                    length = max(seen.get(other.incarnation, 0), other.index + 1)
                    seen[other.incarnation] = length
            found[key] = (op.value[1], entry.incarnation, entry.index, seen)
        return found


def build(user, logs):
    """A document of logs (incarnation to payloads), and why each stands still that does."""
    document, stopped = Document(user), {}
    progress = True
    while progress:
        progress = False
        for incarnation, payloads in sorted(logs.items()):
            while incarnation not in stopped and document.lengths.get(incarnation, 0) < len(payloads):
                try:
                    document.take(incarnation, payloads[document.lengths.get(incarnation, 0)])
                    progress = True
                except Waiting:
                    break
                except Refused as error:
                    stopped[incarnation] = str(error)
    for incarnation, payloads in logs.items():
        if document.lengths.get(incarnation, 0) < len(payloads):
            stopped.setdefault(incarnation, "waiting")
    return document, stopped
