"""How a pipeline and its source travel to a cluster: as recipes, in plain values that JSON can write."""

from __future__ import annotations

import base64
import dataclasses
import importlib
import json
import logging
import pickle
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import FunctionType
from typing import Any

import cloudpickle

import govlab
from govlab import registry
from govlab.access import Access
from govlab.errors import ArgumentError, GovlabError, StepError, did_you_mean
from govlab.pipeline import Pipeline
from govlab.recipes import code_of, recipe_hash
from govlab.schema import Schema
from govlab.sources.reader import Reader
from govlab.step import Step

__all__ = ["pack_reader", "pack_step", "unpack_reader", "unpack_step"]

log = logging.getLogger("govlab")


def pack_step(step: Step) -> dict[str, Any]:
    """Write a pipeline as its recipe; one with steps or functions of the user's own with their code as well.

    Raises
    ------
    ArgumentError
        It cannot travel: says which step, and why.
    """
    recipe = step.recipe()
    packed: dict[str, Any] = {"govlab": govlab.__version__, "hash": recipe_hash(recipe), "recipe": recipe}
    try:
        if recipe_hash(Step.from_recipe(json.loads(json.dumps(recipe))).recipe()) == packed[
            "hash"
        ] and '"code": ' not in json.dumps(recipe):
            return packed
    except Exception as error:  # a recipe names a function or a model, and does not hold it
        log.debug("the recipe alone does not do: %s", error)
    steps = step.steps if hasattr(step, "steps") and not isinstance(step.steps, Step) else [step]
    for one in steps:
        try:
            cloudpickle.dumps(_frozen(one))
        except Exception as error:  # whatever a user's own object raises when it is pickled
            raise ArgumentError(
                f"the step {one.name} cannot go to a cluster: it cannot be pickled ({type(error).__name__}: {error}). Give it "
                "plain values and functions, and open files and connections in start()."
            ) from error
    for module in _own_modules(recipe):
        cloudpickle.register_pickle_by_value(module)
    codes = [(one, code_of(one)) for one in _own(step)]  # a worker does not have their source
    return packed | {"pickle": base64.b64encode(cloudpickle.dumps((_frozen(step), codes))).decode()}


def _own(value: Any) -> Iterator[Any]:
    """Find the classes and functions of the user's own in a step."""
    if isinstance(value, Pipeline):
        yield from (one for step in value.steps for one in _own(step))
    elif isinstance(value, Step):
        if type(value).__module__.partition(".")[0] != "govlab":
            yield type(value)
        yield from (one for f in dataclasses.fields(value) if f.init for one in _own(getattr(value, f.name)))
    elif isinstance(value, Mapping | list | tuple):
        yield from (one for item in (value.values() if isinstance(value, Mapping) else value) for one in _own(item))
    elif isinstance(value, type | FunctionType):
        yield value


def _frozen(value: Any) -> Any:
    """Take a step apart into classes and parameters: its state holds frames, which another pandas cannot unpickle."""
    if isinstance(value, Pipeline):
        return type(value), [_frozen(step) for step in value.steps], value.ahead
    if isinstance(value, Step):
        return type(value), {f.name: _frozen(getattr(value, f.name)) for f in dataclasses.fields(value) if f.init}
    return value


def _thawed(value: Any) -> Any:
    if isinstance(value, tuple) and len(value) == 3 and isinstance(value[0], type) and issubclass(value[0], Pipeline):
        kind, steps, ahead = value
        return kind(*map(_thawed, steps), ahead=ahead)
    if isinstance(value, tuple) and len(value) == 2 and isinstance(value[0], type) and issubclass(value[0], Step):
        kind, given = value
        return kind(**{k: _thawed(v) for k, v in given.items()})
    return value


def _own_modules(recipe: Any) -> list[Any]:
    """Find the modules of the user's own that a recipe names: a cluster does not have them."""
    names = {
        name for name in re.findall(r'"(\w[\w.]*):', json.dumps(recipe)) if name.partition(".")[0] not in ("govlab", "__main__")
    }
    modules = []
    for name in sorted(names):
        try:
            module = importlib.import_module(name)
        except ImportError:
            continue
        if "site-packages" not in str(getattr(module, "__file__", "") or "site-packages"):
            modules.append(module)
    return modules


def unpack_step(packed: Mapping[str, Any]) -> Step:
    """Make the pipeline again. What is packed must be signed (see :mod:`govlab.engines.flink.folder`): it may hold code.

    Raises
    ------
    GovlabError
        Lab and cluster have different versions of govlab.
    """
    if packed["govlab"] != govlab.__version__:
        raise GovlabError(
            f"the lab has govlab {packed['govlab']} and the cluster {govlab.__version__}: install the same version on both."
        )
    if "pickle" in packed:
        frozen, codes = pickle.loads(base64.b64decode(packed["pickle"]))
        for one, code in codes:
            one._govlab_code = code
        step: Step = _thawed(frozen)
    else:
        step = Step.from_recipe(packed["recipe"])
    if recipe_hash(step.recipe()) != packed["hash"]:
        raise StepError("the pipeline", "none", ValueError("it is another one after its journey; install the same govlab on both"))
    return step


def pack_reader(reader: Reader) -> dict[str, Any]:
    """Write what makes a reader anew. Passwords travel as the names of where they are, as :class:`govlab.Access` has them.

    Raises
    ------
    ArgumentError
        It is not one of the registered sources.
    """
    return {"reader": _reader_name(reader), "given": {k: _plain(v) for k, v in reader.arguments().items()}}


def _reader_name(reader: Reader) -> str:
    target = f"{type(reader).__module__}:{type(reader).__qualname__}"
    for name, (known, _) in registry.table("sources").items():
        if known == target:
            return name
    raise ArgumentError(
        f"submit: {target} is not in the table of sources ({', '.join(registry.names('sources'))}), and a cluster makes no other "
        "readers: write its events to files or a queue first."
    )


def _plain(value: Any) -> Any:
    if isinstance(value, Schema):
        return {"schema": value.recipe()}
    if isinstance(value, Access):
        return {"access": dataclasses.asdict(value)}
    if isinstance(value, re.Pattern):
        return {"pattern": value.pattern}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)


def unpack_reader(packed: Mapping[str, Any]) -> Reader:
    """Make the reader again.

    Raises
    ------
    GovlabError
        It is not one of the registered sources: nothing else is imported by its name.
    """
    kind = _reader_kind(packed["reader"])
    made: Reader = kind(**{k: _revived(v) for k, v in packed["given"].items()})
    return made


def _reader_kind(name: str) -> type[Reader]:
    if name not in registry.names("sources"):
        raise GovlabError(f"there is no source {name!r} in the table of sources. {did_you_mean(name, registry.names('sources'))}")
    kind: type[Reader] = registry.load("sources", name)
    return kind


def _revived(value: Any) -> Any:
    if isinstance(value, Mapping):
        kind, inner = next(iter(value.items()))
        return Schema(**inner) if kind == "schema" else Access(**inner) if kind == "access" else re.compile(inner)
    return [_revived(item) for item in value] if isinstance(value, list) else value


def absolute(path: str) -> str:
    """Give a path of this machine in full; an address as it is."""
    return path if "://" in path else str(Path(path).expanduser().resolve())
