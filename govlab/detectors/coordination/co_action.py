"""Co-action: accounts that act on the same objects at nearly the same times, more often than chance, joined into campaigns."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

import numpy as np
import pandas as pd

from govlab.detectors.coordination.co_action_kernel import (
    ACCOUNT,
    CAMPAIGN,
    MEETING,
    OBJECTS,
    PAIR,
    WAYS,
    run_rows,
)
from govlab.detectors.wrong_clock import AFRESH, STRAY, clocks_of, far_us
from govlab.entities import Entities
from govlab.fields import Above, AtLeast, ColumnName, Duration
from govlab.frames import duration_us, from_us, put, require, time_us
from govlab.hashing import NULL_HASH, hash_column, readable
from govlab.keys import grow
from govlab.step import Detector, Setting, Step

_NO_TIME = np.iinfo("int64").min
_CALLED = 2**40  # names of campaigns are tokens from here down: of their own, not of an account's place
_LONGEST = 64  # of a name that is told
_FAR = 30  # half-lives, or windows if they are longer: a row that is so far from the newest has a wrong clock


class CoAction(Detector):
    """Score an act by the evidence that its account and others act on the same objects together, as a campaign.

    Two accounts meet when they act on one object within ``window`` of each other. Meetings of a pair, its acts and all
    meetings fade with ``halflife``. By chance a pair with d_u and d_w acts meets E = d_u d_w / N times, where
    N = (all acts)^2 / (2 all meetings) is the number of equally popular objects that would give as many meetings (so E
    is the mean of the hypergeometric distribution). The evidence of a pair that met c > E times is
    c log(c / E) - c + E, in nats: e^-evidence bounds the chance. A pair that met ``least`` times with an evidence of
    ``join`` is joined into one campaign with all to which either is joined; the evidence of a campaign is the sum over
    its pairs.

    What two do on one object, however often, is one meeting while neither pauses for ``window``: a conversation is no
    campaign, and a pair that only ever acts on one object is not found.

    The score of a row is the evidence of the campaign of its actor, if another member has acted on the row's object
    within ``window``, and 0 otherwise: who acts first on an object scores 0, and is named by those who follow. Range: at
    least 0, in nats; a pair by chance gives 10 to 20, a ring hundreds. Cold start: NaN for the first ``warm`` acts; NaN
    for a row without an actor or an object, and for one further than 30 half-lives (or windows, if they are longer) from
    the newest, whose clock was wrong; neither is learned. When 30 in a row are so far, it starts afresh there. About 2 us
    a row, 0.1 to 0.4 us for each recent actor of its object (so 5 to 13 us with 32 of them), and 100 us where a campaign is
    told.

    Parameters
    ----------
    actor, object : str
        The columns with who acted, and on what.
    window : str
        Acts on one object no further apart (event time) than this are a meeting.
    halflife : str
        A meeting and an act count half after so long (event time).
    least : int, at least 1
        So many meetings (faded, rounded) a pair must have before it is joined.
    join : float, above 0
        Evidence from which a pair is joined, in nats. 10: one pair in 20,000 by chance.
    warm : int, at least 1
        Acts learned before the first is scored.
    named : int, at least 1
        So many members and objects of a campaign are named.
    max_per_object : int, at least 2
        So many of the last actors of an object are remembered. More have met by its popularity.
    max_entities : int, at least 1
        So many accounts and so many objects are known at once; one more takes the place of the one unseen for the longest.
    max_pairs : int, at least 1
        So many pairs are remembered, 8 to a bucket of a hash table; a further one takes the place of the one with the
        fewest meetings (faded) in its bucket.
    max_members : int, at least 2
        Members of a campaign; it takes no more.
    max_campaigns : int, at least 1
        Campaigns at a time; no more begin. One is dissolved when its evidence has faded below ``join``, or when fewer than two
        of its members are still known.

    Notes
    -----
    Columns added beside ``score``, for rows above 0 (missing otherwise): ``campaign`` (the first member, whose name it
    bears as long as it lasts; alerts have it as their entity), ``campaign_members`` and ``campaign_objects`` (text: how
    many, the first members and the last objects by name; objects count from when there was a campaign, and beyond 64 one
    that comes again counts again), ``campaign_start`` (first meeting of its first pair; a pair that has faded below half a
    meeting begins again). A name is told in at most 64 printable characters; one that had to be changed for that ends in 8
    hex digits of its hash, and one in a list with a comma, a quote or "and" in front is quoted. The reason of an alert tells
    all of them. 100 bytes an account, 48 bytes a pair, 32 * ``max_per_object`` bytes an object, 10 kB a campaign.

    References
    ----------
    Cao, Q., Yang, X., Yu, J., Palow, C. (2014). Uncovering large groups of active malicious accounts in online social
    networks (SynchroTrap). CCS. doi:10.1145/2660267.2660269.

    Examples
    --------
    >>> import govlab as gl
    >>> rng = np.random.default_rng(0)
    >>> actors = [f"user_{a}" for a in rng.integers(0, 200, 2_000)] + ["ann", "bob", "cy"] * 8
    >>> objects = [f"post_{o}" for o in rng.integers(0, 500, 2_000)] + [f"post_{o}" for o in range(8) for _ in range(3)]
    >>> time = pd.date_range("2026-03-02", periods=2_024, freq="10s", tz="UTC")
    >>> events = gl.event_frame({"time": time, "actor": actors, "object": objects})
    >>> rows = gl.detectors.CoAction(object="object", window="10min").process(events)   # each is scored before it is learned
    >>> rows["score"].idxmax(), rows["campaign_members"].iloc[-1], rows["campaign_objects"].iloc[-1]
    (2023, '3: ann, bob, cy', '6: post_7, post_6, post_5, and 3 more')
    """

    actor: ColumnName = "actor"
    object: ColumnName = "target"
    window: Duration = "1h"
    halflife: Duration = "1d"
    least: Annotated[int, AtLeast(1)] = 3
    join: Annotated[float, Above(0)] = 10.0
    warm: Annotated[int, AtLeast(1)] = 1_000
    named: Annotated[int, AtLeast(1)] = 3
    max_per_object: Annotated[int, AtLeast(2)] = 32
    max_entities: Annotated[int, AtLeast(1)] = 100_000
    max_pairs: Annotated[int, AtLeast(1)] = 262_144
    max_members: Annotated[int, AtLeast(2)] = 256
    max_campaigns: Annotated[int, AtLeast(1)] = 256

    tells: ClassVar[Mapping[str, str]] = {
        "campaign_members": ", members", "campaign_objects": "; objects", "campaign_start": "; since",
    }  # fmt: skip

    @classmethod
    def example(cls) -> Step:
        """Make one for the contract checks."""
        bounds = {"max_per_object": 4, "max_entities": 8, "max_pairs": 32, "max_members": 4, "max_campaigns": 2}
        return cls("actor", "target", "1h", "1h", least=1, join=0.05, warm=20, named=2, **bounds)

    def check(self) -> None:
        """Check the recipe."""
        self._window, self._halflife = duration_us(self.window), duration_us(self.halflife)

    def start(self) -> None:
        """Forget all accounts, objects and campaigns."""
        self._actors, self._objects = Entities(self.max_entities), Entities(self.max_entities)
        self._accounts, self._names = np.zeros(0, ACCOUNT), np.zeros(0, "object")
        self._recent, self._filled = np.zeros((0, self.max_per_object), MEETING), np.zeros(0, "int64")
        self._pairs = np.zeros((-(-self.max_pairs // WAYS), WAYS), PAIR)
        self._campaigns, self._called = np.zeros(self.max_campaigns, CAMPAIGN), np.zeros(self.max_campaigns, "object")
        self._members = np.zeros((self.max_campaigns, self.max_members), "int64")
        self._seen = np.zeros((self.max_campaigns, OBJECTS), "uint64")
        self._said = np.zeros((self.max_campaigns, OBJECTS), "object")
        self._sums, self._state = np.zeros(2), np.zeros(5, "int64")
        self._clock = np.zeros(3, "int64")

    def bind(self, setting: Setting) -> Setting:
        """Tell of which recipe it is a part; what alerts after it is a campaign."""
        return super().bind(setting)._replace(entity="campaign")

    def process(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Give on the rows with their ``score`` and what is known of the campaign."""
        require(frame, [self.actor, self.object], "CoAction")
        ids, items = hash_column(frame[self.actor]), hash_column(frame[self.object])
        acts = np.flatnonzero((ids != NULL_HASH) & (items != NULL_HASH))
        far = far_us(_FAR, [self._window, self._halflife])
        says = clocks_of(readable(time_us(frame)[acts], "int64"), far, self._clock)
        acts, afresh = acts[says != STRAY], says[says != STRAY] == AFRESH
        ids, items, times = ids[acts], items[acts], readable(time_us(frame)[acts], "int64")
        slots, fresh = self._actors.place(pd.Series(ids.view("int64")), times)
        places, fresh_items = self._objects.place(pd.Series(items.view("int64")), times)
        self._accounts, self._names = grow(self._accounts, self._actors.size), grow(self._names, self._actors.size)
        self._recent, self._filled = grow(self._recent, self._objects.size), grow(self._filled, self._objects.size)
        # names are tokens in the kernel: a row of this frame, or from -1 down a name kept
        tokens, called, said = (-1 - np.arange(a.size).reshape(a.shape) for a in (self._names, self._called, self._said))
        called -= _CALLED
        scores, told = np.zeros(acts.size), np.zeros((acts.size, 3), "int64")
        names = np.zeros((acts.size, 1 + 2 * self.named), "int64")
        run_rows(
            ids, afresh, fresh, np.stack([slots, places], axis=1), items, fresh_items, times, self._window, self._halflife,
            self.least, float(self.join), self.warm, self._accounts, self._recent, self._filled, self._pairs, self._campaigns,
            self._members, self._seen, said, called, tokens, self._sums, self._state, scores, told, names,
        )  # fmt: skip
        return self._told(frame, acts, scores, told, names, tokens, called, said)

    def _told(
        self, frame: pd.DataFrame, acts: np.ndarray, scores: np.ndarray, told: np.ndarray, names: np.ndarray, tokens: np.ndarray,
        called: np.ndarray, said: np.ndarray,
    ) -> pd.DataFrame:  # fmt: skip
        """Put names for the tokens, in the rows given on and in what is kept."""
        actors, objects = (frame[name].array for name in (self.actor, self.object))
        kept = self._said.ravel()

        def actor(token: int) -> str:
            if token >= 0:
                return _text(actors[acts[token]])
            return self._called[-1 - token - _CALLED] if token < -_CALLED else self._names[-1 - token]

        def item(token: int) -> str:
            return _text(objects[acts[token]]) if token >= 0 else kept[-1 - token]

        score, start = np.full(len(frame), np.nan), np.full(len(frame), _NO_TIME)
        texts = np.full((3, len(frame)), None, "object")
        score[acts] = scores
        for i in np.flatnonzero(scores > 0).tolist():
            members, things, begin = told[i].tolist()
            tail = names[i].tolist()
            row, most = acts[i], 1 + self.named
            start[row] = begin
            texts[0, row] = actor(tail[0])
            texts[1, row] = _listed(members, [actor(t) for t in tail[1 : 1 + min(members, self.named)]])
            texts[2, row] = _listed(things, [item(t) for t in tail[most : most + min(things, OBJECTS, self.named)]])
        renamed, moved = np.flatnonzero(called >= -_CALLED), np.flatnonzero(said.ravel() != -1 - np.arange(said.size))
        for c, name in [(c, actor(called[c])) for c in renamed]:
            self._called[c] = name
        for place, name in [(place, item(said.ravel()[place])) for place in moved]:
            kept[place] = name
        for slot in np.flatnonzero(tokens >= 0):
            self._names[slot] = actor(tokens[slot])
        told_of = {
            "campaign": texts[0],
            "campaign_members": texts[1],
            "campaign_objects": texts[2],
            "campaign_start": from_us(start),
        }
        return put(frame, score=score, **told_of)


def _text(value: Any) -> str:
    """Write a name in a line: names come from users. One that had to be changed gets a hash, so that it is of no one else."""
    whole = str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
    text = "".join(c if c.isprintable() else " " for c in whole)
    if text == whole and len(text) <= _LONGEST:
        return text
    return f"{text[: _LONGEST - 11]}...{hashlib.sha256(whole.encode(errors='backslashreplace')).hexdigest()[:8]}"


def _quoted(name: str) -> str:
    """Put a name in quotes that could be read as more than one, or as the end of the list."""
    return json.dumps(name, ensure_ascii=False) if "," in name or '"' in name or name.startswith("and ") else name


def _listed(n: int, names: list[str]) -> str:
    return f"{n}: " + ", ".join(map(_quoted, names)) + (f", and {n - len(names)} more" if n > len(names) else "")
