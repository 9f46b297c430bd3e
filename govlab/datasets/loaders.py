"""Load a data set by name: from the files that come with govlab, from ``GOVLAB_DATA``, or from the download cache."""

import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from govlab.datasets import shipped
from govlab.datasets.catalogue import NAB_URL, SOURCES
from govlab.datasets.checksums import SHA256
from govlab.errors import ArgumentError, DataError, MissingExtraError, did_you_mean

NAB_FILES = tuple(file for file in SHA256 if file.startswith("nab/"))


@dataclass(frozen=True, repr=False)
class Dataset:
    """A data set in memory.

    Attributes
    ----------
    name : str
    frames : dict of str to DataFrame
        Event frames (``time`` is datetime64[us, UTC]) by name; sets of many series have one a series.
    labels : DataFrame or None
        What is known of the events; it has the rows of the frame, or names them in its first column.
    incidents : DataFrame or None
        Planted incidents, for ``community``.
    licence, citation : str
    columns : dict of str to str
        What each column means, with its unit; those of the labels start with ``labels.``.
    origin : str
        Where this copy was read from.
    """

    name: str
    frames: dict[str, pd.DataFrame]
    labels: pd.DataFrame | None
    licence: str
    citation: str
    columns: Mapping[str, str]
    origin: str
    incidents: pd.DataFrame | None = None

    @property
    def frame(self) -> pd.DataFrame:
        """The frame of a set that has only one."""
        if len(self.frames) != 1:
            raise DataError(f"{self.name!r} has {len(self.frames)} frames: take one from .frames, {sorted(self.frames)}.")
        return next(iter(self.frames.values()))

    def __repr__(self) -> str:
        rows = sum(map(len, self.frames.values()))
        labels = "no labels" if self.labels is None else f"{len(self.labels):,} labels"
        return f"<Dataset {self.name}: {len(self.frames)} frame(s), {rows:,} rows, {labels}, from {self.origin}>"


def names(replays: bool = False) -> list[str]:
    """Names for `load`; with ``replays``, names of the replay files for `path`.

    Examples
    --------
    >>> names()[-2:]
    ['wiki_edits', 'youtube_spam']
    """
    return sorted(shipped.FILES if replays else SOURCES)


def needed(name: str) -> tuple[str, ...]:
    """Paths of the original files of a set, in the folder of originals."""
    if name == "nab":
        return NAB_FILES
    if name == "tcpd":
        return tuple(file for file in SHA256 if file.startswith("tcpd/"))
    return SOURCES[name].files


def load(name: str, *, download: bool = False, verify: bool = True) -> Dataset:
    """Load a data set.

    Looks in govlab's own ``data/``, then in the folder named by the environment variable ``GOVLAB_DATA``, then in the
    download cache. For ``nab`` the twelve series that come with govlab are taken only if all 58 are in neither.

    Parameters
    ----------
    name : str
        One of `names`.
    download : bool
        Whether files that are missing may be downloaded (``nab`` only, 10 MB); nothing is downloaded unasked.
    verify : bool
        Whether files from ``GOVLAB_DATA`` must have the checksums of those govlab was measured with.

    Returns
    -------
    Dataset

    Raises
    ------
    ArgumentError
        If there is no such name; the message suggests the nearest.
    DataError
        If the files are not there, or are not the ones expected.

    Examples
    --------
    >>> edits = load("wiki_edits")
    >>> len(edits.frame), edits.licence
    (19840, 'MIT, (c) 2015 Aaron Halfaker; facts about revisions from Wikimedia')
    """
    if name not in SOURCES:
        raise ArgumentError(f"No data set is called {name!r}. {did_you_mean(name, SOURCES)}")
    if name in ("community", "wiki_edits") and shipped.find(name) and shipped.find(f"{name}_labels"):
        return _load_shipped(name)
    if name == "community":
        from govlab.datasets.generator import community

        made = community()
        return _dataset(name, {name: made.events}, made.labels, "govlab.datasets.community()", made.incidents)
    folder = _folder(name, download, verify)
    if folder is None and name == "nab" and shipped.find("nab/windows"):
        return _load_shipped_nab()
    if folder is None:
        raise DataError(_how_to_get(name))
    from govlab.datasets import readers

    frames, labels = getattr(readers, name)(folder)
    return _dataset(name, frames, labels, str(folder))


