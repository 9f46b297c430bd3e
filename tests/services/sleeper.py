"""The smallest server there can be: it says that it is ready, and waits."""

import sys

from govlab.services import Server

CODE = """
import pathlib, sys, time
pathlib.Path("starts").open("a").write("x")
print({said!r}, flush=True)
time.sleep({lasts})
"""


class Sleeper(Server):
    name = "sleeper"
    ready_line = b"I am ready"

    def __init__(self, folder, port=None, said="I am ready", lasts=600, names=("main", "other")):
        super().__init__(folder, port)
        self.said, self.lasts, self.names = said, lasts, names

    def install(self):
        pass

    def port_names(self):
        return [*self.names]

    def prepare(self):
        (self.folder / "settings").write_text(self.said)

    def command(self):
        return [sys.executable, "-c", CODE.format(said=self.said, lasts=self.lasts)], {"SLEEPER": "1"}

    @property
    def addresses(self):
        return {name: f"127.0.0.1:{port}" for name, port in self.ports.items()}
