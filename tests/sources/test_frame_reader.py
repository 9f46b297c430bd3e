"""Whatever can be read as events gives the same events, everywhere; what cannot is refused with all that can."""

from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import govlab as gl
from govlab.engines.flink.submitting import travelling
from govlab.engines.local import Local
from govlab.engines.streams import Streams
from govlab.errors import ArgumentError, SchemaError, SourceError
from govlab.sources import FrameReader
from govlab.sources.frames import reader_of, whole
from govlab.testing import ScriptedReader
from govlab.testing.readers import read_all

WATCH = gl.Pipeline(gl.detectors.Volume("value"), gl.alerts.Threshold(10.0))
TIMES = pd.date_range("2026-03-02", periods=120, freq="1min", tz="UTC").as_unit("us")
TABLE = pd.DataFrame(
    {"time": TIMES, "value": [50.0 if i % 40 == 39 else float(i % 7) for i in range(120)], "number": np.arange(120)}
)
LABELS = pd.DataFrame({"start": TIMES[39::40], "end": TIMES[39::40]})


class Columns:
    """A table of another library: all that is known of it is that it hands over Arrow."""

    def __init__(self, table):
        self._table = table

    def __arrow_c_stream__(self, requested_schema=None):
        return self._table.__arrow_c_stream__(requested_schema)


@pytest.fixture(scope="module")
def paths(tmp_path_factory):
    folder = tmp_path_factory.mktemp("events")
    for i in range(3):
        TABLE.iloc[40 * i : 40 * i + 40].to_parquet(folder / f"part{i}.parquet", index=False)
    TABLE.to_parquet(folder / "whole.parquet", index=False)
    return folder


ARROW = pa.Table.from_pandas(TABLE, preserve_index=False)
FILES = {
    "path": lambda at: at / "whole.parquet",
    "text": lambda at: str(at / "whole.parquet"),
    "pattern": lambda at: str(at / "part*.parquet"),
    "list of paths": lambda at: [at / f"part{i}.parquet" for i in (2, 0, 1)],
    "tuple of texts": lambda at: tuple(map(str, at.glob("part*"))),
    "reader": lambda at: gl.sources.ReplayReader(at / "whole.parquet"),
    "source": lambda at: gl.from_replay(at / "whole.parquet"),
}
TABLES = {
    "pandas": lambda at: TABLE,
    "pyarrow": lambda at: ARROW,
    "Arrow's interface": lambda at: Columns(ARROW),
    "batches": lambda at: ARROW.to_reader(max_chunksize=7),
    "list": lambda at: [TABLE.iloc[:30], TABLE.iloc[30:]],
    "list of pyarrow": lambda at: [ARROW.slice(0, 30), Columns(ARROW.slice(30))],
    "source of frames": lambda at: gl.from_reader(FrameReader([TABLE])),
}
ONCE = {"generator": lambda at: (TABLE.iloc[i : i + 9] for i in range(0, 120, 9))}


@pytest.mark.parametrize("engine", [Local, Streams])
@pytest.mark.parametrize("form", [*FILES, *TABLES, *ONCE])
def test_every_form_of_a_source_gives_the_same_events_on_every_engine(form, engine, paths):
    expected = WATCH.run(TABLE)
    actual = engine().run(WATCH, (FILES | TABLES | ONCE)[form](paths))
    assert ("finished", 120) == (actual.summary.state, actual.summary.events)
    several = form in ("pattern", "list of paths", "tuple of texts")
    position = ["id", "partition", "offset", "evidence"] if several else []  # of several files each counts its own rows
    first, second = (one.rows.drop(columns=position).reset_index(drop=True) for one in (expected, actual))
    pd.testing.assert_frame_equal(first, second, check_exact=True)
    assert 3 == len(actual.rows)


@pytest.mark.parametrize("form", [*FILES, *TABLES, *ONCE])
def test_every_form_of_a_source_can_be_played(form, paths):
    given = (FILES | TABLES | ONCE)[form](paths)
    assert 120 == gl.run(given, progress=False).events


@pytest.mark.parametrize("form", [*FILES, *TABLES])
def test_every_form_that_can_be_read_again_can_be_judged_and_tuned(form, paths):
    def make():
        return (FILES | TABLES)[form](paths)

    assert 3 == gl.backtest(WATCH, make(), LABELS, per_day=5, resamples=10).table.loc["pipeline", "caught"]
    assert 3 == gl.compare({"one": WATCH}, make(), LABELS, per_day=5, resamples=10).table.loc["one", "caught"]
    tuned = gl.tune(
        lambda above: gl.Pipeline(gl.detectors.Volume("value"), gl.alerts.Threshold(above)),
        [{"above": 60.0}, {"above": 10.0}], make(), LABELS, jobs=1, progress=False,
    )  # fmt: skip
    assert {"above": 10.0} == tuned.best


