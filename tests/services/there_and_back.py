"""One message there and back, by the usual clients."""

import asyncio
import contextlib
import ssl
import threading
from concurrent.futures import ThreadPoolExecutor

import paho.mqtt.client as mqtt
import pika
import psutil
import rstream
import stomp
from kafka import KafkaConsumer, KafkaProducer, TopicPartition


def write_kafka(address, topic, value, **options):
    with contextlib.closing(KafkaProducer(bootstrap_servers=address, **options)) as producer:
        return producer.send(topic, value).get(30)


def read_kafka(address, topic, **options):
    """The values of a topic, up to where it ends now."""
    with contextlib.closing(KafkaConsumer(bootstrap_servers=address, **options)) as consumer:
        parts = [TopicPartition(topic, part) for part in consumer.partitions_for_topic(topic)]
        consumer.assign(parts)
        consumer.seek_to_beginning(*parts)
        ends, values = consumer.end_offsets(parts), []
        while any(consumer.position(part) < ends[part] for part in parts):
            values += [record.value for records in consumer.poll(200).values() for record in records]
        return values


def trusting(ca):
    return ssl.create_default_context(cafile=str(ca))


def amqp(address, ca=None, user="guest", password="guest"):
    """A connection by AMQP, to be closed by whoever asked."""
    parameters = pika.URLParameters(address)
    parameters.credentials = pika.PlainCredentials(user, password)
    if ca:
        parameters.ssl_options = pika.SSLOptions(trusting(ca), "127.0.0.1")
    return contextlib.closing(pika.BlockingConnection(parameters))


def publish(address, queue, body, *options):
    with amqp(address, *options) as connection:
        channel = connection.channel()
        channel.confirm_delivery()
        channel.queue_declare(queue, durable=True)
        channel.basic_publish("", queue, body, pika.BasicProperties(delivery_mode=2), mandatory=True)


def fetch(address, queue):
    with amqp(address) as connection:
        return connection.channel().basic_get(queue, auto_ack=True)[2]


def by_mqtt(address, ca=None, user="guest", password="guest"):
    """What comes back of a message by MQTT."""
    host, port = address.split(":")
    client, came = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2), []
    done = threading.Event()
    client.username_pw_set(user, password)
    if ca:
        client.tls_set_context(trusting(ca))
    client.on_connect = lambda client, *_: client.subscribe("govlab/mqtt", qos=1)
    client.on_subscribe = lambda client, *_: client.publish("govlab/mqtt", b"by mqtt", qos=1)
    client.on_message = lambda _client, _data, message: (came.append(message.payload), done.set())
    client.connect(host, int(port))
    client.loop_start()
    try:
        assert done.wait(300)
    finally:
        client.disconnect()
        client.loop_stop()
    return came


def by_stomp(address, ca=None, user="guest", password="guest"):
    """What comes back of a message by STOMP."""
    host, port = address.split(":")
    connection, came, done = stomp.Connection([(host, int(port))]), [], threading.Event()
    if ca:
        connection.set_ssl([(host, int(port))], ca_certs=str(ca))

    class Listener(stomp.ConnectionListener):
        def on_message(self, frame):
            came.append(frame.body)
            done.set()

    connection.set_listener("", Listener())
    connection.connect(user, password, wait=True)
    try:
        connection.subscribe("/queue/stomp", id="1")
        connection.send("/queue/stomp", "by stomp")
        assert done.wait(300)
    finally:
        connection.disconnect()
    return came


def by_stream(address, ca=None, user="guest", password="guest"):
    """What comes back of a message by the protocol of streams."""
    host, port = address.split(":")
    options = {"host": host, "port": int(port), "username": user, "password": password}
    if ca:
        options["ssl_context"] = trusting(ca)

    async def there_and_back():
        came = []
        async with rstream.Producer(**options) as producer:
            await producer.create_stream("by-stream", exists_ok=True)
            await producer.send_wait("by-stream", b"by stream")
        consumer = rstream.Consumer(**options)

        async def take(message, context):
            came.append(message)
            consumer.stop()

        await consumer.start()
        await consumer.subscribe(
            "by-stream", take, offset_specification=rstream.ConsumerOffsetSpecification(rstream.OffsetType.FIRST)
        )
        await asyncio.wait_for(consumer.run(), 30)
        await consumer.close()
        return came

    # a thread of its own: a browser of another test may have left a loop running in this one
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(lambda: asyncio.run(there_and_back())).result(60)


def processes_of(folder):
    """All processes of the machine that have to do with a folder."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.status() != psutil.STATUS_ZOMBIE and any(
                str(folder) in text for text in [*process.cmdline(), *process.environ().values()]
            ):
                found.append(process.name())
    return found
