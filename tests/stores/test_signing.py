"""The user's key: made private and whole, and not used when it is weak or others may have read it."""

import os
import stat
import subprocess
import sys

import pytest

from govlab.errors import StoreError
from govlab.stores import Snapshot, Sqlite
from govlab.stores.signing import key, sign, signed


@pytest.fixture(autouse=True)
def config(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.delenv("GOVLAB_KEY", raising=False)
    return tmp_path / "config" / "govlab"


def put(config, content, mode=0o600):
    config.mkdir(parents=True, exist_ok=True, mode=0o700)
    (config / "key").write_bytes(content)
    (config / "key").chmod(mode)


def test_a_key_is_made_that_only_its_owner_can_read_in_a_folder_of_its_own(config):
    made = key()
    assert (64, 0o600, 0o700) == (
        len(made),
        stat.S_IMODE((config / "key").stat().st_mode),
        stat.S_IMODE(config.stat().st_mode),
    )
    assert made == key()
    assert ["key"] == os.listdir(config)


def test_the_key_is_on_the_disk_before_its_name_is(config, monkeypatch):
    order = []
    fsync, link = os.fsync, os.link
    monkeypatch.setattr(
        os, "fsync", lambda fd: (order.append("folder" if stat.S_ISDIR(os.fstat(fd).st_mode) else "file"), fsync(fd))
    )
    monkeypatch.setattr(os, "link", lambda *paths: (order.append("link"), link(*paths)))
    key()
    assert ["file", "link", "folder"] == order


@pytest.mark.parametrize("content", [b"", b"a", b"0123456789abcde", b"short\n\n\n\n\n\n\n\n\n\n\n\n\n\n", b"\0" * 64, b" " * 64])
def test_a_key_file_that_is_too_short_is_refused_with_what_to_do(config, content):
    put(config, content)
    with pytest.raises(StoreError, match=r"fewer than 16 can be guessed.*Delete it and a new one is made"):
        key()


@pytest.mark.parametrize("content", ["", "a", "0123456789abcde", "               a"])
def test_a_short_key_in_the_environment_is_refused_with_what_to_do(monkeypatch, content):
    monkeypatch.setenv("GOVLAB_KEY", content)
    with pytest.raises(StoreError, match=r"GOVLAB_KEY has \d+ bytes.*Set it to what .* prints"):
        key()


@pytest.mark.parametrize("content", ["0123456789abcdef", "x" * 16, "žluťoučký kůň"])
def test_a_key_of_sixteen_bytes_will_do(monkeypatch, content):
    monkeypatch.setenv("GOVLAB_KEY", content)
    assert content.encode() == key()


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o620, 0o602, 0o666, 0o601])
def test_a_key_file_that_others_may_read_or_change_is_refused_until_it_is_made_private(config, mode):
    put(config, b"0123456789abcdef", mode)
    with pytest.raises(StoreError, match=rf"has mode {mode:04o}.*chmod 600"):
        key()
    (config / "key").chmod(0o600)
    assert b"0123456789abcdef" == key()


def test_a_key_in_a_folder_into_which_everybody_may_write_is_refused(config):
    put(config, b"0123456789abcdef")
    config.chmod(0o777)
    with pytest.raises(StoreError, match="chmod 700"):
        key()


def test_a_key_of_another_user_is_refused(config, monkeypatch):
    put(config, b"0123456789abcdef")
    mine = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: mine + 1)
    with pytest.raises(StoreError, match="belongs to another user"):
        key()


def test_a_folder_or_a_pipe_in_the_place_of_the_key_is_refused(config):
    (config / "key").mkdir(parents=True)
    with pytest.raises(StoreError, match=r"key file .* (is no regular file|cannot be read)"):
        key()
    (config / "key").rmdir()
    os.mkfifo(config / "key", 0o600)
    with pytest.raises(StoreError, match="is no regular file"):
        key()


def test_a_place_where_no_key_can_be_made_is_an_error_with_what_to_do(tmp_path, monkeypatch):
    (tmp_path / "config").write_text("a file, not a folder")
    with pytest.raises(StoreError, match="set GOVLAB_KEY"):
        key()


def test_nothing_is_signed_or_opened_with_a_weak_key(tmp_path, monkeypatch):
    store = Sqlite(tmp_path / "lab.db")
    store.save("run", None, None, Snapshot({"f": {0: 12}}, b"state"))
    for weak in ("", "a"):
        monkeypatch.setenv("GOVLAB_KEY", weak)
        with pytest.raises(StoreError, match="can be guessed"):
            store.snapshot("run")
        with pytest.raises(StoreError, match="can be guessed"):
            store.save("run", None, None, Snapshot({"f": {0: 13}}, b"state"))
    monkeypatch.delenv("GOVLAB_KEY")
    assert {"f": {0: 12}} == store.snapshot("run").positions
    store.close()


def test_parts_that_join_to_the_same_text_have_other_signatures():
    assert sign("ab", "c") != sign("a", "bc")
    assert (True, False, False, False) == (
        signed(sign("ab", b"c"), "ab", "c"),
        signed(sign("ab", "c"), "abc"),
        signed(None, "ab"),
        signed("ž", "ab"),
    )


def test_processes_that_start_at_once_agree_on_one_key(config):
    code = "from govlab.stores.signing import key; print(key().decode())"
    running = [subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) for _ in range(4)]
    said = {one.communicate(timeout=300)[0].strip() for one in running}
    assert {key().decode()} == said
    assert ["key"] == os.listdir(config)
