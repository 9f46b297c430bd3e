"""The step: a frame in, a frame out, state inside.

A step is a dataclass (made so by the base class): its init fields are the recipe, its state is set by :meth:`Step.start`.
The rules, which :func:`govlab.testing.check_step` checks:

- *cut invariance*: what comes out does not depend on how the rows that went in were cut into frames;
- *conservation*: each row is given on, absorbed, held, or diverted to a named side with a reason;
- event time is guarded by the outermost :class:`govlab.Pipeline`, not by the step: there a row far ahead of the others (or of its
  ``arrival``) goes to the side ``ahead`` before the first step, so a step may follow the newest time that it sees; one that is
  run bare (``step.process(frame)``) has no guard;
- no wall clock, no randomness without a ``seed``, no global state, bounded memory, the input is not changed;
- the state pickles, and a step unpickled goes on exactly;
- the index of a frame given on holds, for each row, the index label of the row that made it come out;
- ``finish()`` may be asked twice: the second time nothing comes;
- a change of the formula or of the state raises the class's ``version``, so that no snapshot of the old one is resumed.
"""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Self, dataclass_transform

import numpy as np
import pandas as pd

from govlab import frames, registry
from govlab.arguments import refuse_unfit
from govlab.errors import ArgumentError, StepError
from govlab.fields import Rule, rules_of
from govlab.recipes import code_of, plain

__all__ = ["Detector", "Setting", "Step"]


class Setting(NamedTuple):
    """What alerts say of the pipeline before them: hash of its recipe, detector, column with the entity, columns that explain.

    ``shard`` is the number of the shard that they come from: the same window of two shards makes two alerts.
    """

    recipe: str = ""
    detector: str = ""
    entity: str | None = None
    tells: Mapping[str, str] = {}
    shard: str = ""


