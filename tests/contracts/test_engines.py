"""Every registered engine keeps the contract of engines: a new one needs a factory here. An engine that breaks a rule is told which."""

import dataclasses
import re

import pytest
from origins import what_to_do

import govlab as gl
from govlab import registry
from govlab.errors import CheckError, SourceError, StepError
from govlab.sources import FrameReader
from govlab.testing import check_engine
from govlab.testing.engines import Letters

FACTORIES = {"local": lambda made: made().run, "streams": lambda made: made().run}
EXEMPT = {
    "flink": "it reads on the cluster, where neither frames at hand nor a reader that breaks off can go; "
    "tests/engines/flink holds it to the local engine's rows, summary, sides, errors and store, with kills in between"
}


@pytest.mark.parametrize("name", FACTORIES)
def test_a_registered_engine_keeps_the_contract_of_an_engine(name):
    check_engine(FACTORIES[name](registry.load("engines", name)))


def test_every_registered_engine_has_a_factory_or_a_reason():
    assert what_to_do("engines", FACTORIES, EXEMPT) is None


def test_a_new_engine_without_a_factory_is_told_what_to_do():
    assert "local has no factory for its contract check: write one into FACTORIES" in what_to_do("engines", {"streams": 1}, EXEMPT)


def plain(pipeline, source, **options):
    return registry.load("engines", "local")().run(pipeline, source, **options)


def changed(result, **fields):
    return dataclasses.replace(result, summary=dataclasses.replace(result.summary, **fields))


class Without(FrameReader):
    """A reader without what another one has beside rows."""

    def __init__(self, reader, **options):
        super().__init__(reader._source)
        self.reader, self.options = reader, options

    name = property(lambda self: self.reader.name)
    wants_commit = property(lambda self: self.reader.wants_commit and "wants" not in self.options)

    def open(self, position=None):
        self.reader.open(self.options.get("position", position))

    def read(self, max_rows):
        try:
            return self.reader.read(max_rows)
        except SourceError:
            if "errors" in self.options:
                raise gl.sources.EndOfStream("silence") from None
            raise

    def position(self):
        return self.reader.position()

    def commit(self, position):
        self.reader.commit({0: position[0] + 1} if "early" in self.options else position)

    def take_dead_letters(self):
        return [] if "letters" in self.options else self.reader.take_dead_letters()


def drops_a_row(pipeline, source, **options):
    result = plain(pipeline, source, **options)
    return dataclasses.replace(result, rows=result.rows.iloc[1:])


def counts_twice(pipeline, source, **options):
    result = plain(pipeline, source, **options)
    return changed(result, events=2 * result.summary.events)


def other_fingerprint(pipeline, source, **options):
    return changed(plain(pipeline, source, **options), fingerprint="0")


def without_sides(pipeline, source, **options):
    return dataclasses.replace(plain(pipeline, source, **options), sides={})


def by_the_frame(pipeline, source, max_rows=100, **options):
    """Takes the first frame for the whole."""
    return plain(pipeline, source, max_rows=max_rows, max_events=100 if max_rows == 97 else None, **options)


def without_letters(pipeline, source, **options):
    return plain(pipeline, Without(source, letters=False), **options)


def raw_errors(pipeline, source, **options):
    try:
        return plain(pipeline, source, **options)
    except StepError as error:
        raise error.cause from None


def vague_errors(pipeline, source, **options):
    try:
        return plain(pipeline, source, **options)
    except StepError as error:
        raise StepError("a step", error.positions, error.cause) from error


def silent_errors(pipeline, source, **options):
    try:
        return plain(pipeline, source, **options)
    except StepError:
        return plain(pipeline, source, **options)


def an_error_for_an_end(pipeline, source, **options):
    return plain(pipeline, Without(source, errors=False), **options)


def begins_anew(pipeline, source, store=None, **options):
    """Reads from the start though the states are those of where it stood."""
    return plain(pipeline, source if store is None else Without(source, position=None), store=store, **options)


def commits_too_far(pipeline, source, **options):
    return plain(pipeline, Without(source, early=True) if isinstance(source, Letters) else source, **options)


def never_commits(pipeline, source, **options):
    return plain(pipeline, Without(source, wants=False) if isinstance(source, Letters) else source, **options)


def forgets_the_store(pipeline, source, store=None, **options):
    return plain(pipeline, source, **options)


def says_paused(pipeline, source, store=None, **options):
    result = plain(pipeline, source, store=store, **options)
    return changed(result, state="paused") if store else result


@pytest.mark.parametrize(
    ("broken", "rule"),
    [
        (drops_a_row, "the rows that come out (frames of at most 1 rows) are those of the plain pipeline"),
        (counts_twice, "the summary is that of the plain pipeline (frames of at most 1 rows): its events are 800, not 400"),
        (other_fingerprint, "its fingerprint are 0"),
        (without_sides, "the sides are those of the plain pipeline"),
        (by_the_frame, "(frames of at most 97 rows)"),
        (without_letters, "its dead_letters are 0, not 3"),
        (raw_errors, "a step that fails is a StepError"),
        (vague_errors, "a step that fails is named with its rows"),
        (silent_errors, "a step that fails ends the run with an error"),
        (an_error_for_an_end, "a source that fails ends the run with an error, and is not taken for its end"),
        (commits_too_far, "commit follows the store"),
        (never_commits, "a reader that wants a commit gets one"),
        (begins_anew, "(stored, after it broke off four times)"),
        (forgets_the_store, "a reader that wants a commit gets one"),
        (says_paused, "its state are paused, not finished"),
    ],
)
def test_an_engine_that_breaks_a_rule_is_told_which(broken, rule):
    with pytest.raises(CheckError, match=re.escape(rule)):
        check_engine(broken)