def _dataset(
    name: str, frames: dict[str, pd.DataFrame], labels: pd.DataFrame | None, origin: str, incidents: pd.DataFrame | None = None
) -> Dataset:
    known = SOURCES[name]
    return Dataset(name, frames, labels, known.licence, known.citation, known.columns, origin, incidents)


def _load_shipped(name: str) -> Dataset:
    if name == "community":
        frame, moments = pd.read_parquet(shipped.path(name)), ["start", "end", "known_at"]
        incidents = _times(pd.read_csv(shipped.path("community_incidents")), moments)
    else:
        frame, incidents = _times(pd.read_csv(shipped.path(name)), ["time"]), None
        frame["seconds_since_registration"] = frame["seconds_since_registration"].astype("Int64")
    labels = _times(pd.read_csv(shipped.path(f"{name}_labels")), ["known_at"])
    return _dataset(name, {name: frame}, labels, str(shipped.path(name).parent), incidents)


def _times(frame: pd.DataFrame, columns: list[str]) -> pd.DataFrame:
    return frame.assign(**{c: pd.to_datetime(frame[c], utc=True).astype("datetime64[us, UTC]") for c in columns})


def _load_shipped_nab() -> Dataset:
    from govlab.datasets import readers

    windows = shipped.path("nab/windows")
    frames = {series: readers.nab_series(shipped.path(f"nab/{series}")) for series in shipped.NAB_SERIES}
    return _dataset("nab", frames, readers.nab_windows(json.loads(windows.read_text())), str(windows.parent))


def _folder(name: str, download: bool, verify: bool) -> Path | None:
    """Find the folder of originals that holds all files of a set; None if there is none."""
    named = os.environ.get("GOVLAB_DATA")
    files = needed(name)
    if named and all((Path(named).expanduser() / file).is_file() for file in files):
        folder = Path(named).expanduser()
        if verify:
            _verify(folder, files)
        return folder
    if name != "nab":
        return None
    try:
        import pooch
    except ImportError:
        if download:
            raise MissingExtraError("Downloading needs the package pooch: pip install pooch") from None
        return None
    from platformdirs import user_cache_path

    cache = user_cache_path("govlab", appauthor=False)
    if download:
        registry = {file.removeprefix("nab/"): f"sha256:{SHA256[file]}" for file in files}
        fetcher = pooch.create(path=cache / "nab", base_url=NAB_URL, registry=registry)
        for file in registry:
            try:
                fetcher.fetch(file)
            except (OSError, ValueError) as error:
                raise DataError(f"Could not download {NAB_URL}{file}: {error}. {_how_to_get(name)}") from error
    return cache if all((cache / file).is_file() for file in files) else None


def _verify(folder: Path, files: Iterable[str]) -> None:
    for file in files:
        with open(folder / file, "rb") as stored:
            found = hashlib.file_digest(stored, "sha256").hexdigest()
        if found != SHA256[file]:
            raise DataError(
                f"{folder / file} is not the file govlab was measured with: its sha256 is {found[:12]}..., expected "
                f"{SHA256[file][:12]}.... Get it again, or pass verify=False to read it as it is."
            )


def _how_to_get(name: str) -> str:
    known, files, named = SOURCES[name], needed(name), os.environ.get("GOVLAB_DATA")
    folder = Path(named).expanduser() if named else None
    missing = [file for file in files if folder is None or not (folder / file).is_file()]
    state = f"now {named!r}" if named else "now not set"
    more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
    return (
        f"The data set {name!r} is not on this machine. Set the environment variable GOVLAB_DATA ({state}) to a folder "
        f"that also holds {missing[0]!r}{more}. Origin: {known.origin}. Licence: {known.licence}."
    )
