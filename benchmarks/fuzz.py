"""A million fuzzed records, each accounted for: a row or a dead letter, never lost, never twice, never a crash.

Records are good events that were cut, bent, mixed or replaced by bytes from nowhere: as lines of ndjson and csv files, through
the reader of files in frames of odd sizes, and as messages (json, ndjson, arrow) through the decoder of messages. A line
or message counts as accounted for where its number is that of a row or of a dead letter, and of one only.

    python benchmarks/fuzz.py                        # a million records
    python benchmarks/fuzz.py --records 10000 --seed 3 --only csv
"""

from __future__ import annotations

import argparse
import gzip
import json
import random
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import govlab as gl
from govlab.sources.messages import MessageDecoder, Messages
from govlab.sources.reader import EndOfStream

FIELDS = {"time": "timestamp", "id": "string", "actor": "string?", "n": "int64?", "value": "float64?", "ok": "bool?"}
SCHEMA = gl.Schema(FIELDS, id="id")
ODD = [
    b"\x00",
    b"\xff\xfe",
    b"\xef\xbb\xbf",
    b"\r",
    b'"',
    b"\\",
    b"{",
    b"}",
    b"[",
    b",",
    b"\xc3\x28",
    "é".encode(),
    "\u2028".encode(),
    b"NaN",
    b"1e999",
    b"-0",
    b"\x1a",
]
VALUES: list[Any] = [None, "", "x", " 7", "0x10", -1, 0, 2**63 - 1, 2**63, 2**64, -(2**63), 1e308, float("nan"), True, False, [], {}, [1, [2]], {"a": {"b": 1}}, "1970-01-01",
                     "2026-03-02T00:00:00Z", "9999-12-31T23:59:59Z", "0000-00-00", "2026-02-30T00:00:00Z", "\ud83d\ude00", "NA", "null", "None", "\x00", 1.5, "1.5", "1,5", "tomorrow"]  # fmt: skip


def good(i: int, rng: random.Random) -> dict[str, Any]:
    """Make an event."""
    return {
        "time": f"2026-03-02T{i // 3600 % 24:02}:{i // 60 % 60:02}:{i % 60:02}Z", "id": f"e{i}", "actor": f"u{rng.randrange(9)}",
        "n": rng.randrange(100), "value": round(rng.random(), 3), "ok": rng.random() < 0.5,
    }  # fmt: skip


def bent(raw: bytes, rng: random.Random) -> bytes:
    """Change the bytes of a record: insert, remove, repeat, cut, or replace all."""
    at = rng.randrange(len(raw) + 1)
    to = min(len(raw), at + rng.randrange(1, 9))
    return [
        lambda: raw[:at] + rng.choice(ODD) + raw[at:],
        lambda: raw[:at] + raw[to:],
        lambda: raw[:to] + raw[at:],
        lambda: raw[:at],
        lambda: raw[:at] + rng.randbytes(rng.randrange(1, 5)) + raw[to:],
        lambda: rng.randbytes(rng.randrange(1, 60)),
    ][rng.randrange(6)]()


def as_json(i: int, rng: random.Random) -> bytes:
    """Write an event as JSON: two in five as it is, the others with a wrong value, without a field, or bent."""
    event, kind = good(i, rng), rng.randrange(5)
    if kind == 2:
        event[rng.choice(list(event))] = rng.choice(VALUES)
    elif kind == 3:
        del event[rng.choice(list(event))]
    raw = json.dumps(event, ensure_ascii=rng.random() < 0.5).encode("utf-8", "surrogatepass")
    return bent(raw, rng) if kind == 4 else raw


def as_csv(i: int, rng: random.Random) -> bytes:
    """Write an event as a line of csv likewise."""
    event, kind = good(i, rng), rng.randrange(5)
    if kind == 2:
        event[rng.choice(list(event))] = rng.choice([value for value in VALUES if not isinstance(value, list | dict)])
    cells = [str(event[name]) if event[name] is not None else "" for name in FIELDS]
    if kind == 3:
        cells.insert(rng.randrange(7), "more") if rng.random() < 0.5 else cells.pop()
    raw = ",".join(cells).encode("utf-8", "surrogatepass")
    return bent(raw, rng) if kind == 4 else raw


def whole(raw: bytes, csv: bool) -> bytes:
    """Keep a record on one line, so that it is known which line it is: no line's end in it; in csv no quote, which may open a cell of several lines."""
    for end in (b"\n", b"\r"):
        raw = raw.replace(end, b" ")
    return raw.replace(b'"', b"'") if csv else raw


