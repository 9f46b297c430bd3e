"""Builds a job and gives it to Flink: ``python -m govlab.engines.flink.program SPEC``, in the environment of the cluster."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from pyflink.common import Configuration, WatermarkStrategy
from pyflink.common.serialization import Encoder
from pyflink.common.typeinfo import Types
from pyflink.datastream import StreamExecutionEnvironment
from pyflink.datastream.connectors.file_system import FileSink, OutputFileConfig, RollingPolicy
from pyflink.datastream.connectors.number_seq import NumberSequenceSource

from govlab.engines.flink.operators import MESSAGE, Heads, Shards, Tails, Ticks


def main(place: str) -> None:
    """Build the job that a file describes, start it, and write its number beside the file."""
    spec = Path(place).read_text()
    told = json.loads(spec)
    configuration = Configuration()
    for name, value in told["settings"].items():
        configuration.set_string(name, str(value))
    environment = StreamExecutionEnvironment.get_execution_environment(configuration)
    build(environment, told, spec)
    client = environment.execute_async(told["name"])
    job = str(client.get_job_id())
    Path(place).with_name("job.json.tmp").write_text(json.dumps({"id": job, "rest": told["settings"].get("rest.port")}))
    Path(place).with_name("job.json.tmp").rename(Path(place).with_name("job.json"))
    if told["settings"]["execution.target"] == "local":
        client.get_job_execution_result().result()  # the cluster lives in this process


def build(environment: StreamExecutionEnvironment, told: dict[str, Any], spec: str) -> None:
    """Build the graph: ticks, head, shards, tail, files."""
    last = 2**62 if told["live"] else told["ticks"] - 1
    numbers = environment.from_source(
        NumberSequenceSource(0, last), WatermarkStrategy.no_watermarks(), "numbers", Types.LONG()
    ).set_parallelism(1)
    ticks = numbers.flat_map(Ticks(last, told["per_s"] if told["live"] else None), MESSAGE).set_parallelism(1)
    flow = ticks.key_by(_number, Types.INT()).process(Heads(spec), MESSAGE).name("head").uid("head").set_parallelism(1)
    if told["shards"]:
        flow = flow.key_by(_number, Types.INT()).process(Shards(spec), MESSAGE).name("shards").uid("shards")
        flow = flow.set_parallelism(told["parallelism"])
    lines = flow.key_by(_number, Types.INT()).process(Tails(spec), Types.STRING()).name("tail").uid("tail").set_parallelism(1)
    sink = (
        FileSink.for_row_format(told["results"], Encoder.simple_string_encoder())
        .with_rolling_policy(RollingPolicy.on_checkpoint_rolling_policy())
        .with_output_file_config(OutputFileConfig.builder().with_part_prefix("out").build())
        .build()
    )
    lines.sink_to(sink).name("files").uid("files").set_parallelism(1)


def _number(message: tuple[int, bytes]) -> int:
    return message[0]


if __name__ == "__main__":
    main(sys.argv[1])
