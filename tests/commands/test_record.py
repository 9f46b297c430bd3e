"""A queue into Parquet files: no row is missing, none is there twice, whatever happens in between."""

import base64
import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import uuid
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sinks.test_encode import READ, frame_from, values

import govlab as gl
from govlab.addresses import Address
from govlab.commands import main as cli
from govlab.commands.record import record
from govlab.errors import ArgumentError, DataError, StoreError
from govlab.frames import concat, event_frame, time_us
from govlab.recording import Recording
from govlab.sources.kafka.sink import KafkaSink, make_topic
from govlab.sources.rabbitmq.sink import RabbitSink
from govlab.sources.reader import DeadLetter
from govlab.summary import content_hashes
from govlab.testing import sample_events
from govlab.testing.doubles import ScriptedReader
from govlab.testing.readers import read_all

EVENTS = sample_events(600, span_s=10_000.0).drop(columns=["id", "start"])
COMMUNITY = gl.datasets.path("community")


class Script(ScriptedReader):
    """A script that knows its schema, says what was committed, and has dead letters before some rows."""

    waits = True

    def __init__(self, script, schema=None, letters=(), name="script"):
        self.schema, self.letters, self.committed, self.closed, self.name = schema, letters, [], False, name
        super().__init__(script)

    def open(self, position=None):
        super().open(position)
        self._told = self._given

    def take_dead_letters(self):
        mine = [letter for before, letter in self.letters if self._told <= before < self._given]
        self._told = self._given
        return mine

    def commit(self, position):
        self.committed.append(position)

    def close(self):
        self.closed = True


def recorded(folder):
    """Read all rows of a recording, as they are replayed."""
    reader = gl.sources.ReplayReader(str(folder))
    rows = read_all(reader, 1_000)
    reader.close()
    return rows


def as_written(folder):
    """Give the rows of each file, in the order in which the files were written."""
    names = list(Recording.of(folder).files)
    assert sorted(names) == sorted(path.relative_to(folder).as_posix() for path in Path(folder).rglob("*.parquet*"))
    return {name: pq.ParquetFile(Path(folder) / name).read().to_pandas() for name in names}


def same(frame, folder):
    return sorted(content_hashes(frame)) == sorted(content_hashes(recorded(folder)))


def cut(frame, size=100):
    return [frame.iloc[first : first + size] for first in range(0, len(frame), size)]


def test_a_replay_of_the_recording_has_the_fingerprint_of_the_original(tmp_path):
    watch = gl.Pipeline(gl.prepare.Deduplicate("event_id", within="1h"), gl.features.WindowCount(by="actor", every="5min"))
    record(gl.sources.ReplayReader(COMMUNITY), tmp_path, every_rows=20_000, progress=False)
    expected, actual = (watch.run(gl.sources.ReplayReader(path)).summary for path in (COMMUNITY, str(tmp_path)))
    assert expected.fingerprint == actual.fingerprint


@settings(deadline=None, max_examples=40)
@given(st.lists(values(infinite=True), max_size=12), st.sampled_from([1, 4, 100]))
def test_values_of_every_type_come_back_to_the_last_bit_however_the_files_are_cut(rows, every_rows):
    frame = frame_from(rows)
    with tempfile.TemporaryDirectory() as folder:
        record(Script([frame], READ), folder, every_rows=every_rows, progress=False)
        if len(frame):
            again = recorded(folder)
            assert sorted(content_hashes(frame)) == sorted(content_hashes(again))
            assert {n: k for n, k in frame.dtypes.items() if n != "partition"} == {
                n: k for n, k in again.dtypes.items() if n != "partition"
            }


def test_rows_are_in_the_files_of_their_hours_late_ones_too_in_the_order_in_which_they_came(tmp_path):
    record(Script(cut(EVENTS)), tmp_path, every_rows=200, progress=False)
    files = as_written(tmp_path)
    assert {"hour=2026-03-02T00", "hour=2026-03-02T01", "hour=2026-03-02T02"} == {name.split("/")[0] for name in files}
    for name, rows in files.items():
        assert {name.split("/")[0]} == set(rows["time"].dt.strftime("hour=%Y-%m-%dT%H"))
        assert rows["offset"].is_monotonic_increasing
    places = pd.concat(files.values())[["partition", "offset"]].value_counts()
    assert (600, 1) == (len(places), places.max())


