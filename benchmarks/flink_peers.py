"""The job of flink.py as others write it for Flink; runs in Flink's environment: ``flink_peers.py naive|sql EVENTS FOLDER``."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterator
from typing import Any

from pyflink.common import Configuration, Duration, Types, WatermarkStrategy
from pyflink.common.watermark_strategy import TimestampAssigner
from pyflink.datastream import KeyedProcessFunction, StreamExecutionEnvironment
from pyflink.datastream.connectors.file_system import FileSource, StreamFormat
from pyflink.datastream.state import MapStateDescriptor, ValueStateDescriptor
from pyflink.table import StreamTableEnvironment

WINDOW_MS = 60_000


class Watch(KeyedProcessFunction):
    """Counts and sums per actor and minute in a MapState, scores a closed window by EWMA z, alerts: an event at a time."""

    def open(self, context: Any) -> None:
        self.windows = context.get_map_state(MapStateDescriptor("windows", Types.LONG(), Types.PICKLED_BYTE_ARRAY()))
        self.average = context.get_state(ValueStateDescriptor("average", Types.PICKLED_BYTE_ARRAY()))

    def process_element(self, value: Any, ctx: Any) -> None:
        time, _, amount = value
        start = time - time % WINDOW_MS
        count, total = self.windows.get(start) or (0, 0.0)
        self.windows.put(start, (count + 1, total + amount))
        ctx.timer_service().register_event_time_timer(start + WINDOW_MS - 1)

    def on_timer(self, timestamp: int, ctx: Any) -> Iterator[str]:
        start = timestamp + 1 - WINDOW_MS
        count, _ = self.windows.get(start)
        self.windows.remove(start)
        n, mean, var = self.average.value() or (0, 0.0, 0.0)
        z = (count - mean) / math.sqrt(var + 1) if n >= 5 else 0.0
        delta = count - mean
        self.average.update((n + 1, mean + 0.1 * delta, 0.9 * (var + 0.1 * delta * delta)))
        if z > 6:
            yield f"{start} {ctx.get_current_key()} {count}"


class _Times(TimestampAssigner):
    def extract_timestamp(self, value: Any, record_timestamp: int) -> int:
        return value[0]


def _fields(line: str) -> Any:
    event = json.loads(line)
    return event["time"], event["actor"], event["value"]


def naive(environment: StreamExecutionEnvironment, path: str, out: str) -> None:
    lines = environment.from_source(
        FileSource.for_record_stream_format(StreamFormat.text_line_format(), path).build(),
        WatermarkStrategy.no_watermarks(),
        "file",
    )
    kind = Types.TUPLE([Types.LONG(), Types.STRING(), Types.DOUBLE()])
    lateness = WatermarkStrategy.for_bounded_out_of_orderness(Duration.of_seconds(5)).with_timestamp_assigner(_Times())
    events = lines.map(_fields, kind).assign_timestamps_and_watermarks(lateness)
    events.key_by(lambda event: event[1], Types.STRING()).process(Watch(), Types.STRING()).print()
    environment.execute("naive")


def sql(environment: StreamExecutionEnvironment, path: str, out: str) -> None:
    tables = StreamTableEnvironment.create(environment)
    tables.execute_sql(f"""CREATE TABLE events (`time` BIGINT, actor STRING, `value` DOUBLE,
        ts AS TO_TIMESTAMP_LTZ(`time`, 3), WATERMARK FOR ts AS ts - INTERVAL '5' SECOND)
        WITH ('connector' = 'filesystem', 'path' = '{path}', 'format' = 'json')""")
    tables.execute_sql("""CREATE TABLE counts (window_start TIMESTAMP_LTZ(3), actor STRING, n BIGINT, total DOUBLE)
        WITH ('connector' = 'blackhole')""")
    tables.execute_sql("""INSERT INTO counts SELECT window_start, actor, COUNT(*), SUM(`value`)
        FROM TABLE(TUMBLE(TABLE events, DESCRIPTOR(ts), INTERVAL '1' MINUTE)) GROUP BY window_start, window_end, actor""").wait()


if __name__ == "__main__":
    which, path, out = sys.argv[1:4]
    settings = Configuration()
    settings.set_string("python.executable", sys.executable)
    settings.set_string("python.client.executable", sys.executable)
    environment = StreamExecutionEnvironment.get_execution_environment(settings)
    environment.set_parallelism(1)
    {"naive": naive, "sql": sql}[which](environment, path, out)
