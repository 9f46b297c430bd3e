"""Review learner: a logistic regression that learns from the few events that people have looked at."""

from __future__ import annotations

from typing import Annotated

import numpy as np
import pandas as pd

from govlab.detectors.events.review_kernel import BASE, IGNORED, LEARNED, score_and_learn
from govlab.detectors.events.rows import matrix
from govlab.errors import ArgumentError
from govlab.fields import Above, AtLeast, ColumnName, SomeColumns
from govlab.frames import numbers, put, require
from govlab.hashing import NULL_HASH, hash_column
from govlab.step import Detector, Step

_BIAS_VARIANCE = 4.0  # so that a base rate from 0.0002 to 0.35 is within two deviations
_MOST_FEATURES = 11_585  # their covariance takes 1 GiB
_PRIOR_WINDOW = 5_000  # scores, of which -log p is at most 9.2


class ReviewLearner(Detector):
    """Score an event by what people said of the few before it that it asked for, starting from an unsupervised score.

    Labels are rows of the stream (see :func:`govlab.evaluation.with_labels`): a row with a ``label`` says 0 or 1 of the event
    that its ``id`` names, which has come before; all others are events. Only labels of events that were asked for are learned,
    and only once; others (of an event never asked for or yet to come, or neither 0 nor 1) teach nothing and count in ``ignored``.
    A row of a label is given on with a score of NaN.

    The score is the log odds above those of a base rate of 1 %: a Bayesian logistic regression on -log p of the ``prior`` score
    (by its last 5,000), the columns, and which of them are missing. Columns are scaled inside (sign(x) log(1 + |x|), then z of
    the rows before); a missing value counts as the mean, so the row is scored too. Range: any number, mostly -5 to 10. Until
    the first label is known, the score is -log p of the prior. Cold start: NaN until ``warm`` prior scores have been seen;
    without a prior, until the first label. With 9 columns about 2 us a row, 6 us a label, and 1.2 MB.

    It adds ``asked``: 1 for the rows that a person should look at, 0 for all others. These are the highest scores, by a running
    quantile of its own, and some at random, which weigh more (1 / their chance, at most ``clip``): so it also learns what it
    does not suspect. It asks for up to four times the share in the first ``early`` rows (mostly three to four times), about half
    of it at random, and for a fifth less from then on until that is made up for, by 20 times ``early`` rows at the latest.

    Parameters
    ----------
    columns : list of str
        The features, numbers.
    id : str
        The column that names an event; one without an id is never asked for, nor one that is waited for already.
    label : str
        The column with the labels.
    prior : str or None
        The column with the score of a detector before it; None to start from nothing.
    share : float, above 0 and at most 1
        Of the rows that are asked for.
    audit : float, at least 0 and at most 1
        Of the rows that are asked for at random; part of ``share``. Equal to ``share``: all at random.
    early : int, at least 0
        Rows of the early phase.
    clip : float, at least 1
        The most that a label weighs, before weights are divided by their mean so far. At 1 % audit it would be 100, and then a
        few labels would decide all. 1: all weigh the same.
    products : bool
        Whether to take squares and products of columns as features too. They start as one feature, however many they are. With
        d columns they are d (d + 1) / 2, and the covariance 8 bytes times the square of all features: at most 1 GiB is taken.
    halflife : int, at least 0
        After so many labels, what one taught counts half; 0 = never. Suits abuse that changes.
    window : int, at least 2
        Its last scores, of which the highest are asked for.
    warm : int, at least 1
        So many prior scores are needed before the first p.
    max_pending : int, at least 1
        Features of the last rows asked for that are kept until their label comes; 16 bytes a column and row. Choose more than
        are asked for in the time that a label takes.
    seed : int, at least 0
        Another seed asks for other rows at random.

    References
    ----------
    Spiegelhalter, D. J., Lauritzen, S. L. (1990). Sequential updating of conditional probabilities on directed graphical
    structures. Networks 20. doi:10.1002/net.3230200507. Beygelzimer, A., Dasgupta, S., Langford, J. (2009). Importance weighted
    active learning. ICML 26. doi:10.1145/1553374.1553381.

    Examples
    --------
    >>> import govlab as gl
    >>> events = gl.event_frame({"time": ["2026-03-02T00:00:00Z"] * 4, "post": ["a", "b", "b", "c"],
    ...                          "links": [0, 9, None, 9], "label": [None, None, 1, None]})
    >>> learner = gl.detectors.ReviewLearner(["links"], id="post", prior=None, share=1.0)
    >>> learner.process(events)[["score", "asked"]].round(1).values.tolist()   # the third row says that "b" was abuse
    [[nan, 1.0], [nan, 1.0], [nan, 0.0], [3.3, 1.0]]
    """

    columns: SomeColumns = ("count",)
    id: ColumnName = "event_id"
    label: ColumnName = "label"
    prior: ColumnName | None = "score"
    share: Annotated[float, Above(0, most=1)] = 0.05
    audit: Annotated[float, AtLeast(0, most=1)] = 0.01
    early: Annotated[int, AtLeast(0)] = 1_000
    clip: Annotated[float, AtLeast(1)] = 4.0
    products: bool = True
    halflife: Annotated[int, AtLeast(0)] = 0
    window: Annotated[int, AtLeast(2)] = 1_000
    warm: Annotated[int, AtLeast(1)] = 100
    max_pending: Annotated[int, AtLeast(1)] = 5_000
    seed: Annotated[int, AtLeast(0)] = 0

    @classmethod
    def example(cls) -> Step:
        """Make one for the contract checks."""
        return cls(["value", "words"], share=0.5, audit=0.2, early=50, halflife=20, window=30, warm=10, max_pending=40)

    def check(self) -> None:
        """Check the recipe."""
        if (size := self._size()) > _MOST_FEATURES:
            raise ArgumentError(
                f"ReviewLearner: {len(self.columns)} columns with products={self.products} make {size:,} features, the covariance "
                f"of which takes {size**2 / 2**27:,.0f} GiB; expected at most {_MOST_FEATURES:,} features."
            )
        if self.audit > self.share:
            raise ArgumentError(f"ReviewLearner: audit={self.audit!r} is part of share={self.share!r}, so at most that.")

    def _size(self) -> int:
        """How many features there are: a one, the prior, columns, which of them are missing, and products."""
        dims = len(self.columns)
        return 2 + 2 * dims + (dims * (dims + 1) // 2 if self.products else 0)

    def start(self) -> None:
        """Forget all labels, and all that was asked for."""
        dims, size = len(self.columns), self._size()
        self._salt = np.random.default_rng(self.seed).integers(2**63, dtype="uint64")
        self._counts, self._total, self._scales = np.zeros(6, "int64"), np.zeros(1), np.zeros((3, dims))
        self._begin, self._spread = np.zeros(size), np.ones(size)
        self._begin[0], self._begin[1], self._spread[0] = BASE, float(self.prior is not None), _BIAS_VARIANCE
        self._weights, self._covariance = self._begin.copy(), np.diag(self._spread)
        self._prior_ring, self._prior_ranked = np.zeros((2, _PRIOR_WINDOW if self.prior is not None else 1))
        self._ring, self._ranked = np.zeros((2, self.window))
        most = self.max_pending
        self._heads, self._following = np.zeros(1 << (2 * most).bit_length(), "int64"), np.zeros(most, "int64")
        self._codes, self._importance = np.zeros(most, "uint64"), np.zeros(most)
        self._pending = np.zeros((most, 2 + 2 * dims))

    @property
    def learned(self) -> int:
        """Labels learned."""
        return int(self._counts[LEARNED])

    @property
    def ignored(self) -> int:
        """Labels that taught nothing."""
        return int(self._counts[IGNORED])

    def process(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Give on the rows with their ``score`` and ``asked``."""
        scores, asked = self._run(frame)
        return put(frame, score=scores, asked=asked)

    def score_learn_many(self, frame: pd.DataFrame) -> np.ndarray:
        """Score each row and then learn it, shape (n,)."""
        return self._run(frame)[0]

    def _run(self, frame: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
        require(frame, [self.id, self.label, self.prior], "ReviewLearner")
        rows, labels, ids = matrix(frame, self.columns, "ReviewLearner"), numbers(frame, self.label), hash_column(frame[self.id])
        prior = np.full(len(frame), np.nan) if self.prior is None else numbers(frame, self.prior).copy()
        scores, asked = np.empty(len(frame)), np.empty(len(frame))
        keep, clip = 0.5 ** (1.0 / self.halflife) if self.halflife else 1.0, float(self.clip)
        score_and_learn(
            rows, prior, labels, ids, NULL_HASH, float(self.share), float(self.audit), self.early, self.warm, clip, keep,
            self._salt, self._counts, self._total, self._scales, self._begin, self._spread, self._weights, self._covariance,
            self._prior_ring, self._prior_ranked, self._ring, self._ranked, self._heads, self._following, self._codes,
            self._importance, self._pending, scores, asked,
        )  # fmt: skip
        return scores, asked
