"""A machine that has other things to do: busy loops, each a process."""

import contextlib
import subprocess
import sys

LOOP = """
import os
parent = os.getppid()
print(flush=True)
while os.getppid() == parent:
    for _ in range(1_000_000):
        pass
"""


@contextlib.contextmanager
def busy(loops):
    """Run busy loops; they end with the block, or with this process."""
    running = [subprocess.Popen([sys.executable, "-S", "-c", LOOP], stdout=subprocess.PIPE) for _ in range(loops)]
    try:
        for one in running:
            one.stdout.readline()
        yield running
    finally:
        for one in running:
            one.kill()
            one.wait()
            one.stdout.close()