def test_what_a_reader_has_taken_from_around_a_message_is_kept(tmp_path):
    schema = gl.Schema({"message_time": "epoch_ms", "message_key": "string?", "n": "int64"}, time="message_time")
    frame = event_frame({"time": ["2026-03-02", "2026-03-02"], "message_key": ["a", None], "n": [2**60, 1]})
    record(Script([frame], schema), tmp_path, progress=False)
    assert same(frame, tmp_path)


def test_before_a_position_is_committed_the_rows_are_in_files_and_the_position_in_the_manifest(tmp_path):
    seen = []

    class Watching(Script):
        def commit(self, position):
            kept = Recording.of(tmp_path)
            seen.append((position, kept.position, sum(kept.files.values()), sum(map(len, as_written(tmp_path).values()))))

    record(Watching(cut(EVENTS)), tmp_path, every_rows=250, progress=False)
    assert [({0: n}, {0: n}, n, n) for n in (300, 600)] == seen[:2]


def test_until_a_time_stops_before_the_first_row_at_or_after_it_and_the_next_recording_goes_on_from_there(tmp_path):
    reader = Script(cut(EVENTS))
    kept = record(reader, tmp_path, until="2026-03-02 01:00", progress=False)
    first = int(np.flatnonzero(EVENTS["time"] >= pd.Timestamp("2026-03-02 01:00", tz="UTC"))[0])
    assert (first, {0: first}, False, True) == (kept.rows, kept.position, kept.finished, reader.closed)
    kept = record(Script(cut(EVENTS)), tmp_path, progress=False)
    assert (600, True) == (kept.rows, kept.finished)
    assert same(EVENTS, tmp_path)


def test_until_now_stops_when_nothing_waits(tmp_path):
    class Live(Script):
        def read(self, max_rows):
            return super().read(max_rows) if self._given < 200 else EVENTS.iloc[:0]

        def lag(self):
            return {0: 200 - self._given}

    kept = record(Live(cut(EVENTS)), tmp_path, until="now", progress=False)
    assert (200, False) == (kept.rows, kept.finished)


def test_until_now_goes_on_where_the_origin_cannot_say_what_waits(tmp_path):
    class Silent(Script):
        def lag(self):
            return {}

    kept = record(Silent([EVENTS, *[None] * 1_000_000]), tmp_path, until="now", for_s=3, progress=False)
    assert (600, False) == (kept.rows, kept.finished)


def test_it_stops_after_so_long_or_when_told_to(tmp_path):
    assert 0 == record(Script([None] * 10), tmp_path / "a", for_s=0, progress=False).rows
    asked = iter([False, False, True])
    assert 300 == record(Script(cut(EVENTS)), tmp_path / "b", stop=lambda: next(asked), progress=False).rows


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_ends_it_after_what_was_read_is_written(tmp_path, number):
    class Interrupted(Script):
        def read(self, max_rows):
            if self._given == 200:
                os.kill(os.getpid(), number)
            return super().read(max_rows)

    before = signal.getsignal(number)
    kept = record(Interrupted(cut(EVENTS)), tmp_path, progress=False)
    assert (300, {0: 300}, False) == (kept.rows, kept.position, kept.finished)
    assert before is signal.getsignal(number)
    record(Script(cut(EVENTS)), tmp_path, progress=False)
    assert same(EVENTS, tmp_path)


def test_a_second_interrupt_stops_a_slow_read_and_keeps_what_was_read_before_it(tmp_path):
    class Interrupted(Script):
        def read(self, max_rows):
            if self._given == 200:
                signal.raise_signal(signal.SIGINT)
                signal.raise_signal(signal.SIGINT)
                raise AssertionError("the second one was not heard")
            return super().read(max_rows)

    kept = record(Interrupted(cut(EVENTS)), tmp_path, progress=False)
    assert (200, {0: 200}, False) == (kept.rows, kept.position, kept.finished)
    record(Script(cut(EVENTS)), tmp_path, progress=False)
    assert same(EVENTS, tmp_path)


def test_a_source_that_has_ended_is_not_recorded_twice(tmp_path):
    first = record(Script(cut(EVENTS)), tmp_path, progress=False)
    again = record(Script(cut(EVENTS)), tmp_path, progress=False)
    assert first == again


def test_a_reader_that_gives_no_more_before_a_commit_gets_one(tmp_path):
    class Wanting(Script):
        @property
        def wants_commit(self):
            return self._given - (self.committed or [{0: 0}])[-1][0] >= 200

    reader = Wanting(cut(EVENTS))
    record(reader, tmp_path, progress=False)
    assert [{0: n} for n in (200, 400, 600)] == reader.committed[:3]


