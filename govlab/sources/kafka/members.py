"""Other members of a group: what a reader says of them."""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from typing import Any

__all__ = ["alone_in_group", "crowded", "enter", "leave"]

JOINING_S = 5.0
_OPEN: weakref.WeakSet[Any] = weakref.WeakSet()  # the readers of this process that are open and in a group


def enter(reader: Any) -> None:
    """Note that a reader is open."""
    if reader.group is not None:
        _OPEN.add(reader)


def leave(reader: Any) -> None:
    """Note that a reader is closed."""
    _OPEN.discard(reader)


def _others(reader: Any) -> list[int]:
    """Give the partitions that other readers of this process have, in the same group of the same cluster."""
    same = [one for one in list(_OPEN) if one is not reader and (one._cluster, one.group) == (reader._cluster, reader.group)]
    return sorted(number for one in same for number in one.assigned())


def alone_in_group(reader: Any, members: Sequence[str], for_s: float) -> tuple[str, str] | None:
    """Say why a member has no partition."""
    near = _others(reader)
    if near:
        return "waiting", f"another source of this process is in the group {reader.group!r} and has the partitions {_list(near)}"
    if len(members) > 1:
        return (
            "waiting",
            f"the group {reader.group!r} has given all partitions to other members ({len(members)} in all: {'; '.join(members)})",
        )
    if for_s > JOINING_S:
        return "waiting", f"the group {reader.group!r} has given this member no partition for {for_s:.0f} s"
    return None


def crowded(reader: Any) -> tuple[str, str] | None:
    """Say that another reader of this process has partitions of the group."""
    near = _others(reader) if reader.group is not None else []
    if not near:
        return None
    return "sharing", (
        f"another source of this process is in the group {reader.group!r} and has the partitions {_list(near)}; this one has "
        f"{_list(sorted(reader.assigned()))}"
    )


def _list(numbers: Sequence[int]) -> str:
    return ", ".join(map(str, numbers))
