"""Verifies an archive of a festival and prints its schedule: `read.py [--json] FILE`.

The exit status is 0 where all of it was verified, 1 where a part was refused, 2 where the file is
no archive or ends early.
"""

import argparse
import datetime
import json
import sys
import zoneinfo

import amendments
import records
from archive import Archive
from cbor import Refused
from document import build
from names import entity_id, from_text, to_text

EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)


class Festival:
    """What the logs of an archive amount to (SPEC.md, section 8)."""

    def __init__(self, archive):
        self.entities = {}  # id -> fields
        self.records = {}  # id -> kind and fields
        self.users = {}  # document's id as text -> its user
        self.stopped = []  # logs that stand still, and why
        self.malformed = []  # entities that cannot be read, and why
        contents = {}  # by document's id
        for document in archive.documents.values():
            logs = {
                incarnation: log.payloads
                for (of, incarnation), log in archive.logs.items()
                if of == document.id
            }
            name = to_text(document.id)
            self.users[name] = document.user
            content, stopped = build(document.user, logs)
            contents[document.id] = content
            self.stopped += [(name, to_text(log), why) for log, why in sorted(stopped.items())]
            for local, (data, _, _, _) in content.records().items():
                try:
                    self.records[f"{name}/{local}"] = records.record(data)
                except Refused:
                    pass  # kept, but it means nothing to this reader

        for document in archive.documents.values():
            for local, fields in contents[document.id].entities().items():
                shown = self._amended(document, local, fields, contents)
                self.entities[f"{to_text(document.id)}/{local}"] = shown

    @staticmethod
    def _amended(document, local, fields, contents):
        others = []
        for user in amendments.editors(fields, document.user):
            theirs = contents.get(amendments.document_of(document.festival, user, document.id))
            entity = theirs.entities().get(local) if theirs else None
            if entity and entity.get("kind") == ("text", "amendment"):
                others.append((user, theirs.amendments(local)))
        own = contents[document.id].amendments(local)
        return amendments.merged(fields, document.user, own, others)

    def title(self, founder_document):
        fields = self.entities.get(f"{founder_document}/festival", {})
        return fields.get("title", ("text", ""))[1]

    def schedule(self):
        """The events that have a span, by start and then id."""
        events = []
        for name, fields in self.entities.items():
            if fields.get("kind") != ("text", "event"):
                continue
            try:
                event = {field: check(fields.get(field)) for field, check in EVENT.items()}
            except Refused as error:
                self.malformed.append((name, str(error)))
                continue
            starts, ends = event["starts"], event["ends"]
            if starts is not None and ends is not None and starts < ends:
                document, local = name.split("/")
                events.append((starts, from_text(document), local, name, event))
        return [(name, event) for _, _, _, name, event in sorted(events, key=lambda event: event[:3])]

    def places(self, event, editors):
        """Titles of what the event's owner and editors asked for and did not withdraw, first
        claims first."""
        author = lambda name: self.users[name.split("/")[0]]
        hosts = {author(event), *(from_text(user) for user in editors)}
        withdrawn = {
            (fields["request"], author(name))
            for name, (kind, fields) in self.records.items()
            if kind == "withdrawal"
        }
        asked = []
        for name, (kind, fields) in self.records.items():
            if kind == "request" and fields["terms"]["event"] == event and author(name) in hosts:
                resource = fields["terms"]["resource"]
                if (name, author(name)) not in withdrawn and resource.split("/")[0] in self.users:
                    asked.append((fields["claimed"], name, resource))
        resources = dict.fromkeys(resource for _, _, resource in sorted(asked))
        return [self._title_of(resource) for resource in resources]

    def _title_of(self, resource):
        kind, title = self.entities.get(resource, {}).get("title", ("text", ""))
        known = resource in self.entities and kind == "text"
        return title if known else resource.split("/")[1][:8]


# --- what the fields of an event have to be; absent ones are None ---


def text(value):
    if value is not None and value[0] != "text":
        raise Refused("a field that should be text")
    return "" if value is None else value[1]


def instant(value):
    if value is None or value[0] == "null":
        return None
    if value[0] != "instant":
        raise Refused("a field that should be an instant")
    return value[1]


def boolean(value):
    if value is not None and value[0] != "bool":
        raise Refused("a field that should be true or false")
    return value is not None and value[1]


