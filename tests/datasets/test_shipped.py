"""The files in data/: there, unchanged, and what data/make.py makes."""

import gzip
import hashlib
import importlib.util
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from govlab import datasets
from govlab.datasets import checksums, shipped, wiki_edits

DATA = Path(__file__).resolve().parents[2] / "data"


def _make():
    spec = importlib.util.spec_from_file_location("data_make", DATA / "make.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_shipped_community_is_what_the_generator_makes(day):
    stored = datasets.load("community")
    pd.testing.assert_frame_equal(day.events, stored.frame)
    pd.testing.assert_frame_equal(day.incidents, stored.incidents)
    pd.testing.assert_frame_equal(day.labels, stored.labels)


def test_make_builds_the_community_files_again_with_the_same_contents(tmp_path):
    _make().make_community(tmp_path)
    for name in ("community_incidents", "community_labels"):
        read = gzip.decompress if shipped.FILES[name].endswith(".gz") else bytes
        made, stored = ((folder / shipped.FILES[name]).read_bytes() for folder in (tmp_path, DATA))
        assert read(stored) == read(made)
    made, stored = (pd.read_parquet(folder / shipped.FILES["community"]) for folder in (tmp_path, DATA))
    pd.testing.assert_frame_equal(stored, made)


def test_every_shipped_file_is_there_and_the_folder_is_small():
    assert all(datasets.path(name).is_file() for name in datasets.names(replays=True))
    assert sum(file.stat().st_size for file in DATA.rglob("*") if file.is_file()) < 4.3e6


def test_wiki_edits_are_in_order_of_revision_and_their_times_never_decrease():
    edits = datasets.load("wiki_edits").frame
    assert 19_840 == len(edits)
    assert edits["rev_id"].is_monotonic_increasing
    assert edits["time"].is_monotonic_increasing


def test_wiki_times_are_exact_for_anonymous_edits_but_one():
    edits = datasets.load("wiki_edits").frame
    exact = edits[edits["time_exact"] == 1]
    assert 3_775 == len(exact)
    assert exact["user_is_anon"].eq(1).all()
    assert [673_770_447] == edits.loc[(edits["user_is_anon"] == 1) & (edits["time_exact"] == 0), "rev_id"].tolist()
    first, last = pd.Timestamp("2015-02-01T00:57:54Z"), pd.Timestamp("2016-01-31T23:02:07Z")
    assert (first, last) == (exact["time"].iloc[0], exact["time"].iloc[-1])


def test_wiki_labels_stand_apart_and_are_known_two_days_after_the_edit():
    wiki = datasets.load("wiki_edits")
    assert "reverted" not in wiki.frame
    assert wiki.frame["rev_id"].tolist() == wiki.labels["rev_id"].tolist()
    assert {pd.Timedelta("48h")} == set(wiki.labels["known_at"] - wiki.frame["time"])
    assert 0.0593 == round(wiki.labels["reverted"].mean(), 4)
    anonymous = wiki.frame["user_is_anon"] == 1
    assert anonymous.tolist() == wiki.frame["seconds_since_registration"].isna().tolist()


def test_an_anonymous_edit_with_an_earlier_date_than_those_before_it_is_not_exact():
    rev_id, elapsed_s = np.array([0, 10, 20, 30, 40, 50]), np.array([5, 100, 40, 200, 9, 300])
    anonymous = np.array([False, True, True, True, False, True])
    times_s, exact = wiki_edits.edit_times_s(rev_id, elapsed_s, anonymous)
    assert [False, True, False, True, False, True] == exact.tolist()
    assert [50, 100, 150, 200, 250, 300] == times_s.tolist()


def test_make_builds_wiki_and_nab_files_from_originals(originals, tmp_path):
    header = ",".join(["rev_id", *wiki_edits.FEATURES, "reverted", "split"])
    rows = ["10,1,2,3,0.5,0.0,1.5,1,0,290000000,1,x", "20,1,2,3,0.0,0.0,1.0,0,1,77,0,x"]
    rows.append("30,1,2,3,0.0,0.0,1.0,1,0,290000100,0,x")
    originals("wiki_reverts/enwiki_reverted_2015.csv.gz", "\n".join([header, *rows]))
    (tmp_path / "out").mkdir()
    _make().make_wiki_edits(tmp_path, tmp_path / "out")
    made = gzip.decompress((tmp_path / "out/wiki_edits_2015.csv.gz").read_bytes()).decode().splitlines()
    assert "2015-03-11T11:33:20Z,10,1,1,2,3,0.5,0.0,1.5,1,0," == made[1]
    assert "2015-03-11T11:34:10Z,20,0,1,2,3,0.0,0.0,1.0,0,1,77" == made[2]
    labels = gzip.decompress((tmp_path / "out/wiki_edits_2015_labels.csv.gz").read_bytes()).decode().splitlines()
    assert ["rev_id,reverted,known_at", "10,1,2015-03-13T11:33:20Z"] == labels[:2]

    series, windows = "realAWSCloudwatch/grok_asg_anomaly.csv", [["2014-01-01 00:00:00", "2014-01-02 00:00:00"]]
    copied = originals(f"nab/data/{series}", "timestamp,value\n2014-01-01 00:00:00,1.0\n")
    originals("nab/labels/combined_windows.json", json.dumps({series: windows, "other/unchosen.csv": []}))
    originals("nab/LICENSE.txt", "MIT")
    _make().make_nab(tmp_path, tmp_path / "out")
    assert copied.read_bytes() == (tmp_path / "out/nab/grok_asg_anomaly.csv").read_bytes()
    assert {"grok_asg_anomaly": windows} == json.loads((tmp_path / "out/nab/windows.json").read_text())


@pytest.mark.parametrize("series", shipped.NAB_SERIES)
def test_shipped_nab_series_are_the_upstream_files(series):
    expected = next(sha for file, sha in checksums.SHA256.items() if file.endswith(f"/{series}.csv"))
    assert expected == hashlib.sha256(datasets.path(f"nab/{series}").read_bytes()).hexdigest()


def test_shipped_nab_has_windows_inside_its_series(monkeypatch, tmp_path):
    monkeypatch.delenv("GOVLAB_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    nab = datasets.load("nab")
    assert sorted(shipped.NAB_SERIES) == sorted(nab.frames)
    for window in nab.labels.itertuples():
        time = nab.frames[window.series]["time"]
        assert time.min() <= window.start < window.end <= time.max()
