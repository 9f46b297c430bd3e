"""The room as a whole, and the loaders."""

import dataclasses
import functools
import gzip
import hashlib
import http.server
import json
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from govlab import datasets
from govlab.datasets import checksums, loaders, readers, shipped
from govlab.errors import ArgumentError, DataError

ROOT = Path(__file__).resolve().parents[2]


def test_importing_the_room_imports_nothing_heavy():
    code = "import sys, govlab.datasets; print([m for m in ('numpy', 'pandas', 'pyarrow', 'pooch') if m in sys.modules])"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert "[]" == ran.stdout.strip()


def test_public_names_are_there_and_others_are_an_attribute_error():
    assert all(callable(getattr(datasets, name)) for name in datasets.__all__)
    with pytest.raises(AttributeError, match="There are: Community, Dataset"):
        datasets.nothing  # noqa: B018


def test_names_are_sorted_and_each_says_its_licence_and_whom_to_cite():
    assert sorted(loaders.SOURCES) == datasets.names()
    assert all(source.licence and source.citation and source.columns for source in loaders.SOURCES.values())
    assert all(hasattr(readers, name) for name in datasets.names() if name != "community")


def test_unknown_names_are_answered_with_the_nearest():
    with pytest.raises(ArgumentError, match="Did you mean 'wiki_edits'"):
        datasets.load("wiki_edit")
    with pytest.raises(ArgumentError, match="Did you mean 'nab/grok_asg_anomaly'"):
        datasets.path("nab/grok_asg_anomalies")


def test_missing_originals_say_what_to_set_where_they_come_from_and_their_licence(monkeypatch):
    monkeypatch.delenv("GOVLAB_DATA", raising=False)
    with pytest.raises(DataError, match=r"GOVLAB_DATA \(now not set\).*bitcoin_otc/edges.csv.gz.*SLADE.*Licence"):
        datasets.load("bitcoin_otc")


def test_a_folder_that_lacks_a_file_is_told_which(originals):
    with pytest.raises(DataError, match=r"now .*that also holds 'drift/sea.csv.gz'"):
        datasets.load("sea")


def test_a_file_with_another_checksum_is_refused_unless_verification_is_off(originals, tmp_path):
    path = originals("drift/sea.csv.gz", "x0,x1,x2,label\n1,2,3,0\n")
    path.write_bytes(gzip.compress(b"x0,x1,x2,label\n1,2,3,1\n"))
    with pytest.raises(DataError, match=r"sea\.csv\.gz is not the file govlab was measured with"):
        datasets.load("sea")
    assert [1] == datasets.load("sea", verify=False).labels["label"].tolist()


def test_a_missing_replay_file_says_that_it_comes_with_the_checkout(monkeypatch, tmp_path):
    monkeypatch.setattr(shipped, "folders", lambda: [tmp_path])
    with pytest.raises(DataError, match="comes with govlab's source checkout"):
        datasets.path("community")


def test_the_community_is_made_where_its_file_is_missing(monkeypatch, tmp_path, day):
    monkeypatch.setattr(shipped, "folders", lambda: [tmp_path])
    pd.testing.assert_frame_equal(day.events, datasets.load("community").frame)


def test_bitcoin_otc_keeps_rater_and_rated_apart(originals):
    originals("bitcoin_otc/edges.csv.gz", "u,i,ts,label\n1,2,0,0\n3,2,29,1\n")
    otc = datasets.load("bitcoin_otc")
    assert ["time", "rater", "rated"] == list(otc.frame.columns)
    assert [(2, 1), (2, 3)] == list(zip(otc.frame["rater"], otc.frame["rated"], strict=True))
    assert pd.Timestamp("2010-11-08T18:45:40Z") == otc.frame["time"].iloc[1]
    assert [0, 1] == otc.labels["abnormal"].tolist()


def test_labels_of_elec2_stand_apart_and_its_clock_is_half_hours(originals):
    originals("drift/elec2.csv.gz", "x0,x1,label\n0.0,2,0\n0.0,2,1\n")
    elec2 = datasets.load("elec2")
    assert ["time", "x0", "x1"] == list(elec2.frame.columns)
    assert pd.Timedelta("30min") == elec2.frame["time"].diff().iloc[1]
    assert [0, 1] == elec2.labels["down"].tolist()


def _npz(tmp_path, file, **arrays):
    (tmp_path / file).parent.mkdir()
    np.savez(tmp_path / file, **arrays)


