"""Compares what `read.py --json` says of an archive with what `panda schedule --json` says.

`compare.py READER PANDA`: two files. What policies conclude is not compared, only what is planned.
"""

import datetime
import json
import sys


def planned(event):
    starts, ends = (datetime.datetime.fromisoformat(event[end]) for end in ("starts", "ends"))
    return event["id"], event["title"], starts, ends, event["zone"], event["places"]


def main():
    reader, panda = (json.load(open(path)) for path in sys.argv[1:3])
    for part in ("refused", "stopped", "malformed"):
        if reader[part]:
            sys.exit(f"{part}: {reader[part]}")
    ours, theirs = [list(map(planned, schedule)) for schedule in (reader["schedule"], panda)]
    if not theirs:
        sys.exit("there is nothing to compare")
    for left, right in zip(ours, theirs):
        if left != right:
            sys.exit(f"the reader says\n  {left}\npanda says\n  {right}")
    if len(ours) != len(theirs):
        sys.exit(f"the reader knows {len(ours)} events, panda {len(theirs)}")
    print(f"{len(ours)} events of {reader['documents']} documents, read alike by both")


if __name__ == "__main__":
    main()
