"""A member of a group by aiokafka. It prints what it is given and commits it, until SIGTERM.

Modes: eager, sticky, static."""

import asyncio
import signal
import sys

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from aiokafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from aiokafka.coordinator.assignors.sticky.sticky_assignor import StickyPartitionAssignor

bootstrap, topic, group, mode, *instance = sys.argv[1:]


class Listener(ConsumerRebalanceListener):
    async def on_partitions_revoked(self, revoked):
        print("revoked", *[p.partition for p in revoked], flush=True)

    async def on_partitions_assigned(self, assigned):
        print("assigned", *[p.partition for p in assigned], flush=True)


async def main():
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
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    consumer.subscribe([topic], listener=Listener())
    await consumer.start()
    while not stopped.is_set():
        for partition, records in (await consumer.getmany(timeout_ms=200)).items():
            for record in records:
                print("record", partition.partition, record.offset, record.value.decode(), flush=True)
    await consumer.stop()
    print("closed", flush=True)


asyncio.run(main())
