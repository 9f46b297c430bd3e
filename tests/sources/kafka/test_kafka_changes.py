"""What changes under a reader: partitions and topics that come and go, other members; and what it says of its state."""

import re
import threading

import pytest
from kafka_topics import CLIENTS, admin, anew, ids, live, made, some, until, whole
from queues import bodies, drain, events, name, offsets, send

from govlab.errors import SourceError
from govlab.sources.kafka.members import alone_in_group

pytestmark = pytest.mark.server


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("options", [{}, {"start": "latest"}, {"group": "g"}, {"group": "g", "start": "latest"}], ids=str)
def test_partitions_that_are_added_are_read_from_their_first_record_on(kafka_server, client, options):
    topic = made(kafka_server)
    reader = live(kafka_server, topic, client=client, **({**options, "group": name("g")} if "group" in options else options))
    reader.open()
    until(reader, lambda rows: 0 in reader.assigned())
    with admin(kafka_server) as one:
        one.create_partitions({topic: 2})
        one.wait_for_topics([topic])
    send(kafka_server, topic, bodies(events(5)), 1)
    while reader.lag().get(1) != 5:  # nothing is read meanwhile; an answer is a second old at most
        pass
    rows = until(reader, lambda rows: len(rows) == 5)
    assert (ids(events(5)), {0: 0, 1: 5}, {0: 0, 1: 0}) == (rows, offsets(reader), reader.lag())
    reader.close()


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("group", [False, True])
def test_topics_that_come_to_match_a_pattern_are_read_too(kafka_server, client, group):
    word = name("many")
    send(kafka_server, made(kafka_server, named=f"{word}.0"), bodies(events(5)))
    pattern = re.compile(re.escape(word) + r"\..*")
    reader = live(kafka_server, pattern, client=client, **({"group": name("g")} if group else {}))
    rows = until(reader, lambda rows: len(rows) == 5)
    send(kafka_server, made(kafka_server, named=f"{word}.1"), bodies(some(5, 9)))
    assert ids(events(9)) == until(reader, lambda rows: len(rows) == 9, rows)
    reader.close()


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("group", [False, True])
def test_a_topic_that_is_made_anew_while_it_is_read_is_an_error(kafka_server, client, group):
    topic = made(kafka_server)
    send(kafka_server, topic, bodies(events(5)))
    reader = live(kafka_server, topic, client=client, **({"group": name("g")} if group else {}))
    drain(reader, 5)
    anew(kafka_server, topic)
    send(kafka_server, topic, bodies(events(20)))
    with pytest.raises(SourceError, match="was made anew"):
        until(reader, lambda rows: False)
    with pytest.raises(SourceError, match="was made anew"):
        reader.fetch("0:1-3")
    reader.close()


@pytest.mark.parametrize("client", CLIENTS)
def test_a_run_that_is_resumed_over_a_topic_made_anew_is_an_error(kafka_server, client):
    topic = made(kafka_server)
    send(kafka_server, topic, bodies(events(10)))
    positions = []
    for reader in (live(kafka_server, topic, client=client), whole(kafka_server, topic, client=client)):
        drain(reader, 4, 2)
        positions.append(reader.position())
        reader.close()
    anew(kafka_server, topic)
    send(kafka_server, topic, bodies(events(50, seed=2)))
    for make, position in zip((live, whole), positions, strict=True):
        reader = make(kafka_server, topic, client=client)
        with pytest.raises(SourceError, match="was made anew"):
            reader.open(position)
        reader.close()


@pytest.mark.parametrize("client", CLIENTS)
def test_a_range_whose_topic_is_made_anew_while_it_is_read_does_not_end_as_if_nothing_were(kafka_server, client):
    topic = made(kafka_server)
    send(kafka_server, topic, bodies(events(10)))
    reader = whole(kafka_server, topic, client=client)
    drain(reader, 10)  # all of it; that it is the end is not said yet
    anew(kafka_server, topic)
    with pytest.raises(SourceError, match="was made anew"):
        drain(reader)
    reader.close()


