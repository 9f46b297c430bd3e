"""Near-duplicates: texts that repeat others, in clusters that grow faster than they used to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar

import numpy as np
import pandas as pd

from govlab.detectors.coordination.near_duplicate_kernel import BANDS, CLUSTER, TEXT, run_rows
from govlab.detectors.wrong_clock import far_us
from govlab.fields import Above, AtLeast, ColumnName, Duration, at_least
from govlab.frames import duration_us, put, require, time_us
from govlab.hashing import NULL_HASH, hash_column, readable
from govlab.step import Detector, Setting, Step

_FAR = 400  # times the background, more than a year: a row that is so far from the newest has a wrong clock


class NearDuplicate(Detector):
    """Score a text by how much of it repeats an earlier one, plus how fast the cluster of its repeats grows.

    A text (case folded, all white space one blank) is the set of its runs of ``shingle`` characters, as hashes. MinHash
    finds earlier texts that share some, of those with the same minimum the newest; the best match is the one with the
    highest containment |A n B| / min(|A|, |B|), which unlike Jaccard's measure is 1 also for a short text inside a long
    one. A match is found with a chance of 1 - (1 - J)^32 for a Jaccard's measure of J: 97 % at 0.1, but 73 % at 0.04, as
    when 24 of 480 characters are repeated. From ``join`` on the text joins the cluster of its match, else it begins one.
    The growth of a cluster is -log10 of the Poisson tail of its recent number (this text is 1, earlier ones fade to 1/e in
    ``window``), with the mean that its number over ``background`` times as long gives. Texts are only hashed, never shown.

    Score: the containment, and for a text that joins a cluster the growth on top. Range: from 0; below ``join`` for a text
    that repeats nothing much, under 2 for a phrase that always comes, 20 and more for a wave. While the stream is younger
    than the background, what is usual is taken from what there is of it. Cold start: NaN for the first ``warm`` texts; NaN for
    a missing text, for one that says too little (see ``least``), and for one further than 400 times the background from the
    newest, whose clock was wrong; none of these is learned. When 30 in a row are so far, it starts afresh there. About 8 us
    a text of 40 characters.

    Parameters
    ----------
    text : str
        The column with the texts.
    author : str, optional
        The column with who wrote them; None: ``authors`` is 0.
    window : str
        The time in which a cluster grows (event time).
    background : float, above 1
        So many times longer is the time from which the usual growth is taken.
    join : float, above 0 and at most 1
        Containment from which a text joins.
    shingle : int, at least 1
        Characters in a run.
    least, most : int, at least 1
        Texts with fewer characters, or with fewer different runs than so many characters can have (such as "hahahaha..."),
        say too little; of longer ones than ``most`` the first are read.
    memory : int, at least 2
        So many of the last texts are compared with. A cluster lasts as long as one of its texts is among them.
    warm : int, at least 1
        Texts learned before the first is scored.

    Notes
    -----
    Columns added beside ``score``: ``cluster`` (16 hex digits made of its first text; missing without a score; alerts have
    it as their entity), ``containment`` (float64), ``authors`` (float64, distinct authors of the cluster, counted up to 64,
    with this one). 4 * ``most`` + 2,000 bytes a text remembered.

    References
    ----------
    Broder, A. Z. (1997). On the resemblance and containment of documents. doi:10.1109/SEQUEN.1997.666900.

    Examples
    --------
    >>> import govlab as gl
    >>> text = [f"an ordinary remark about topic {chr(97 + i % 26) * 9} by reader {i * i}" for i in range(40)]
    >>> text += [f"WIN a   free phone at http://win.example/{i} today only" for i in range(6)]
    >>> minutes = [*range(0, 40 * 180, 180), *range(7200, 7206)]
    >>> time = pd.Timestamp("2026-03-02", tz="UTC") + pd.to_timedelta(minutes, unit="min")
    >>> events = gl.event_frame({"time": time, "text": text, "actor": [f"user_{i % 43}" for i in range(46)]})
    >>> rows = gl.detectors.NearDuplicate(warm=10, join=0.7).process(events)    # each row is scored before it is learned
    >>> bool(rows["score"].iloc[40] < 0.7), bool(rows["score"].iloc[45] > 3), float(rows["authors"].iloc[45])
    (True, True, 6.0)
    """

    text: ColumnName = "text"
    author: ColumnName | None = "actor"
    window: Duration = "1h"
    background: Annotated[float, Above(1)] = 24.0
    join: Annotated[float, Above(0, most=1)] = 0.5
    shingle: Annotated[int, AtLeast(1)] = 5
    least: Annotated[int, AtLeast(1)] = 16
    most: Annotated[int, AtLeast(1)] = 500
    memory: Annotated[int, AtLeast(2)] = 2_048
    warm: Annotated[int, AtLeast(1)] = 100

    tells: ClassVar[Mapping[str, str]] = {"containment": ", containment", "authors": ", authors"}

    @classmethod
    def example(cls) -> Step:
        """Make one for the contract checks."""
        return cls("event_id", "actor", window="10min", background=3.0, shingle=2, least=3, memory=32, warm=10)

    def check(self) -> None:
        """Check the recipe."""
        self._window = duration_us(self.window)
        at_least(self, "least", self.shingle)
        at_least(self, "most", self.least)

    def start(self) -> None:
        """Forget all texts."""
        self._texts, self._sets = np.zeros(self.memory, TEXT), np.zeros((self.memory, self.most - self.shingle + 1), "uint32")
        self._clusters = np.zeros(self.memory + 1, CLUSTER)
        # which text last had this minimum, for each of the minima: a row number + 1
        self._bands = np.zeros((BANDS, 4 * self.memory), "int64")
        self._free = np.arange(self.memory + 1)[::-1].copy()
        self._state, self._clock = np.array([0, self.memory + 1, 0]), np.zeros(3, "int64")

    def bind(self, setting: Setting) -> Setting:
        """Tell of which recipe it is a part; what alerts after it is a cluster."""
        return super().bind(setting)._replace(entity="cluster")

    def process(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Give on the rows with their ``score`` and what is known of the cluster."""
        require(frame, [self.text, self.author], "NearDuplicate")
        column = frame[self.text]
        most, far = self.most, far_us(_FAR, [self._window * self.background])
        # so many words hold at least so many characters: the rest of a long text need not be read
        begun = [" ".join(v.split(None, most)[:most]) if isinstance(v, str) else "" for v in column.tolist()]
        folded = [v[:most].casefold()[:most] for v in begun]
        sizes = np.array([len(v) for v in folded], "int64")
        characters = np.frombuffer("".join(folded).encode("utf-32-le", "surrogatepass"), "uint32")
        n = len(frame)
        authors = np.full(n, NULL_HASH) if self.author is None else hash_column(frame[self.author])
        scores, contained, distinct, clusters = np.full(n, np.nan), np.full(n, np.nan), np.full(n, np.nan), np.zeros(n, "uint64")
        run_rows(
            readable(characters, "uint32"), sizes, authors, time_us(frame), float(self._window), float(self.background), far,
            float(self.join), self.shingle, self.least, self.warm, self._texts, self._sets, self._clusters, self._bands, self._free,
            self._state, self._clock, scores, contained, distinct, clusters,
        )  # fmt: skip
        names = np.full(n, None, "object")
        for i in np.flatnonzero(scores == scores).tolist():
            names[i] = f"{clusters[i]:016x}"
        return put(frame, score=scores, cluster=names, containment=contained, authors=distinct)
