"""Builds a job and gives it to Flink: ``python -m govlab.engines.flink.program SPEC...``, in the environment of the cluster."""

from __future__ import annotations

import json
import sys
from functools import cache
from pathlib import Path
from typing import Any

from pyflink.common import Configuration, WatermarkStrategy
from pyflink.common.serialization import Encoder
from pyflink.common.typeinfo import Types
from pyflink.datastream import DataStream, StreamExecutionEnvironment
from pyflink.datastream.connectors.file_system import FileSink, OutputFileConfig, RollingPolicy
from pyflink.datastream.connectors.number_seq import NumberSequenceSource
from pyflink.java_gateway import get_gateway

from govlab.engines.flink.folder import read_spec
from govlab.engines.flink.operators import GROUPS, MESSAGE, Fetches, Heads, Shards, Tails, Ticks

BUNDLE = 16  # elements are whole frames: what is under way must fit into memory


def main(*places: str) -> None:
    """Build the jobs that files describe as one, start it, and write its number beside the first file."""
    specs = [json.dumps(read_spec(Path(place))) for place in places]  # signed, or not read
    told, first = json.loads(specs[0]), Path(places[0])
    configuration = Configuration()
    for name, value in told["settings"].items():
        configuration.set_string(name, str(value))
    environment = StreamExecutionEnvironment.get_execution_environment(configuration)
    if told["settings"]["execution.target"] != "local":
        # a program that is not started by Flink's own command gets a local one, whatever the settings say
        java = get_gateway().jvm.org.apache.flink.streaming.api.environment.StreamExecutionEnvironment
        environment = StreamExecutionEnvironment(java(configuration._j_configuration))
    for i, spec in enumerate(specs):
        build(environment, json.loads(spec), spec, f"{i} " if i else "")
    client = environment.execute_async(told["name"])
    first.with_name("job.json.tmp").write_text(json.dumps({"id": str(client.get_job_id())}))
    first.with_name("job.json.tmp").rename(first.with_name("job.json"))
    if told["settings"]["execution.target"] == "local":
        client.get_job_execution_result().result()  # the cluster lives in this process


def build(environment: StreamExecutionEnvironment, told: dict[str, Any], spec: str, prefix: str = "") -> None:
    """Build the graph: ticks, fetch, head, shards, tail, files; ``prefix`` tells several in one job apart."""
    keys = spread(max(GROUPS, told["shards"]))
    last = 2**62 if told["live"] else told["ticks"] - 1
    numbers = environment.from_source(
        NumberSequenceSource(0, last), WatermarkStrategy.no_watermarks(), "numbers", Types.LONG()
    ).set_parallelism(1)
    waiting = 1 if told["live"] else BUNDLE  # what comes out of a bundle comes when all of it is done
    flow = _bundles(numbers.flat_map(Ticks(told, keys), MESSAGE).set_parallelism(1), waiting)
    if told["pieces"]:
        flow = flow.key_by(_number, Types.INT()).process(Fetches(spec), MESSAGE).name("fetch").uid(prefix + "fetch")
        flow = _bundles(flow.set_parallelism(told["parallelism"]), BUNDLE)
    flow = flow.key_by(_number, Types.INT()).process(Heads(spec, keys), MESSAGE).name("head").uid(prefix + "head")
    flow = _bundles(flow.set_parallelism(1), waiting)
    if told["shards"]:
        flow = flow.key_by(_number, Types.INT()).process(Shards(spec, keys), MESSAGE).name("shards").uid(prefix + "shards")
        flow = _bundles(flow.set_parallelism(told["parallelism"]), BUNDLE)
    lines = flow.key_by(_number, Types.INT()).process(Tails(spec), Types.STRING()).name("tail").uid(prefix + "tail")
    lines = _bundles(lines.set_parallelism(1), BUNDLE)
    sink = (
        FileSink.for_row_format(told["results"], Encoder.simple_string_encoder())
        .with_rolling_policy(RollingPolicy.on_checkpoint_rolling_policy())
        .with_output_file_config(OutputFileConfig.builder().with_part_prefix("out").build())
        .build()
    )
    lines.sink_to(sink).name("files").uid(prefix + "files").set_parallelism(1)


def _bundles(flow: DataStream, most: int) -> DataStream:
    """Let a function take so many elements at once. PyFlink has one configuration for all of a job; this gives it its own."""
    operator = flow._j_data_stream.getTransformation().getOperatorFactory().getOperator()
    own = operator.getConfiguration().clone()
    own.setString("python.fn-execution.bundle.size", str(most))
    kind = operator.getClass()
    while kind.getSimpleName() != "AbstractPythonFunctionOperator":
        kind = kind.getSuperclass()
    field = kind.getDeclaredField("config")
    field.setAccessible(True)
    field.set(operator, own)
    return flow


@cache
def spread(n: int) -> list[int]:
    """Find keys that Flink lays evenly over its tasks, however many there are: the i-th is in group i with its bits reversed."""
    jvm = get_gateway().jvm
    group_of = jvm.org.apache.flink.runtime.state.KeyGroupRangeAssignment.assignToKeyGroup
    found: dict[int, list[int]] = {group: [] for group in range(GROUPS)}
    key, rounds = 0, -(-n // GROUPS)
    while any(len(keys) < rounds for keys in found.values()):
        row = jvm.org.apache.flink.types.Row(1)  # so PyFlink hands a key to Flink
        row.setField(0, key)
        found[group_of(row, GROUPS)].append(key)
        key += 1
    bits = GROUPS.bit_length() - 1
    return [found[int(f"{i % GROUPS:0{bits}b}"[::-1], 2)][i // GROUPS] for i in range(n)]


def _number(message: tuple[int, bytes]) -> int:
    return message[0]


if __name__ == "__main__":
    main(*sys.argv[1:])
