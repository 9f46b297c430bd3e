"""The stages as functions of Flink. Imported only where PyFlink is: in the environment of a cluster."""

from __future__ import annotations

import builtins
import json
import logging
import pickle
import sys
import time
from collections.abc import Iterator
from typing import Any

import pandas as pd
from apache_beam.runners.worker.statesampler import StateSampler
from pyflink.common import Types
from pyflink.datastream import FlatMapFunction, KeyedProcessFunction, RuntimeContext
from pyflink.datastream.state import ValueStateDescriptor

pd.options.future.infer_string = True  # texts as Arrow holds them, as newer pandas does
# a cluster's worker puts another print in the place of Python's, and numba wants the real one when it first compiles
builtins.print = getattr(getattr(builtins.print, "__self__", None), "_print", builtins.print)
# Beam has a thread look what a bundle does, and waits for its next look, up to 0.2 s later, at the end of each
StateSampler.__init__.__defaults__ = (4,)
# the stages are threads that often wait for each other and for Java; each time, one that works may go on for so many seconds
sys.setswitchinterval(0.001)

from govlab.engines.flink.kept import Kept, opened  # noqa: E402
from govlab.engines.flink.outputs import Outputs  # noqa: E402
from govlab.engines.stages.messages import TAIL, End, Fetched, Given, Rows  # noqa: E402
from govlab.engines.stages.stages import Head, Shard, Tail, cut  # noqa: E402
from govlab.engines.stages.travel import unpack_reader, unpack_step  # noqa: E402
from govlab.sources.pieces import Fed, Piece  # noqa: E402
from govlab.sources.ranged import RangedReader  # noqa: E402
from govlab.sources.reader import LiveReader, Reader  # noqa: E402
from govlab.stores.writer import writer_of  # noqa: E402

__all__ = ["GROUPS", "MESSAGE", "Fetches", "Heads", "Shards", "Tails", "Ticks"]

log = logging.getLogger("govlab")
MESSAGE = Types.TUPLE([Types.INT(), Types.PRIMITIVE_ARRAY(Types.BYTE())])
GROUPS = 128  # of keys, in Flink's words: its max-parallelism
PAD = b"\0" * 32_000  # a tick fills a buffer of the network, so that few stand before a checkpoint's barrier


class Ticks(FlatMapFunction):
    """Numbers to ticks: each names a piece to fetch, or lets the head go on a little; live ones come at a rate."""

    def __init__(self, told: dict[str, Any], keys: list[int]) -> None:
        self.pieces, self.sticky, self.keys = told["pieces"], told["sticky"], keys
        self.last, self.per_s = told["ticks"] - 1, told["per_s"] if told["live"] else None

    def flat_map(self, value: int) -> Iterator[tuple[int, bytes]]:
        """Give a tick; without pieces, the last one lets the head read to the end."""
        if self.pieces:
            piece = self.pieces[value]
            yield self.keys[(piece[0] if self.sticky else value) % GROUPS], json.dumps(piece).encode() + PAD
            return
        if self.per_s:
            time.sleep(1 / self.per_s)
        yield 0, (b"last" if value >= self.last and not self.per_s else b"tick") + PAD


class _Busy:
    """Measures which share of its time a task works; Flink's own measure counts its waiting for Python as work."""

    def __init__(self, metrics: Any) -> None:
        self.percent, self._worked, self._since = 0, 0.0, time.monotonic()
        metrics.gauge("govlab_busy", lambda: self.percent)

    def __enter__(self) -> None:
        self._began = time.monotonic()

    def __exit__(self, *_: object) -> None:
        now = time.monotonic()
        self._worked += now - self._began
        if now - self._since > 2:
            self.percent = round(100 * self._worked / (now - self._since))
            self._worked, self._since = 0.0, now


class Fetches(KeyedProcessFunction):
    """Reads pieces. It has no state: what is to be read is in the element."""

    def __init__(self, spec: str) -> None:
        self.spec = spec

    def open(self, runtime_context: RuntimeContext) -> None:
        """Make the reader."""
        self.reader: Any = unpack_reader(json.loads(self.spec)["source"])
        self.busy = _Busy(runtime_context.get_metrics_group())

    def process_element(self, value: tuple[int, bytes], ctx: Any) -> Iterator[tuple[int, bytes]]:
        """Give the records of a piece."""
        piece, more = Piece(*json.loads(value[1].rstrip(b"\0"))), True
        source, held = self.reader.piece(piece), None
        while more:
            with self.busy:
                try:
                    records, lines = next(source), None
                except StopIteration as end:
                    more, records, lines = False, None, end.value
                # the last records go together with what is told at the end
                fetched = Fetched(piece, [] if held is None else [held], lines)
                packed = b"" if more and held is None else pickle.dumps(fetched, protocol=5)
                held = records
            if packed:
                yield 0, packed

    def close(self) -> None:
        """Let go of files and connections."""
        self.reader.close()


