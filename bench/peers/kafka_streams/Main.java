package tepat.streams;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.security.GeneralSecurityException;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Properties;
import java.util.Set;
import java.util.UUID;
import java.util.concurrent.CountDownLatch;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.producer.ProducerConfig;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.serialization.UUIDDeserializer;
import org.apache.kafka.common.serialization.UUIDSerializer;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.processor.api.Processor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.StoreBuilder;
import org.apache.kafka.streams.state.Stores;
import tepat.door.Door;
import tepat.door.Payout;
import tepat.door.Refused;
import tepat.door.Work;

/**
 * Overlapping payouts by Kafka Streams: a ledger by payout, repartitioned by household, and there the pairs.
 *
 * <p>Inbound records are keyed by payout, so the ledger needs no repartition of its own. A household's overlaps are
 * a function of its live payouts: what to announce is the difference that one payout's change makes.
 */
public final class Main {
    private static final Serde<Payout> PAYOUT = Serdes.serdeFrom(
            (topic, payout) -> payout == null ? null : bytes(List.of(payout)),
            (topic, bytes) -> bytes == null ? null : Payout.read(ByteBuffer.wrap(bytes)));
    private static final Serde<List<Payout>> PAYOUTS = Serdes.serdeFrom(
            (topic, payouts) -> payouts == null ? null : bytes(payouts),
            (topic, bytes) -> bytes == null ? null : payouts(ByteBuffer.wrap(bytes)));

    public static void main(String[] arguments) throws Exception {
        Work work = Work.read(arguments[0]);
        KafkaStreams streams = new KafkaStreams(topology(work), settings(work, arguments));
        CountDownLatch stopped = new CountDownLatch(1);
        streams.setUncaughtExceptionHandler(error -> {
            error.printStackTrace();
            stopped.countDown();
            return null;
        });
        Runtime.getRuntime().addShutdownHook(new Thread(streams::close));
        streams.start();
        stopped.await();
        Runtime.getRuntime().halt(1);
    }

    private static Topology topology(Work work) {
        return new Topology()
                .addSource("inbound", new ByteArrayDeserializer(), new ByteArrayDeserializer(), work.topic())
                .addProcessor("ledger", () -> new Ledger(work), "inbound")
                .addStateStore(store("payouts", Serdes.String(), PAYOUT), "ledger")
                .addSink("dead letters", work.deadLetters(), new ByteArraySerializer(), new ByteArraySerializer(), "ledger")
                .addSink("by household", work.households(), new UUIDSerializer(), PAYOUT.serializer(), "ledger")
                .addSource("changes", new UUIDDeserializer(), PAYOUT.deserializer(), work.households())
                .addProcessor("household", () -> new Household(work), "changes")
                .addStateStore(store("households", Serdes.UUID(), PAYOUTS), "household")
                .addSink("overlaps", work.overlaps(), new ByteArraySerializer(), new ByteArraySerializer(), "household");
    }

    private static <K, V> StoreBuilder<KeyValueStore<K, V>> store(String name, Serde<K> key, Serde<V> value) {
        return Stores.keyValueStoreBuilder(Stores.persistentKeyValueStore(name), key, value)
                .withCachingEnabled()
                .withLoggingEnabled(Map.of());
    }

