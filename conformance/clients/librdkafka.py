"""confluent-kafka (librdkafka), until SIGTERM.

A member of a group, which prints what it is given and commits it: modes eager, cooperative, static, consumer (KIP-848),
consumer-static. BOOTSTRAP TOPIC GROUP MODE [INSTANCE]

pipeline: a member that copies TOPIC to TOPIC-GROUP in transactions, and prints what it has copied when that is committed.
BOOTSTRAP TOPIC GROUP pipeline INSTANCE

transactions: a producer that writes transactions from number FIRST on and says how each ended.
BOOTSTRAP TOPIC ID transactions FIRST"""

import faulthandler
import os
import signal
import sys
import threading
import time

from confluent_kafka import OFFSET_BEGINNING, OFFSET_INVALID, Consumer, KafkaException, Producer, TopicPartition

PARTITIONS = 6
RECORDS = 3

bootstrap, topic, group, mode, *instance = sys.argv[1:]
running = True


def stop(*_):
    global running
    running = False


def say(*words):
    print(*words, flush=True)


def consumer_config():
    config = {
        "bootstrap.servers": bootstrap,
        "group.id": group,
        "auto.offset.reset": "earliest",
        "auto.commit.interval.ms": 500,
        "topic.metadata.refresh.interval.ms": 2000,
    }
    if mode.startswith("consumer"):
        config["group.protocol"] = "consumer"
    else:
        config["session.timeout.ms"] = 6000
        config["heartbeat.interval.ms"] = 500
        config["partition.assignment.strategy"] = "cooperative-sticky" if mode == "cooperative" else "range,roundrobin"
    if mode == "pipeline":
        config["enable.auto.commit"] = False
        config["isolation.level"] = "read_committed"
    elif instance:
        config["group.instance.id"] = instance[0]
    return config


def member():
    consumer = Consumer(consumer_config())
    consumer.subscribe(
        [topic],
        on_assign=lambda c, ps: say("assigned", *[p.partition for p in ps]),
        on_revoke=lambda c, ps: say("revoked", *[p.partition for p in ps]),
        on_lost=lambda c, ps: say("lost", *[p.partition for p in ps]),
    )
    while running:
        message = consumer.poll(0.2)
        if message is None:
            continue
        if message.error():
            say("error", message.error())
            continue
        say("record", message.partition(), message.offset(), message.value().decode())
    consumer.close()
    say("closed")


class Transactions:
    """A transactional producer that is made anew after a fatal error."""

    def __init__(self, id):
        self.id = id
        self.renew()

    def renew(self):
        self.producer = Producer(
            {
                "bootstrap.servers": bootstrap,
                "transactional.id": self.id,
                "transaction.timeout.ms": 10000,
                "topic.metadata.refresh.interval.ms": 2000,
                "linger.ms": 0,
            }
        )
        while running:
            try:
                self.producer.init_transactions(10)
                return
            except KafkaException as e:
                say("error", e)
                if not e.args[0].retriable():
                    time.sleep(1)

    def run(self, write, commit):
        """Runs a transaction in which write produces, and says how it ended."""
        ending = False
        try:
            self.producer.begin_transaction()
            write(self.producer)
            if not commit:
                self.producer.flush(10)
                self.producer.abort_transaction()
                return "aborted"
            ending = True
            self.commit()
            return "committed"
        except KafkaException as e:
            self.abort(e)
            return "unknown" if ending else "aborted"

    def commit(self):
        while True:
            try:
                self.producer.commit_transaction(10)
                return
            except KafkaException as e:
                if not e.args[0].retriable():
                    raise
                say("error", "commit again:", e)

    def abort(self, e):
        say("error", e)
        while not e.args[0].fatal():
            try:
                self.producer.abort_transaction(10)
                return
            except KafkaException as again:
                say("error", again)
                e = again
                if not e.args[0].retriable() and not e.args[0].txn_requires_abort():
                    break
        self.renew()


def transactions():
    producer = Transactions(group)
    n = int(instance[0])
    while running:
        say("begin", n)

        def write(p):
            for j in range(RECORDS):
                p.produce(topic, f"t{n}.{j}", partition=(n + j) % PARTITIONS)

        say(producer.run(write, n % 3 != 2), n)
        n += 1
        time.sleep(0.02)
    say("closed")


def pipeline():
    producer = Transactions(f"{group}-{instance[0]}")
    consumer = Consumer(consumer_config())
    consumer.subscribe([topic])
    given = time.monotonic()
    while running:
        faulthandler.dump_traceback_later(60)  # says where it is if it is stuck
        messages = [m for m in consumer.consume(100, 0.2) if not m.error()]
        if not messages:
            if time.monotonic() - given > 30:
                given = time.monotonic()
                say("error", "nothing for 30 seconds:", *[f"{p.partition}@{p.offset}" for p in consumer.position(consumer.assignment())])
            continue
        given = time.monotonic()
        ends = {m.partition(): m.offset() + 1 for m in messages}

        def write(p):
            for m in messages:
                p.produce(f"{topic}-{group}", m.value(), partition=m.partition())
            offsets = [TopicPartition(topic, partition, offset) for partition, offset in ends.items()]
            hangs = threading.Timer(25, start_again)
            hangs.start()
            try:
                p.send_offsets_to_transaction(offsets, consumer.consumer_group_metadata(), 10)
            finally:
                hangs.cancel()

        if producer.run(write, True) == "committed":
            for m in messages:
                say("record", m.partition(), m.offset(), m.value().decode())
        else:
            rewind(consumer)
    consumer.close()
    say("closed")


def start_again():
    """What a service's supervisor does. librdkafka does not look at the timeout of this call, and where its group
    coordinator was not among the brokers for a moment, as when all are restarted, it may never come back."""
    say("error", "send_offsets_to_transaction hangs (librdkafka #5456, #5511): started again")
    os.execv(sys.executable, [sys.executable, *sys.argv])


def rewind(consumer):
    """Goes back to what is committed."""
    while running:
        try:
            for p in consumer.committed(consumer.assignment(), 10):
                if p.offset == OFFSET_INVALID:
                    p.offset = OFFSET_BEGINNING
                consumer.seek(p)
            return
        except KafkaException as e:
            say("error", e)


signal.signal(signal.SIGTERM, stop)
{"transactions": transactions, "pipeline": pipeline}.get(mode, member)()