def set_of(item):
    def check(value):
        if value is not None and value[0] != "map":
            raise Refused("a field that should be a set")
        entries = {} if value is None else value[1]
        if any(kind != "bool" for kind, _ in entries.values()):
            raise Refused("an item of a set that is neither true nor false")
        return {item(name) for name, (_, is_in) in entries.items() if is_in}

    return check


def entity(value):
    if value is None or value[0] == "null":
        return None
    return entity_id(text(value))


EVENT = {
    "title": text,
    "subtitle": text,
    "summary": text,
    "description": text,
    "starts": instant,
    "ends": instant,
    "zone": text,
    "people": set_of(str),
    "tags": set_of(str),
    "language": text,
    "links": set_of(str),
    "series": entity,
    "cancelled": boolean,
    "editors": set_of(lambda name: to_text(from_text(name, 32))),
}


def moment(millis, zone):
    """An instant as people of a zone write it; in UTC where the zone is unknown here."""
    try:
        place = zoneinfo.ZoneInfo(zone) if zone else datetime.timezone.utc
    except (OSError, ValueError, zoneinfo.ZoneInfoNotFoundError):
        place = datetime.timezone.utc
    try:
        return (EPOCH + datetime.timedelta(milliseconds=millis)).astimezone(place)
    except OverflowError:
        return None


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file")
    parser.add_argument("--json", action="store_true", help="print one JSON value")
    args = parser.parse_args()
    with open(args.file, "rb") as file:
        archive = Archive.read(file)
    if archive.festival is None:
        print(f"{args.file} cannot be read: {archive.ends}", file=sys.stderr)
        return 2
    festival = Festival(archive)
    schedule = festival.schedule()
    print_json(archive, festival, schedule) if args.json else print_text(archive, festival, schedule)
    if archive.ends:
        print(f"the file ends early: {archive.ends}", file=sys.stderr)
    return 2 if archive.ends else 1 if archive.refused else 0


def print_json(archive, festival, schedule):
    def written(millis, zone):
        found = moment(millis, zone)
        return found.isoformat() if found else f"{millis} ms"

    value = {
        "festival": to_text(archive.festival.id),
        "documents": len(archive.documents),
        "logs": len(archive.logs),
        "entries": sum(log.length for log in archive.logs.values()),
        "cut": sum(log.is_cut for log in archive.logs.values()),
        "refused": [{"at": at, "why": why} for at, why in archive.refused],
        "stopped": [{"document": name, "incarnation": log, "why": why} for name, log, why in festival.stopped],
        "malformed": [{"id": name, "why": why} for name, why in festival.malformed],
        "schedule": [
            {
                "id": name,
                "title": event["title"],
                "starts": written(event["starts"], event["zone"]),
                "ends": written(event["ends"], event["zone"]),
                "zone": event["zone"],
                "places": festival.places(name, event["editors"]),
            }
            for name, event in schedule
            if not event["cancelled"]
        ],
    }
    print(json.dumps(value, ensure_ascii=False))


def print_text(archive, festival, schedule):
    document = next((d for d in archive.documents.values() if d.user == archive.festival.founder and not d.label), None)
    title = festival.title(to_text(document.id)) if document else ""
    entries = sum(log.length for log in archive.logs.values())
    print(f"{plain(title)} ({to_text(archive.festival.id)})")
    print(f"{len(archive.documents)} documents, {len(archive.logs)} logs, {entries} entries, every one verified.")
    day = None
    for name, event in schedule:
        starts, ends = moment(event["starts"], event["zone"]), moment(event["ends"], event["zone"])
        if starts is None or ends is None:
            continue
        if starts.date() != day:
            day = starts.date()
            print(f"\n{day:%A, %Y-%m-%d}")
        cancelled = " (cancelled)" if event["cancelled"] else ""
        places = ", ".join(map(plain, festival.places(name, event["editors"])))
        print(f"  {starts:%H:%M}-{ends:%H:%M}  {plain(event['title'])}{cancelled}  {places}".rstrip())
    for place, why in archive.refused:
        print(f"refused at byte {place}: {why}")
    for name, log, why in festival.stopped:
        print(f"log {log} of document {name[:8]} stands still: {why}")
    for name, why in festival.malformed:
        print(f"left out: {name}: {why}")


def plain(written):
    """Other people's words, fit for a terminal."""
    return "".join(letter if letter.isprintable() else " " for letter in written)[:300].strip()


if __name__ == "__main__":
    sys.exit(main())