def test_a_reader_of_what_comes_anew_has_its_beginning_kept_before_the_first_row(tmp_path):
    class Latest(Script):
        def open(self, position=None):
            super().open(position or {0: 500})  # a topic that holds 500 records by now

    class Killed(Latest):
        def read(self, max_rows):
            if self._given >= 500:
                raise CrashError
            return super().read(max_rows)

    with pytest.raises(CrashError):
        record(Killed(cut(EVENTS)), tmp_path, progress=False)
    assert {0: 500} == Recording.of(tmp_path).position
    record(Latest(cut(EVENTS)), tmp_path, progress=False)
    assert EVENTS["offset"].tolist()[500:] == recorded_offsets(tmp_path)


def recorded_offsets(folder):
    return pd.concat(as_written(folder).values())["offset"].tolist()


LETTERS = [(before, DeadLetter("script", 0, 10_000 + before, "bad", bytes([before % 256, 255]))) for before in (5, 120, 121, 450)]


def letters_of(folder):
    lines = (folder / "_dead_letters.ndjson").read_text().splitlines()
    return [(letter["offset"], base64.b64decode(letter["raw"])) for letter in map(json.loads, lines)]


class CrashError(Exception):
    """The process ends here."""


def crash_at(n):
    """Let the n-th sync to the disk be the end of the process; every step of writing is between two of them."""
    count, real = iter(range(n, -1, -1)), os.fsync

    def fsync(handle):
        if next(count) == 0:
            raise CrashError
        real(handle)

    return patch("os.fsync", fsync)


@pytest.mark.parametrize("n", range(40))
def test_wherever_a_crash_falls_no_row_and_no_dead_letter_is_missing_or_twice_when_it_goes_on(tmp_path, n):
    with crash_at(n), contextlib.suppress(CrashError):
        record(Script(cut(EVENTS), letters=LETTERS), tmp_path, every_rows=200, progress=False)
    kept = record(Script(cut(EVENTS), letters=LETTERS), tmp_path, every_rows=200, progress=False)
    assert EVENTS["offset"].tolist() == sorted(recorded_offsets(tmp_path))
    assert same(EVENTS, tmp_path)
    assert [(letter.offset, letter.raw) for _, letter in LETTERS] == letters_of(tmp_path)
    assert (600, 4, True) == (kept.rows, kept.dead_letters, kept.finished)


def test_a_dead_letter_that_is_told_twice_is_kept_once(tmp_path):
    record(Script(cut(EVENTS), letters=LETTERS), tmp_path, until="2026-03-02 01:00", progress=False)

    class Again(Script):
        def take_dead_letters(self):
            return [letter for _, letter in LETTERS]

    kept = record(Again(cut(EVENTS)), tmp_path, progress=False)
    assert ([(letter.offset, letter.raw) for _, letter in LETTERS], 4) == (letters_of(tmp_path), kept.dead_letters)


def test_killed_at_random_moments_it_ends_with_every_row_once(tmp_path):
    command = [sys.executable, str(Path(__file__).with_name("record_driver.py")), str(tmp_path), "25", "7", "files", str(COMMUNITY)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=900)
    assert 0 == done.returncode, done.stderr
    assert int(done.stdout) >= 3  # the others came after its end
    whole = read_all(gl.sources.ReplayReader(COMMUNITY), 10_000)
    places = pd.concat(as_written(tmp_path).values())[["partition", "offset"]]
    assert sorted(zip(whole["partition"], whole["offset"], strict=True)) == sorted(
        zip(places["partition"], places["offset"], strict=True)
    )
    assert same(whole, tmp_path)


def test_the_folder_of_another_source_is_refused_and_says_what_it_holds(tmp_path):
    record(Script(cut(EVENTS), name="edits"), tmp_path, for_s=0, progress=False)
    with pytest.raises(DataError, match="holds a recording of edits, and now posts is given; choose another folder"):
        record(Script(cut(EVENTS), name="posts"), tmp_path, progress=False)


def test_a_folder_with_other_things_in_it_is_refused(tmp_path):
    (tmp_path / "mine.csv").write_text("time\n")
    with pytest.raises(DataError, match="not empty, and holds no recording"):
        record(Script([]), tmp_path, progress=False)
    assert "time\n" == (tmp_path / "mine.csv").read_text()


def test_two_processes_do_not_record_into_one_folder(tmp_path):
    class Nested(Script):
        def read(self, max_rows):
            with pytest.raises(StoreError, match="another process records into it"):
                record(Script([]), tmp_path, progress=False)
            return super().read(max_rows)

    assert 600 == record(Nested(cut(EVENTS, 600)), tmp_path, progress=False).rows


