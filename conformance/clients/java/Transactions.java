package ktrial;

import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.ExecutionException;

import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerConfig;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.ApplicationRecoverableException;
import org.apache.kafka.common.errors.AuthorizationException;
import org.apache.kafka.common.errors.OutOfOrderSequenceException;
import org.apache.kafka.common.errors.ProducerFencedException;
import org.apache.kafka.common.errors.TimeoutException;
import org.apache.kafka.common.errors.UnsupportedVersionException;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

/**
 * Java's transactional producer, until SIGTERM.
 *
 * <pre>
 * Transactions BOOTSTRAP TOPIC ID transactions FIRST    writes transactions from number FIRST on and says how each ended
 * Transactions BOOTSTRAP TOPIC GROUP pipeline INSTANCE  a member of a group that copies TOPIC to TOPIC-GROUP,
 *                                                       and prints what it has copied when that is committed
 * </pre>
 */
public final class Transactions {
    private static final int PARTITIONS = 6;
    private static final int RECORDS = 3;

    private static volatile boolean running = true;

    private final String bootstrap;
    private final String topic;
    private final String id;
    private KafkaProducer<String, String> producer;

    private Transactions(String bootstrap, String topic, String id) {
        this.bootstrap = bootstrap;
        this.topic = topic;
        this.id = id;
    }

    public static void main(String[] args) throws Exception {
        if (args.length != 5) {
            System.err.println("Transactions: found " + args.length + " arguments, expected BOOTSTRAP TOPIC ID MODE FIRST|INSTANCE");
            System.exit(64);
        }
        Thread main = Thread.currentThread();
        Runtime.getRuntime().addShutdownHook(new Thread(() -> {
            running = false;
            try {
                main.join();
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
            }
        }));
        boolean pipeline = args[3].equals("pipeline");
        Transactions t = new Transactions(args[0], args[1], pipeline ? args[2] + "-" + args[4] : args[2]);
        if (pipeline) {
            t.copy(args[2]);
        } else {
            t.write(Integer.parseInt(args[4]));
        }
    }

    private static synchronized void say(Object... words) {
        StringBuilder line = new StringBuilder();
        for (Object w : words) {
            line.append(line.length() > 0 ? " " : "").append(w);
        }
        System.out.println(line);
        System.out.flush();
    }

    /** A producer whose transactional id is initialised; null: SIGTERM came before. */
    private KafkaProducer<String, String> newProducer() {
        Properties p = new Properties();
        p.put(ProducerConfig.BOOTSTRAP_SERVERS_CONFIG, bootstrap);
        p.put(ProducerConfig.TRANSACTIONAL_ID_CONFIG, id);
        p.put(ProducerConfig.TRANSACTION_TIMEOUT_CONFIG, 10_000);
        KafkaProducer<String, String> made = new KafkaProducer<>(p, new StringSerializer(), new StringSerializer());
        while (running) {
            try {
                made.initTransactions();
                return made;
            } catch (TimeoutException e) {
                say("error", e);
            }
        }
        made.close(Duration.ofSeconds(1));
        return null;
    }

    /** Whether the producer can no longer be used. */
    private static boolean isFatal(KafkaException e) {
        return e instanceof ProducerFencedException || e instanceof OutOfOrderSequenceException || e instanceof AuthorizationException
            || e instanceof UnsupportedVersionException || e instanceof ApplicationRecoverableException;
    }

    private void commit() {
        while (true) {
            try {
                producer.commitTransaction();
                return;
            } catch (TimeoutException e) {
                say("error", "commit again:", e); // as its documentation says
            }
        }
    }

    /** Aborts, or begins with another producer. */
    private void abort(KafkaException why) {
        say("error", why);
        if (!isFatal(why)) {
            try {
                producer.abortTransaction();
                return;
            } catch (KafkaException e) {
                say("error", e);
            }
        }
        producer.close(Duration.ofSeconds(1));
        producer = newProducer();
    }

    private void write(int first) throws InterruptedException {
        producer = newProducer();
        for (int n = first; running && producer != null; n++) {
            say("begin", n);
            say(transaction(n), n);
            Thread.sleep(20);
        }
        if (producer != null) {
            producer.close();
        }
        say("closed");
    }

    private String transaction(int n) {
        boolean ending = false;
        try {
            producer.beginTransaction();
            for (int j = 0; j < RECORDS; j++) {
                producer.send(new ProducerRecord<>(topic, (n + j) % PARTITIONS, null, "t" + n + "." + j));
            }
            if (n % 3 == 2) {
                producer.flush();
                producer.abortTransaction();
                return "aborted";
            }
            ending = true;
            commit();
            return "committed";
        } catch (KafkaException e) {
            abort(e);
            return ending ? "unknown" : "aborted";
        }
    }

    private void copy(String group) throws ExecutionException, InterruptedException {
        producer = newProducer();
        Properties p = new Properties();
        p.put(ConsumerConfig.BOOTSTRAP_SERVERS_CONFIG, bootstrap);
        p.put(ConsumerConfig.GROUP_ID_CONFIG, group);
        p.put(ConsumerConfig.AUTO_OFFSET_RESET_CONFIG, "earliest");
        p.put(ConsumerConfig.ENABLE_AUTO_COMMIT_CONFIG, false);
        p.put(ConsumerConfig.ISOLATION_LEVEL_CONFIG, "read_committed");
        p.put(ConsumerConfig.SESSION_TIMEOUT_MS_CONFIG, 6000);
        p.put(ConsumerConfig.HEARTBEAT_INTERVAL_MS_CONFIG, 500);
        p.put(ConsumerConfig.METADATA_MAX_AGE_CONFIG, 2000);
        try (KafkaConsumer<String, String> consumer = new KafkaConsumer<>(p, new StringDeserializer(), new StringDeserializer())) {
            consumer.subscribe(List.of(topic));
            while (running && producer != null) {
                List<ConsumerRecord<String, String>> records = new ArrayList<>();
                consumer.poll(Duration.ofMillis(200)).forEach(records::add);
                if (!records.isEmpty()) {
                    copy(consumer, group, records);
                }
            }
        }
        say("closed");
    }

    private void copy(KafkaConsumer<String, String> consumer, String group, List<ConsumerRecord<String, String>> records) {
        Map<TopicPartition, OffsetAndMetadata> next = new HashMap<>();
        try {
            producer.beginTransaction();
            for (ConsumerRecord<String, String> r : records) {
                producer.send(new ProducerRecord<>(topic + "-" + group, r.partition(), null, r.value()));
                next.put(new TopicPartition(r.topic(), r.partition()), new OffsetAndMetadata(r.offset() + 1));
            }
            producer.sendOffsetsToTransaction(next, consumer.groupMetadata());
            commit();
        } catch (KafkaException e) {
            abort(e);
            rewind(consumer);
            return;
        }
        for (ConsumerRecord<String, String> r : records) {
            say("record", r.partition(), r.offset(), r.value());
        }
    }

    /** Goes back to what is committed. */
    private static void rewind(KafkaConsumer<String, String> consumer) {
        while (running) {
            try {
                Map<TopicPartition, OffsetAndMetadata> committed = consumer.committed(consumer.assignment());
                for (TopicPartition tp : consumer.assignment()) {
                    OffsetAndMetadata o = committed.get(tp);
                    consumer.seek(tp, o == null ? 0 : o.offset());
                }
                return;
            } catch (TimeoutException e) {
                say("error", e);
            }
        }
    }
}
