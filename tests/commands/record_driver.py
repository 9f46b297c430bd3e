"""Record a source into a folder, killed without warning again and again; prints how often it was killed.

python record_driver.py FOLDER KILLS SEED files PATH | kafka BOOTSTRAP TOPIC SCHEMA. A process of its own, so that forking is
safe: no thread has been started here.
"""

import json
import os
import random
import signal
import sys
import time

import govlab as gl
from govlab.commands.record import record


def reader_of(kind, where, *more):
    if kind == "files":
        return gl.sources.ReplayReader(where)
    topic, schema = more
    return gl.sources.KafkaReader(topic, where, schema=gl.Schema(**json.loads(schema)))


def main(folder, kills, seed, *source):
    rng = random.Random(seed)
    killed = 0
    for _ in range(kills):
        child = os.fork()
        if child == 0:
            record(reader_of(*source), folder, every_rows=500, until="now", progress=False)
            os._exit(0)
        time.sleep(rng.uniform(0.03, 0.4))
        os.kill(child, signal.SIGKILL)
        killed += os.WIFSIGNALED(os.waitpid(child, 0)[1])
    record(reader_of(*source), folder, every_rows=500, until="now", progress=False)
    print(killed)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), *sys.argv[4:])
