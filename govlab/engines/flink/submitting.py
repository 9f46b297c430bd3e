"""Giving a pipeline to Flink."""

from __future__ import annotations

import dataclasses
import hashlib
import math
import os
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from govlab import frames
from govlab.access import Access
from govlab.addresses import Address
from govlab.arguments import fitting
from govlab.engines.engine import Engine
from govlab.engines.flink.folder import make_folder, no_secrets, read_spec, write_spec
from govlab.engines.flink.job import ENDED, Job, cause_of
from govlab.engines.flink.settings import reach, settings_of
from govlab.engines.stages.stages import cut
from govlab.engines.stages.travel import absolute, pack_reader, pack_step
from govlab.engines.streams.source import Source
from govlab.errors import ArgumentError, GovlabError, ServiceError
from govlab.pipeline import Pipeline, Result
from govlab.recipes import recipe_hash
from govlab.schema import Schema
from govlab.services import flink_environment
from govlab.sources.files.replay import ReplayReader
from govlab.sources.frames import FrameReader, reader_of, whole
from govlab.sources.ranged import RangedReader
from govlab.sources.reader import Reader
from govlab.step import Step
from govlab.stores.writer import refuse_other, without_versions, writer_of

CLUSTERS = ("python", "pandas", "numpy")  # whose versions are those of the cluster's environment, which its states name

__all__ = ["Flink", "attach", "described", "submit", "travelling"]


@fitting
def submit(
    pipeline: Step,
    source: Any,
    into: Any = (),
    folder: str | Path | None = None,
    cluster: Any = None,
    parallelism: int = 1,
    checkpoint_every: str = "10s",
    max_rows: int = 65_536,
    access: Access | None = None,
    name: str | None = None,
    settings: dict[str, Any] | None = None,
) -> Job:
    """Run a pipeline on Apache Flink: the same alerts as in the lab, whatever the parallelism, the crashes and the rescaling.

    Parameters
    ----------
    pipeline : Pipeline or Step
        What runs. Steps in :class:`govlab.Sharded` are spread over the cluster; all else runs in one task each before and after.
    source : path, table, iterable of them, Reader or Source
        As of :func:`govlab.sources.reader_of`: files, a range of a topic, or a live topic (without a group: the positions
        are in Flink's checkpoints), which all tasks must reach under the same name; tables at hand are written into the folder.
    into : str, list of str, optional
        Where alerts go besides the files of the job: the path of a SQLite store, or the address of a topic, an exchange or a
        queue (``kafka://host:port/topic``, ``amqp://host:port/name``).
        One that is written again after a crash has the same id.
    folder : str or Path, optional
        Where the job keeps what it was told, its checkpoints and its results; all tasks must reach it. A job that was stopped
        or killed is taken up from its last checkpoint when it is submitted again with the same folder.
    cluster : server or str, optional
        ``gl.services.start("flink")``, or the address of any cluster's REST interface, ``"http://host:8081"``. Without one, a
        small cluster is started in a process of its own, for this job.
    parallelism : int
        Over how many tasks the shards are spread.
    checkpoint_every : str
        Results are given out with each checkpoint.
    max_rows : int
        Rows a frame at most. No answer depends on it.
    access : Access, optional
        How to get into the queue of ``into``.
    name : str, optional
        What the job is called in Flink.
    settings : dict, optional
        Further settings of Flink's.

    Returns
    -------
    Job

    Raises
    ------
    ArgumentError
        The pipeline or the source cannot travel: says which step, and why.
    ServiceError
        Flink cannot be installed or started, or no cluster answers.
    StoreError
        The folder has a job of another user, or of other versions of govlab, its packages or its steps.
    """
    if isinstance(parallelism, bool) or not isinstance(parallelism, int) or parallelism < 1:
        raise ArgumentError(f"submit: parallelism={parallelism!r}; expected a whole number of at least 1.")
    if not isinstance(pipeline, Step):
        raise ArgumentError(f"submit: {pipeline!r} is not a pipeline or a step.")
    place = Path(folder or tempfile.mkdtemp(prefix="govlab-flink-")).expanduser().resolve()
    make_folder(place)
    whole = pipeline if isinstance(pipeline, Pipeline) else Pipeline(pipeline)
    reader = travelling(source, place, max_rows)
    if reader.group is not None:
        raise ArgumentError("submit: on Flink the positions are in its checkpoints; give the source without a group.")
    spec = described(whole, reader, place, parallelism, max_rows, into, access, name)
    known = place / "spec.json"
    if known.exists():
        before = read_spec(known)
        refuse_other(before["writer"], spec["writer"], f"the job of {place}", "begin anew with another folder")
        spec |= {name: before[name] for name in ("pieces", "lanes", "ticks", "max_rows")}  # as its checkpoints have them
        if before["run"] != spec["run"]:
            raise ArgumentError(f"submit: {place} is the folder of another job (other events or another pipeline); choose another.")
        _ended(place)
    spec["settings"], spec["rest"] = settings_of(place, cluster, parallelism, checkpoint_every, spec["live"], settings or {})
    if spec["settings"]["execution.target"] == "remote":
        reach(spec["rest"])
    no_secrets(spec)
    write_spec(known, spec)
    return _start(place, spec)