@pytest.mark.parametrize("client", CLIENTS)
def test_a_topic_of_a_pattern_that_is_deleted_is_an_error_only_where_it_was_not_read_to_its_end(kafka_server, client):
    word = name("many")
    first, second = (made(kafka_server, named=f"{word}.{i}") for i in range(2))
    for topic in (first, second):
        send(kafka_server, topic, bodies(events(5)))
    reader = live(kafka_server, re.compile(re.escape(word) + r"\..*"), client=client)
    drain(reader, 10)
    with admin(kafka_server) as one:
        one.delete_topics([first])
    until(reader, lambda rows: len(reader.assigned()) == 1)
    send(kafka_server, second, bodies(some(5, 7)))
    assert ids(some(5, 7)) == ids(drain(reader, 2))
    position = reader.position()
    reader.close()
    assert 2 == len([key for key in position if key >= 0])  # where the other one was read to is kept
    with admin(kafka_server) as one:
        one.delete_topics([second])
    with pytest.raises(SourceError, match=r"there is no topic|no topic at"):
        live(kafka_server, re.compile(re.escape(word) + r"\..*"), client=client)


@pytest.mark.parametrize("client", CLIENTS)
def test_a_second_source_of_a_process_in_a_group_says_which_partitions_the_other_has(kafka_server, client):
    topic, group = made(kafka_server, 2), name("g")
    first, second = (live(kafka_server, topic, client=client, group=group) for _ in range(2))
    until(first, lambda rows: first.assigned() == {0, 1})
    second.open()
    while not (len(first.assigned()) == len(second.assigned()) == 1):  # each hears of the other only while it reads
        first.read(10)
        second.read(10)
    state, why = second.trouble()
    assert ("sharing", True) == (state, f"has the partitions {next(iter(first.assigned()))}; this one has" in why)
    first.close()
    until(second, lambda rows: second.assigned() == {0, 1})
    assert second.trouble() is None
    second.close()


@pytest.mark.parametrize("client", CLIENTS)
def test_a_member_of_a_group_without_a_partition_says_so(kafka_server, client):
    topic, group = made(kafka_server), name("g")
    first, second = (live(kafka_server, topic, client=client, group=group) for _ in range(2))
    until(first, lambda rows: first.assigned() == {0})
    second.open()
    ended = threading.Event()
    pump = threading.Thread(target=lambda: [first.read(10) for _ in iter(ended.is_set, True)])  # each goes on by itself
    pump.start()
    idle = None
    while idle is None or not idle._watch.latest or len(idle._watch.latest.members) < 2:
        second.read(10)
        # the group gives the partition to one of them, by the names that the broker has drawn
        idle = next((one for one in (first, second) if (one.trouble() or ("",))[0] == "waiting"), None)
    ended.set()
    pump.join()
    assert f"another source of this process is in the group '{group}' and has the partitions 0" == idle.trouble()[1]
    members = idle._watch.latest.members
    other = live(kafka_server, topic, client=client, group=name("g"))  # as in a process of its own: only the broker tells of others
    assert "has given all partitions to other members (2 in all: " in alone_in_group(other, members, 0.0)[1]
    for reader in (first, second):
        reader.close()


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("group", [False, True])
def test_lag_is_asked_and_not_remembered(kafka_server, client, group):
    topic = made(kafka_server)
    send(kafka_server, topic, bodies(events(10)))
    reader = live(kafka_server, topic, client=client, **({"group": name("g")} if group else {}))
    until(reader, lambda rows: len(rows) == 10)
    assert {0: 0} == reader.lag()
    send(kafka_server, topic, bodies(events(83)))
    while (lag := reader.lag()) == {0: 0}:  # nothing is read meanwhile; an answer is a second old at most
        pass
    assert {0: 83} == lag
    reader.close()


@pytest.mark.parametrize("client", CLIENTS)
def test_a_member_that_gets_a_partition_later_goes_on_where_the_group_stands(kafka_server, client):
    topic, group = made(kafka_server), name("g")
    first, second = (live(kafka_server, topic, client=client, group=group, start="latest") for _ in range(2))
    until(first, lambda rows: first.assigned() == {0})
    second.open()
    send(kafka_server, topic, bodies(events(10)))
    rows = ids(drain(first, 4, 2))
    first._commit(first.position(), wait=True)
    first.close()
    assert ids(some(4, 10)) == until(second, lambda rows: len(rows) == 6)
    assert ids(some(0, 4)) == rows
    second.close()
