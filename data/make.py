"""Make the files of this folder again: ``python data/make.py --originals FOLDER [--into FOLDER]``.

Without ``--originals`` only the made-up community is made. The same inputs give the same files, byte for byte with the
same versions of pyarrow and zlib, and the same contents with any.
"""

import argparse
import gzip
import io
import json
import shutil
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from govlab.datasets import shipped, wiki_edits
from govlab.datasets.generator import community

_ISO = "%Y-%m-%dT%H:%M:%SZ"
_ISO_US = "%Y-%m-%dT%H:%M:%S.%fZ"


def _write_csv(frame, path, date_format):
    text = frame.to_csv(index=False, lineterminator="\n", date_format=date_format).encode()
    if path.suffix == ".gz":
        packed = io.BytesIO()
        # No file name and no moment in the header, or the same contents would give other bytes.
        with gzip.GzipFile(filename="", mode="wb", fileobj=packed, mtime=0) as out:
            out.write(text)
        text = packed.getvalue()
    path.write_bytes(text)


def make_community(into):
    """Write the default community: events as Parquet, incidents and labels as CSV."""
    day = community()
    table = pa.Table.from_pandas(day.events, preserve_index=False)
    # pandas 2 and 3 call text by different Arrow types and leave notes about themselves.
    plain = [f.with_type(pa.string()) if pa.types.is_large_string(f.type) else f for f in table.schema]
    table = table.cast(pa.schema(plain)).replace_schema_metadata(None)
    deltas = {"time": "DELTA_BINARY_PACKED", "arrival": "DELTA_BINARY_PACKED", "event_id": "DELTA_BYTE_ARRAY"}
    repeated = [name for name in table.column_names if name not in deltas]
    path = into / shipped.FILES["community"]
    pq.write_table(table, path, compression="zstd", compression_level=19, use_dictionary=repeated, column_encoding=deltas)
    _write_csv(day.incidents, into / shipped.FILES["community_incidents"], _ISO_US)
    _write_csv(day.labels, into / shipped.FILES["community_labels"], _ISO_US)


def make_wiki_edits(originals, into):
    """Write the edits with their times, and apart from them the labels."""
    published = pd.read_csv(originals / "wiki_reverts" / "enwiki_reverted_2015.csv.gz")
    edits, labels = wiki_edits.edits_and_labels(published)
    _write_csv(edits, into / shipped.FILES["wiki_edits"], _ISO)
    _write_csv(labels, into / shipped.FILES["wiki_edits_labels"], _ISO)


def make_nab(originals, into):
    """Copy the chosen series unchanged, and their windows under their short names."""
    nab = originals / "nab"
    windows = json.loads((nab / "labels" / "combined_windows.json").read_text())
    chosen = {Path(key).stem: key for key in windows if Path(key).stem in shipped.NAB_SERIES}
    (into / "nab").mkdir(exist_ok=True)
    for series, key in chosen.items():
        shutil.copyfile(nab / "data" / key, into / "nab" / f"{series}.csv")
    text = json.dumps({series: windows[key] for series, key in sorted(chosen.items())}, indent=1)
    (into / "nab" / "windows.json").write_text(text + "\n")
    shutil.copyfile(nab / "LICENSE.txt", into / "nab" / "LICENSE.txt")


def make_nab_published(originals, into):
    """Keep of the published results what their scores hang on: the rows that are detected at the lowest threshold in use."""
    nab, profiles = originals / "nab", {"standard": "standard", "low_fp": "reward_low_FP_rate", "low_fn": "reward_low_FN_rate"}
    spans = json.loads((nab / "labels" / "combined_windows.json").read_text())
    results = json.loads((nab / "results" / "final_results.json").read_text())
    thresholds = json.loads((nab / "config" / "thresholds.json").read_text())
    files, detectors = {}, {}
    for key, windows in sorted(spans.items()):
        at = pd.read_csv(nab / "data" / key, parse_dates=["timestamp"])["timestamp"]
        ends = [(pd.Timestamp(first), pd.Timestamp(last)) for first, last in windows]
        windows = [[int((at >= first).idxmax()), int(at[at <= last].index[-1])] for first, last in ends]
        files[key] = {"rows": len(at), "windows": windows}
    for name, result in sorted(results.items()):
        published = {ours: [thresholds[name][theirs]["threshold"], result[theirs]] for ours, theirs in profiles.items()}
        low, scores = min(threshold for threshold, _ in published.values()), {}
        for key in files:
            folder, _, file = key.partition("/")
            score = pd.read_csv(nab / "results" / name / folder / f"{name}_{file}")["anomaly_score"]
            scores[key] = {str(row): value for row, value in score[score >= low].items()}
        detectors[name] = {"published": published, "scores": {key: found for key, found in scores.items() if found}}
    text = json.dumps({"files": files, "detectors": detectors}, separators=(",", ":"))
    (into / "nab" / "published.json.gz").write_bytes(gzip.compress(text.encode(), mtime=0))


def main():
    """Read the command line and make the files."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--originals", type=Path, help="folder with wiki_reverts/ and nab/, as README.md describes")
    parser.add_argument("--into", type=Path, default=Path(__file__).resolve().parent)
    given = parser.parse_args()
    given.into.mkdir(parents=True, exist_ok=True)
    make_community(given.into)
    if given.originals:
        make_wiki_edits(given.originals, given.into)
        make_nab(given.originals, given.into)
        if (given.originals / "nab" / "results").is_dir():  # a whole checkout of numenta/NAB
            make_nab_published(given.originals, given.into)


if __name__ == "__main__":
    main()
