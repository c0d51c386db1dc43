"""aiokafka, until SIGTERM.

A member of a group, which prints what it is given and commits it: modes eager, sticky, static.
BOOTSTRAP TOPIC GROUP MODE [INSTANCE]

transactions: a producer that writes transactions from number FIRST on and says how each ended.
BOOTSTRAP TOPIC ID transactions FIRST"""

import asyncio
import signal
import sys

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRebalanceListener
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from aiokafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from aiokafka.coordinator.assignors.sticky.sticky_assignor import StickyPartitionAssignor
from aiokafka.errors import KafkaError

PARTITIONS = 6
RECORDS = 3

bootstrap, topic, group, mode, *instance = sys.argv[1:]


def say(*words):
    print(*words, flush=True)


class Listener(ConsumerRebalanceListener):
    async def on_partitions_revoked(self, revoked):
        say("revoked", *[p.partition for p in revoked])

    async def on_partitions_assigned(self, assigned):
        say("assigned", *[p.partition for p in assigned])


async def member(stopped):
    consumer = AIOKafkaConsumer(
        bootstrap_servers=bootstrap,
        group_id=group,
        group_instance_id=instance[0] if instance else None,
        auto_offset_reset="earliest",
        auto_commit_interval_ms=500,
        session_timeout_ms=6000,
        heartbeat_interval_ms=500,
        metadata_max_age_ms=2000,
        partition_assignment_strategy=[StickyPartitionAssignor] if mode == "sticky" else [RangePartitionAssignor, RoundRobinPartitionAssignor],
    )
    consumer.subscribe([topic], listener=Listener())
    await consumer.start()
    while not stopped.is_set():
        for partition, records in (await consumer.getmany(timeout_ms=200)).items():
            for record in records:
                say("record", partition.partition, record.offset, record.value.decode())
    await consumer.stop()


async def new_producer(stopped):
    while not stopped.is_set():
        producer = AIOKafkaProducer(
            bootstrap_servers=bootstrap,
            transactional_id=group,
            transaction_timeout_ms=10000,
            request_timeout_ms=10000,
            metadata_max_age_ms=2000,
        )
        try:
            await producer.start()
            return producer
        except KafkaError as e:
            say("error", repr(e))
            await close(producer)
            await asyncio.sleep(1)


async def close(producer):
    try:
        await asyncio.wait_for(producer.stop(), 5)
    except (KafkaError, asyncio.TimeoutError) as e:
        say("error", repr(e))


async def transactions(stopped):
    producer = await new_producer(stopped)
    n = int(instance[0])
    while producer and not stopped.is_set():
        say("begin", n)
        ending = False
        try:
            await producer.begin_transaction()
            sent = [await producer.send(topic, f"t{n}.{j}".encode(), partition=(n + j) % PARTITIONS) for j in range(RECORDS)]
            await asyncio.gather(*sent)
            if n % 3 == 2:
                await producer.abort_transaction()
                say("aborted", n)
            else:
                ending = True
                await producer.commit_transaction()
                say("committed", n)
        except KafkaError as e:
            say("error", repr(e))
            try:
                await producer.abort_transaction()
            except KafkaError as again:
                say("error", repr(again))
                await close(producer)
                producer = await new_producer(stopped)
            say("unknown" if ending else "aborted", n)
        n += 1
        await asyncio.sleep(0.02)
    if producer:
        await close(producer)


async def main():
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    await (transactions if mode == "transactions" else member)(stopped)
    say("closed")


asyncio.run(main())
