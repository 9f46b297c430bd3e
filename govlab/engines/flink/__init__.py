"""Apache Flink: the same pipeline on a cluster, with the same alerts.

The lab never imports PyFlink: a pipeline travels as its recipe into the environment in which Flink runs.
"""

import importlib
from typing import Any

__all__ = ["Flink", "Job", "JobStatus", "Limits", "attach", "autoscale", "sql", "submit"]

_NAMES = {
    "Job": "job",
    "JobStatus": "job",
    "Flink": "submitting",
    "Limits": "scaling",
    "attach": "submitting",
    "submit": "submitting",
    "autoscale": "scaling",
    "sql": "querying",
}


def __getattr__(name: str) -> Any:  # a worker imports its own part only
    if name in _NAMES:
        return getattr(importlib.import_module(f"govlab.engines.flink.{_NAMES[name]}"), name)
    from govlab.errors import did_you_mean

    raise AttributeError(f"govlab.engines.flink has no {name!r}. {did_you_mean(name, _NAMES)}")
