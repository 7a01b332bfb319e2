"""Festivals, documents, segments and equivocation (SPEC.md, sections 4 and 5)."""

import cbor
from cbor import Refused, array, array_of, boolean, byte_string, bytes_of, text, uint
from ed25519 import verify
from names import from_text, hash_as, to_text

BLOCK = 128
MAX_LENGTH = 1 << 32
MAX_PAYLOAD = 61_440
MAX_SEGMENT = 65_536
MAX_PROOF = 9_216
MAX_EVIDENCE = 4 << 20


class Festival:
    """A festival's bytes: descriptor and founder's signature."""

    def __init__(self, data):
        descriptor, signature = array(cbor.decode(data), lambda value: value, bytes_of(64))
        self.founder, _, private = array(descriptor, bytes_of(32), bytes_of(16), boolean)
        if private:
            raise Refused("a private festival")
        message = cbor.encode(["p2panda 1 festival descriptor", descriptor])
        if not verify(self.founder, message, signature):
            raise Refused("not signed by the founder")
        self.id = hash_as("p2panda 1 festival", cbor.encode(descriptor))
        self.data = data


def ticket(written):
    """The festival that a ticket is for."""
    written = written.strip()
    if not written.startswith("panda1"):
        raise Refused("not a ticket")
    data = from_text(written[len("panda1") :])
    if len(data) < 4 or hash_as("p2panda 1 festival", data[:-4])[:4] != data[-4:]:
        raise Refused("a letter is wrong")
    return Festival(data[:-4])


class Document:
    """A document's descriptor."""

    def __init__(self, festival, user, label):
        if len(label.encode()) > 64:
            raise Refused("the label is too long")
        self.festival, self.user, self.label = festival, user, label
        self.data = cbor.encode([festival, user, label])
        self.id = hash_as("p2panda 1 document", self.data)

    @classmethod
    def read(cls, data):
        return cls(*array(cbor.decode(data), bytes_of(32), bytes_of(32), text))


def decisions_label(resource):
    """The label of the document in which a user's decisions on a resource stand."""
    return "decisions/" + to_text(hash_as("p2panda 1 record", resource.encode()))


def chain_start(document, incarnation):
    return hash_as("p2panda 1 log", document + incarnation)


def payload_hash(payload):
    return hash_as("p2panda 1 payload", payload)


def chain_next(chain, hashed):
    return hash_as("p2panda 1 chain", chain + hashed)


def head_message(document, incarnation, length, chain):
    return cbor.encode(["p2panda 1 head", document, incarnation, length, chain])


def block_end(length):
    return (length // BLOCK + 1) * BLOCK


def check_bounds(start, payloads):
    """The rules of a segment that need no chain."""
    if not payloads:
        raise Refused("a segment without entries")
    end = start + len(payloads)
    if end > MAX_LENGTH or end > block_end(start):
        raise Refused("across a multiple of 128 entries, or beyond the longest log")
    if any(not 1 <= len(payload) <= MAX_PAYLOAD for payload in payloads):
        raise Refused("a payload of a size that is not allowed")
    if sum(map(len, payloads)) > MAX_SEGMENT:
        raise Refused("the segment is too large")


class Proof:
    """A proof of equivocation, verified."""

    def __init__(self, value, author):
        hashes = array_of(bytes_of(32))
        parts = array(
            value, bytes_of(32), bytes_of(8), uint, bytes_of(32), hashes, bytes_of(64), hashes, bytes_of(64)
        )
        self.document, self.incarnation, self.at, self.chain = parts[:4]
        runs = [parts[4:6], parts[6:8]]
        room = block_end(self.at) - self.at
        if self.at >= MAX_LENGTH or any(not 1 <= len(run) <= room for run, _ in runs):
            raise Refused("a run is empty or crosses a multiple of 128")
        if runs[0][0][0] >= runs[1][0][0]:
            raise Refused("the runs do not part, or are in the wrong order")
        for run, signature in runs:
            chain = self.chain
            for hashed in run:
                chain = chain_next(chain, hashed)
            message = head_message(self.document, self.incarnation, self.at + len(run), chain)
            if not verify(author, message, signature):
                raise Refused("a head of the proof is not signed by the author")
        self.runs = [run for run, _ in runs]

    @classmethod
    def read(cls, data, author):
        if len(data) > MAX_PROOF:
            raise Refused("the proof is too large")
        return cls(cbor.decode(data), author)


def check_evidence(data):
    """Evidence of a fork for those who hold nothing of the log: whose, and where it parts."""
    if len(data) > MAX_EVIDENCE:
        raise Refused("the evidence is too large")
    anything = lambda value: value
    descriptor, prefix, proof = array(cbor.decode(data), anything, array_of(bytes_of(32)), anything)
    document = Document(*array(descriptor, bytes_of(32), bytes_of(32), text))
    proof = Proof(proof, document.user)
    if proof.document != document.id:
        raise Refused("the proof is of another document")
    chain = chain_start(proof.document, proof.incarnation)
    for hashed in prefix:
        chain = chain_next(chain, hashed)
    if (len(prefix), chain) != (proof.at, proof.chain):
        raise Refused("the prefix does not lead to the parting")
    return document.user, proof.at


class Log:
    """A log as far as it is verified: its entries, the chain at each length, and where it is cut."""

    def __init__(self, document, incarnation, author):
        self.document, self.incarnation, self.author = document, incarnation, author
        self.payloads = []
        self.chain = [chain_start(document, incarnation)]
        self.is_cut = False
        self.waiting_proofs = []

    @property
    def length(self):
        return len(self.payloads)

    def extended(self, start, payloads):
        """The chain behind the payloads, from a length that is held."""
        check_bounds(start, payloads)
        if start > self.length:
            raise Refused("entries before the segment are missing")
        chain = [self.chain[start]]
        for payload in payloads:
            chain.append(chain_next(chain[-1], payload_hash(payload)))
        return chain

    def take(self, start, payloads, signature):
        """Takes a segment in whole, or refuses it."""
        chain = self.extended(start, payloads)
        message = head_message(self.document, self.incarnation, start + len(payloads), chain[-1])
        if not verify(self.author, message, signature):
            raise Refused("the head's signature does not prove this chain")
        self._follow(start, payloads, chain)

    def take_cut(self, start, payloads, proof):
        """Takes the last entries of a cut log in, with the proof in place of a signature."""
        if payloads:
            chain = self.extended(start, payloads)
            if (proof.at, proof.chain) != (start + len(payloads), chain[-1]):
                raise Refused("the entries do not lead to the proof")
            self._follow(start, payloads, chain)
        self.take_proof(proof)

    def take_proof(self, proof):
        if proof.at > self.length:
            if not self.is_cut:
                self.waiting_proofs.append(proof)
        elif self.chain[proof.at] == proof.chain:
            self._cut(proof.at)

    def _follow(self, start, payloads, chain):
        for place, payload in enumerate(payloads, start):
            if place < self.length:
                if self.chain[place + 1] != chain[place + 1 - start]:
                    # Both heads are signed: the two chains part here.
                    self._cut(place)
                    return
            elif self.is_cut:
                return
            else:
                self.payloads.append(payload)
                self.chain.append(chain[place + 1 - start])
        for proof in sorted(self.waiting_proofs, key=lambda proof: proof.at):
            self.take_proof(proof)

    def _cut(self, length):
        del self.payloads[length:], self.chain[length + 1 :]
        self.is_cut, self.waiting_proofs = True, []


def segment(value):
    """A segment's parts: incarnation, length before it, payloads, signature."""
    return array(value, bytes_of(8), uint, array_of(byte_string), bytes_of(64))
