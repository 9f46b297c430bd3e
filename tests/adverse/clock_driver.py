"""Run pipelines in several ways and print what came out; for a process whose wall clock jumps.

python clock_driver.py FOLDER KAFKA TOPIC; says "begun" when it plays.
"""

import contextlib
import json
import select
import sys
import time
from pathlib import Path

from queues import SCHEMA, watch

import govlab as gl
from govlab.errors import SourceError

# librdkafka waits by the wall clock, and where that is set back for as long as it went back (its issue 2145, open since 2018)
CLIENT = "kafka-python"
# libfaketime 0.9.10 answers EINVAL to each clock_nanosleep(TIMER_ABSTIME) of a monotonic clock that it was told to leave alone,
# which is what time.sleep calls; select waits as long, by the kernel's clock
time.sleep = lambda seconds: select.select([], [], [], seconds)


def paced(path):
    """A replay at a speed, with a store: 40 minutes of event time in about 4 seconds."""
    source = gl.from_replay(path, SCHEMA, order="event", speed=600)
    node = source.through(watch())
    summary = gl.run(source, until="2026-03-02 00:40", store=":memory:", progress=False, save_every_s=0.05)
    return [summary.fingerprint, summary.events, node.carrier.counted.rows]


def background(path):
    """A replay at a speed in the background, paused and resumed, and then stepped."""
    source = gl.from_replay(path, SCHEMA, order="event", speed=2_400)
    ids = source.map(lambda frame: frame["event_id"].tolist()).sink_to_list()
    source.start()
    while source.events < 400:
        source.background.join(0.01)
    source.pause()
    with contextlib.suppress(SourceError):  # on a busy machine it may have come to its end by now
        source.resume()
    while source.events < 600:
        source.background.join(0.01)
    source.stop()
    source.seek("2026-03-02 00:05")
    gl.run(source, progress=False)
    return [source.state, len({one for part in ids for one in part}), source.events]


def ranged(address, topic):
    """A range of a topic."""
    source = gl.from_kafka(topic, address, SCHEMA, stop="now", client=CLIENT)
    source.through(watch())
    summary = gl.run(source, progress=False)
    source.reader.close()
    return [summary.fingerprint, summary.events]


def live(address, topic):
    """A live topic by a group, which commits as it goes."""
    source = gl.from_kafka(topic, address, SCHEMA, group=f"{topic}-group", client=CLIENT)
    ids = source.map(lambda frame: frame["event_id"].tolist()).sink_to_list()
    done = 0
    while done < 1_500:  # timeouts are to pass, and pass at their time
        gl.run(source, max_events=100, timeout_s=5, progress=False)
        done = source.events
    source.reader.close()
    return [source.events, len({one for part in ids for one in part})]


def main(folder, address, topic):
    path = str(folder / "events.ndjson")
    print("begun", flush=True)
    said = {"paced": paced(path), "background": background(path)}
    said |= {"range": ranged(address, topic), "live": live(address, topic)}
    print(json.dumps(said), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
