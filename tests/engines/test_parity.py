"""One pipeline, one answer: whatever the engine, the speed, the frames and the files."""

import random

import pandas as pd
import pytest

import govlab as gl
from govlab import registry
from govlab.clock import VirtualClock

ROWS = 6_000


class StallingClock(VirtualClock):
    """Time that now and then stands still for long, as on a busy machine."""

    def __init__(self, seed):
        super().__init__()
        self.chance = random.Random(seed)

    def wait(self, seconds, wake):
        super().wait(seconds * self.chance.choice([0.1, 1, 1, 50, 1_000]), wake)


def watch():
    return gl.Pipeline(
        gl.prepare.Deduplicate("event_id"),
        gl.Sharded([gl.features.WindowCount("actor", lateness="5s"), gl.detectors.EwmaZ("count", by="actor", warm=2)], shards=4),
        gl.alerts.Budget(per_day=200, cooldown="5min", warm="10min"),
    )


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    path = tmp_path_factory.mktemp("whole") / "day.parquet"
    pd.read_parquet(gl.datasets.path("community")).head(ROWS).to_parquet(path)
    return path


@pytest.fixture(scope="module")
def reference(whole):
    result = watch().run(gl.sources.ReplayReader(whole, order="arrival"))
    assert len(result.rows) > 10
    assert result.summary.late > 10
    return result


def same(expected, actual):
    assert expected.summary.fingerprint == actual.summary.fingerprint
    pd.testing.assert_frame_equal(expected.rows.drop(columns=["partition", "offset", "evidence"]).reset_index(drop=True),
                                  actual.rows.drop(columns=["partition", "offset", "evidence"]).reset_index(drop=True), check_exact=True)  # fmt: skip
    assert expected.summary.sides == actual.summary.sides
    assert expected.summary.steps == actual.summary.steps


@pytest.mark.parametrize("engine", registry.names("engines"))
@pytest.mark.parametrize("max_rows", [1, 97, 4_096, 100_000])
def test_every_engine_gives_the_same_answer_whatever_the_frames(reference, whole, engine, max_rows):
    made = registry.load("engines", engine)()
    same(reference, made.run(watch(), gl.sources.ReplayReader(whole, order="arrival"), max_rows=max_rows))


@pytest.mark.parametrize("seed", [1, 2])
def test_the_answer_at_1000x_with_random_stalls_is_that_of_full_speed(reference, whole, seed):
    made = registry.load("engines", "streams")()
    same(reference, made.run(watch(), gl.sources.ReplayReader(whole, order="arrival"), speed=1_000, clock=StallingClock(seed)))


@pytest.mark.parametrize("kind", ["parquet", "csv.gz", "ndjson.zst"])
def test_the_answer_from_shuffled_parts_of_the_file_is_that_of_the_whole(reference, whole, kind, tmp_path):
    table, parts = pd.read_parquet(whole), []
    for i, first in enumerate(range(0, len(table), 1_111)):
        part, path = table.iloc[first : first + 1_111], tmp_path / f"part-{i:02}.{kind}"
        if kind == "parquet":
            part.to_parquet(path)
        elif kind == "csv.gz":
            part.to_csv(path, index=False)
        else:
            part.to_json(path, orient="records", lines=True, date_format="iso", date_unit="us")
        parts.append(path)
    random.Random(3).shuffle(parts)
    schema = gl.sources.ReplayReader(whole, order="arrival").schema
    same(reference, watch().run(gl.sources.ReplayReader(parts, schema, order="arrival")))


def test_the_fingerprint_is_another_if_one_event_is_missing_or_one_parameter_differs(reference, whole):
    reader = gl.sources.ReplayReader(whole, order="arrival")
    table = pd.read_parquet(whole).drop(index=17)
    assert reference.summary.fingerprint != watch().run(gl.event_frame(table)).summary.fingerprint
    other = gl.Pipeline(*watch().steps[:-1], gl.alerts.Budget(per_day=199, cooldown="5min", warm="10min"))
    assert reference.summary.fingerprint != other.run(reader).summary.fingerprint
