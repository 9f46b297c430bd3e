"""What is asked of a topic, a queue or a stream in adverse conditions: the answers must be those of a quiet machine."""

import asyncio
import contextlib
import json

import rstream
from queues import SCHEMA, bodies, events, fill, name, queue, topic, watch

import govlab as gl

N = 1_500


def of_kafka(address, made, client, schema=SCHEMA):
    """Ask a range of a topic for its events, alerts, evidence and end."""
    return _range(gl.from_kafka(made, address, schema, stop="now", client=client))


def of_stream(url, made, schema=SCHEMA):
    """Ask a range of a stream queue likewise."""
    return _range(gl.from_rabbitmq(made, url, schema, stop="now"))


def _range(source):
    with contextlib.closing(source.reader):
        found = source.through(watch()).sink_to_list()
        summary = gl.run(source, progress=False)
        evidence = source.evidence(found[0].iloc[0], by="actor")["event_id"].tolist() if found else None
        return {
            "state": summary.state, "events": summary.events, "fingerprint": summary.fingerprint, "evidence": evidence,
            "schema": source.reader.schema.fields, "letters": len(source.letters),
        }  # fmt: skip


def live(source, n):
    """Read n events of a live source; gives their ids in order, and what the source says is still there."""
    with contextlib.closing(source.reader):
        ids = source.map(lambda frame: frame["event_id"].tolist()).sink_to_list()
        gl.run(source, max_events=n, progress=False)
        return sorted(one for part in ids for one in part), sum(source.reader.lag().values())


def filled_topic(server, partitions=4):
    return fill(server, events(N), partitions)


def filled_queue(server, kind):
    return queue(server, kind, bodies(events(N)))


def filled_stream(server, n):
    """Make a stream of one chunk of n long messages, the last of which has a field more."""
    made = queue(server, "stream")
    told = [json.loads(body) | {"note": "~" * 20_000} for body in bodies(events(n))]
    told[-1]["flag"] = "yes"

    async def append():
        options = {"host": "127.0.0.1", "port": server.ports["stream"], "username": "guest", "password": "guest"}
        async with rstream.Producer(**options) as producer:
            await producer.send_batch(made, [rstream.AMQPMessage(body=json.dumps(one).encode()) for one in told])

    asyncio.run(append())
    return made


__all__ = [
    "N",
    "bodies",
    "events",
    "filled_queue",
    "filled_stream",
    "filled_topic",
    "live",
    "name",
    "of_kafka",
    "of_stream",
    "queue",
    "topic",
]
