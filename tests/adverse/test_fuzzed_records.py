"""Fuzzed records are each a row or a dead letter; the long form is ``python benchmarks/fuzz.py``."""

import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).resolve().parents[2] / "benchmarks"))
from fuzz import PARTS, WRONG, accounts, fuzz


@pytest.mark.parametrize("part", PARTS)
def test_each_fuzzed_record_is_a_row_or_a_dead_letter_and_never_both(part, tmp_path):
    told = fuzz(part, 2_000, 1, tmp_path)
    assert dict.fromkeys(WRONG, 0) == {key: told[key] for key in WRONG}
    assert min(told["rows"], told["dead letters"]) > told["records"] // 5


def test_the_accounts_tell_what_is_lost_both_twice_and_from_nowhere():
    told = accounts({0, 1, 2, 3, 4}, [0, 1, 1, 9], [1, 2], {4})
    assert {"lost": 1, "both": 1, "twice": 1, "from nowhere": 1} == {key: told[key] for key in WRONG}
