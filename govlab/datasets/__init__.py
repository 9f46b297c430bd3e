"""Data to work on: a made-up community with planted incidents, small real replays, and loaders for public sets.

>>> import govlab.datasets as datasets
>>> datasets.names()[:3]
['bitcoin_otc', 'card_sim', 'community']
>>> datasets.path("nab/ec2_cpu_utilization_fe7f93").name
'ec2_cpu_utilization_fe7f93.csv'
"""

import importlib

_HOME = {
    "Community": "generator",
    "Dataset": "loaders",
    "community": "generator",
    "load": "loaders",
    "names": "loaders",
    "path": "shipped",
}

__all__ = ["Community", "Dataset", "community", "load", "names", "path"]


def __getattr__(name):
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}; it has {', '.join(__all__)}")
    return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)


def __dir__():
    return sorted(__all__)
