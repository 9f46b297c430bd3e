"""A run shared by the members of a consumer group: each partition is a run of its own, taken up by whoever has it."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, cast

import numpy as np
import pandas as pd

from govlab import frames
from govlab.engines.carrier import Carrier, Out
from govlab.engines.journal import Journal, letters_table, open_store
from govlab.engines.streams.through import Through
from govlab.errors import ArgumentError, TakenOverError
from govlab.pipeline import Pipeline
from govlab.sources.cuts import partition_of
from govlab.sources.reader import DeadLetter, Reader
from govlab.step import Step
from govlab.stores.store import Snapshot
from govlab.tally import Count, Tally, added

__all__ = ["GroupJournal", "Parted", "shares"]


class Parted(Carrier):
    """A fresh copy of a shard's steps for each partition that this member has; rows of others are left to theirs.

    Parameters
    ----------
    step : Pipeline
        One ``Sharded(..., by="partition")``.
    """

    def __init__(self, step: Step) -> None:
        super().__init__(step)
        self.parts: dict[int, Carrier] = {}

    def part(self, partition: int) -> Carrier:
        """Make the copy of a partition, which is not yet among ``parts``."""
        sharded: Any = self.pipeline.steps[0]
        if partition >= sharded.shards:
            raise ArgumentError(
                f"Sharded: shards={sharded.shards}, but there is a partition {partition}; members of a group can share a run only "
                "where each partition has a shard of its own: give at least as many shards as there are partitions (of one topic)."
            )
        carrier = Carrier(Pipeline(*sharded.steps.steps, ahead=self.pipeline.ahead))
        carrier.pipeline.bind(sharded.of_shard(partition))  # alerts have the ids of the whole
        return carrier

    def push(self, frame: pd.DataFrame) -> Out:
        """Take the next rows, each partition by itself."""
        partition = frame["partition"].to_numpy()
        outs, sides = [frames.empty()], []
        for p in np.unique(partition).tolist():
            if p in self.parts:
                out, aside = self.parts[p].push(frame[partition == p].reset_index(drop=True))
                outs.append(out)
                sides += aside
        out = frames.concat(outs)
        self.counted.rows += len(out)
        for side, rows in sides:
            self.counted.sides = added(self.counted.sides, {side: len(rows)})
        return out, sides

    def finish(self) -> Out:
        """Let the steps of each partition give on what they hold."""
        given = [self.parts[p].finish() for p in sorted(self.parts)]
        return frames.concat([frames.empty(), *(out for out, _ in given)]), [side for _, aside in given for side in aside]

    def tally(self) -> Tally:
        """Add up the partitions that this member has, with what members before it did there."""
        sharded: Any = self.pipeline.steps[0]
        whole = Tally(steps={0: Count(sharded.name, scored=sharded.all_scored())})
        for one in (part.tally() for part in self.parts.values()):
            steps = one.steps.values()
            scored = [each for count in steps for each in count.scored]
            inside = Count(sharded.name, one.steps[0].taken, one.rows, sum(count.aside for count in steps), scored)
            whole += replace(one, steps={0: inside}, thresholds={})
        return whole


class GroupJournal(Journal):
    """Writes each partition of a run by itself: its alerts, dead letters, step states and position, in one transaction.

    Whoever is assigned a partition claims it and goes on from its last snapshot; what an earlier owner still writes is
    refused from then on.
    """

    def __init__(self, store: Any, reader: Any, nodes: list[Through], every_s: float = 1.0) -> None:
        for node in nodes:
            if not node.carrier.pipeline.parted:
                raise ArgumentError("a run that members of a group share takes pipelines of one Sharded(..., by='partition') only.")
            node.carrier = Parted(node.carrier.pipeline)
        super().__init__(store, [reader], [node.carrier for node in nodes], every_s)
        self.reader, self._nodes = reader, nodes
        self._epochs: dict[int, int] = {}
        self._saved: dict[int, dict[int, int]] = {}
        reader.on_assign = self.take

    def reopen(self, store: Any) -> None:
        """Go on, in another run over the same source; if partitions changed hands in between, they are asked for anew."""
        self.store, self._own = open_store(store)
        self.reader.on_assign = self.take
        if set(self._epochs) != self.reader.assigned():
            self.reader.rejoin()

    def _name(self, partition: int) -> str:
        return f"{self.run}/{partition}"

    def take(self, assigned: list[int]) -> tuple[list[int], dict[int, int]]:
        """Take up newly assigned partitions; gives which, and the positions of those that have one."""
        self._write(self.reader.position())
        for partition in set(self._epochs) - set(assigned):
            self._forget(partition)
        fresh, positions = [p for p in assigned if p not in self._epochs], dict[int, int]()
        for partition in fresh:
            self._epochs[partition] = self.store.claim(self._name(partition))
            parts = [_parted(node).part(partition) for node in self._nodes]
            snapshot = self.store.snapshot(self._name(partition))
            if snapshot is not None:
                for part, state in zip(parts, self.opened(snapshot, self._name(partition)), strict=True):
                    part.__dict__.update(state)
                positions |= snapshot.positions[self.names[0]]
            for node, part in zip(self._nodes, parts, strict=True):
                _parted(node).parts[partition] = part
        for node in self._nodes if fresh else ():
            node.snapshot()  # frames since an earlier one knew other partitions
        return fresh, positions

    def _forget(self, partition: int) -> None:
        del self._epochs[partition]
        self._saved.pop(partition, None)
        for node in self._nodes:
            del _parted(node).parts[partition]
        self._letters = [letter for letter in self._letters if letter.partition != partition]
        self._alerts = [alerts[alerts["partition"] != partition] for alerts in self._alerts]

    def save(self, positions: list[dict[int, int]], finished: bool = False, events: Sequence[int] = ()) -> None:
        """Write now, partition by partition."""
        if self._write(positions[0]):
            self.reader.rejoin()  # to hear who has what

    def _write(self, positions: dict[int, int]) -> list[int]:
        """Write; partitions that another member has taken over are forgotten, and given."""
        began = time.monotonic()
        alerts, lost = frames.concat(self._alerts) if self._alerts else None, []
        for partition, epoch in list(self._epochs.items()):
            position = {key: n for key, n in positions.items() if partition_of(key) == partition}
            if position == self._saved.get(partition) or not position:
                continue
            mine = None if alerts is None else alerts[alerts["partition"] == partition]
            letters = letters_table(letter for letter in self._letters if letter.partition == partition)
            state = self.pickled([_parted(node).parts[partition].__dict__ for node in self._nodes])
            try:
                self.store.save(
                    self._name(partition), mine, letters, Snapshot({self.names[0]: position}, state, writer=self._writer), epoch
                )
                self._saved[partition] = position
            except TakenOverError:
                lost.append(partition)
        for partition in lost:
            self._forget(partition)
        self._alerts, self._letters, self._raw = [], [], 0
        self.written(began)
        return lost

    def bury(self, letters: Sequence[DeadLetter]) -> None:
        """Keep dead letters for the next write, which is due at once where there are many."""
        self.add(letters=letters)

    def count_letters(self) -> int:
        """Count the dead letters of the partitions that this member has."""
        return sum(self.store.count_dead_letters(self._name(partition)) for partition in self._epochs)

    def letter_reasons(self) -> dict[str, int]:
        """Count the same by their reason."""
        found = Counter[str]()
        for partition in self._epochs:
            found.update(self.store.letter_reasons(self._name(partition)))
        return dict(found)

    def close(self) -> None:
        """Close the store, if it was opened here."""
        self.reader.on_assign = None
        super().close()


def _parted(node: Through) -> Parted:
    return cast("Parted", node.carrier)  # set when the journal is made


def shares(reader: Reader, nodes: list[Through]) -> bool:
    """Tell whether a run of these is one that members of a group share."""
    return reader.group is not None and bool(nodes) and all(n.carrier.pipeline.parted for n in nodes)
