"""The folder of a job: private, and its description signed, since it holds code that the cluster runs."""

from __future__ import annotations

import json
import os
import re
import stat
from pathlib import Path
from typing import Any

from govlab.errors import ArgumentError, StoreError
from govlab.stores.signing import sign, signed

__all__ = ["make_folder", "no_secrets", "read_spec", "write_spec"]

# user:password@ behind the slashes of an address, however the password is written
_PASSWORD = re.compile(r"://[^/\s:@]*:\S+@|[?&;][\w.-]*(password|passwd|secret|token|signature|api-?key)[\w.-]*=", re.IGNORECASE)
_SECRET = re.compile(r"password|passwd|secret|token|api-?key|account\.?key|credential|private-?key", re.IGNORECASE)


def make_folder(place: Path) -> Path:
    """Make the folder of a job, for its owner only; one that is there must be the user's own and closed to writing by others.

    Raises
    ------
    StoreError
        Another user could have put something into it: states and code that are opened here.
    """
    try:
        place.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not any(place.iterdir()):
            place.chmod(0o700)
        found = place.stat()
    except OSError as error:
        raise StoreError(f"the folder of the job {str(place)!r} cannot be made: {error.strerror}; choose another.") from error
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o022:
        raise StoreError(
            f"the folder of the job {str(place)!r} belongs to another user, or others may write into it (mode "
            f"{stat.S_IMODE(found.st_mode):04o}); what is in it would be run. Choose another folder, or, if you are sure of "
            f"what is in it, `chmod 700 {place}`."
        )
    return place


def write_spec(path: Path, spec: dict[str, Any]) -> None:
    """Write the description of a job, signed, for its owner only; all of it or nothing."""
    aside = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with open(descriptor, "w") as out:
        os.fchmod(out.fileno(), 0o600)
        out.write(json.dumps({"mac": sign("job", _text(spec)), **spec}, indent=1))
    aside.replace(path)


def read_spec(path: Path) -> dict[str, Any]:
    """Read the description of a job.

    Raises
    ------
    StoreError
        This user did not sign it: nothing in it is opened, imported or run.
    """
    try:
        spec = json.loads(path.read_text())
        mac = spec.pop("mac", None)
    except (OSError, ValueError, AttributeError, TypeError) as error:
        raise StoreError(f"the description of the job {str(path)!r} cannot be read: {error}.") from error
    if not signed(mac, "job", _text(spec)):
        raise StoreError(
            f"the description of the job {str(path)!r} was not written by this user (or by a govlab that did not sign it), and "
            "code from elsewhere is not run. Submit with another folder, or set GOVLAB_KEY to the key with which it was written."
        )
    return dict(spec)


def _text(spec: dict[str, Any]) -> str:
    return json.dumps(json.loads(json.dumps(spec)), sort_keys=True)


def no_secrets(spec: dict[str, Any]) -> None:
    """Refuse a job whose description would hold a password in clear.

    Raises
    ------
    ArgumentError
        Names the place, never the secret.
    """
    for where, value in _texts({"source": spec["source"], "into": spec["into"]}):
        if _PASSWORD.search(value):
            raise ArgumentError(
                f"submit: the address in {where} has a password, which would be written into the folder of the job. Leave user and "
                "password out of it and give access=gl.Access(user, password='env:NAME'), which names where the password is."
            )
    for name, value in spec.get("settings", {}).items():
        if (_SECRET.search(name) and str(value).lower() not in ("true", "false")) or _PASSWORD.search(str(value)):
            raise ArgumentError(
                f"submit: settings has {name!r}, a secret that would be written into the folder of the job; put it into the "
                "configuration of the cluster."
            )


def _texts(value: Any, where: str = "") -> list[tuple[str, str]]:
    if isinstance(value, dict):
        return [found for key, item in value.items() for found in _texts(item, f"{where}.{key}" if where else key)]
    if isinstance(value, list | tuple):
        return [found for item in value for found in _texts(item, where)]
    return [(where, value)] if isinstance(value, str) else []
