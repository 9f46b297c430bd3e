"""The user's key: what this user wrote is signed with it, and what it did not sign is not trusted.

Step states and pipelines of the user's own travel as pickles, and to open a pickle is to run it; so snapshots and the
folders of cluster jobs carry a signature (HMAC-SHA256) that is checked before anything in them is opened.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import os
import secrets
import stat
from pathlib import Path

from platformdirs import user_config_path

from govlab.errors import StoreError

__all__ = ["LEAST_BYTES", "key", "sign", "signed"]

LEAST_BYTES = 16
_REFUSED = "what the old one signed is then refused"
_NEW = "python -c 'import secrets; print(secrets.token_hex(32))'"


def sign(*parts: str | bytes) -> str:
    """Sign texts and bytes with the user's key; 64 hex digits.

    Raises
    ------
    StoreError
        The key is weak, or others may read or change it: says how to mend that.
    """
    whole = hmac.new(key(), digestmod=hashlib.sha256)
    for part in parts:
        raw = part.encode() if isinstance(part, str) else part
        whole.update(len(raw).to_bytes(8, "big") + raw)  # with its length, so that no two lists of parts read alike
    return whole.hexdigest()


def signed(mac: object, *parts: str | bytes) -> bool:
    """Whether a signature is this user's for these parts."""
    return hmac.compare_digest(mac if isinstance(mac, str) and mac.isascii() else "", sign(*parts))


def key() -> bytes:
    """Give the key: ``GOVLAB_KEY``, else the file ``govlab/key`` in the user's configuration folder, made when first asked for.

    Raises
    ------
    StoreError
        It is shorter than 16 bytes, belongs to another user, or others may read or change it: says how to mend that.
    """
    if "GOVLAB_KEY" in os.environ:
        mend = f"Set it to what `{_NEW}` prints, or unset it and a key file is made"
        return _strong(os.environb[b"GOVLAB_KEY"], "GOVLAB_KEY", mend)
    file = _place()
    try:
        if not file.exists():
            _make(file)
        return _strong(_read(file), f"the key file {str(file)!r}", f"Delete it and a new one is made; {_REFUSED}")
    except OSError as error:
        raise StoreError(
            f"the key file {str(file)!r} cannot be read or made: {error.strerror or error}. Mend that, or set GOVLAB_KEY to a key "
            f"of at least {LEAST_BYTES} bytes."
        ) from error


def _place() -> Path:
    try:
        return user_config_path("govlab", appauthor=False).expanduser() / "key"  # without a home folder it is still "~" here
    except RuntimeError as error:
        raise StoreError(f"no home folder to keep a key in ({error}); set GOVLAB_KEY to what `{_NEW}` prints.") from error


def _strong(found: bytes, what: str, mend: str) -> bytes:
    size = len(found.strip(b"\0 \t\r\n"))
    if size < LEAST_BYTES:
        raise StoreError(
            f"{what} has {size} bytes, and a key of fewer than {LEAST_BYTES} can be guessed: nothing is signed or opened with it. "
            f"{mend}."
        )
    return found


def _read(file: Path) -> bytes:
    """Read the key file, if it is this user's alone."""
    descriptor = os.open(file, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    with open(descriptor, "rb") as opened:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode) or found.st_uid != os.geteuid():
            what = f"belongs to another user (uid {found.st_uid})" if stat.S_ISREG(found.st_mode) else "is no regular file"
            raise StoreError(f"the key file {str(file)!r} {what}; move it away and a new one is made.")
        if found.st_mode & 0o077:
            raise StoreError(
                f"the key file {str(file)!r} has mode {stat.S_IMODE(found.st_mode):04o}, so others may have read or changed it. "
                f"Delete it and a new one is made ({_REFUSED}); if you are sure of it, `chmod 600 {file}`."
            )
        folder = file.parent.stat()
        if folder.st_mode & stat.S_IWOTH and not folder.st_mode & stat.S_ISVTX:
            raise StoreError(f"everybody may write into {str(file.parent)!r}, which has the key; `chmod 700 {file.parent}`.")
        return opened.read(1 << 16)


def _make(file: Path) -> None:
    """Make the key file, so that it is whole on the disk before its name is there."""
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    # written aside and linked into place, so that two processes starting at once agree on one key
    fresh = file.with_name(f"key.{os.getpid()}.{secrets.token_hex(4)}")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with open(descriptor, "wb") as out:
            out.write(secrets.token_hex(32).encode())
            out.flush()
            os.fsync(out.fileno())
        with contextlib.suppress(FileExistsError):
            os.link(fresh, file)
    finally:
        fresh.unlink()
    folder = os.open(file.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
