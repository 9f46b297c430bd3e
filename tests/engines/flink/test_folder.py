"""The folder of a job: private, signed, without secrets, and refused when another hand or another version wrote it."""

import base64
import json
import os
import pickle
import stat

import pytest

import govlab as gl
from govlab.engines import flink
from govlab.engines.flink.folder import make_folder, no_secrets, read_spec, write_spec
from govlab.engines.flink.kept import Kept, Packed, opened
from govlab.engines.flink.submitting import described
from govlab.engines.stages.travel import pack_reader, unpack_reader
from govlab.errors import ArgumentError, GovlabError, StoreError
from govlab.sources.files.replay import ReplayReader
from govlab.stores.writer import writer_of
from govlab.testing import ScriptedReader, sample_events

WATCH = gl.Pipeline(gl.features.WindowCount(every="5min", by="actor"), gl.detectors.EwmaZ("count", by="actor"))


@pytest.fixture(autouse=True)
def own_key(monkeypatch):
    monkeypatch.setenv("GOVLAB_KEY", "mine, of sixteen bytes or more")


@pytest.fixture
def events(tmp_path):
    path = tmp_path / "events.parquet"
    sample_events(50, seed=7).drop(columns=["partition", "offset"]).to_parquet(path, index=False)
    return path


@pytest.fixture
def place(tmp_path, events):
    """The folder of a job that this user submitted."""
    folder = make_folder(tmp_path / "job")
    spec = described(WATCH, ReplayReader(events, order="arrival"), folder) | {"settings": {}, "rest": "http://127.0.0.1:1"}
    write_spec(folder / "spec.json", spec)
    (folder / "job.json").write_text(json.dumps({"id": "0" * 32}))
    return folder


def test_a_job_is_read_back_as_it_was_written_and_by_its_owner_only(place):
    assert (0o600, 0o700) == tuple(stat.S_IMODE(path.stat().st_mode) for path in (place / "spec.json", place))
    assert read_spec(place / "spec.json")["run"] == flink.attach(place).told["run"]
    assert ["job.json", "spec.json"] == sorted(os.listdir(place))


class Opens:
    """A pickle that leaves a trace when it is opened."""

    def __init__(self, trace):
        self.trace = trace

    def __reduce__(self):
        return os.mkdir, (str(self.trace),)


def changed(place, **changes):
    whole = json.loads((place / "spec.json").read_text())
    (place / "spec.json").write_text(json.dumps(whole | changes))


@pytest.mark.parametrize(
    "change",
    [
        {"rest": "http://elsewhere:8081"},
        {"mac": ""},
        {"mac": None},
        {"mac": "0" * 64},
        {"source": {"reader": "os:system", "given": {"command": "true"}}},
        {"settings": {"pipeline.jars": "file:///tmp/evil.jar"}},
        {"something": "more"},
    ],
)
def test_a_job_folder_that_another_hand_changed_is_refused_wherever_it_is_read(place, events, change):
    changed(place, **change)
    for read in (
        lambda: read_spec(place / "spec.json"),
        lambda: flink.attach(place),
        lambda: flink.submit(WATCH, ReplayReader(events, order="arrival"), folder=place),
    ):
        with pytest.raises(StoreError, match="was not written by this user"):
            read()


def test_a_pickle_in_a_job_folder_from_another_hand_is_not_opened(place, tmp_path):
    packed = json.loads((place / "spec.json").read_text())["pipeline"]
    evil = base64.b64encode(pickle.dumps(Opens(tmp_path / "opened"))).decode()
    changed(place, pipeline=packed | {"pickle": evil})
    with pytest.raises(StoreError, match="was not written by this user"):
        flink.attach(place)
    assert not (tmp_path / "opened").exists()


def test_a_job_folder_of_another_key_is_refused_until_that_key_is_given(place, monkeypatch):
    monkeypatch.setenv("GOVLAB_KEY", "yours, of sixteen bytes or more")
    with pytest.raises(StoreError, match="set GOVLAB_KEY"):
        flink.attach(place)
    monkeypatch.setenv("GOVLAB_KEY", "")
    with pytest.raises(StoreError, match="can be guessed"):
        flink.attach(place)
    monkeypatch.setenv("GOVLAB_KEY", "mine, of sixteen bytes or more")
    assert "0" * 32 == flink.attach(place).id


@pytest.mark.parametrize("content", ["", "[]", "{", "null", '"text"'])
def test_a_description_that_is_none_is_a_store_error(place, content):
    (place / "spec.json").write_text(content)
    with pytest.raises(StoreError, match=r"cannot be read|was not written by this user"):
        flink.attach(place)


def test_a_number_of_a_job_that_is_none_is_refused(place):
    (place / "job.json").write_text(json.dumps({"id": "../../jars/1"}))
    with pytest.raises(GovlabError, match="no number of a job"):
        flink.attach(place)


@pytest.mark.parametrize("mode", [0o777, 0o775, 0o702])
def test_a_folder_with_something_in_it_into_which_others_may_write_is_refused(place, events, mode):
    place.chmod(mode)
    with pytest.raises(StoreError, match="others may write into it"):
        flink.submit(WATCH, ReplayReader(events, order="arrival"), folder=place)


