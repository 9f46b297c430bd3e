"""Where the replay files are that come with govlab."""

import os
from pathlib import Path

NAB_SERIES = (
    "Twitter_volume_AAPL",
    "Twitter_volume_GOOG",
    "Twitter_volume_UPS",
    "ec2_cpu_utilization_fe7f93",
    "ec2_disk_write_bytes_1ef3de",
    "ec2_network_in_5abac7",
    "ec2_request_latency_system_failure",
    "elb_request_count_8c0756",
    "grok_asg_anomaly",
    "iio_us-east-1_i-a2eb1cd9_NetworkIn",
    "machine_temperature_system_failure",
    "rds_cpu_utilization_cc0c53",
)
FILES = {
    "community": "community.parquet",
    "community_incidents": "community_incidents.csv",
    "community_labels": "community_labels.csv.gz",
    "wiki_edits": "wiki_edits_2015.csv.gz",
    "wiki_edits_labels": "wiki_edits_2015_labels.csv.gz",
    "nab/windows": "nab/windows.json",
    **{f"nab/{series}": f"nab/{series}.csv" for series in NAB_SERIES},
}


def folders() -> list[Path]:
    """Folders that may hold data files: the checkout's ``data/``, then the one named by ``GOVLAB_DATA``."""
    named = os.environ.get("GOVLAB_DATA")
    return [Path(__file__).resolve().parents[2] / "data"] + ([Path(named).expanduser()] if named else [])


def find(name: str) -> Path | None:
    """Find the shipped file of this name; None if it is not on this machine."""
    return next((folder / FILES[name] for folder in folders() if (folder / FILES[name]).is_file()), None)


def path(name: str) -> Path:
    """Give the path of a replay file that comes with govlab.

    Parameters
    ----------
    name : str
        ``"wiki_edits"``, ``"community"``, ``"nab/<series>"``, or one of the label files beside them;
        ``names(replays=True)`` lists them.

    Returns
    -------
    pathlib.Path

    Raises
    ------
    ArgumentError
        If there is no such name; the message suggests the nearest.
    DataError
        If the file is not on this machine, as when govlab was installed without its checkout.

    Examples
    --------
    >>> path("wiki_edits").name
    'wiki_edits_2015.csv.gz'
    """
    if name not in FILES:
        from govlab.errors import ArgumentError, did_you_mean

        raise ArgumentError(f"No replay file is called {name!r}. {did_you_mean(name, FILES)}")
    found = find(name)
    if found is None:
        from govlab.errors import DataError

        looked = ", ".join(map(str, folders()))
        raise DataError(
            f"The replay file {FILES[name]!r} is not in {looked}. It comes with govlab's source checkout, not with the "
            "installed package: set the environment variable GOVLAB_DATA to the checkout's data/ folder."
        )
    return found
