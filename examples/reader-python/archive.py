"""Archives (SPEC.md, section 10)."""

import cbor
from cbor import Refused, array, array_of, byte_string, uint
from logs import Document, Festival, Log, Proof, segment

MAGIC = b"p2panda archive "
VERSION = b"1\n"
END, FESTIVAL, DOCUMENT, SEGMENT, CUT = range(5)
BOUNDS = {END: 256, FESTIVAL: 256, DOCUMENT: 256, SEGMENT: 67_584, CUT: 76_800}


class Ended(Exception):
    """Reading stops before the file does, or the file before it should."""


class Archive:
    """What a file holds, every part of it verified."""

    def __init__(self):
        self.festival = None
        self.documents = {}  # by id
        self.logs = {}  # by document's id and incarnation
        self.refused = []  # place in the file, and why
        self.ends = None  # why reading ended early

    @classmethod
    def read(cls, file):
        archive = cls()
        try:
            archive._read(file)
        except Ended as error:
            archive.ends = str(error)
        return archive

    def _read(self, file):
        document, count, at = None, 0, len(MAGIC + VERSION)
        begin = file.read(len(MAGIC + VERSION))
        if begin != MAGIC + VERSION:
            later = begin.startswith(MAGIC) and len(begin) == len(MAGIC + VERSION)
            raise Ended("newer format" if later else "not an archive")
        while True:
            kind = exactly(file, 1)[0]
            length = int.from_bytes(exactly(file, 4), "big")
            here, at = at, at + 5 + length
            if kind not in BOUNDS:
                if kind < 128:
                    raise Ended("newer frame")
                skip(file, length)
                count += 1
                continue
            if length > BOUNDS[kind]:
                raise Ended("damaged")
            body = exactly(file, length)
            if kind == END:
                if body != cbor.encode(count) or file.read(1) or self.festival is None:
                    raise Ended("damaged")
                return
            count += 1
            if self.festival is None:
                self._begin(kind, body)
                continue
            try:
                if kind == DOCUMENT:
                    document = None
                    document = self._document(body)
                elif kind == FESTIVAL:
                    raise Refused("a second festival")
                elif document is None:
                    raise Refused("entries without a document")
                else:
                    self._entries(document, kind, body)
            except Refused as error:
                self.refused.append((here, str(error)))

    def _begin(self, kind, body):
        if kind != FESTIVAL:
            raise Ended("damaged")
        try:
            self.festival = Festival(body)
        except Refused as error:
            raise Ended("festival") from error

    def _document(self, body):
        document = Document.read(body)
        if document.festival != self.festival.id:
            raise Refused("a document of another festival")
        self.documents[document.id] = document
        return document

    def _entries(self, document, kind, body):
        value = cbor.decode(body)
        if kind == SEGMENT:
            incarnation, start, payloads, signature = segment(value)
            log = self._log(document, incarnation)
            return self._keep(log, lambda: log.take(start, payloads, signature))
        start, payloads, proof = array(value, uint, array_of(byte_string), lambda value: value)
        proof = Proof(proof, document.user)
        if proof.document != document.id:
            raise Refused("a proof of another document")
        log = self._log(document, proof.incarnation)
        return self._keep(log, lambda: log.take_cut(start, payloads, proof))

    def _log(self, document, incarnation):
        new = Log(document.id, incarnation, document.user)
        return self.logs.get((document.id, incarnation), new)

    def _keep(self, log, take):
        take()
        self.logs[(log.document, log.incarnation)] = log


def exactly(file, length):
    data = file.read(length)
    if len(data) != length:
        raise Ended("truncated")
    return data


def skip(file, length):
    while length:
        length -= len(exactly(file, min(length, 1 << 16)))