def described(
    whole: Pipeline,
    reader: Reader,
    place: Path,
    parallelism: int = 1,
    max_rows: int = 65_536,
    into: Any = (),
    access: Access | None = None,
    name: str | None = None,
) -> dict[str, Any]:
    """Describe a job in plain values, all but Flink's settings."""
    places = [absolute(str(to)) for to in ([into] if isinstance(into, str | Path) else into)]
    packed, (_, sharded) = pack_step(whole), cut(whole)
    ranged = reader if isinstance(reader, RangedReader) else None
    lanes, pieces = (ranged.pieces(max_rows) if ranged else None) or (None, None)
    # without versions, so that a job of another version of a step is found in its folder, and refused
    anonymous = recipe_hash(without_versions(packed["recipe"]))
    run = hashlib.sha256(f"{reader.origin}\n{anonymous}".encode()).hexdigest()[:16]
    spec = {
        "name": name or f"govlab {reader.name}",
        "pipeline": packed,
        "source": pack_reader(reader),
        "shards": 0 if sharded is None else sharded.shards,
        "live": ranged is None,
        "per_s": 12,  # measured: with fewer ticks events wait for one, with more the messages wait for Python
        "pieces": pieces,
        "lanes": lanes,
        "sticky": ranged is not None and ranged.sticky,
        "ticks": len(pieces) if pieces else _ticks(ranged, max_rows) if ranged else 1,
        "max_rows": max_rows,
        "parallelism": parallelism,
        "run": run,
        "into": [{"to": to, "access": dataclasses.asdict(access or Access())} for to in places],
        "results": f"file://{place}/results",
        "writer": {name: v for name, v in writer_of([whole]).items() if name not in CLUSTERS},
    }
    no_secrets(spec)
    for to in places:
        if "://" in to:
            Address.of(to)
    return spec


def travelling(source: Any, place: Path, max_rows: int) -> Reader:
    """Make a reader that other machines can make as well: tables at hand go into a file, in their order."""
    # a live one is only described here, never opened
    live = isinstance(source, Source) and source.reader.waits
    reader = source.reader if live else reader_of(source)
    if not isinstance(reader, FrameReader):
        return reader
    path = place / "source.parquet"
    rows = whole(reader).drop(columns=list(frames.POSITION))
    rows.to_parquet(path, index=False, row_group_size=max_rows)
    written = ReplayReader(path, order="arrival")
    # a guess makes text of whole numbers that a float64 cannot hold; here they are known to be numbers
    known = written.schema.recipe()
    kinds = {name: "int64" if isinstance(kind, np.dtype) else "int64?" for name, kind in rows.dtypes.items() if kind.kind == "i"}
    fields = known["fields"] | {name: kind for name, kind in kinds.items() if name in known["fields"]}
    return written if fields == known["fields"] else ReplayReader(path, Schema(**known | {"fields": fields}), order="arrival")


def _ticks(reader: RangedReader, max_rows: int) -> int:
    """Count the frames at most; surplus ticks cost nothing, and the last one reads to the end whatever is left."""
    return 1 + math.ceil(reader.most_rows() / max_rows)


def _ended(place: Path) -> None:
    """See that an earlier job of this folder runs no more."""
    if not (place / "job.json").exists():
        return
    try:
        job = Job(place)
        state = job.status().state
    except ServiceError:
        return  # its cluster is gone
    if state not in ENDED:
        raise ArgumentError(f"submit: the job of {place} is {state}; attach({str(place)!r}) finds it, and its cancel() ends it.")


def _start(place: Path, spec: dict[str, Any]) -> Job:
    (place / "job.json").unlink(missing_ok=True)
    command = [str(flink_environment.environment()), "-m", "govlab.engines.flink.program", str(place / "spec.json")]
    variables = flink_environment.clean(
        {
            "PYTHONPATH": str(flink_environment.code(place)),
            "JAVA_TOOL_OPTIONS": os.environ.get("JAVA_TOOL_OPTIONS", ""),
            "FLINK_LOG_DIR": str(place),
        }
    )
    with (place / "log.txt").open("ab") as log:
        process = subprocess.Popen(
            command, cwd=place, env=variables, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )
    end = time.monotonic() + 120
    while not (place / "job.json").exists():
        if process.poll() is not None or time.monotonic() > end:
            process.kill()
            said = (place / "log.txt").read_text(errors="replace")
            raise GovlabError(f"the job was not taken: {cause_of(said)} (all that was said is in {place / 'log.txt'})")
        time.sleep(0.05)
    if spec["settings"]["execution.target"] == "local":
        return Job(place, process)
    process.wait(60)  # the job is on the cluster
    return Job(place)


def attach(folder: str | Path) -> Job:
    """Find a job again by its folder, in another process, say.

    Raises
    ------
    ArgumentError
        No job was submitted with this folder.
    """
    place = Path(folder).expanduser().resolve()
    if not (place / "job.json").exists():
        raise ArgumentError(f"attach: {place} is not the folder of a job.")
    return Job(place)


class Flink(Engine):
    """Runs a pipeline on a small cluster of its own, to the end."""

    def run(self, pipeline: Step, source: Any, **options: Any) -> Result:
        """Run; parameters as of :func:`submit`."""
        job = submit(pipeline, source, **options)
        job.wait()
        return job.result()