@dataclass_transform(eq_default=False)
class Step(abc.ABC):
    """Base class of all steps.

    Write a subclass with annotated fields (the recipe), :meth:`start` (the state) and :meth:`process`. What a field may hold
    is in its annotation, see :mod:`govlab.fields`.

    Examples
    --------
    >>> class Loud(Step):
    ...     above: float = 100.0
    ...     def process(self, frame):
    ...         return frame[frame["value"] > self.above]
    >>> Loud(above=3).recipe()["above"]
    3
    """

    if TYPE_CHECKING:
        __dataclass_fields__: ClassVar[dict[str, dataclasses.Field[Any]]]

    absorbs: ClassVar[bool] = False
    """Whether the rows given on are other rows than those taken (windows, alerts)."""
    gives_alerts: ClassVar[bool] = False
    """Whether the rows given on are alerts."""
    merges: ClassVar[bool] = False
    """Whether an alert given on may be of several entities."""
    tells: ClassVar[Mapping[str, str]] = {}
    """Columns added that explain an alert: what its reason says of each, such as ``{"authors": ", authors"}``."""
    added: ClassVar[frozenset[str]] = frozenset()
    """Fields that came after 0.1.0: at their default they are left out of the recipe, so that its hash stays."""
    _rules: ClassVar[Mapping[str, Rule | None]] = {}
    """What the fields may hold, as their annotations say."""
    version: ClassVar[int] = 1
    """Raised when the formula or the state changes: snapshots of another version are refused, and alerts get other ids."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "version" in vars(cls) and (type(cls.version) is not int or cls.version < 1 or not _is_class_variable(cls, "version")):
            raise ArgumentError(
                f"{cls.__name__}: version is that of the class's formula, written `version: ClassVar[int] = 2`; expected a whole "
                "number of at least 1 (give a parameter of that name another one)."
            )
        dataclasses.dataclass(eq=False)(cls)
        cls._rules = {**cls._rules, **rules_of(cls)}

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        """Refuse arguments that the step does not have, with the nearest that it has."""
        if args or kwargs:  # a copy is made without any
            refuse_unfit(cls.__name__, cls.__init__, (None, *args), kwargs)
        return super().__new__(cls)

    def __post_init__(self) -> None:
        self.absorbed = 0
        self._sides: list[tuple[str, pd.DataFrame]] = []
        for field in dataclasses.fields(self):
            if isinstance(getattr(self, field.name), timedelta):  # text, so that the recipe can be written down
                setattr(self, field.name, str(pd.Timedelta(getattr(self, field.name))))
        for name, rule in self._rules.items():
            if rule is not None:
                setattr(self, name, rule(getattr(self, name), f"{type(self).__name__}: {name}"))
        self.bind(Setting())
        self.check()
        self.start()

    def check(self) -> None:  # noqa: B027 - most steps have nothing more to check
        """Check what the annotations of the fields cannot say, such as how two relate; raise an ArgumentError that names one."""

    def start(self) -> None:  # noqa: B027 - a step without state has nothing to set
        """Set all state as for a fresh stream."""

    @abc.abstractmethod
    def process(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Take the next rows and give on what comes out at them; the frame taken must not be changed."""

    def finish(self) -> pd.DataFrame:
        """Give on what was held, at the end of the stream."""
        return frames.empty()

    def held(self) -> int:
        """Count the rows taken that are still held."""
        return 0

    def alerts_from(self) -> float | None:
        """Give the score from which on a row alerts now; None where there is none, or not yet."""
        return None

    def alerts_by(self) -> str | None:
        """Give the column by which it alerts (the lowest of ``p``, the highest of others); None where its rows have none such."""
        column: str = getattr(self, "score", "score")
        return column

    def of_any_scores(self) -> Step | None:
        """Make the step that gives as many alerts of scores in any unit; None where its threshold is in the unit of one."""
        return None

    @classmethod
    def example(cls) -> Step:
        """Make one with small bounds, for the contract checks; override it where the defaults do not make a useful one."""
        small = {"max_entities": 8} if "max_entities" in {f.name for f in dataclasses.fields(cls)} else {}
        return cls(**small)

    def fresh(self) -> Self:
        """Make a copy with the same recipe and no state."""
        return dataclasses.replace(self)

    def bind(self, setting: Setting) -> Setting:
        """Take what alerts are to say of the pipeline up to here, and give what they are to say of it after this step."""
        by = getattr(self, "by", None)
        self._setting = setting._replace(entity=getattr(self, "entity", None) or setting.entity)
        detector = self.name.rpartition(":")[2] if isinstance(self, Detector) else setting.detector
        entity, tells = by if isinstance(by, str) else setting.entity, {**setting.tells, **self.tells}
        return setting._replace(detector=detector, entity=entity, tells=tells)

    def divert(self, side: str, rows: pd.DataFrame, reason: str | pd.Series | np.ndarray) -> None:
        """Put rows aside under a name, with the reason."""
        if len(rows):
            self._sides.append((side, rows.assign(reason=reason)))

    def take_sides(self) -> list[tuple[str, pd.DataFrame]]:
        """Hand over what was put aside since the last call."""
        sides, self._sides = self._sides, []
        return sides

    @property
    def name(self) -> str:
        """Name in the registry, or ``module:Class`` for a step of the user's own."""
        return registry.name_of(type(self))

    def recipe(self) -> dict[str, Any]:
        """Give the recipe as plain values that JSON can write: the name of the step and its parameters."""
        told = [f for f in dataclasses.fields(self) if f.init and not (f.name in self.added and getattr(self, f.name) == f.default)]
        fields = {f.name: plain(getattr(self, f.name)) for f in told}
        own = {} if type(self).__module__.partition(".")[0] == "govlab" else {"code": code_of(type(self))}
        version = {} if type(self).version == 1 else {"version": type(self).version}
        return {"step": self.name, **version, **own, **fields}

    @staticmethod
    def from_recipe(recipe: Mapping[str, Any]) -> Step:
        """Make a step of its recipe.

        Examples
        --------
        >>> Step.from_recipe({"step": "ewma_z", "column": "count"}).name
        'ewma_z'
        """
        parameters = {key: _revive(value) for key, value in recipe.items() if key not in ("step", "code", "version")}
        cls: Any = registry.class_of(recipe["step"])
        if (wanted := recipe.get("version", 1)) != cls.version:
            raise ArgumentError(
                f"the recipe is of version {wanted} of the step {recipe['step']!r}, and here is version {cls.version}, which may "
                "give other results; install the govlab that wrote it, or make the step anew."
            )
        steps = parameters.pop("steps") if isinstance(recipe.get("steps"), list) else []
        made: Step = cls(*steps, **parameters)
        return made


