"""Installing what a server needs: by Debian's packages where that may be done, else the message names the command."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

from platformdirs import user_cache_path

import govlab
from govlab.errors import ServiceError
from govlab.services.statefile import alone

__all__ = ["cache", "files", "jars", "java", "package", "run"]

COPY = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies"
POLICY = Path("/usr/sbin/policy-rc.d")


def files(name: str) -> Path:
    """Give the folder with the settings of a server, as they come with govlab."""
    here = Path(__file__).parent / "files" / name
    return here if here.is_dir() else Path(govlab.__file__).resolve().parents[1] / "services" / name


def cache() -> Path:
    """Give the folder for what is downloaded."""
    given = os.environ.get("GOVLAB_CACHE")
    folder = Path(given).expanduser() if given else user_cache_path("govlab", appauthor=False)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def package(name: str, program: str, what: str) -> str:
    """Give the path of a program; where it is missing, install its Debian package, or say how to.

    Raises
    ------
    ServiceError
        It cannot be installed here.
    """
    if _there(program):
        return str(_there(program))
    with alone(cache() / "lock"):
        if not _there(program):  # another process may have installed it meanwhile
            command = f"apt-get install -y --no-install-recommends {name}"
            if not shutil.which("apt-get") or os.geteuid() != 0:
                raise ServiceError(f"{what} is not installed ({program} is not there). Install it: sudo {command}")
            print(f"installing {what} (Debian package {name}) ...", flush=True)
            with _no_system_service():
                patient = ["-o", "DPkg::Lock::Timeout=300"]
                # where the lists cannot be had, old ones may do; if not, the next command says so
                subprocess.run(["apt-get", *patient, "update", "-qq"], capture_output=True, check=False)
                run([*command.split(), *patient], f"{what} cannot be installed")
    if not _there(program):
        raise ServiceError(f"the Debian package {name} is installed, but there is no {program}.")
    return str(_there(program))


def _there(program: str) -> str | None:
    return shutil.which(program) or (program if Path(program).is_file() else None)


@contextlib.contextmanager
def _no_system_service() -> Iterator[None]:
    """Keep Debian from starting the server that it installs; what stood there is put back."""
    before, mode = (POLICY.read_bytes(), POLICY.stat().st_mode) if POLICY.exists() else (None, 0)
    POLICY.write_text("#!/bin/sh\nexit 101\n")
    POLICY.chmod(0o755)
    try:
        yield
    finally:
        if before is None:
            POLICY.unlink()
        else:
            POLICY.write_bytes(before)
            POLICY.chmod(mode)


def java() -> str:
    """Give the path of Java 17 or newer."""
    path = package("default-jre-headless", "java", "Java 17 or newer")
    said = subprocess.run([path, "-version"], capture_output=True, text=True, check=False).stderr
    version = re.search(r'version "(\d+)([^"]*)', said)
    if not version or int(version[1]) < 17:
        raise ServiceError(
            f"{path} is Java {version[1] + version[2] if version else '?'}, but 17 or newer is needed: put one first on PATH."
        )
    return path


def jars(name: str) -> Path:
    """Give the folder with the jars of a server, which Maven copies there once."""
    pom = files(name) / "pom.xml"
    version = ElementTree.parse(pom).getroot().findtext("{http://maven.apache.org/POM/4.0.0}version")
    folder = cache() / f"{name}-{version}"
    if folder.is_dir():
        return folder
    maven = package("maven", "mvn", "Maven")
    with alone(cache() / "lock"):
        if not folder.is_dir():
            print(f"installing the jars of {name} {version} ...", flush=True)
            with tempfile.TemporaryDirectory(dir=cache()) as aside:
                shutil.copy(pom, aside)
                options = ["-DincludeScope=runtime", f"-DoutputDirectory={aside}/jars"]
                run([maven, "-B", "-q", "-f", f"{aside}/pom.xml", COPY, *options], f"{name} {version} cannot be installed")
                os.rename(f"{aside}/jars", folder)
    return folder


def run(command: list[str], wrong: str) -> None:
    """Run a command that installs something; raise a ServiceError with its last words if it fails."""
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env=os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    )
    if done.returncode:
        last = "\n".join((done.stdout + done.stderr).splitlines()[-8:])
        raise ServiceError(f"{wrong}: {' '.join(command[:4])} ... said:\n{last}")