def test_arrays_are_read_with_their_labels_apart(originals, tmp_path):
    _npz(tmp_path, "kdd_odds/http.npz", X=np.ones((2, 3)), y=np.array([0, 1], dtype=np.int8))
    _npz(tmp_path, "card_sim/tx.npz", t=[31], customer=[5], terminal=[6], amount_cents=[5716], fraud=[1], scenario=[2])
    arrays = {"u": [1, 2], "v": [3, 4], "tick": [1, 2], "minute": [475, 481], "label": [0, 1], "attack": [0, 1]}
    _npz(tmp_path, "darpa/darpa.npz", **arrays, attack_names=["-", "smurf"])
    assert [0, 1] == datasets.load("http", verify=False).labels["anomalous"].tolist()
    assert pd.Timestamp("2018-04-01T00:00:31Z") == datasets.load("card_sim", verify=False).frame["time"].iloc[0]
    darpa = datasets.load("darpa", verify=False)
    assert ["time", "tick", "source", "destination"] == list(darpa.frame.columns)
    assert pd.Timestamp("1998-06-01T07:55Z") == darpa.frame["time"].iloc[0]
    assert ["-", "smurf"] == darpa.labels["attack"].tolist()


def test_full_nab_is_preferred_to_the_shipped_series(originals, monkeypatch):
    series = "artificialNoAnomaly/art_flatline.csv"
    originals(f"nab/data/{series}", "timestamp,value\n2014-04-01 00:00:00,45.0\n")
    originals("nab/labels/combined_windows.json", json.dumps({series: []}))
    monkeypatch.setattr(loaders, "NAB_FILES", (f"nab/data/{series}", "nab/labels/combined_windows.json"))
    nab = datasets.load("nab")
    assert ["art_flatline"] == list(nab.frames)
    assert [45.0] == nab.frame["value"].tolist()
    assert 0 == len(nab.labels)


@pytest.fixture
def upstream(tmp_path, monkeypatch):
    """A web server for a folder, in the place of NAB's, and an empty download cache."""
    folder = tmp_path / "upstream"
    (folder / "labels").mkdir(parents=True)
    serve = functools.partial(http.server.SimpleHTTPRequestHandler, directory=folder)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), serve) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setattr(loaders, "NAB_URL", f"http://127.0.0.1:{server.server_port}/")
        monkeypatch.setattr(loaders, "NAB_FILES", ("nab/labels/combined_windows.json",))
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
        monkeypatch.delenv("GOVLAB_DATA", raising=False)
        yield folder / "labels" / "combined_windows.json"
        server.shutdown()


def test_nab_is_downloaded_when_asked_and_then_found_in_the_cache(upstream, monkeypatch):
    upstream.write_text("{}")
    monkeypatch.setitem(checksums.SHA256, "nab/labels/combined_windows.json", hashlib.sha256(b"{}").hexdigest())
    assert 12 == len(datasets.load("nab").frames)
    assert {} == datasets.load("nab", download=True).frames
    upstream.unlink()
    assert {} == datasets.load("nab").frames


def test_a_download_that_is_not_the_expected_file_is_refused(upstream):
    upstream.write_text("{}")
    with pytest.raises(DataError, match=r"Could not download .*combined_windows"):
        datasets.load("nab", download=True)


def test_change_points_keep_every_annotator_also_those_who_saw_none(originals, tmp_path):
    told = {
        "time": {"format": "%Y", "raw": ["1871", "1872"], "index": [0, 1]},
        "series": [{"label": "V", "raw": [1, None]}],
    }
    originals("tcpd/nile.json", json.dumps(told))
    originals("tcpd/annotations.json", json.dumps({"nile": {"10": [1], "6": []}, "absent": {"6": [3]}}))
    frames, labels = readers.tcpd(tmp_path)
    assert ["nile"] == list(frames)
    assert pd.Timestamp("1872-01-01", tz="UTC") == frames["nile"]["time"].iloc[1]
    assert [("nile", "6", True), ("nile", "10", False)] == [
        (row.series, row.annotator, row.position is pd.NA) for row in labels.itertuples()
    ]


def test_messages_and_comments_are_in_order_of_time(originals):
    originals("uci_edges/edges.csv.gz", "u,v,w,ts\n1,2,1,1082008561\n")
    text = "video,comment_id,author,date,content,label\nPsy,b,u,2013-11-08T00:00:00,later,1\n"
    originals("youtube_spam/comments.csv.gz", text + "Psy,a,u,2013-11-07T06:20:48,sooner,0\nPsy,c,u,,undated,0\n")
    assert pd.Timestamp("2004-04-15T05:56:01Z") == datasets.load("uci_edges").frame["time"].iloc[0]
    youtube = datasets.load("youtube_spam")
    assert ["sooner", "later"] == youtube.frame["text"].tolist()
    assert ["a", "b"] == youtube.labels["comment_id"].tolist()


def test_a_set_of_many_series_asks_which(originals):
    many = dataclasses.replace(datasets.load("community"), frames={"a": pd.DataFrame(), "b": pd.DataFrame()})
    with pytest.raises(DataError, match="2 frames"):
        many.frame  # noqa: B018
