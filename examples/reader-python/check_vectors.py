"""Judges the test vectors of this repository by the rules of SPEC.md: `check_vectors.py [FOLDER]`."""

import io
import json
import pathlib
import sys

import cbor
import ed25519
import logs
import names
import records
from archive import Archive
from cbor import Refused
from document import Document, Waiting
from read import Festival

HERE = pathlib.Path(__file__).parent


def same(found, expected):
    if found != expected:
        raise AssertionError(f"{found!r} in place of {expected!r}")


def whole(parts):
    return b"".join(
        bytes.fromhex(part) if isinstance(part, str) else bytes([part["byte"]]) * part["times"]
        for part in parts
    )


# Each judge raises `Refused` where the case is invalid.


def ids(_, case):
    lengths = {"user": 32, "festival": 32, "document": 32, "incarnation": 8, "signature": 64}
    kind, text = case["kind"], case["text"]
    if kind in lengths:
        data = names.from_text(text, lengths[kind])
        if case["valid"]:
            same((data.hex(), names.to_text(data)), (case["bytes"], case["canonical"]))
    else:
        read = names.local_id if kind == "local" else names.entity_id
        found = read(text)
        if case["valid"]:
            same(found, case["canonical"])


def cbor_values(_, case):
    data = bytes.fromhex(case["bytes"]) * case.get("times", 1)
    same(cbor.encode(cbor.decode(data)), data)


def hashes(_, case):
    if "context" in case:
        same(names.hash_as(case["context"], bytes.fromhex(case["input"])).hex(), case["hash"])
    elif "record" in case:
        same(names.record_id(bytes.fromhex(case["record"])), case["local"])
    elif "resource" in case:
        same(logs.decisions_label(case["resource"]), case["label"])
    else:
        chain = [logs.chain_start(bytes.fromhex(case["document"]), bytes.fromhex(case["incarnation"]))]
        for payload in case["payloads"]:
            chain.append(logs.chain_next(chain[-1], logs.payload_hash(bytes.fromhex(payload))))
        same([value.hex() for value in chain], case["chain"])


def signatures(_, case):
    parts = {name: bytes.fromhex(case[name]) for name in case if name in FIELDS}
    message = logs.head_message(parts["document"], parts["incarnation"], case["length"], parts["chain"])
    same(message.hex(), case["message"])
    same(logs.chain_next(parts["before"], logs.payload_hash(parts["payload"])), parts["chain"])
    found = ed25519.verify(parts["user"], message, parts["signature"])
    # The quick way and the exact one agree.
    same(found, ed25519.verify_exactly(parts["user"], message, parts["signature"]))
    if not found:
        raise Refused("signature")


FIELDS = {"user", "document", "incarnation", "before", "payload", "chain", "signature"}


def is_festival(festival, case):
    found = (festival.data.hex(), festival.founder.hex(), festival.id.hex())
    same(found, (case["bytes"], case["founder"], case["id"]))


def festivals(_, case):
    is_festival(logs.Festival(bytes.fromhex(case["bytes"])), case)


def tickets(_, case):
    is_festival(logs.ticket(case["text"]), case)


def documents(_, case):
    festival, user = bytes.fromhex(case["festival"]), bytes.fromhex(case["user"])
    document = logs.Document(festival, user, case["label"])
    same((document.data.hex(), document.id.hex()), (case["descriptor"], case["id"]))
    same(logs.Document.read(document.data).id, document.id)


def segments(_, case):
    author, held = bytes.fromhex(case["author"]), case["held"]
    payloads = [whole([payload]) for payload in case["payloads"]]
    if case["from"] != held["length"]:
        raise Refused("not contiguous")
    logs.check_bounds(case["from"], payloads)
    chain = bytes.fromhex(held["chain"])
    for payload in payloads:
        chain = logs.chain_next(chain, logs.payload_hash(payload))
    document, incarnation = bytes.fromhex(case["document"]), bytes.fromhex(case["incarnation"])
    message = logs.head_message(document, incarnation, case["from"] + len(payloads), chain)
    if not ed25519.verify(author, message, bytes.fromhex(case["signature"])):
        raise Refused("signature")


def equivocation(file, case):
    author = bytes.fromhex(file["author"])
    if "evidence" in case:
        logs.check_evidence(bytes.fromhex(case["evidence"]))
        return
    if "proof" in case:
        logs.Proof.read(bytes.fromhex(case["proof"]), author)
        return
    known = case["known"]
    for order in (known, known[::-1], known[1:] + known[:1]):
        log = logs.Log(bytes.fromhex(file["document"]), bytes([1]) * 8, author)
        for item in order * (len(order) + 1):
            try:
                offer(log, author, item)
            except Refused:
                pass  # not yet
        same((log.length, log.is_cut), (case["length"], case["cut"]))


