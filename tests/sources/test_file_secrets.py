"""A login or a signature in the URL of a file is used, and never shown."""

import traceback

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem

import govlab as gl
from govlab.errors import SourceError

SECRET = "hun!ter2"
PLACES = [f"ann:{SECRET}@host:9/logs/a.ndjson", "host:9/logs/a.ndjson"]
LINES = b'{"time": "2026-03-02T00:00:00Z", "n": 1}\nno record\n'


class Vault(MemoryFileSystem):
    """Files in memory, whose URLs have a login, as those of ftp and s3 have."""

    protocol = "vault"
    store, pseudo_dirs = {}, [""]

    @classmethod
    def _strip_protocol(cls, path):
        return "/" + path.removeprefix("vault://").rpartition("@")[2].lstrip("/")

    def unstrip_protocol(self, name):
        return f"vault://ann:{SECRET}@{name.lstrip('/')}"


@pytest.fixture
def vault():
    fsspec.register_implementation("vault", Vault, clobber=True)
    with fsspec.open(f"vault://{PLACES[0]}", "wb") as file:
        file.write(LINES)
    yield f"vault://{PLACES[0]}"
    Vault.store.clear()


def test_a_login_in_the_url_of_a_file_opens_it_and_stands_in_nothing_that_is_kept_or_shown(vault, tmp_path):
    store = tmp_path / "lab.db"
    source = gl.from_replay(vault, gl.Schema({"time": "timestamp", "n": "int64"}))
    source.through(gl.Pipeline(gl.detectors.Always(), gl.alerts.Threshold(0.5)))
    summary = gl.run(source, store=store, progress=False)
    assert (1, 1) == (summary.events, summary.dead_letters)
    shown = [source.name, source.reader.name, source.reader.origin, source.status(), list(source.letters.values()), summary]
    assert SECRET not in repr(shown)
    assert 1 == source.redrive(lambda letter: LINES.split(b"\n")[0])
    assert SECRET.encode() not in store.read_bytes()


def test_an_error_about_a_file_does_not_show_the_login_of_its_url(vault):
    with pytest.raises(SourceError) as caught:
        gl.from_replay(vault.replace("a.ndjson", "b.ndjson"))
    assert SECRET not in "".join(traceback.format_exception(caught.value))
    assert "vault://***@host:9/logs/b.ndjson" in str(caught.value)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        (f"ftp://ann:{SECRET}@127.0.0.1:9/a.csv", "ftp://***@127.0.0.1:9/a.csv"),
        (f"ftp://ann:hun/{SECRET}@127.0.0.1:9/a.csv", "ftp://***@127.0.0.1:9/a.csv"),
        (f"ftp://127.0.0.1:9/a.csv?signature={SECRET}", "ftp://127.0.0.1:9/a.csv?***"),
        ("ftp://127.0.0.1:9/b@c/a.csv", "ftp://127.0.0.1:9/b@c/a.csv"),
    ],
)
def test_a_file_that_cannot_be_reached_is_named_without_what_may_be_secret(url, shown):
    with pytest.raises(SourceError) as caught:
        gl.from_replay(url)
    assert SECRET not in "".join(traceback.format_exception(caught.value))
    assert shown in str(caught.value)
