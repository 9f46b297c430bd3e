"""The certificates of a server: copied into its folder, so that it can be started again when their first place is gone."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from govlab.errors import ArgumentError
from govlab.services.statefile import write_private

__all__ = ["copy"]

NAMES = ("ca.pem", "server.pem", "server.key")


def copy(source: str | Path, folder: Path) -> list[Path]:
    """Copy ``ca.pem``, ``server.pem`` and ``server.key`` from one folder to another; gives their new paths.

    Raises
    ------
    ArgumentError
        One of them is missing, or the key has a password.
    """
    source = Path(source).expanduser()
    missing = [name for name in NAMES if not (source / name).is_file()]
    if missing:
        raise ArgumentError(f"tls: {source} has no {' and no '.join(missing)}; it must be a folder with {', '.join(NAMES)}.")
    ca, certificate, key = ((source / name).read_text() for name in NAMES)
    for name, text in zip(NAMES, (ca, certificate, _plain(key, source / "server.key")), strict=True):
        write_private(folder / name, text)
    return [folder / name for name in NAMES]


def _plain(key: str, path: Path) -> str:
    """Give a key as PKCS #8 without a password, the only form that Java reads."""
    if "BEGIN PRIVATE KEY" in key:
        return key
    command = ["openssl", "pkcs8", "-topk8", "-nocrypt", "-passin", "pass:", "-in", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False) if shutil.which("openssl") else None
    if done is None or done.returncode:
        raise ArgumentError(
            f"tls: {path} must be a key without a password as PKCS #8 (BEGIN PRIVATE KEY); "
            "make one: openssl pkcs8 -topk8 -nocrypt -in server.key -out new.key"
        )
    return done.stdout
