"""Which offsets a range of event time stands at, settled once: by the times of writing, where they are near the events'."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from govlab.errors import SourceError
from govlab.frames import time_us
from govlab.sources.kafka.client import Topic
from govlab.sources.kafka.lookup import Lookup
from govlab.sources.kafka.sampling import records
from govlab.sources.messages import MessageDecoder, Messages

__all__ = ["settled"]

log = logging.getLogger("govlab")
PATIENCE_S = 60.0
PLACES, EACH = 8, 50  # where a partition is sampled, and how many records at each place


def settled(
    lookup: Lookup,
    topics: Sequence[Topic],
    span_us: tuple[int | None, int | None],
    slack_us: int,
    decoder: MessageDecoder,
    client_name: str,
    access: Any,
) -> dict[Topic, tuple[int, int]]:
    """Give the first offset, and that after the last one, of each partition.

    Kafka finds records by the time of their writing. Whether that tells of the events is not believed but looked at, in
    samples from all over each partition: where one was written further than ``slack`` from the time of its event, or lies
    outside of the offsets found though its event is in the range, all offsets of the topics are read.

    Raises
    ------
    SourceError
        A transaction that began before the end stays open; or the broker does not answer.
    """
    firsts, ends = lookup.firsts(topics), lookup.ends(topics)
    _committed(lookup, ends)
    start_us, stop_us = span_us
    whole = {topic: (firsts[topic], ends[topic]) for topic in topics}
    if start_us is None and stop_us is None:
        return whole
    begin = firsts if start_us is None else lookup.at(topics, start_us - slack_us)
    end = ends if stop_us is None else lookup.at(topics, stop_us + slack_us)
    # never further than the ends that were asked first, so that all of it is there
    found = {t: (min(max(begin[t], firsts[t]), ends[t]), min(end[t], ends[t])) for t in topics}
    reason = _astray(lookup, whole, found, span_us, slack_us, decoder, client_name, access)
    if reason:
        log.warning("%s: all offsets are read, as %s", ", ".join(sorted({t for t, _ in topics})), reason)
        return whole
    return found


def _committed(lookup: Lookup, ends: Mapping[Topic, int]) -> None:
    """Wait until no transaction is open before the ends."""
    patience = time.monotonic() + PATIENCE_S
    while open_ := {topic: at for topic, at in lookup.stable(ends).items() if at < ends[topic]}:
        if time.monotonic() > patience:
            (name, partition), at = next(iter(open_.items()))
            raise SourceError(
                f"{name}, partition {partition}: an open transaction blocks at offset {at:,}, for more than {PATIENCE_S:g} s: what "
                f"comes up to {ends[name, partition]:,} cannot be read before it is committed or aborted."
            )
        time.sleep(0.2)


def _astray(
    lookup: Lookup,
    whole: Mapping[Topic, tuple[int, int]],
    found: Mapping[Topic, tuple[int, int]],
    span_us: tuple[int | None, int | None],
    slack_us: int,
    decoder: MessageDecoder,
    client_name: str,
    access: Any,
) -> str:
    """Say which sampled record the times of writing would lead astray; empty where there is none."""
    start_us, stop_us = span_us
    for i in range(PLACES):
        large = {topic: of for topic, of in whole.items() if i == 0 or of[1] - of[0] > PLACES * EACH}
        spans = {topic: (max(of[0], _place(i, of)), of[1]) for topic, of in large.items()}
        sample = records(client_name, lookup.bootstrap, access, spans, PLACES * EACH if i == 0 else EACH, envelope=True)
        for topic, messages in sample.items():
            offsets, event_us, written_us = _times(messages, decoder)
            here = f"the record of {topic[0]}, partition {topic[1]}, at offset"
            far = np.flatnonzero(np.abs(event_us - written_us) > slack_us)
            if far.size:
                hours = abs(int(event_us[far[0]]) - int(written_us[far[0]])) / 3.6e9
                return f"{here} {offsets[far[0]]:,} was written {hours:,.1f} h from the time of its event, more than slack"
            within = np.ones(event_us.size, bool)
            within &= True if start_us is None else event_us >= start_us
            within &= True if stop_us is None else event_us < stop_us
            missed = np.flatnonzero(within & ((offsets < found[topic][0]) | (offsets >= found[topic][1])))
            if missed.size:
                return f"{here} {offsets[missed[0]]:,} is of the range, but the records around it were written at another time"
    return ""


def _place(i: int, of: tuple[int, int]) -> int:
    """Give the offset at which the i-th sample of a partition begins; the last one ends with it."""
    first, end = of
    return end - EACH if i == PLACES - 1 else first + (end - first) * i // (PLACES - 1)


def _times(messages: Messages, decoder: MessageDecoder) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Give the offsets of the readable rows, when they happened, and when they were written (microseconds)."""
    messages, _ = messages.without_tombstones()
    rows, _ = decoder.block(messages, 0)
    offsets = rows["offset"].to_numpy()
    written = np.asarray([0 if t is None else t for t in messages.times_ms], "int64")[np.searchsorted(messages.offsets, offsets)]
    return offsets, time_us(rows) if len(rows) else np.empty(0, "int64"), written * 1000
