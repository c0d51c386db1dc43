// node produce.js ADDRESSES TOPIC COUNT: produces numbered records, number n
// to partition n % 3, with kafkajs, which NODE_PATH must lead to.
const { Kafka, CompressionTypes, logLevel } = require("kafkajs");

const [addresses, topic, count] = process.argv.slice(2);

async function main() {
  const kafka = new Kafka({ clientId: "trial", brokers: addresses.split(","), logLevel: logLevel.WARN });
  const producer = kafka.producer();
  await producer.connect();
  for (let n = 0; n < Number(count); n += 600) {
    const messages = [];
    for (let i = n; i < Math.min(n + 600, count); i++) {
      messages.push({ key: `key ${i}`, value: `value ${i}`, headers: { n: String(i) }, partition: i % 3 });
    }
    await producer.send({ topic, acks: -1, compression: CompressionTypes.GZIP, messages });
  }
  await producer.disconnect();
}

main().catch((err) => {
  console.error(err);
  process.exit(1);
});