@pytest.mark.parametrize("form", ["text", "source", "pyarrow", "list"])
def test_the_checks_take_what_can_be_read(form, paths):
    source = (FILES | TABLES)[form](paths)
    gl.testing.check_step(gl.detectors.Volume("value"), source)
    gl.testing.leak_check(gl.detectors.Volume("value"), source)
    with pytest.raises(SchemaError, match="'missing'"):
        gl.testing.check_detector(gl.detectors.Volume("missing"), source)


def test_a_generator_is_not_judged_as_history_is_read_several_times():
    for judge in (gl.backtest, lambda *given: gl.compare({"one": given[0]}, *given[1:])):
        frames = (TABLE for _ in range(1))
        with pytest.raises(ArgumentError, match=r"cannot play generator more than once.*give list\(frames\)"):
            judge(WATCH, frames, LABELS)
        assert 120 == len(next(frames))  # nothing was taken


@pytest.mark.parametrize("form", [*FILES, *TABLES, *ONCE])
def test_every_form_of_a_source_travels_to_a_cluster(form, paths, tmp_path):
    reader = travelling((FILES | TABLES | ONCE)[form](paths), tmp_path, 50)
    assert isinstance(reader, gl.sources.ReplayReader)
    reader.open()
    assert TABLE["number"].tolist() == read_all(reader, 33)["number"].tolist()
    reader.close()


def test_whole_numbers_that_a_float_cannot_hold_travel_to_a_cluster_as_numbers(tmp_path):
    large = TABLE.assign(number=TABLE["number"] + 2**53, other=pd.array([None, *range(2**60, 2**60 + 119)], "Int64"))
    assert WATCH.run(large).rows["id"].tolist() == WATCH.run(travelling(large, tmp_path, 50)).rows["id"].tolist()


@pytest.mark.parametrize(
    ("what", "says"),
    [
        (None, "NoneType cannot be read as events: give a path"),
        (3, "int cannot be read"),
        (b"edits.csv", "bytes cannot be read"),
        ({"time": ["2026-03-02"]}, r"dict cannot be read as events: make a table of it with gl.event_frame\(...\), or give a path"),
        ([1], "list of int cannot be read"),
        (["edits.csv", TABLE], "list of str cannot be read"),
        (WATCH, "Pipeline cannot be read"),
        (gl.Pipeline, "the class Pipeline cannot be read"),
        (pa.array([1]), "an iterable gives Int64Scalar, which is no table"),
        (pa.chunked_array([[1]]), "ChunkedArray has no columns .*: give a path"),
        (iter([3]), "an iterable gives int, which is no table"),
        (iter([Path("edits.csv")]), "an iterable gives PosixPath, .* several paths are given as a list"),
    ],
    ids=range(12),
)
def test_what_cannot_be_read_is_named_with_all_that_can(what, says):
    with pytest.raises(ArgumentError, match=says) as caught:
        WATCH.run(what)
    if "iterable" not in says:
        assert str(caught.value).endswith(
            "give a path, pattern or URL of files ('edits.csv.gz', 'logs/*.parquet'), a list of them, a table (pandas, polars or "
            "pyarrow), a list or an iterable of tables, a reader, or a source such as gl.from_replay('edits.csv.gz')."
        )


@pytest.mark.parametrize(
    ("address", "how"),
    [
        ("kafka://ann:secret@host:9092/edits", "gl.from_kafka"),
        ("amqp://ann:secret@host/edits", "gl.from_rabbitmq"),
        ("AMQPS://ann:secret@host/edits", "gl.from_rabbitmq"),
    ],
)
def test_an_address_of_a_queue_is_no_source_and_shows_no_password(address, how):
    for what in (address, [address]):
        with pytest.raises(ArgumentError, match=how) as caught:
            WATCH.run(what)
        assert "secret" not in str(caught.value)


def test_a_path_that_leads_nowhere_and_a_table_without_time_say_so():
    with pytest.raises(SourceError, match=r"there is no file at 'nowhere\.csv'"):
        WATCH.run("nowhere.csv")
    with pytest.raises(SchemaError, match="an event frame needs a column 'time'"):
        WATCH.run(Columns(ARROW.drop_columns("time")))


def test_whole_numbers_and_booleans_of_arrow_stay_what_they_are_where_some_are_missing():
    large = 2**60 + 1
    table = pa.table(
        {"time": TIMES[:3], "id": [large, None, 3], "flag": [True, None, False], "small": pa.array([1, None, 2], "uint8")}
    )
    frame = whole(table)
    assert [large, 3] == frame["id"].dropna().tolist()
    assert ["Int64", "boolean", "UInt8"] == [str(frame[name].dtype) for name in ("id", "flag", "small")]
    assert "int64" == str(whole(table.slice(0, 1))["id"].dtype)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 120), st.integers(1, 50))
