import java.io.InputStream;
import java.io.OutputStream;
import java.lang.management.ManagementFactory;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import org.apache.kafka.common.compress.Compression;
import org.apache.kafka.common.record.internal.RecordBatch;
import org.apache.kafka.common.utils.internals.BufferSupplier;
import org.apache.kafka.common.utils.internals.ByteBufferOutputStream;

/**
 * What each level of a codec makes of each kind of payload, and what CPU that takes, through the streams that Kafka's own
 * clients and brokers use. Rounds are interleaved; each number is the median of its rounds.
 *
 * Codecs DIR RECORD_BYTES BATCH_BYTES: DIR holds KIND.bin, values of RECORD_BYTES one after the other.
 */
public class Codecs {
    static final int ROUNDS = 3;
    static final long LEAST_NANOS = 8_000_000;

    record Case(String codec, int level, String payload, Compression compression, byte[][] values, List<Double> compress, List<Double> decompress, double[] ratio) {}

    public static void main(String[] args) throws Exception {
        int recordBytes = Integer.parseInt(args[1]), batchBytes = Integer.parseInt(args[2]);
        List<Case> cases = new ArrayList<>();
        for (String payload : List.of("text", "json", "random", "zeros")) {
            byte[][] values = values(Path.of(args[0], payload + ".bin"), recordBytes);
            for (int level : new int[] {1, 3, 6, 9})
                cases.add(of("gzip", level, payload, Compression.gzip().level(level).build(), values));
            cases.add(of("snappy", 0, payload, Compression.snappy().build(), values));
            for (int level : new int[] {1, 8, 9, 10, 12, 17})
                cases.add(of("lz4", level, payload, Compression.lz4().level(level).build(), values));
            for (int level : new int[] {-10, -1, 1, 3, 5, 7, 9, 12, 15, 19})
                cases.add(of("zstd", level, payload, Compression.zstd().level(level).build(), values));
        }
        for (int round = 0; round <= ROUNDS; round++) // the first is for the compiler
            for (Case c : cases)
                measure(c, batchBytes / recordBytes, round > 0);
        System.out.println("codec,level,payload,ratio,compress_ns_per_byte,decompress_ns_per_byte");
        for (Case c : cases)
            System.out.printf(Locale.ROOT, "%s,%d,%s,%.3f,%.4g,%.4g%n", c.codec, c.level, c.payload, c.ratio[0], median(c.compress), median(c.decompress));
    }

    static Case of(String codec, int level, String payload, Compression compression, byte[][] values) {
        return new Case(codec, level, payload, compression, values, new ArrayList<>(), new ArrayList<>(), new double[1]);
    }

    static byte[][] values(Path file, int recordBytes) throws Exception {
        byte[] all = Files.readAllBytes(file);
        byte[][] values = new byte[all.length / recordBytes][];
        for (int i = 0; i < values.length; i++)
            values[i] = Arrays.copyOfRange(all, i * recordBytes, (i + 1) * recordBytes);
        return values;
    }

    static void measure(Case c, int perBatch, boolean counts) throws Exception {
        var threads = ManagementFactory.getThreadMXBean();
        int batches = c.values.length / perBatch;
        ByteBuffer[] packed = new ByteBuffer[batches];
        long plain = 0, small = 0, done = 0, began = threads.getCurrentThreadCpuTime();
        do {
            for (int i = 0; i < batches; i++) {
                ByteBufferOutputStream out = new ByteBufferOutputStream(perBatch * c.values[0].length + 512);
                try (OutputStream to = c.compression.wrapForOutput(out, RecordBatch.MAGIC_VALUE_V2)) {
                    for (int j = 0; j < perBatch; j++) {
                        byte[] value = c.values[i * perBatch + j];
                        to.write(value);
                        done += value.length;
                    }
                }
                packed[i] = out.buffer();
                packed[i].flip();
            }
        } while (threads.getCurrentThreadCpuTime() - began < LEAST_NANOS);
        double compress = (double) (threads.getCurrentThreadCpuTime() - began) / done;
        for (ByteBuffer b : packed)
            small += b.remaining();
        plain = (long) batches * perBatch * c.values[0].length;
        byte[] into = new byte[16 * 1024];
        BufferSupplier buffers = BufferSupplier.create();
        done = 0;
        began = threads.getCurrentThreadCpuTime();
        do {
            for (ByteBuffer b : packed) {
                try (InputStream from = c.compression.wrapForInput(b.duplicate(), RecordBatch.MAGIC_VALUE_V2, buffers)) {
                    for (int n = from.read(into); n > 0; n = from.read(into))
                        done += n;
                }
            }
        } while (threads.getCurrentThreadCpuTime() - began < LEAST_NANOS);
        double decompress = (double) (threads.getCurrentThreadCpuTime() - began) / done;
        if (done % plain != 0)
            throw new IllegalStateException(c.codec + " " + c.level + ": found " + done + " bytes, expected a multiple of " + plain);
        if (counts) {
            c.compress.add(compress);
            c.decompress.add(decompress);
            c.ratio[0] = (double) plain / small;
        }
    }

    static double median(List<Double> xs) {
        double[] sorted = xs.stream().mapToDouble(x -> x).sorted().toArray();
        return sorted[sorted.length / 2];
    }
}
