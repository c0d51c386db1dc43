// A member of a group by kafkajs. It prints what it is given and commits it, until SIGTERM. Mode: eager.
const { Kafka, logLevel } = require('kafkajs')

const [bootstrap, topic, group] = process.argv.slice(2)
const kafka = new Kafka({ clientId: 'kafkajs', brokers: bootstrap.split(','), logLevel: logLevel.ERROR, retry: { retries: 30 } })
const consumer = kafka.consumer({ groupId: group, sessionTimeout: 6000, heartbeatInterval: 500, metadataMaxAge: 2000 })

consumer.on(consumer.events.GROUP_JOIN, e => console.log('assigned', ...(e.payload.memberAssignment[topic] || [])))
consumer.on(consumer.events.REBALANCING, () => console.log('revoked'))
process.on('SIGTERM', async () => {
  await consumer.disconnect()
  console.log('closed')
  process.exit(0)
})

async function main () {
  await consumer.connect()
  await consumer.subscribe({ topic, fromBeginning: true })
  await consumer.run({
    autoCommitInterval: 500,
    eachMessage: async ({ partition, message }) => console.log('record', partition, message.offset, message.value.toString())
  })
}

main().catch(e => { console.log('error', e.message); process.exit(1) })
