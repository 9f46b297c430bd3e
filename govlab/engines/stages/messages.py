"""What the stages of a pipeline tell each other."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from govlab.scored import Scored
from govlab.sources.lanes import Block as Records
from govlab.sources.pieces import Piece
from govlab.sources.reader import DeadLetter
from govlab.tally import Tally

__all__ = ["TAIL", "Block", "End", "Fetched", "Given", "Rows"]

TAIL = -1  # the number of the tail, where a shard has its own


@dataclass
class Fetched:
    """Records of a piece, for the head; ``lines`` is told with the last of them."""

    piece: Piece
    records: list[Records]
    lines: int | None = None


@dataclass
class Rows:
    """Rows for a shard: those of a block that are its own, labelled by their place in the block."""

    seq: int
    frame: pd.DataFrame


@dataclass
class Block:
    """What the tail must know of a block: of each row its time and its shard; without shards, the rows themselves."""

    seq: int
    tally: Tally
    sides: list[tuple[str, pd.DataFrame]]
    letters: list[DeadLetter]
    times: np.ndarray | None = None
    shard: np.ndarray | None = None
    frame: pd.DataFrame | None = None


@dataclass
class End:
    """There are no more rows."""

    seq: int
    tally: Tally
    sides: list[tuple[str, pd.DataFrame]]
    letters: list[DeadLetter]


@dataclass
class Given:
    """What a shard gave for a block, or at the end."""

    seq: int
    shard: int
    frame: pd.DataFrame
    sides: list[tuple[str, pd.DataFrame]]
    held: int
    scored: list[Scored]
