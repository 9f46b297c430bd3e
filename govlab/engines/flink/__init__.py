"""Apache Flink: the same pipeline on a cluster, with the same alerts.

The lab never imports PyFlink: a pipeline travels as its recipe into the environment in which Flink runs.
"""

from govlab.engines.flink.job import Job, JobStatus
from govlab.engines.flink.submit import Flink, attach, submit

__all__ = ["Flink", "Job", "JobStatus", "attach", "submit"]