    private static Properties settings(Work work, String[] arguments) {
        Properties settings = new Properties();
        settings.put(StreamsConfig.APPLICATION_ID_CONFIG, "peer-kafka-streams");
        settings.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, work.kafka());
        settings.put(StreamsConfig.STATE_DIR_CONFIG, work.home());
        settings.put(StreamsConfig.ROCKSDB_CONFIG_SETTER_CLASS_CONFIG, RocksDb.class);
        settings.put(ConsumerConfig.AUTO_OFFSET_RESET_CONFIG, "earliest");
        settings.put(ProducerConfig.ACKS_CONFIG, "all");
        for (int each = 1; each < arguments.length; each++) {
            String[] setting = arguments[each].split("=", 2);
            settings.put(setting[0], setting[1]);
        }
        return settings;
    }

    /** Keeps of each payout the event that holds, and tells the household what changed. */
    private static final class Ledger implements Processor<byte[], byte[], Object, Object> {
        private final Door door;
        private ProcessorContext<Object, Object> context;
        private KeyValueStore<String, Payout> payouts;

        Ledger(Work work) {
            try {
                door = new Door(work);
            } catch (GeneralSecurityException error) {
                throw new IllegalStateException(error);
            }
        }

        @Override
        public void init(ProcessorContext<Object, Object> context) {
            this.context = context;
            payouts = context.getStateStore("payouts");
        }

        @Override
        public void process(Record<byte[], byte[]> record) {
            Payout told;
            try {
                told = door.admit(record.value());
            } catch (Refused refused) {
                byte[] reason = refused.getMessage().getBytes(StandardCharsets.UTF_8);
                context.forward(withReason(record, reason), "dead letters");
                return;
            }
            if (told == null) {
                return;
            }
            Payout held = payouts.get(told.id());
            if (held != null && !told.supersedes(held)) {
                return;
            }
            payouts.put(told.id(), told);
            if (held != null && held.live() && !(told.live() && told.household().equals(held.household()))) {
                tell(record, told.leaving(held.household()));
            }
            if (told.live()) {
                tell(record, told);
            }
        }

        private void tell(Record<byte[], byte[]> of, Payout change) {
            UUID household = change.household();
            context.forward(new Record<>(household, change, of.timestamp()), "by household");
        }

        private static Record<byte[], byte[]> withReason(Record<byte[], byte[]> record, byte[] reason) {
            Record<byte[], byte[]> letter = new Record<>(record.key(), record.value(), record.timestamp());
            letter.headers().add("reason", reason);
            return letter;
        }
    }

    /** Keeps a household's live payouts, and announces what a change does to their overlaps. */
    private static final class Household implements Processor<UUID, Payout, byte[], byte[]> {
        private final ObjectMapper json = new ObjectMapper();
        private final Map<Set<String>, Work.Rule> rules;
        private ProcessorContext<byte[], byte[]> context;
        private KeyValueStore<UUID, List<Payout>> households;

        Household(Work work) {
            rules = Overlap.rules(work.rules());
        }

        @Override
        public void init(ProcessorContext<byte[], byte[]> context) {
            this.context = context;
            households = context.getStateStore("households");
        }

        @Override
        public void process(Record<UUID, Payout> record) {
            Payout change = record.value(), before = null;
            List<Payout> held = households.get(record.key());
            List<Payout> others = new ArrayList<>();
            for (Payout each : held == null ? List.<Payout>of() : held) {
                if (each.id().equals(change.id())) {
                    before = each;
                } else {
                    others.add(each);
                }
            }
            for (Payout other : others) {
                Overlap was = before == null ? null : Overlap.of(before, other, rules);
                Overlap is = change.live() ? Overlap.of(change, other, rules) : null;
                if (!Objects.equals(was, is)) {
                    announce(is == null ? was.pair() : is.pair(), is, record.timestamp());
                }
            }
            if (change.live()) {
                others.add(change);
            }
            households.put(record.key(), others.isEmpty() ? null : others);
        }

        private void announce(String pair, Overlap overlap, long timestamp) {
            try {
                byte[] value = overlap == null ? null : json.writeValueAsBytes(overlap);
                context.forward(new Record<>(pair.getBytes(StandardCharsets.UTF_8), value, timestamp));
            } catch (JsonProcessingException error) {
                throw new IllegalStateException(error);
            }
        }
    }

    private static byte[] bytes(List<Payout> payouts) {
        ByteBuffer buffer = ByteBuffer.allocate(payouts.stream().mapToInt(Payout::size).sum());
        payouts.forEach(payout -> payout.write(buffer));
        return buffer.array();
    }

    private static List<Payout> payouts(ByteBuffer from) {
        List<Payout> payouts = new ArrayList<>();
        while (from.hasRemaining()) {
            payouts.add(Payout.read(from));
        }
        return payouts;
    }

    private Main() {}
}
