"""Much rubbish among good messages: the good ones are all read, the bad ones are all dead letters, and can be corrected."""

import json
import os
import random

import pytest
from queues import SCHEMA, bodies, events, queue, send, topic

import govlab as gl

pytestmark = pytest.mark.server
N = int(os.environ.get("GOVLAB_FUZZ", "2000"))  # a campaign: GOVLAB_FUZZ=100000


def rubbish(rng, good):
    """One bad message: random bytes, broken UTF-8, deep JSON, a wrong type, or a good one cut short."""
    kind = rng.randrange(7)
    whole = json.loads(good)
    return [
        lambda: rng.randbytes(rng.randrange(1, 400)),
        lambda: good[:-3] + b'\xff"}',
        lambda: b'{"time": ' + b"[" * 5_000 + b"]" * 5_000 + b"}",
        lambda: json.dumps(whole | {rng.choice(["time", "actor", "value"]): {"a": [1]}}).encode(),
        lambda: good[: rng.randrange(len(good))] or b" ",
        lambda: json.dumps({k: v for k, v in whole.items() if k != "event_id"}).encode(),
        lambda: json.dumps(whole | {"time": "the day after tomorrow"}).encode(),
    ][kind]()


@pytest.fixture(scope="module")
def mixed():
    rng = random.Random(5)
    good = bodies(events(N))
    bad = [rubbish(rng, rng.choice(good)) for _ in range(N - 2)] + [b"\x00" * 5_000_000, b'{"actor": "' + b"x" * 5_000_000]
    whole = [(body, True) for body in good] + [(body, False) for body in bad]
    rng.shuffle(whole)
    return whole


@pytest.mark.parametrize("where", ["kafka-python", "confluent", "quorum", "stream"])
def test_good_messages_among_rubbish_are_all_read_and_rubbish_can_be_corrected(kafka_server, rabbitmq_server, mixed, where):
    sent = [body for body, _ in mixed]
    if where in ("quorum", "stream"):
        source = gl.from_rabbitmq(queue(rabbitmq_server, where, sent), rabbitmq_server.address, SCHEMA)
    else:
        made = topic(kafka_server, 1)
        assert list(range(2 * N)) == send(kafka_server, made, sent)
        source = gl.from_kafka(made, kafka_server.address, SCHEMA, client=where)
    seen = source.map(lambda frame: frame["event_id"].tolist()).sink_to_list()
    gl.run(source, max_events=N, progress=False)
    while len(source.letters) < N:
        source.flow.peek()
    assert sorted(events(N)["event_id"]) == sorted(one for part in seen for one in part)
    expected = {offset for offset, (_, good) in enumerate(mixed) if not good}
    assert expected == {offset for _, offset in source.letters}
    assert all(letter.reason and letter.raw == sent[letter.offset][:65_536] for letter in source.letters.values())
    fixed = bodies(events(10, seed=9))
    chosen = dict(zip(sorted(expected)[:10], fixed, strict=True))
    assert 10 == source.redrive(lambda letter: chosen.get(letter.offset))
    assert (N - 10, events(10, seed=9)["event_id"].tolist()) == (len(source.letters), seen[-1])
    source.reader.close()