def offer(log, author, item):
    if "proof" in item:
        log.take_proof(logs.Proof.read(bytes.fromhex(item["proof"]), author))
        return
    (kind, (start, payloads, seal)), = item.items()
    payloads, seal = [bytes.fromhex(payload) for payload in payloads], bytes.fromhex(seal)
    if kind == "segment":
        log.take(start, payloads, seal)
    else:
        log.take_cut(start, payloads, logs.Proof.read(seal, author))


def payloads(file, case):
    document = Document(bytes.fromhex(file["user"]))
    for incarnation, payload in file["pasts"][case["past"]]:
        document.take(bytes.fromhex(incarnation), bytes.fromhex(payload))
    incarnation = bytes.fromhex(case["incarnation"])
    same(document.lengths.get(incarnation, 0), case["position"])
    try:
        document.take(incarnation, bytes.fromhex(case["payload"]))
        found = "valid"
    except Waiting:
        found = "waiting"
    except Refused:
        found = "refused"
    same(found, case["verdict"])
    if found != "valid":
        raise Refused(found)


def record_values(_, case):
    data = whole(case["parts"]) if "parts" in case else bytes.fromhex(case["bytes"])
    if case["kind"] == "policy":
        same(records.policy(data)[1].hex(), case["hash"])
    else:
        records.record(data)
        same(names.record_id(data), case["local"])


def entities(file, case):
    document = Document(bytes.fromhex(file["user"]))
    for incarnation, payload in case["past"]:
        document.take(bytes.fromhex(incarnation), bytes.fromhex(payload))
    same(to_json(document.entities()), case["entities"])
    for local, expected in case.get("records", {}).items():
        content, incarnation, index, seen = document.records()[local]
        seen = {other.hex(): length for other, length in seen.items()}
        same((content.hex(), incarnation.hex(), index), (expected["bytes"], expected["incarnation"], expected["index"]))
        same(seen, expected["seen"])


def to_json(entities_of):
    return {name: {key: value_json(value) for key, value in fields.items()} for name, fields in entities_of.items()}


def value_json(value):
    kind, content = value
    if kind == "map":
        return {"map": {key: value_json(inner) for key, inner in content.items()}}
    return {kind: content.hex() if kind == "bytes" else content}


def amended(_, case):
    found = Festival(Archive.read(io.BytesIO(bytes.fromhex(case["bytes"]))))
    for entity, expected in case["entities"].items():
        fields = found.entities.get(entity)
        same(fields and {name: value_json(value) for name, value in fields.items()}, expected)


def archives(_, case):
    found = Archive.read(io.BytesIO(bytes.fromhex(case["bytes"])))
    same(found.ends, case.get("ends"))
    entries = sum(log.length for log in found.logs.values())
    counts = (len(found.documents), entries, len(found.refused))
    same(counts, (case["documents"], case["entries"], case["refused"]))
    if found.ends or found.refused:
        raise Refused("archive")


TOPICS = {
    "ids": ids,
    "cbor": cbor_values,
    "hashes": hashes,
    "signatures": signatures,
    "festivals": festivals,
    "tickets": tickets,
    "documents": documents,
    "segments": segments,
    "equivocation": equivocation,
    "payloads": payloads,
    "records": record_values,
    "entities": entities,
    "archives": archives,
    "amendments": amended,
}


def main():
    folder = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else HERE / "../../vectors"
    wrong, judged, unknown = [], 0, []
    for path in sorted(folder.glob("*.json")):
        judge = TOPICS.get(path.stem)
        if judge is None:
            unknown.append(path.stem)
            continue
        file = json.loads(path.read_text())
        for case in file["cases"]:
            judged += 1
            try:
                judge(file, case)
                valid, why = True, "judged valid"
            except Refused as error:
                valid, why = False, f"judged invalid: {error}"
            except Exception as error:  # a wrong value, or a bug of this reader
                valid, why = None, f"{type(error).__name__}: {error}"
            if valid is not case["valid"]:
                wrong.append(f"{path.stem}: {case['name']}: {why}")
    for line in wrong:
        print(line)
    for topic in unknown:
        print(f"NOT JUDGED: {topic}, which this reader does not know")
    print(f"{judged} cases judged, {len(wrong)} of them otherwise than they are written")
    return 1 if wrong or not judged else 0


if __name__ == "__main__":
    sys.exit(main())
