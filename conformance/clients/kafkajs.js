// kafkajs, until SIGTERM.
//
// A member of a group, which prints what it is given and commits it, in mode eager: BOOTSTRAP TOPIC GROUP MODE
// A producer that writes transactions from number FIRST on and says how each ended: BOOTSTRAP TOPIC ID transactions FIRST
const { Kafka, logLevel } = require('kafkajs')

const PARTITIONS = 6
const RECORDS = 3

const [bootstrap, topic, group, mode, first] = process.argv.slice(2)
const kafka = new Kafka({ clientId: 'kafkajs', brokers: bootstrap.split(','), logLevel: logLevel.ERROR, retry: { retries: 30 } })

async function member () {
  const consumer = kafka.consumer({ groupId: group, sessionTimeout: 6000, heartbeatInterval: 500, metadataMaxAge: 2000 })
  consumer.on(consumer.events.GROUP_JOIN, e => console.log('assigned', ...(e.payload.memberAssignment[topic] || [])))
  consumer.on(consumer.events.REBALANCING, () => console.log('revoked'))
  process.on('SIGTERM', async () => {
    await consumer.disconnect()
    console.log('closed')
    process.exit(0)
  })
  await consumer.connect()
  await consumer.subscribe({ topic, fromBeginning: true })
  await consumer.run({
    autoCommitInterval: 500,
    eachMessage: async ({ partition, message }) => console.log('record', partition, message.offset, message.value.toString())
  })
}

const sleep = ms => new Promise(resolve => setTimeout(resolve, ms))

async function transactions () {
  let running = true
  process.on('SIGTERM', () => { running = false })
  const renew = async () => {
    const p = kafka.producer({ transactionalId: group, transactionTimeout: 10000, idempotent: true, maxInFlightRequests: 1, metadataMaxAge: 2000 })
    await p.connect()
    return p
  }
  let producer = await renew()
  for (let n = Number(first); running; n++) {
    console.log('begin', n)
    let ending = false
    let transaction
    try {
      transaction = await producer.transaction()
      const messages = [...Array(RECORDS).keys()].map(j => ({ value: `t${n}.${j}`, partition: (n + j) % PARTITIONS }))
      await transaction.send({ topic, messages })
      if (n % 3 === 2) {
        await transaction.abort()
        console.log('aborted', n)
      } else {
        ending = true
        await transaction.commit()
        console.log('committed', n)
      }
    } catch (e) {
      console.log('error', e.message)
      // It says of no error that the producer can go on with it: another takes its transactional id, and fences it.
      await producer.disconnect().catch(e => console.log('error', e.message))
      producer = await renew()
      console.log(ending ? 'unknown' : 'aborted', n)
    }
    await sleep(20)
  }
  await producer.disconnect()
  console.log('closed')
  process.exit(0)
}

(mode === 'transactions' ? transactions : member)().catch(e => { console.log('error', e.message); process.exit(1) })
