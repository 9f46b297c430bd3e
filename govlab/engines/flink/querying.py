"""A query in Flink SQL as the first stage: the JVM aggregates, the pipeline detects."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import pandas as pd

from govlab.engines.flink.folder import make_folder, read_spec, write_spec
from govlab.engines.flink.job import cause_of
from govlab.engines.flink.settings import reach, settings_of
from govlab.engines.flink.submitting import travelling
from govlab.engines.streams import Source, from_replay
from govlab.errors import ArgumentError, GovlabError
from govlab.frames import POSITION, Schema
from govlab.services import flink_environment
from govlab.sinks.encode import json_bodies
from govlab.sources.ranged import RangedReader
from govlab.sources.reader import EndOfStream

__all__ = ["sql"]

_INTO = {"str": "STRING", "string": "STRING", "object": "STRING", "float64": "DOUBLE", "int64": "BIGINT", "bool": "BOOLEAN"}
_FROM = {"BIGINT": "int64?", "INT": "int64?", "SMALLINT": "int64?", "DOUBLE": "float64?", "FLOAT": "float64?", "BOOLEAN": "bool?"}


def sql(
    query: str,
    time: str = "window_end",
    folder: str | Path | None = None,
    cluster: Any = None,
    parallelism: int = 1,
    settings: dict[str, Any] | None = None,
    **tables: Any,
) -> Source:
    """Run a query in Flink SQL over tables that end, and give its rows as a source, for ``submit`` or for the lab.

    The rows come in order of their time, then of all that they say, so that they do not depend on the tasks that gave them.
    Whole numbers are exact; the last bits of a sum of floats depend on the order in which Flink added them.

    Parameters
    ----------
    query : str
        A ``SELECT``; what a window function calls late is not lost, as all rows are there before the first window closes.
    time : str, default "window_end"
        The column of the result that is the time of its rows.
    folder : str or Path, optional
        Where tables and rows are kept; with one that has the rows of this query, it is not run again.
    cluster, settings
        As of :func:`submit`.
    parallelism : int
        Over how many tasks the query is spread.
    **tables
        The tables by their names: a statement that begins with ``CREATE TABLE`` (any connector that the cluster has), or what
        ``submit`` takes as a source, if it ends; that is written out as lines of JSON first. Its time is a time attribute.

    Returns
    -------
    Source

    Raises
    ------
    ArgumentError
        A table is not one, or the result has no such time.
    GovlabError
        Flink refuses the query: says why.

    Examples
    --------
    >>> counts = flink.sql(  # doctest: +SKIP
    ...     "SELECT window_end, actor, COUNT(*) AS n FROM TABLE(TUMBLE(TABLE events, DESCRIPTOR(`time`), INTERVAL '1' MINUTE)) "
    ...     "GROUP BY window_start, window_end, actor",
    ...     events="logs/*.parquet",
    ... )
    """
    if not tables:
        raise ArgumentError('sql: name the tables of the query, as in sql("SELECT ... FROM events", events="logs/*.parquet").')
    place = Path(folder or tempfile.mkdtemp(prefix="govlab-flink-sql-")).expanduser().resolve()
    make_folder(place)
    readers = {name: travelling(of, place, 65_536) for name, of in tables.items() if not _is_statement(of)}
    asked = [query, time, {name: readers[name].origin if name in readers else of for name, of in tables.items()}]
    mark = hashlib.sha256(json.dumps(asked).encode()).hexdigest()
    done = place / "query.json"
    if not (done.exists() and read_spec(done)["mark"] == mark and (place / "rows.ndjson").exists()):
        statements = [_table(name, readers[name], place) if name in readers else of for name, of in tables.items()]
        # a query runs to its end or not at all: batches, without checkpoints
        configured, rest = settings_of(place, cluster, parallelism, "10min", False, settings or {})
        configured = {k: v for k, v in configured.items() if not re.match("execution.(checkpointing|state-recovery)", k)}
        configured |= {"parallelism.default": parallelism, "table.local-time-zone": "UTC", "jobmanager.scheduler": "default"}
        if configured["execution.target"] == "remote":
            reach(rest)
        write_spec(done, {"query": query, "time": time, "tables": statements, "settings": configured, "mark": mark})
        _run(place)
    schema = _schema(json.loads((place / "columns.json").read_text()), time)
    return from_replay(str(place / "rows.ndjson"), schema)


def _is_statement(of: Any) -> bool:
    return isinstance(of, str) and bool(re.match(r"\s*create\s", of, re.IGNORECASE))


def _table(name: str, reader: Any, place: Path) -> str:
    """Write what a reader gives as lines of JSON; gives the statement that makes a table of them."""
    if not name.isidentifier():
        raise ArgumentError(f"sql: {name!r} is not the name of a table.")
    if not isinstance(reader, RangedReader):
        raise ArgumentError(f"sql: the table {name} does not end; give it a stop, or submit() the live source to a pipeline.")
    path, columns = place / f"{name}.ndjson", dict[str, str]()
    reader.open()
    with path.open("wb") as out:
        try:
            while True:
                frame = reader.read(65_536)
                columns = columns or {column: _kind(frame[column].dtype) for column in frame.columns if column not in POSITION}
                out.writelines(body + b"\n" for body in json_bodies(frame))
        except EndOfStream:
            reader.close()
    listed = ", ".join(f"`{column}` {kind}" for column, kind in columns.items())
    return (
        f"CREATE TABLE `{name}` ({listed}, WATERMARK FOR `time` AS `time`) WITH ('connector' = 'filesystem', "
        f"'path' = 'file://{path}', 'format' = 'json', 'json.timestamp-format.standard' = 'ISO-8601')"
    )


def _kind(dtype: Any) -> str:
    return "TIMESTAMP_LTZ(3)" if isinstance(dtype, pd.DatetimeTZDtype) else _INTO.get(str(dtype), "STRING")


def _run(place: Path) -> None:
    command = [str(flink_environment.environment()), "-m", "govlab.engines.flink.query", str(place / "query.json")]
    variables = flink_environment.clean({"PYTHONPATH": str(flink_environment.code(place)), "FLINK_LOG_DIR": str(place)})
    done = subprocess.run(command, cwd=place, env=variables, capture_output=True, text=True, check=False)
    (place / "log.txt").write_text(done.stdout + done.stderr)
    if done.returncode:
        raise GovlabError(f"the query was not run: {cause_of(done.stderr)} (all that was said is in {place / 'log.txt'})")
    written = sorted(path for path in (place / "written").rglob("*") if path.is_file() and path.name[0] not in "._")
    if len(written) > 1:
        raise GovlabError(f"{place / 'written'} has {len(written)} files; expected one, as the rows are sorted.")
    rows = place / "rows.ndjson"
    if written:
        written[0].replace(rows)
    else:
        rows.write_bytes(b"")


def _schema(columns: dict[str, str], time: str) -> Schema:
    if not columns.get(time, "").startswith("TIMESTAMP"):
        raise ArgumentError(f"sql: time={time!r} is not a column of times of the result; it has {columns}.")
    fields = {
        name: "timestamp" if kind.startswith("TIMESTAMP") else _FROM.get(kind.partition(" ")[0].partition("(")[0], "string?")
        for name, kind in columns.items()
    }
    return Schema(fields, time=time)
