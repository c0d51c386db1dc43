"""A member of a group by confluent-kafka (librdkafka). It prints what it is given and commits it, until SIGTERM.

Modes: eager, cooperative, static, consumer (KIP-848)."""

import signal
import sys

from confluent_kafka import Consumer

bootstrap, topic, group, mode, *instance = sys.argv[1:]
config = {
    "bootstrap.servers": bootstrap,
    "group.id": group,
    "auto.offset.reset": "earliest",
    "auto.commit.interval.ms": 500,
    "topic.metadata.refresh.interval.ms": 2000,
}
if mode == "consumer":
    config["group.protocol"] = "consumer"
else:
    config["session.timeout.ms"] = 6000
    config["heartbeat.interval.ms"] = 500
    config["partition.assignment.strategy"] = "cooperative-sticky" if mode == "cooperative" else "range,roundrobin"
if instance:
    config["group.instance.id"] = instance[0]

running = True


def stop(*_):
    global running
    running = False


signal.signal(signal.SIGTERM, stop)
consumer = Consumer(config)
consumer.subscribe(
    [topic],
    on_assign=lambda c, ps: print("assigned", *[p.partition for p in ps], flush=True),
    on_revoke=lambda c, ps: print("revoked", *[p.partition for p in ps], flush=True),
    on_lost=lambda c, ps: print("lost", *[p.partition for p in ps], flush=True),
)
while running:
    message = consumer.poll(0.2)
    if message is None:
        continue
    if message.error():
        print("error", message.error(), flush=True)
        continue
    print("record", message.partition(), message.offset(), message.value().decode(), flush=True)
consumer.close()
print("closed", flush=True)
