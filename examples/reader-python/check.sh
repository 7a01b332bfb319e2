#!/usr/bin/env bash
# Holds the reader to the vectors, and to what panda says of an archive that panda wrote.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
root=$PWD/../..
venv=${XDG_CACHE_HOME:-$HOME/.cache}/p2panda/reader-python-$(cksum requirements.txt | cut -d' ' -f1)

if ! "$venv/bin/python" -c 'import blake3, nacl' 2>/dev/null; then
  rm -rf "$venv"
  python3 -m venv "$venv" 2>/dev/null || {
    apt-get update -q && apt-get install -qy python3 python3-venv && python3 -m venv "$venv"
  }
  if ! "$venv/bin/pip" install -q --disable-pip-version-check -r requirements.txt; then
    rm -rf "$venv"
    echo "SKIPPED: the packages of requirements.txt could not be fetched"
    online() { python3 -c 'import socket; socket.create_connection(("pypi.org", 443), 10)' 2>/dev/null; }
    if [ "${CI:-}" = true ] || online; then exit 1; fi
    exit 0
  fi
fi

"$venv/bin/python" check_vectors.py "$root/vectors"

cargo build -q -p panda
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export XDG_RUNTIME_DIR=$work
panda() { "$root/target/debug/panda" --home "$work/$1" "${@:2}"; }

panda ada init >/dev/null
panda ada festival create "Meadow Days" --zone Europe/Berlin --as Ada >/dev/null
panda ada import "$root/examples/panda/src/demo/schedule.json" >/dev/null
panda ada resource add "Fire pit" >/dev/null
panda ada event add "Fire show" --starts 2026-08-20T21:00 --for 1h --tag fire --request "Fire pit" >/dev/null
panda ada event add "Rain dance" --starts 2026-08-21T21:00 --for 1h >/dev/null
panda ada event edit "Rain dance" --cancel >/dev/null
panda bob init >/dev/null
bob=$(panda bob whoami --json | "$venv/bin/python" -c 'import json, sys; print(json.load(sys.stdin)["user"])')
panda ada event edit "Fire show" --add-editor "$bob" >/dev/null 2>&1
panda ada export --archive "$work/ada.panda" >/dev/null

panda bob import "$work/ada.panda" >/dev/null
panda bob event add "Cafe" --starts 2026-08-20T10:00 --for 2h --request "Fire pit" >/dev/null
panda bob event edit "Cafe" --title "Café" --starts 2026-08-20T11:00 --for 90m >/dev/null 2>&1
panda bob event edit "Fire show" --title "Fire and ice" >/dev/null 2>&1
panda bob event add "Late tea" --starts 2026-08-20T23:30 --for 1h --request "Fire pit" >/dev/null
asked=$(panda bob request list --event "Late tea" --json | "$venv/bin/python" -c 'import json, sys; print(json.load(sys.stdin)[0]["id"])')
panda bob request withdraw "$asked" >/dev/null
panda bob export --archive "$work/bob.panda" >/dev/null

"$venv/bin/python" read.py "$work/bob.panda" >"$work/text"
"$venv/bin/python" read.py --json "$work/bob.panda" >"$work/reader.json"
panda bob schedule --json >"$work/panda.json"
"$venv/bin/python" compare.py "$work/reader.json" "$work/panda.json"
grep -q "Fire and ice" "$work/text"

# And it notices what is wrong.
head -c -200 "$work/bob.panda" >"$work/cut.panda"
if "$venv/bin/python" read.py "$work/cut.panda" >/dev/null 2>&1; then
  echo "a file that is cut off was read as if it were whole"
  exit 1
fi
"$venv/bin/python" - "$work/bob.panda" "$work/forged.panda" <<'PYTHON'
import sys

data = bytearray(open(sys.argv[1], "rb").read())
data[-20] ^= 1  # within the last signature
open(sys.argv[2], "wb").write(data)
PYTHON
if "$venv/bin/python" read.py "$work/forged.panda" >"$work/text" 2>&1; then
  echo "a forged signature was taken"
  exit 1
fi
grep "refused at byte" "$work/text"
