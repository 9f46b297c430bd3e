"""Certificates, and servers with everything switched on."""

import pytest
import trustme

from govlab import services

USERS = {"ann": "s3cret;of=ann", "bob": "an0ther,one"}


@pytest.fixture(scope="session")
def users():
    return USERS


@pytest.fixture(scope="session")
def certificates(tmp_path_factory):
    """A folder as ``tls=`` wants it; the key is of the older form, as trustme and older tools write it."""
    folder = tmp_path_factory.mktemp("certificates")
    authority = trustme.CA()
    server = authority.issue_cert("127.0.0.1", "localhost")
    authority.cert_pem.write_to_path(folder / "ca.pem")
    server.private_key_pem.write_to_path(folder / "server.key")
    for part in server.cert_chain_pems:
        part.write_to_path(folder / "server.pem", append=True)
    return folder


@pytest.fixture(scope="session")
def full_kafka(tmp_path_factory, certificates):
    with services.start("kafka", tmp_path_factory.mktemp("full") / "kafka", users=USERS, tls=certificates) as server:
        yield server


@pytest.fixture(scope="session")
def full_rabbitmq(tmp_path_factory, certificates):
    with services.start("rabbitmq", tmp_path_factory.mktemp("full") / "rabbitmq", users=USERS, tls=certificates) as server:
        yield server


@pytest.fixture(params=["kafka", "rabbitmq"])
def full(request):
    """Each kind of server, with users and certificates."""
    return request.getfixturevalue(f"full_{request.param}")
