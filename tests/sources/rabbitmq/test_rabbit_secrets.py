"""Passwords with any sign are shown nowhere: not in errors, not in what an object says of itself, not in the log."""

import json
import pickle

import pytest
from queues import SCHEMA, drain, events, queue

import govlab as gl
from govlab.access import PrivateUrl, split_url, without_password
from govlab.addresses import Address
from govlab.errors import ArgumentError, SourceError
from govlab.sources.rabbitmq.parameters import parameters_of

SECRET = "hunterZx9"
SIGNS = ["/", "#", "?", "@", "%", ":", "[", "]", " ", "//", "@/", "#@", "/@:5672/", "?a=@"]
PASSWORDS = [f"{SECRET}{sign}{SECRET}" for sign in SIGNS] + [f"{sign}{SECRET}" for sign in SIGNS[:6]] + [f"{SECRET}//"]
WHOLE = ["amqp://lab:{}@127.0.0.1:1/v", "amqp://lab:{}@127.0.0.1:1/v/q", "amqps://lab:{}@127.0.0.1:1/", "amqp://lab:{}",
         "amqp://lab:{}@", "amqp://:{}@127.0.0.1:1/v/q", "amqp:lab:{}@127.0.0.1:1/q", "http://lab:{}@127.0.0.1:1/q", "lab:{}@127.0.0.1/q",
         "kafka://lab:{}@127.0.0.1:1/topic", "amqp://127.0.0.1:1/v/q?password={}", "amqp://lab:12/{}@127.0.0.1:1/q"]  # fmt: skip


@pytest.mark.parametrize("password", PASSWORDS)
def test_a_password_is_in_no_error_and_no_text_whatever_signs_it_has(password, caplog):
    # without a host after the last @ nobody could tell which is which
    for whole in [whole for whole in WHOLE if whole != "amqp://lab:{}" or "@" not in password]:
        address = whole.format(password)
        said = [without_password(address), repr(PrivateUrl(address)), str(PrivateUrl(address)), str(vars(PrivateUrl))]
        said.append(pickle.dumps(PrivateUrl(address)).decode(errors="replace"))
        for do in (
            lambda address=address: split_url(address)[3],
            lambda address=address: repr(Address.of(address)) + str(Address.of(address)),
            lambda address=address: parameters_of(address, gl.Access(), SourceError)[1],
            lambda address=address: repr(parameters_of(address, gl.Access(), SourceError)[0]),
            lambda address=address: gl.from_rabbitmq("q", address, SCHEMA),
            lambda address=address: gl.sinks.RabbitSink(queue="q", url=address),
        ):
            try:
                said.append(str(do()))
            except gl.errors.GovlabError as error:
                said += [str(error), repr(error), str(error.__cause__)]
        assert SECRET not in "\n".join(said), whole
    assert SECRET not in caplog.text


@pytest.mark.parametrize("quoted", ["p%2Fw", "p%23w", "p%3Fw", "p%40w", "p%25w", "p@w", "p%w", "p:w"])
def test_a_password_in_an_address_is_what_was_written(quoted):
    parameters, _ = parameters_of(f"amqp://lab:{quoted}@localhost:5672/", gl.Access(), SourceError)
    expected = {"2F": "/", "23": "#", "3F": "?", "40": "@", "25": "%"}.get(quoted[2:4])
    assert (f"p{expected}w" if expected else quoted) == parameters.credentials.password
    assert ("localhost", 5672, "/") == (parameters.host, parameters.port, parameters.virtual_host)


@pytest.mark.parametrize("sign", ["/", "#", "?"])
def test_a_sign_that_ends_a_password_is_refused_with_how_it_is_written(sign):
    with pytest.raises(ArgumentError, match=r"in a password / # [?] @ % are written %2F %23 %3F %40 %25"):
        parameters_of(f"amqp://lab:p{sign}w@localhost:5672/", gl.Access(), SourceError)


def test_an_address_that_was_masked_is_refused_with_where_a_password_belongs():
    with pytest.raises(ArgumentError, match=r"access=gl\.Access"):
        parameters_of("amqp://lab:***@localhost:5672/", gl.Access(), SourceError)


@pytest.mark.server
@pytest.mark.parametrize("kind", ["quorum", "stream"])
def test_nothing_of_a_reader_holds_the_password_of_its_address(rabbitmq_server, tmp_path, caplog, kind):
    secret = f"{SECRET}/#?@%"
    with gl.services.start("rabbitmq", tmp_path / "rabbit", users={"lab": secret}) as server:
        made = queue(server, kind)
        address = f"amqp://lab:{SECRET}%2F%23%3F%40%25@127.0.0.1:{server.ports['amqp']}/"
        sink = gl.sinks.RabbitSink(queue=made, url=address)
        sink.send(events(20))
        sink.close()
        sources = [gl.from_rabbitmq(made, address, SCHEMA), gl.from_rabbitmq(queue=made, url=address, schema=SCHEMA)]
        sources += [gl.from_rabbitmq(made, address, SCHEMA, stop="now")] if kind == "stream" else []
        for source in sources:
            reader = source.reader
            assert len(drain(reader, 10)) == 10
            said = [reader.made, vars(reader), reader.origin, reader.name, repr(reader), repr(source), source._repr_html_()]
            said += [source.status(), reader.position(), repr(sink), json.dumps(reader.made, default=repr)]
            assert SECRET not in str(said)
            assert f"amqp://lab:***@127.0.0.1:{server.ports['amqp']}/" in str(reader.made)
            if kind == "quorum":
                with pytest.raises(ArgumentError, match="a second reader would take events away"):
                    reader.another()
            else:  # another one gets in with the same password
                other = reader.another()
                other.open()
                assert len(drain(other, 10)) == 10
                other.close()
            server.stop() if source is sources[0] else None
            while source is sources[0] and reader.trouble() is None:
                reader.lag()
            assert SECRET not in str([reader.trouble(), source.status()])
            reader.close()
            server.restart() if source is sources[0] else None
        assert SECRET not in caplog.text


@pytest.mark.parametrize("reference", ["env:RABBIT", "file:/run/secrets/rabbit"])
def test_a_reference_is_no_secret_and_stays_as_it_is(reference):
    assert reference == without_password(reference) == repr(PrivateUrl(reference))
