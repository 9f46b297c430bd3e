"""Apache Flink: the same pipeline on a cluster, with the same alerts.

The lab never imports PyFlink: a pipeline travels as its recipe into the environment in which Flink runs.
"""

from typing import TYPE_CHECKING

from govlab.registry import lazy_room

if TYPE_CHECKING:
    from govlab.engines.flink.job import Job as Job
    from govlab.engines.flink.job import JobStatus as JobStatus
    from govlab.engines.flink.querying import sql as sql
    from govlab.engines.flink.scaling import Limits as Limits
    from govlab.engines.flink.scaling import autoscale as autoscale
    from govlab.engines.flink.submitting import Flink as Flink
    from govlab.engines.flink.submitting import attach as attach
    from govlab.engines.flink.submitting import submit as submit
else:
    __getattr__, __dir__, __all__ = lazy_room(
        __name__,
        more={
            "Flink": "govlab.engines.flink.submitting:Flink",
            "Job": "govlab.engines.flink.job:Job",
            "JobStatus": "govlab.engines.flink.job:JobStatus",
            "Limits": "govlab.engines.flink.scaling:Limits",
            "attach": "govlab.engines.flink.submitting:attach",
            "autoscale": "govlab.engines.flink.scaling:autoscale",
            "sql": "govlab.engines.flink.querying:sql",
            "submit": "govlab.engines.flink.submitting:submit",
        },
    )
