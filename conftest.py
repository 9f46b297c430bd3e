"""Real servers, started by the project's own code when a test first asks for one."""

import pytest

from govlab import services

# these import PyFlink, which lives in an environment of its own
collect_ignore = ["govlab/engines/flink/operators.py", "govlab/engines/flink/program.py", "govlab/engines/flink/query.py"]


@pytest.fixture(scope="session")
def kafka_server(tmp_path_factory):
    with services.start("kafka", tmp_path_factory.mktemp("kafka")) as server:
        yield server


@pytest.fixture(scope="session")
def rabbitmq_server(tmp_path_factory):
    with services.start("rabbitmq", tmp_path_factory.mktemp("rabbitmq")) as server:
        yield server
