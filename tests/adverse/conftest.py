"""Servers behind a proxy."""

import re

import pytest
from adverse.proxy import Proxy

from govlab.services.kafka import Kafka
from govlab.services.ports import choose
from govlab.services.rabbitmq import Rabbitmq

# minutes each, as they wait for a patience to pass; only with ``--delay S``, as in ``make test-adverse``
LONG = re.compile(
    r"test_standing_still|says_nothing|falls_silent|gives_no_message|again_and_again|a_schema_guessed_from_a_topic"
    r"|an_empty_topic|test_a_live_(topic|queue)_is_read_whole_through|jumps_by_hours"
)


def pytest_collection_modifyitems(config, items):
    """Leave the long forms to ``--delay S``."""
    here = str(config.rootpath / "tests" / "adverse")
    long = [item for item in items if str(item.path).startswith(here) and LONG.search(item.nodeid)]
    if config.getoption("--delay") is None and long:
        items[:] = [item for item in items if item not in long]
        config.hook.pytest_deselected(items=long)


class ProxiedKafka(Kafka):
    """A Kafka node with a second listener, whose clients are led to a proxy."""

    def __init__(self, folder, proxy):
        super().__init__(folder)
        self.proxy = proxy
        proxy.target = ("127.0.0.1", choose({"slow": None})["slow"])

    def _lines(self):
        plain, slow = f"PLAIN://127.0.0.1:{self.ports['plain']}", f"SLOW://127.0.0.1:{self.proxy.target[1]}"
        return [
            *super()._lines(),
            f"listeners={plain},{slow},CONTROLLER://127.0.0.1:{self.ports['controller']}",
            f"advertised.listeners={plain},SLOW://{self.proxy.address}",
            "listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAIN:PLAINTEXT,SLOW:PLAINTEXT",
        ]


class ProxiedRabbitmq(Rabbitmq):
    """A RabbitMQ node that leads clients of its stream protocol to a proxy."""

    def __init__(self, folder, proxy):
        super().__init__(folder)
        self.proxy = proxy

    def prepare(self):
        super().prepare()
        settings = self.folder / "rabbitmq.conf"
        own = f"stream.advertised_port = {self.ports['stream']}"
        assert own in settings.read_text()
        settings.write_text(settings.read_text().replace(own, f"stream.advertised_port = {self.proxy.port}"))
        self.proxy.target = ("127.0.0.1", self.ports["stream"])


@pytest.fixture(scope="session")
def proxied_kafka(tmp_path_factory):
    """The server (its own address is the quick way in), and the proxy in front of it."""
    with Proxy(seed=1) as proxy, ProxiedKafka(tmp_path_factory.mktemp("proxied"), proxy).start() as server:
        yield server, proxy


@pytest.fixture(scope="session")
def proxied_rabbitmq(tmp_path_factory):
    """The server, the proxy of AMQP with the URL that leads to it, and the proxy of the stream protocol."""
    folder = tmp_path_factory.mktemp("proxied") / "rabbit"
    with Proxy(seed=2) as amqp, Proxy(seed=3) as streams, ProxiedRabbitmq(folder, streams).start() as server:
        amqp.target = ("127.0.0.1", server.ports["amqp"])
        amqp.url = f"amqp://guest:guest@{amqp.address}/"
        yield server, amqp, streams


@pytest.fixture(scope="session")
def most_s(request):
    """How long a packet is held at most: short here, 3 s in ``make test-adverse``."""
    given = request.config.getoption("--delay")
    return 0.4 if given is None else given
