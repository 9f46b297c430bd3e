"""The Python environment of Flink, apart from the lab's: PyFlink pins an older pandas and pyarrow."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import re
import shutil
import sys
import sysconfig
from pathlib import Path

import govlab
from govlab.services.installing import cache, files, java, run
from govlab.services.statefile import alone

__all__ = ["VERSION", "code", "environment", "home"]

VERSION = "2.3.0"
LATER = "cloudpickle>=3.1"  # Beam pins an older one, which cannot read what the lab's writes; both it and PyFlink do with this


def environment() -> Path:
    """Give the Python of Flink's environment; what is missing is installed first (a minute, 1 GB).

    Raises
    ------
    ServiceError
        It cannot be installed: says what to do.
    """
    java()
    wanted = files("flink") / "requirements.txt"
    mark = hashlib.sha256(wanted.read_bytes() + f"{LATER} {sys.version}".encode()).hexdigest()[:12]
    folder = cache() / f"flink-{VERSION}-{mark}"
    python = folder / "bin" / "python"
    if not (folder / "complete").exists():
        with alone(cache() / "lock"):
            if not (folder / "complete").exists():
                print(f"installing Flink {VERSION} in an environment of its own ...", flush=True)
                shutil.rmtree(folder, ignore_errors=True)
                wrong = f"Flink {VERSION} cannot be installed"
                if uv := _uv():
                    run([*uv, "venv", "--quiet", "--python", sys.executable, str(folder)], wrong)
                    install = [*uv, "pip", "install", "--quiet", "--python", str(python)]
                else:
                    run([sys.executable, "-m", "venv", str(folder)], wrong)
                    install = [str(python), "-m", "pip", "install", "--quiet"]
                run([*install, "-r", str(wanted)], wrong)
                run([*install, LATER], wrong)
                (folder / "complete").touch()
    return python


def _uv() -> list[str] | None:
    if importlib.util.find_spec("uv"):
        return [sys.executable, "-m", "uv"]
    beside = Path(sysconfig.get_path("scripts")) / "uv"
    found = str(beside) if beside.exists() else shutil.which("uv")
    return [found] if found else None


def home() -> Path:
    """Give the folder with the jars of Flink."""
    python = environment()
    return next((python.parent.parent / "lib").glob("python3.*/site-packages/pyflink"))


def code(folder: Path) -> Path:
    """Give a folder from which Flink's environment can import this govlab, and nothing else of the lab's packages."""
    place = folder / "code"
    place.mkdir(parents=True, exist_ok=True)
    link, package = place / "govlab", Path(govlab.__file__).resolve().parent
    if not link.is_symlink() or link.resolve() != package:
        link.unlink(missing_ok=True)
        link.symlink_to(package)
    return place


def java_options() -> list[str]:
    """Give what Java must be told to let Flink look into it."""
    text = (home() / "conf" / "config.yaml").read_text()
    return re.findall(r"--add-\S+", text)


def clean(extra: dict[str, str]) -> dict[str, str]:
    """Give the environment of a process of Flink's: that of the lab without its Python."""
    kept = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")}
    return kept | extra
