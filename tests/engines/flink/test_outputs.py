"""What a job writes into its files is read back as it was: rows, what was put aside, dead letters, the summary."""

import pandas as pd
import pytest

import govlab as gl
from govlab.engines.flink.outputs import Outputs, read_lines
from govlab.errors import GovlabError
from govlab.sources.reader import DeadLetter
from govlab.summary import Summary
from govlab.testing import sample_events

EVENTS = sample_events(200, seed=2)
CLEAN = gl.prepare.Conform(gl.Schema({"time": "timestamp", "value": "float64"}), ranges={"value": (0, 4)})


def written(folder, *outs):
    outputs = Outputs({"into": []})
    lines = [line for rows, sides, letters in outs for line in outputs.lines(rows, sides, letters)]
    for i in (0, 1):
        numbered = [f"{n} {line}\n" for n, line in enumerate(lines) if n % 2 == i]
        (folder / f"out-{i}").write_text("".join(numbered))
    return outputs


def test_rows_sides_and_summary_are_those_of_a_run_in_the_lab(tmp_path):
    expected = gl.Pipeline(CLEAN).run(EVENTS)
    rows, aside = expected.rows, expected.sides["rejected"]
    letter = DeadLetter("a.csv", 0, 7, "no time", b"x")
    outputs = written(
        tmp_path, (rows.iloc[:50], [("rejected", aside.iloc[:3])], [letter]), (rows.iloc[50:], [("rejected", aside.iloc[3:])], [])
    )
    (tmp_path / "out-2").write_text(f"9 {outputs.summary(expected.summary)}\n")
    output, letters, summary = read_lines(tmp_path)
    actual = output.result(summary)
    assert expected.summary == actual.summary
    pd.testing.assert_frame_equal(rows.reset_index(drop=True), actual.rows)
    assert ["rejected"] == list(actual.sides)
    pd.testing.assert_frame_equal(aside, actual.sides["rejected"], check_dtype=False)
    assert [(0, 7, "no time")] == list(zip(letters["partition"], letters["offset"], letters["reason"], strict=True))


def test_what_is_put_aside_may_have_any_name_and_values_of_any_kind(tmp_path):
    odd = EVENTS.iloc[:3].assign(value=[1, "two", {"three": 3}], reason="odd")
    written(tmp_path, (EVENTS.iloc[:0], [("so so\n/é", odd)], []))
    [(side, rows)] = read_lines(tmp_path)[0].result(Summary()).sides.items()
    assert "so so\n/é" == side
    assert ["1", "two", '{"three": 3}'] == rows["value"].tolist()


def test_a_line_that_is_there_twice_is_refused(tmp_path):
    written(tmp_path, (EVENTS.iloc[:2], [], []))
    (tmp_path / "out-1").write_text((tmp_path / "out-0").read_text())
    with pytest.raises(GovlabError, match="line 0 is there twice"):
        read_lines(tmp_path)
