"""The records behind an alert, read again."""

from __future__ import annotations

import logging
from typing import Any

import pandas as pd

from govlab import frames
from govlab.errors import SourceError
from govlab.sources.kafka.changes import Changes
from govlab.sources.kafka.gaps import first_gap
from govlab.sources.kafka.lookup import Lookup, number_of
from govlab.sources.kafka.sampling import records
from govlab.sources.messages import MessageDecoder
from govlab.sources.ranged import spans_of

__all__ = ["read_again"]

log = logging.getLogger("govlab")


def read_again(reader: Any, changes: Changes, decoder: MessageDecoder, evidence: str) -> pd.DataFrame:
    """Read the rows at ``partition:first-last`` ranges: all of them, or an error.

    Raises
    ------
    SourceError
        The topic was made anew, records are gone (retention, compaction), or did not come while there was patience.
    """
    spans = spans_of(evidence)
    lookup = Lookup(reader.bootstrap, reader.access)
    try:
        topics = lookup.topics(reader.topics)
        changes.meet(topics, {})
        numbered = {number_of(topic, reader._alone): topic for topic in topics.partitions}
        for number, _, _ in spans:
            if number not in numbered:
                raise SourceError(f"evidence {evidence!r}: there is no partition {number}.")
        asked = {numbered[number] for number, _, _ in spans}
        firsts, ends = lookup.firsts(asked), lookup.ends(asked)
    finally:
        lookup.close()
    parts = [frames.empty()]
    for number, first, last in spans:
        topic = numbered[number]
        if first < firsts[topic] or last >= ends[topic]:
            raise SourceError(
                f"evidence {evidence!r}: of {topic[0]}, partition {topic[1]}, there are the offsets {firsts[topic]:,} to "
                f"{ends[topic]:,} only; {'older records are gone' if first < firsts[topic] else 'was the topic made anew?'}."
            )
        found = records(
            reader.client_name, reader.bootstrap, reader.access, {topic: (first, last + 1)}, envelope=bool(decoder.envelope)
        )
        messages = found.get(topic)
        # the first and the last were rows, so that they must be there
        if messages is None or not messages.offsets or (messages.offsets[0], messages.offsets[-1]) != (first, last):
            raise SourceError(
                f"evidence {evidence!r}: of {topic[0]}, partition {topic[1]}, records are gone (compacted?): the offsets {first:,} "
                f"and {last:,} are not both there any more."
            )
        if gap := first_gap(messages, first):
            log.warning("evidence %s: no record at %d to %d (of a transaction, or compacted)", evidence, gap[0], gap[1] - 1)
        parts.append(decoder.block(messages.without_tombstones()[0], number)[0])
    return frames.concat(parts)