def _is_class_variable(cls: type, name: str) -> bool:
    annotation = vars(cls).get("__annotations__", {}).get(name, ClassVar)
    return "ClassVar" in (annotation if isinstance(annotation, str) else repr(annotation))


def _revive(value: Any) -> Any:
    if isinstance(value, Mapping):
        if "step" in value:
            return Step.from_recipe(value)
        if {"fields", "time", "id", "arrival"} == set(value):
            return frames.Schema(**value)
        return {key: _revive(item) for key, item in value.items()}
    return [_revive(item) for item in value] if isinstance(value, list) else value


class Detector(Step):
    """A step that adds ``score``: higher = more anomalous, NaN until warm (never 0 for "don't know").

    A subclass needs only :meth:`score_one` (pure) and :meth:`learn_one`; each row is scored before it is learned. A fast
    one overrides :meth:`score_learn_many` instead.

    Examples
    --------
    >>> class Jump(Detector):
    ...     column: str = "value"
    ...     def start(self):
    ...         self._last = float("nan")
    ...     def score_one(self, x):
    ...         return abs(x[self.column] - self._last)
    ...     def learn_one(self, x):
    ...         self._last = x[self.column]
    >>> events = frames.event_frame({"time": ["2026-03-02T00:00:00Z"] * 3, "value": [1.0, 1.0, 4.0]})
    >>> Jump().process(events)["score"].to_list()
    [nan, 0.0, 3.0]
    """

    def score_one(self, x: dict[str, Any]) -> float:
        """Score one row, given as a dict (missing text is None, a missing number NaN); must not change the detector."""
        raise NotImplementedError(f"{type(self).__name__} must have score_one(x) and learn_one(x), or score_learn_many(frame).")

    def learn_one(self, x: dict[str, Any]) -> None:
        """Learn one row, given as a dict."""
        raise NotImplementedError(f"{type(self).__name__} must have score_one(x) and learn_one(x), or score_learn_many(frame).")

    def score_learn_many(self, frame: pd.DataFrame) -> np.ndarray:
        """Score each row and then learn it, in order; float64, shape (n,)."""
        scores = np.empty(len(frame))
        columns = [str(name) for name in frame.columns]
        for i, values in enumerate(zip(*(_listed(frame[name]) for name in columns), strict=True)):
            row = dict(zip(columns, values, strict=True))
            try:
                scores[i] = self.score_one(row)
                self.learn_one(row)
            except Exception as error:
                raise StepError(self.name, frames.positions(frame.iloc[i : i + 1]), error) from error
        return scores

    def unscored(self, rows: pd.DataFrame) -> dict[str, int]:
        """Count rows that got no score by the reason, for people; override it where a detector knows more."""
        named = [getattr(self, "column", None), *(getattr(self, "columns", None) or ())]
        missing = np.zeros(len(rows), bool)
        reasons = {}
        for name in dict.fromkeys(column for column in named if isinstance(column, str) and column in rows):
            lacks = rows[name].isna().to_numpy() & ~missing
            missing |= lacks
            reasons[f"without a value in {name!r}"] = int(lacks.sum())
        warm, by = getattr(self, "warm", None), getattr(self, "by", None)
        of = f" of each {by!r}" if isinstance(by, str) else ""
        while_warming = f"while warming up (warm={warm!r}{of})" if warm is not None else f"before it knew enough{of}"
        reasons[while_warming] = int((~missing).sum())
        return {reason: n for reason, n in reasons.items() if n}

    def process(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Pass the rows on with their ``score``."""
        return frames.put(frame, score=np.asarray(self.score_learn_many(frame), "float64"))


def _listed(column: pd.Series) -> list[Any]:
    """Give the values of a column; a missing one that is no number is None, as NaN is not even equal to itself."""
    values: list[Any] = column.tolist()
    if isinstance(column.dtype, np.dtype) and column.dtype.kind in "iufb":
        return values
    return [None if value is pd.NA or value is pd.NaT or value != value else value for value in values]
