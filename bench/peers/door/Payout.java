package tepat.door;

import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.UUID;

/**
 * What one event says of a payout. Days are counted from 1970-01-01, the time in microseconds; of an ended payout
 * only the first five are known, and those of its holder that it takes over.
 */
public record Payout(
        String id,
        long revision,
        int rank,
        long time,
        String event,
        UUID person,
        UUID household,
        String programme,
        int from,
        int to,
        long amount) {

    public static final int CANCELLED = 2;

    public boolean live() {
        return rank < CANCELLED;
    }

    /** Whether this event holds over another of the same payout: by (revision, rank, time, event id). */
    public boolean supersedes(Payout other) {
        int order = Long.compare(revision, other.revision);
        order = order != 0 ? order : Integer.compare(rank, other.rank);
        order = order != 0 ? order : Long.compare(time, other.time);
        return (order != 0 ? order : Arrays.compareUnsigned(utf8(event), utf8(other.event))) > 0;
    }

    /** The same payout as no longer live in the household that another event of it named. */
    public Payout leaving(UUID left) {
        return new Payout(id, revision, CANCELLED, time, event, null, left, null, 0, 0, 0);
    }

    public int size() {
        return 4 + id.length() + 8 + 1 + 8 + 4 + utf8(event).length + (live() ? 32 + 4 + utf8(programme).length + 16 : 0);
    }

    public void write(ByteBuffer to) {
        text(to, id);
        to.putLong(revision).put((byte) rank).putLong(time);
        text(to, event);
        if (live()) {
            to.putLong(person.getMostSignificantBits()).putLong(person.getLeastSignificantBits());
            to.putLong(household.getMostSignificantBits()).putLong(household.getLeastSignificantBits());
            text(to, programme);
            to.putInt(from).putInt(this.to).putLong(amount);
        }
    }

    public static Payout read(ByteBuffer from) {
        String id = text(from);
        long revision = from.getLong();
        int rank = from.get();
        long time = from.getLong();
        String event = text(from);
        if (rank >= CANCELLED) {
            return new Payout(id, revision, rank, time, event, null, null, null, 0, 0, 0);
        }
        UUID person = new UUID(from.getLong(), from.getLong());
        UUID household = new UUID(from.getLong(), from.getLong());
        String programme = text(from);
        int starts = from.getInt(), ends = from.getInt();
        return new Payout(
                id, revision, rank, time, event, person, household, programme, starts, ends, from.getLong());
    }

    private static void text(ByteBuffer to, String text) {
        byte[] bytes = utf8(text);
        to.putInt(bytes.length).put(bytes);
    }

    private static String text(ByteBuffer from) {
        byte[] bytes = new byte[from.getInt()];
        from.get(bytes);
        return new String(bytes, StandardCharsets.UTF_8);
    }

    private static byte[] utf8(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }
}