def files(form: str, records: int, rng: random.Random, folder: Path) -> dict[str, Any]:
    """Read a file of fuzzed lines; every line that is not blank must be a row or a dead letter."""
    make = as_csv if form == "csv" else as_json
    lines = [whole(make(i, rng), form == "csv") for i in range(records)]
    head = [",".join(FIELDS).encode()] if form == "csv" else []
    path = folder / f"events.{form}.gz"
    with gzip.open(path, "wb", 1) as out:
        out.write(b"\n".join([*head, *lines, b""]))
    reader = gl.sources.ReplayReader(str(path), SCHEMA, order="arrival")
    rows: list[int] = []
    letters: list[int] = []
    reader.open()
    while True:
        try:
            rows += reader.read(rng.choice([1, 7, 100, 4_096, 65_536]))["offset"].tolist()
        except EndOfStream:
            break
        finally:
            letters += [letter.offset for letter in reader.take_dead_letters()]
    reader.close()
    blank = {i + len(head) for i, line in enumerate(lines) if not line.strip()}
    return accounts(set(range(len(head), records + len(head))), rows, letters, blank)


def messages(form: str, records: int, rng: random.Random) -> dict[str, Any]:
    """Decode fuzzed messages in blocks; every message must be a row (several of ndjson) or a bad record."""
    decoder = MessageDecoder(SCHEMA, form)
    rows: list[int] = []
    letters: list[int] = []
    several: set[int] = set()
    empty: set[int] = set()
    first = 0
    while first < records:
        n = min(records - first, rng.choice([1, 50, 1_000, 5_000]))
        bodies = [_body(form, first + i, rng) for i in range(n)]
        frame, bad = decoder.block(Messages(list(range(first, first + n)), bodies), 0)
        rows += frame["offset"].tolist()
        letters += [offset for offset, _, _ in bad]
        for i, body in enumerate(bodies):
            if form == "ndjson":
                several |= {first + i} if body.count(b"\n") else set()
                empty |= set() if body.strip() else {first + i}
            if form == "arrow" and body == b"":
                empty.add(first + i)
        first += n
    return accounts(set(range(records)), rows, letters, empty, several)


def _body(form: str, i: int, rng: random.Random) -> bytes:
    if form == "ndjson":
        return b"\n".join(whole(as_json(i, rng), False) for _ in range(rng.choice([1, 1, 1, 2, 5])))
    if form == "json":
        return as_json(i, rng)
    import pyarrow as pa

    event = good(i, rng)
    sink = pa.BufferOutputStream()
    table = pa.table({name: [value] for name, value in event.items()})
    with pa.ipc.new_stream(sink, table.schema) as out:
        out.write_table(table)
    raw: bytes = sink.getvalue().to_pybytes()
    return bent(raw, rng) if rng.random() < 0.6 else raw


def accounts(
    expected: set[int], rows: list[int], letters: list[int], blank: set[int], several: set[int] = frozenset()
) -> dict[str, Any]:  # type: ignore[assignment]
    """Count the records that are neither row nor letter, are both, or come twice, or that nobody wrote."""
    seen, dead = set(rows), set(letters)
    single = [offset for offset in rows if offset not in several]
    return {
        "records": len(expected), "rows": len(rows), "dead letters": len(letters), "blank": len(blank - seen - dead),
        "lost": len(expected - seen - dead - blank), "both": len((seen & dead) - several),
        "twice": len(single) - len(set(single)) + len(letters) - len(dead), "from nowhere": len((seen | dead) - expected),
    }  # fmt: skip


PARTS: dict[str, Callable[[int, random.Random, Path], dict[str, Any]]] = {
    "csv": lambda n, rng, folder: files("csv", n, rng, folder),
    "ndjson": lambda n, rng, folder: files("ndjson", n, rng, folder),
    "messages json": lambda n, rng, _: messages("json", n, rng),
    "messages ndjson": lambda n, rng, _: messages("ndjson", n, rng),
    "messages arrow": lambda n, rng, _: messages("arrow", n, rng),
}
SHARES = {"csv": 0.25, "ndjson": 0.25, "messages json": 0.25, "messages ndjson": 0.2, "messages arrow": 0.05}  # the last is slow
WRONG = ("lost", "both", "twice", "from nowhere")


def fuzz(part: str, records: int, seed: int, folder: Path) -> dict[str, Any]:
    """Fuzz one part; a crash is raised."""
    began = time.monotonic()
    told = PARTS[part](records, random.Random(f"{part} {seed}"), folder)
    return {"part": part} | told | {"seconds": round(time.monotonic() - began, 1)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=1_000_000, help="records of all parts together")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default=",".join(PARTS), type=lambda text: text.split(","))
    options = parser.parse_args()
    wrong, whole = 0, sum(SHARES[part] for part in options.only)
    for part in options.only:
        with tempfile.TemporaryDirectory(prefix="govlab-fuzz-") as folder:
            told = fuzz(part, round(options.records * SHARES[part] / whole), options.seed, Path(folder))
        print(told, flush=True)
        wrong += sum(told[key] for key in WRONG)
    if wrong:
        raise SystemExit(f"{wrong:,} records are not accounted for, or more than once")


if __name__ == "__main__":
    main()