def test_a_source_stays_where_it_is_while_others_read_the_same(held, max_rows):
    with ExitStack() as end:
        source = gl.from_reader(FrameReader(TABLE), max_rows=max_rows)
        end.callback(source.reader.close)
        node = source.through(WATCH)
        alerts = node.sink_to_list()
        gl.run(source, max_events=held, progress=False)
        before = source.position()
        assert 3 == len(WATCH.run(source).rows)
        gl.backtest(WATCH, source, LABELS, per_day=5, resamples=2)
        assert (before, held) == (source.position(), source.events)
        assert 120 == gl.run(source, progress=False).events
        expected = WATCH.run(TABLE).rows.reset_index(drop=True)
        pd.testing.assert_frame_equal(expected, pd.concat([part for part in alerts if len(part)], ignore_index=True))


@pytest.mark.parametrize("held", [0, 1, 77])
def test_a_source_of_files_stays_where_it_is_while_others_read_the_same(held, paths):
    source = gl.from_replay(paths / "part*.parquet", max_rows=10)
    ids = source.map(lambda frame: frame["number"].tolist()).sink_to_list()
    gl.run(source, max_events=held, progress=False)
    assert 120 == WATCH.run(source).summary.events
    gl.backtest(WATCH, source, LABELS, per_day=5, resamples=2)
    gl.run(source, progress=False)
    assert TABLE["number"].tolist() == [one for frame in ids for one in frame]


def test_what_can_be_read_but_once_is_not_read_beside_the_source_that_plays_it():
    class Queue(FrameReader):
        consumes = True

    for reader, says in (
        (Queue([TABLE]), "a second reader would take events away"),
        (FrameReader(TABLE for _ in range(1)), "can be read but once"),
        (FrameReader(ARROW.to_reader()), "can be read but once"),
    ):
        source = gl.from_reader(reader)
        with pytest.raises(ArgumentError, match=says):
            WATCH.run(source)
        assert 120 == gl.run(source, progress=False).events  # nothing was taken
        assert reader is reader_of(reader)


def test_a_check_over_a_file_takes_all_of_its_records_or_says_which_it_cannot(tmp_path):
    path = tmp_path / "events.ndjson"
    path.write_text('{"time": "2026-03-02T00:00:00Z", "value": 1.0}\nno record\n')
    with pytest.raises(SourceError, match=r"events.ndjson, record 1: .*; correct it, or take it out"):
        gl.testing.check_step(gl.detectors.Always(), path)


def test_a_live_source_has_no_history(tmp_path):
    class Live(ScriptedReader):
        waits = True

    events = gl.event_frame(TABLE)
    for read in (lambda: gl.backtest(WATCH, Live([events, None]), LABELS), lambda: whole(Live([events, None]))):
        with pytest.raises(ArgumentError, match="script is live and has no end"):
            read()


def test_the_events_behind_an_alert_are_read_again_from_tables_at_hand():
    source = gl.from_reader([TABLE.iloc[:50], TABLE.iloc[50:]])
    alerts = source.through(WATCH).sink_to_list()
    gl.run(source, progress=False)
    assert [39, 79, 119] == [source.evidence(alert)["number"].item() for alert in pd.concat(alerts).to_dict("records")]


@pytest.mark.parametrize(
    ("alert", "says"),
    [
        ({"evidence": "0:1"}, "cannot read rows again"),
        ({"evidence": "junk"}, "expected ranges of positions"),
        ({"entity": "ann"}, "names no evidence"),
    ],
)
def test_evidence_that_cannot_be_read_is_said(alert, says):
    source = gl.from_reader(TABLE if says != "cannot read rows again" else iter([TABLE]))
    with pytest.raises((ArgumentError, SourceError), match=says):
        source.evidence(alert)


def test_evidence_of_other_files_is_refused(paths):
    with pytest.raises(SourceError, match="has no partition 9"):
        gl.from_replay(str(paths)).evidence({"evidence": "9:1-4"})


def test_a_correction_that_is_no_record_is_refused_and_the_dead_letter_stays(tmp_path):
    (tmp_path / "a.ndjson").write_text('{"time": "2026-03-02"}\nno record\n')
    source = gl.from_replay(str(tmp_path / "a.ndjson"))
    gl.run(source, progress=False)
    with pytest.raises(ArgumentError, match="expected bytes"):
        source.redrive(lambda letter: "text")
    assert 1 == len(source.letters)