class _Stage(KeyedProcessFunction):
    """A function with one picklable state a key, which is held live and read from Flink only after a restart."""

    def __init__(self, spec: str) -> None:
        self.spec = spec

    def open(self, runtime_context: RuntimeContext) -> None:
        """Get ready."""
        self.told = json.loads(self.spec)
        self.step = unpack_step(self.told["pipeline"])
        self.writer = writer_of([self.step])
        self.state = runtime_context.get_state(ValueStateDescriptor("stage", Types.PICKLED_BYTE_ARRAY()))
        self.live: dict[int, Any] = {}
        metrics = runtime_context.get_metrics_group()
        self.metrics = dict.fromkeys(("events", "rows", "lag"), 0)
        self.busy = _Busy(metrics)
        for name in self.metrics:
            metrics.gauge(f"govlab_{name}", lambda name=name: self.metrics[name])

    def stage(self, key: int) -> Any:
        """Give the stage of a key: as it stands here, as it stood at the checkpoint, or a new one."""
        if key not in self.live:
            found = self.state.value()
            self.live[key] = self.fresh(key) if found is None else self.taken_up(opened(found, self.writer))
        return self.live[key]

    def keep(self, stage: Any) -> None:
        """Let Flink have a stage; it pickles it at the end of a bundle."""
        self.state.update(Kept(stage, self.writer, "pickle" in self.told["pipeline"]))

    def fresh(self, key: int) -> Any:
        """Make a stage."""
        raise NotImplementedError

    def taken_up(self, stage: Any) -> Any:
        """Take up a stage as it stood at a checkpoint."""
        return stage


class Heads(_Stage):
    """Takes what was fetched, or reads at each tick, and deals."""

    def __init__(self, spec: str, keys: list[int]) -> None:
        super().__init__(spec)
        self.keys = keys

    def fresh(self, key: int) -> Head:
        """Make the head."""
        reader = self._reader()
        if isinstance(reader, RangedReader) and self.told["pieces"]:
            reader = Fed(reader, {int(k): v for k, v in self.told["lanes"].items()})
        return Head(self.step, reader)

    def taken_up(self, stage: Head) -> Head:
        """Give it its reader back."""
        if not self.told["pieces"]:
            stage.reader = self._reader()
        return stage

    def _reader(self) -> Reader:
        reader = unpack_reader(self.told["source"])
        if isinstance(reader, LiveReader):
            reader.wait_s = 0.001  # the next tick comes soon, and to wait here is to hold back what was read
        return reader

    def process_element(self, value: tuple[int, bytes], ctx: Any) -> Iterator[tuple[int, bytes]]:
        """Go on: to the end at the last tick, else a frame, or what comes within some milliseconds."""
        head = self.stage(0)
        if head.ended:
            return
        limits: dict[str, Any] = {}
        if self.told["pieces"]:
            fetched = pickle.loads(value[1])
            head.reader.feed(fetched.piece, fetched.records, fetched.lines)
        elif self.told["live"]:
            limits = {"most_s": 0.02}
        elif value[1][:4] != b"last":
            limits = {"most": self.told["max_rows"]}
        dealt = head.read(self.told["max_rows"], **limits)
        while True:
            with self.busy:
                found = next(dealt, None)
                packed = b"" if found is None else pickle.dumps(found[1], protocol=5)
            if found is None:
                break
            yield (TAIL if found[0] == TAIL else self.keys[found[0]]), packed
        self.keep(head)
        self.metrics |= {"events": head.carrier.counted.events, "lag": sum(head.reader.lag().values()) if not head.ended else 0}

    def close(self) -> None:
        """Let go of files and connections."""
        for head in self.live.values():
            if not head.ended:
                head.reader.close()


class Shards(_Stage):
    """Runs the sharded steps; what is for the tail passes by."""

    def __init__(self, spec: str, keys: list[int]) -> None:
        super().__init__(spec)
        self.numbers = {key: number for number, key in enumerate(keys)}

    def open(self, runtime_context: RuntimeContext) -> None:
        """Get ready."""
        super().open(runtime_context)
        _, sharded = cut(self.step)
        assert sharded is not None
        self.sharded = sharded

    def fresh(self, key: int) -> Shard:
        """Make a shard."""
        number = self.numbers[key]
        return Shard(self.sharded.part(number), number)

    def process_element(self, value: tuple[int, bytes], ctx: Any) -> Iterator[tuple[int, bytes]]:
        """Take the rows of a shard."""
        key, packed = value
        if key == TAIL:
            yield 0, packed
            return
        with self.busy:
            message: Rows | End = pickle.loads(packed)
            stage = self.stage(key)
            given: Given = stage.take(message)
            self.keep(stage)
            packed = pickle.dumps(given, protocol=5)
        yield 0, packed


class Tails(_Stage):
    """Puts together what the shards gave, runs the rest, and writes what comes out."""

    def open(self, runtime_context: RuntimeContext) -> None:
        """Get ready."""
        super().open(runtime_context)
        self.outputs = Outputs(self.told)

    def fresh(self, key: int) -> Tail:
        """Make the tail."""
        return Tail(self.step)

    def process_element(self, value: tuple[int, bytes], ctx: Any) -> Iterator[str]:
        """Take a message; gives lines of text for the files of the job."""
        tail = self.stage(0)
        if tail.finished:
            return
        for (rows, sides), letters in tail.take(pickle.loads(value[1])):
            for line in self.outputs.lines(rows, sides, letters):
                yield f"{tail.lines} {line}"  # numbered, as files do not tell their order
                tail.lines += 1
        if tail.finished:
            yield f"{tail.lines} {self.outputs.summary(tail.summary('finished'))}"
        self.keep(tail)
        self.metrics |= {"events": tail.head.events, "rows": tail.carrier.counted.rows}

    def close(self) -> None:
        """Let go of stores and connections."""
        self.outputs.close()