def test_an_empty_folder_is_made_private_and_one_of_another_user_refused(tmp_path, monkeypatch):
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty").chmod(0o777)
    assert 0o700 == stat.S_IMODE(make_folder(tmp_path / "empty").stat().st_mode)
    mine = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: mine + 1)
    with pytest.raises(StoreError, match="belongs to another user"):
        make_folder(tmp_path / "empty")


def test_a_file_in_the_place_of_the_folder_is_a_store_error(tmp_path):
    (tmp_path / "job").write_text("")
    with pytest.raises(StoreError, match="cannot be made"):
        make_folder(tmp_path / "job")


@pytest.mark.parametrize("name", ["os:system", "subprocess:Popen", "govlab.sources.files.replay:ReplayReader", "nothing", ""])
def test_no_reader_is_made_by_a_name_that_is_not_in_the_table(name):
    with pytest.raises(GovlabError, match="in the table of sources"):
        unpack_reader({"reader": name, "given": {}})


def test_a_registered_reader_travels_by_its_name_in_the_table_and_no_other_does(events):
    packed = pack_reader(ReplayReader(events, order="arrival"))
    assert "replay" == packed["reader"]
    assert ReplayReader(events, order="arrival").origin == unpack_reader(json.loads(json.dumps(packed))).origin
    with pytest.raises(ArgumentError, match="is not in the table of sources"):
        pack_reader(ScriptedReader([]))


@pytest.mark.parametrize("secret", ["hunter2", "hun/ter2", "hun@ter2", "hun#ter2", "hun?ter2", "hun%2Fter2", "***"])
@pytest.mark.parametrize("scheme", ["amqp", "amqps", "kafka", "sftp"])
def test_an_address_with_a_password_is_refused_and_the_password_not_shown(scheme, secret):
    address = f"{scheme}://lab:{secret}@broker:5672/queue"
    for spec in ({"source": {"given": {"url": address}}, "into": []}, {"source": {}, "into": [{"to": address}]}):
        with pytest.raises(ArgumentError, match="env:NAME") as caught:
            no_secrets(spec)
        assert secret not in str(caught.value)


@pytest.mark.parametrize("name", ["s3.secret-key", "security.ssl.rest.key-password", "fs.azure.account.key.x", "my.api-key"])
def test_a_secret_among_the_settings_is_refused_and_not_shown(name):
    with pytest.raises(ArgumentError, match="configuration of the cluster") as caught:
        no_secrets({"source": {}, "into": [], "settings": {name: "hunter2"}})
    assert "hunter2" not in str(caught.value)


def test_what_is_no_secret_goes_through():
    no_secrets(
        {
            "source": {"given": {"url": "amqp://lab@broker:5672/queue", "access": {"password": "env:LAB"}, "path": "s3://a/b@c"}},
            "into": [{"to": "kafka://broker:9092/alerts"}],
            "settings": {"security.delegation.tokens.enabled": "false", "rest.port": 8081},
        }
    )


def test_a_password_is_refused_before_anything_is_written(tmp_path, events):
    with pytest.raises(ArgumentError, match="has a password"):
        flink.submit(
            WATCH, ReplayReader(events, order="arrival"), "kafka://lab:hunter2@broker:9092/alerts", folder=tmp_path / "job"
        )
    assert [] == os.listdir(tmp_path / "job")


@pytest.mark.parametrize("name", ["govlab", "step ewma_z", "step window_count"])
def test_a_job_folder_of_another_version_is_refused_with_both_named(place, events, name):
    spec = read_spec(place / "spec.json")
    spec["writer"] |= {name: "0.0.7"}
    write_spec(place / "spec.json", spec)
    now = writer_of([WATCH])[name]
    with pytest.raises(StoreError, match=rf"was written by {name} 0\.0\.7 and would be read by {name} {now}.*another folder"):
        flink.submit(WATCH, ReplayReader(events, order="arrival"), folder=place)


def test_the_state_of_a_stage_is_opened_by_the_versions_that_wrote_it_and_by_no_other():
    writer = {"pandas": "2.2", "step ewma_z": "1"}
    found = pickle.loads(pickle.dumps(Kept([1, 2], writer)))
    assert ([1, 2], [1, 2]) == (opened(found, writer), opened(Kept([1, 2], writer), writer))
    with pytest.raises(StoreError, match=r"pandas 2\.2 and would be read by pandas 3\.1.*another folder"):
        opened(found, writer | {"pandas": "3.1"})
    with pytest.raises(StoreError, match=r"cannot be opened \(UnpicklingError"):
        opened(Packed(writer, b"no pickle"), writer)
    with pytest.raises(StoreError, match="did not say which versions"):
        opened([1, 2], writer)


def test_a_stage_with_a_class_of_the_users_own_is_kept_by_value():
    class Mine:
        pass

    found = pickle.loads(pickle.dumps(Kept(Mine(), {}, by_value=True)))
    assert "Mine" == type(opened(found, {})).__name__
