"""A stretch cut into pieces that tasks can read apart from each other, and put together again."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from govlab.sources.files.records import Bad
from govlab.sources.lanes import Block
from govlab.sources.ranged import RangedReader

__all__ = ["Fed", "Piece", "in_turn", "pieces_of"]


class Piece(NamedTuple):
    """A part of a partition: what begins in ``[first, last)``, in offsets of a topic, bytes of a text, or row groups."""

    partition: int
    number: int
    first: int
    last: int
    final: bool


def pieces_of(partition: int, spans: Sequence[tuple[int, int, Any]]) -> list[tuple[Piece, Any]]:
    """Make numbered pieces of the spans of a partition, each given with the least value of a column in it."""
    spans = spans or [(0, 0, None)]
    return [(Piece(partition, i, a, b, i == len(spans) - 1), low) for i, (a, b, low) in enumerate(spans)]


def in_turn(lanes: Sequence[Sequence[tuple[Piece, Any]]], ahead: int) -> list[Piece]:
    """Put pieces in the order in which a merge wants them: the first ``ahead`` of each lane, then by the times told."""
    kinds = {type(low) for lane in lanes for _, low in lane}
    told = len(kinds) == 1 and kinds <= {int, float, str, datetime}
    keyed: list[tuple[tuple[bool, Any, int], Piece]] = []
    for lane in lanes:
        for i, (piece, _) in enumerate(lane):
            # a merge is so far behind what it has read of a lane
            passed, low = lane[max(0, i - ahead)]
            when = (low if told else passed.number / len(lane)) if i >= ahead else i
            keyed.append(((i >= ahead, when, piece.partition), piece))
    waiting = {lane[0][0].partition: iter([piece for piece, _ in lane]) for lane in lanes}
    # the turns are those of the partitions; each has its pieces by their numbers
    return [next(waiting[piece.partition]) for _, piece in sorted(keyed)]


class Fed(RangedReader):
    """Merges pieces that others have read, as the reader that they were cut from would have given their rows.

    Pieces may come in any order; one that comes too early waits. Pickles, with all that was fed and not yet given.

    Parameters
    ----------
    like : RangedReader
        The reader that the pieces were cut from.
    names : dict of int to str
        What the partitions are called in messages and dead letters.
    """

    def __init__(self, like: RangedReader, names: dict[int, str]) -> None:
        super().__init__(like.schema, like.order, None, None, like.look_ahead)
        self.made = (), {}  # the other reader stays where it is
        self.start_us, self.stop_us, self.name, self.names = like.start_us, like.stop_us, like.name, names
        self._wanted = dict.fromkeys(names, 0)
        self._base = dict.fromkeys(names, 0)
        self._early: dict[tuple[int, int], list[tuple[Piece, list[Block], int | None]]] = {}
        self._pending: dict[int, list[Block]] = {number: [] for number in names}
        self.open()

    def _partitions(self, position: Any) -> dict[int, str]:
        return self.names

    def _blocks(self, partition: int) -> None:
        return None

    def _load(self) -> bool:
        return False

    def feed(self, piece: Piece, blocks: list[Block], lines: int | None = None) -> None:
        """Take blocks of a piece; with its last ones, by how much the offsets of the next one of the partition are further on."""
        self._early.setdefault((piece.partition, piece.number), []).append((piece, blocks, lines))
        while (parts := self._early.pop((piece.partition, self._wanted[piece.partition]), None)) is not None:
            for part in parts:
                self._add(*part)
            if parts[-1][2] is None:
                break  # the rest of it is still to come
            self._wanted[piece.partition] += 1

    def _add(self, piece: Piece, blocks: list[Block], lines: int | None) -> None:
        lane = next(lane for lane in self._lanes if lane.partition == piece.partition)
        if lane.ended:
            return  # behind the end of the stretch
        base, pending = self._base[piece.partition], self._pending[piece.partition]
        pending += [_moved(block, base) for block in blocks] if base else blocks
        self._base[piece.partition] += lines or 0
        ends = piece.final and lines is not None
        # to add moves all rows that wait, so it is worth while only for many
        if ends or sum(len(rows) for rows, _ in pending) >= lane.order.ahead:
            lane.add(pending)
            lane.ended = ends
            pending.clear()


def _moved(block: Block, base: int) -> Block:
    rows, bad = block
    moved: list[Bad] = [(offset + base, reason, raw) for offset, reason, raw in bad]
    rows["offset"] = rows["offset"].to_numpy() + base
    return rows, moved
