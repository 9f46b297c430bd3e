"""The state of a stage as Flink keeps it: with the versions that wrote it, so that no other opens it."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from typing import Any, NamedTuple

import cloudpickle

from govlab.errors import StoreError
from govlab.stores.writer import refuse_other

__all__ = ["Kept", "opened"]

_WHAT, _MEND = "the state of the job in Flink's checkpoint", "begin anew with another folder"


class Packed(NamedTuple):
    """A stage as it comes out of a checkpoint."""

    writer: dict[str, str]
    state: bytes


class Kept:
    """A stage on its way into a checkpoint; pickled there, at the end of a bundle, and only then.

    Parameters
    ----------
    stage : object
        The stage.
    writer : mapping
        The versions that write it, as of :func:`govlab.stores.writer.writer_of`.
    by_value : bool
        Whether it has classes of the user's own, which no worker can import.
    """

    def __init__(self, stage: Any, writer: Mapping[str, str], by_value: bool = False) -> None:
        self.stage, self.writer, self.by_value = stage, dict(writer), by_value

    def __reduce__(self) -> tuple[Any, ...]:
        dumps = cloudpickle.dumps if self.by_value else pickle.dumps
        return Packed, (self.writer, dumps(self.stage, protocol=5))


def opened(found: Any, writer: Mapping[str, str]) -> Any:
    """Give the stage of what Flink kept.

    Raises
    ------
    StoreError
        Other versions wrote it: names both, and says what to do.
    """
    if isinstance(found, Kept):
        return found.stage
    if not isinstance(found, Packed):
        raise StoreError(f"{_WHAT} was written by a govlab that did not say which versions wrote it; {_MEND}.")
    refuse_other(found.writer, writer, _WHAT, _MEND)
    try:
        return pickle.loads(found.state)
    except Exception as error:  # whatever a step's own class raises when it is unpickled
        raise StoreError(f"{_WHAT} cannot be opened ({type(error).__name__}: {error}); {_MEND}.") from error
