"""Run a pipeline whose alerts go to Kafka, with a store, killed without warning again and again.

python outlet_driver.py STORE BOOTSTRAP TOPIC KILLS SEED prints how often it was killed. A process of its own, so that forking
is safe: no thread has been started here.
"""

import os
import random
import signal
import sys
import time

import govlab as gl
from govlab.commands.demo import edits_watch


def run(store, bootstrap, topic):
    source = gl.from_replay(gl.datasets.path("wiki_edits"), max_rows=60)
    outlet = source.through(edits_watch()).to_kafka(topic, bootstrap)
    gl.run(source, store=store, progress=False, save_every_s=0.05)
    outlet.close()


def main(store, bootstrap, topic, kills, seed):
    rng = random.Random(seed)
    killed = 0
    for _ in range(kills):
        child = os.fork()
        if child == 0:
            run(store, bootstrap, topic)
            os._exit(0)
        time.sleep(rng.uniform(0.3, 2.0))
        os.kill(child, signal.SIGKILL)
        killed += os.WIFSIGNALED(os.waitpid(child, 0)[1])
    run(store, bootstrap, topic)
    print(killed)


if __name__ == "__main__":
    main(*sys.argv[1:4], int(sys.argv[4]), int(sys.argv[5]))