def test_a_file_that_is_gone_is_said_before_anything_is_read(tmp_path):
    kept = record(Script(cut(EVENTS)), tmp_path, until="2026-03-02 01:00", progress=False)
    (tmp_path / next(iter(kept.files))).unlink()
    with pytest.raises(DataError, match=r"1 files of the recording are gone, such as hour=2026-03-02T00/000000.parquet"):
        record(Script(cut(EVENTS)), tmp_path, progress=False)


def test_what_begins_with_an_underscore_is_not_replayed(tmp_path):
    record(Script(cut(EVENTS), letters=LETTERS), tmp_path, progress=False)
    assert (tmp_path / "_dead_letters.ndjson").exists()
    assert 600 == len(recorded(tmp_path))


def test_wrong_arguments_are_said_before_anything_is_read(tmp_path):
    with pytest.raises(ArgumentError, match="every='often' is not a duration"):
        record(Script([]), tmp_path, every="often")
    with pytest.raises(ArgumentError, match="until='soon' is no moment"):
        record(Script([]), tmp_path, until="soon")


# -- real queues ---------------------------------------------------------------------------------------------------------


def fresh():
    return f"rec-{uuid.uuid4().hex[:8]}"


@pytest.fixture(scope="module")
def events():
    reader = gl.sources.ReplayReader(COMMUNITY)
    rows = read_all(reader, 16_384).iloc[:20_000]
    reader.close()
    return rows, reader.schema.written()


@pytest.fixture
def topic(kafka_server, events):
    name = fresh()
    make_topic(name, 3, kafka_server.address)
    sink = KafkaSink(name, kafka_server.address, client="confluent", key="actor", shards=8)
    sink.send(events[0])
    sink.close()
    return name


@pytest.mark.server
@pytest.mark.parametrize("client", ["confluent", "kafka-python"])
def test_a_topic_is_recorded_and_what_comes_later_too(kafka_server, topic, events, tmp_path, client, capsys):
    command = [
        "record",
        f"kafka://{kafka_server.address}/{topic}",
        "--into",
        str(tmp_path / "r"),
        "--until",
        "now",
        "--quiet",
        "--client",
        client,
    ]
    assert 0 == cli.main(command)
    assert "20,000 rows, 2026-03-02 00:00:02.126682+00:00 to " in capsys.readouterr().out
    assert same(events[0], tmp_path / "r")
    sink = KafkaSink(topic, kafka_server.address)
    sink.send(events[0].iloc[:10])
    sink.close()
    assert 0 == cli.main(command)
    assert same(concat([events[0], events[0].iloc[:10]]), tmp_path / "r")


@pytest.mark.server
def test_a_topic_recorded_by_a_process_that_is_killed_again_and_again_is_there_once(kafka_server, topic, events, tmp_path):
    source = ["kafka", kafka_server.address, topic, json.dumps(events[1].recipe())]
    command = [sys.executable, str(Path(__file__).with_name("record_driver.py")), str(tmp_path), "12", "5", *source]
    done = subprocess.run(command, capture_output=True, text=True, timeout=900)
    assert 0 == done.returncode, done.stderr
    assert int(done.stdout) >= 3  # the others came after its end
    places = pd.concat(as_written(tmp_path).values())[["partition", "offset"]].value_counts()
    assert (20_000, 1) == (len(places), places.max())
    assert same(events[0], tmp_path)


@pytest.mark.server
@pytest.mark.parametrize("kind", ["stream", "quorum"])
def test_a_queue_of_rabbitmq_is_recorded(rabbitmq_server, events, tmp_path, kind, capsys):
    queue = fresh()
    sink = RabbitSink(url=rabbitmq_server.address, queue=queue, kind=kind, id="event_id")
    sink.send(events[0])
    sink.close()
    (tmp_path / "schema.json").write_text(json.dumps(events[1].recipe()))
    command = ["record", f"{rabbitmq_server.address}{queue}", "--into", str(tmp_path / "r"), "--until", "now", "--quiet"]
    assert 0 == cli.main([*command, "--schema", str(tmp_path / "schema.json")])
    assert same(events[0], tmp_path / "r")
    assert 0 == cli.main(command)  # the schema with which it began is in the recording
    assert "20,000 rows" in capsys.readouterr().out.splitlines()[-1]


