"""Small files, and what may happen to them on their way."""

import gzip
import io
import json

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import zstandard

PACK = {"": bytes, ".gz": gzip.compress, ".zst": zstandard.ZstdCompressor(write_checksum=True).compress}
START_S = 1_772_409_600
ODD = [
    b"", b"\n", b"\r", b"\r\n", b'"', b"'", b",", b"\t", b"\0", b"\xff", b"\xef\xbb\xbf", b"{", b"}", b"[", b"]", b":", b"null",
    b"NaN", b"1e999", b"-0", b"+7", b"007", b"9007199254740993", b"18446744073709551615", b"9" * 400, b"true", b"\\ud800", b"\\u0000",
    b"2026-13-45", b"9999-12-31", b"0001-01-01", b"now", b"[" * 2_000, b'{"a":' * 2_000, b'"' * 7, b"\x1f\x8b", b"(\xb5/\xfd", b"PAR1",
]  # fmt: skip


def records(n):
    return [
        {"time": START_S + i, "actor": f"a{i % 3}", "n": i, "value": i / 4 if i % 5 else None, "ok": i % 2 == 0} for i in range(n)
    ]


def written(kind, time, rows):
    """Give a file of rows as (bytes); ``time`` is how their times are written."""
    stamps = pd.to_datetime([row["time"] for row in rows], unit="s", utc=True)
    if kind == "parquet":
        table = pa.table({name: [row[name] for row in rows] for name in rows[0]})
        return parquet(table.set_column(0, "time", arrow_times(time, stamps)))
    scale = {"epoch_s": 1, "epoch_ms": 1_000, "epoch_us": 1_000_000}.get(time)
    day = "%Y-%m-%d" if time == "date" else "%Y-%m-%dT%H:%M:%SZ"
    texts = [row["time"] * scale if scale else stamp.strftime(day) for row, stamp in zip(rows, stamps, strict=True)]
    rows = [row | {"time": text} for row, text in zip(rows, texts, strict=True)]
    if kind == "ndjson":
        return b"".join(json.dumps(row).encode() + b"\n" for row in rows)
    lines = [",".join(rows[0])] + [",".join("" if v is None else str(v) for v in row.values()) for row in rows]
    return "".join(line + "\n" for line in lines).encode()


def arrow_times(time, stamps):
    if time.startswith("epoch"):
        return pa.array((stamps.as_unit("s").asi8 * {"s": 1, "ms": 1_000, "us": 1_000_000}[time.removeprefix("epoch_")]).tolist())
    if time == "text":
        return pa.array(stamps.strftime("%Y-%m-%dT%H:%M:%SZ"))
    kind = {"date": pa.date32(), "date64": pa.date64()}.get(time) or pa.timestamp(time.removeprefix("arrow_"), "UTC")
    return pa.array(stamps.to_pydatetime()).cast(kind, safe=False)


def parquet(table, **options):
    out = io.BytesIO()
    pq.write_table(table, out, **options)
    return out.getvalue()


def spoiled(rng, data):
    """Give bytes after one to three accidents."""
    for _ in range(rng.integers(1, 4)):
        data = accident(rng, data)
    return data


def accident(rng, data):
    """Give bytes with something put in, taken out, repeated, or with one bit of each turned."""
    at, to = sorted(rng.integers(0, len(data) + 1, 2).tolist())
    head, part, tail = data[:at], data[at : at + 40][: to - at], data[min(to, at + 40) :]
    odd, bit = ODD[rng.integers(len(ODD))], np.uint8(1 << rng.integers(8))
    turned = (np.frombuffer(part, "uint8") ^ bit).tobytes()
    return [
        head + odd + part + tail, head + rng.bytes(5) + part + tail, head + tail, head, part + tail, head + part * 3 + tail,
        head + odd + tail, head + turned + tail,
    ][rng.integers(8)]  # fmt: skip