# -- the command line ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("kafka://127.0.0.1:1/t", "nothing answers at 127.0.0.1:1"),
        ("kafk://127.0.0.1:1/t", "Did you mean 'kafka'"),
        ("kafka://127.0.0.1:1", "names no topic or queue; expected 'kafka://host:9092/topic'"),
        ("kafka://lab:hunter2@127.0.0.1:1/t", "give the user with --user"),
        ("amqp://lab:hunter2@127.0.0.1:1/a/b/c", "names no topic or queue"),
    ],
)
def test_an_address_that_cannot_be_used_is_said_but_never_a_password(address, said, tmp_path, capsys):
    assert 1 == cli.main(["record", address, "--into", str(tmp_path)])
    told = capsys.readouterr().err
    assert said in told
    assert "hunter2" not in told


def test_an_address_is_taken_apart():
    assert ("rabbitmq", "amqps://lab@host:5671/%2Fmine", "q") == tuple(vars(Address.of("amqps://lab@host:5671/%2Fmine/q")).values())
    assert "q at amqp://lab:***@host/" == str(Address.of("amqp://lab:hunter2@host/q"))
    assert "kafka://a:1,b:2/t" == str(Address.of("kafka://a:1,b:2/t"))


@pytest.mark.parametrize("text", ["[1]", "{", '{"time": "epoch"}', '{"fields": {"time": "timestamp"}, "tme": "x"}'])
def test_a_schema_that_is_none_is_said(text, tmp_path, capsys):
    (tmp_path / "schema.json").write_text(text)
    assert 1 == cli.main(
        ["record", "kafka://127.0.0.1:1/t", "--into", str(tmp_path / "r"), "--schema", str(tmp_path / "schema.json")]
    )
    assert "schema" in capsys.readouterr().err.lower()


def test_times_of_the_rows_come_back_exactly(tmp_path):
    frame = event_frame({"time": ["1700-01-01", "2199-12-31T23:59:59.999999", "1969-12-31T23:59:59.999999"]})
    record(Script([frame]), tmp_path, progress=False)
    assert sorted(time_us(frame)) == time_us(recorded(tmp_path)).tolist()
    assert {"hour=1700-01-01T00", "hour=2199-12-31T23", "hour=1969-12-31T23"} == {
        name.split("/")[0] for name in Recording.of(tmp_path).files
    }


def test_one_row_of_2099_does_not_end_a_recording_until_a_time(tmp_path):
    odd = EVENTS.copy()
    odd.loc[100, "time"] = pd.Timestamp("2099-01-01", tz="UTC")
    kept = record(Script([odd]), tmp_path / "into", until=EVENTS["time"].max(), progress=False)
    assert EVENTS["time"].argmax() == kept.rows


class Hanging(Script):
    """A script whose second read hangs, and is interrupted twice."""

    def read(self, max_rows):
        if self._given:
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)
            raise AssertionError("a second interrupt did not end the read")
        return super().read(max_rows)


def test_a_second_interrupt_ends_a_recording_in_the_middle_of_a_read_and_loses_nothing(tmp_path):
    halves = [EVENTS.iloc[:300], EVENTS.iloc[300:].reset_index(drop=True)]
    assert 300 == record(Hanging(halves), tmp_path / "into", progress=False).rows
    record(Script(halves), tmp_path / "into", progress=False)
    there = read_all(gl.sources.ReplayReader(str(tmp_path / "into"), order="arrival"), 1_000)
    assert np.sort(content_hashes(EVENTS)).tolist() == np.sort(content_hashes(there[EVENTS.columns])).tolist()


@pytest.mark.parametrize(
    ("manifest", "said"),
    [("{", "is damaged"), ("[]", "is damaged"), ('{"source": "a", "rooms": 3, "position": {}}', "of another version of govlab")],
)
def test_a_manifest_that_cannot_be_read_is_said(tmp_path, manifest, said):
    (tmp_path / "_positions.json").write_text(manifest)
    with pytest.raises(DataError, match=said):
        record(Script([EVENTS]), tmp_path, progress=False)


def test_a_folder_that_cannot_be_made_or_written_is_said(tmp_path):
    (tmp_path / "file").write_text("")
    for place in (tmp_path / "file", tmp_path / "file" / "below", Path("/proc/nowhere")):
        with pytest.raises(DataError, match="cannot be used for a recording"):
            record(Script([EVENTS]), place, progress=False)


def test_a_disk_that_fails_ends_a_recording_that_goes_on_later(tmp_path):
    with patch("os.fsync", side_effect=OSError(28, "No space left on device")), pytest.raises(DataError, match="No space left"):
        record(Script([EVENTS]), tmp_path, progress=False)
    assert 600 == record(Script([EVENTS]), tmp_path, progress=False).rows
