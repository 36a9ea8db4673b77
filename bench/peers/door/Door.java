package tepat.door;

import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.time.DateTimeException;
import java.time.LocalDate;
import java.time.YearMonth;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.UUID;
import java.util.regex.Pattern;
import javax.crypto.Mac;
import javax.crypto.spec.SecretKeySpec;

/**
 * The contract for payouts, in structured mode: one record in, one payout out under its pseudonyms, or the reason
 * why not. For one thread. Creates the file `began` at the first record that the process admits.
 */
public final class Door {
    private static final int LARGEST = 1 << 20;
    private static final Pattern TIME = Pattern.compile("\\d{4}-\\d\\d-\\d\\d[Tt]([01]\\d|2[0-3]):[0-5]\\d:[0-5]\\d"
            + "(\\.\\d{1,6})?([Zz]|[+-]([01]\\d|2[0-3]):[0-5]\\d)");
    private static final Pattern DAY = Pattern.compile("\\d{4}-\\d\\d-\\d\\d");
    private static final Pattern REGION = Pattern.compile("\\d\\d(\\.\\d\\d(\\.\\d\\d(\\.\\d{4})?)?)?");
    private static final Map<String, Integer> RANKS = Map.of(
            "tepat.payout.planned.v1", 0,
            "tepat.payout.disbursed.v1", 1,
            "tepat.payout.cancelled.v1", 2,
            "tepat.payout.returned.v1", 3);
    private static final String COMPLETE = "tepat.source.complete.v1";
    private static final Set<String> KINDS = Set.of("cash", "food", "goods", "service", "capital");
    private static volatile boolean begun;

    private final ObjectMapper json = new ObjectMapper()
            .enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS)
            .enable(DeserializationFeature.USE_BIG_DECIMAL_FOR_FLOATS);
    private final Work work;
    private final String source;
    private final Mac mac;

    public Door(Work work) throws GeneralSecurityException {
        this.work = work;
        source = "urn:tepat:agency:" + work.agency();
        mac = Mac.getInstance("HmacSHA256");
        mac.init(new SecretKeySpec(HexFormat.of().parseHex(work.secret()), "HmacSHA256"));
    }

    /** The payout in a record; null for an event that tells of none. */
    public Payout admit(byte[] value) throws Refused {
        begin();
        JsonNode event = parsed(value);
        if (!text(event, "specversion", "/specversion", 8).equals("1.0")) {
            throw new Refused("schema /specversion");
        }
        String id = text(event, "id", "/id", 128);
        String kind = text(event, "type", "/type", 128);
        long time = micros(text(event, "time", "/time", 64));
        for (String optional : List.of("subject", "datacontenttype", "dataschema")) {
            optionalText(event, optional, "/" + optional);
        }
        String from = text(event, "source", "/source", LARGEST);
        JsonNode data = object(event, "data", "/data");
        Integer rank = RANKS.get(kind);
        if (rank == null && !kind.equals(COMPLETE)) {
            throw new Refused("unknown_type");
        }
        if (!from.equals(source)) {
            throw new Refused("source_mismatch");
        }
        if (rank == null) {
            complete(data);
            return null;
        }
        String payout = text(data, "payout_id", "/data/payout_id", 64);
        if (!payout.chars().allMatch(each -> each >= ' ' && each <= '~' && each != '|')) {
            throw new Refused("schema /data/payout_id");
        }
        long revision = whole(data, "revision", "/data/revision");
        if (rank >= Payout.CANCELLED) {
            anyText(data, "reason", "/data/reason");
            return new Payout(payout, revision, rank, time, id, null, null, null, 0, 0, 0);
        }
        return paid(data, payout, revision, rank, time, id);
    }

    private Payout paid(JsonNode data, String payout, long revision, int rank, long time, String id) throws Refused {
        String programme = anyText(data, "programme", "/data/programme");
        JsonNode covers = object(data, "covers", "/data/covers");
        int starts = day(covers, "from", "/data/covers/from"), ends = day(covers, "to", "/data/covers/to");
        JsonNode recipient = object(data, "recipient", "/data/recipient");
        String nik = anyText(recipient, "nik", "/data/recipient/nik");
        String kk = optionalText(recipient, "kk", "/data/recipient/kk");
        optionalText(recipient, "name", "/data/recipient/name");
        if (present(recipient, "birth_date")) {
            day(recipient, "birth_date", "/data/recipient/birth_date");
        }
        JsonNode benefit = object(data, "benefit", "/data/benefit");
        if (!KINDS.contains(anyText(benefit, "kind", "/data/benefit/kind"))) {
            throw new Refused("schema /data/benefit/kind");
        }
        long amount = whole(benefit, "amount", "/data/benefit/amount");
        if (present(benefit, "quantity")
                && !(benefit.get("quantity").isNumber() && benefit.get("quantity").decimalValue().signum() >= 0)) {
            throw new Refused("schema /data/benefit/quantity");
        }
        optionalText(benefit, "unit", "/data/benefit/unit");
        String region = anyText(data, "region", "/data/region");
        for (String optional : List.of("tranche", "component", "channel")) {
            optionalText(data, optional, "/data/" + optional);
        }
        judge(nik, kk, starts, ends, programme, region);
        UUID household = kk == null ? pseudonym("alone:" + nik) : pseudonym("kk:" + kk);
        return new Payout(
                payout, revision, rank, time, id, pseudonym("nik:" + nik), household, programme, starts, ends, amount);
    }

    private void judge(String nik, String kk, int starts, int ends, String programme, String region) throws Refused {
        if (!number(nik) || !bornOnADay(nik)) {
            throw new Refused("nik_invalid /data/recipient/nik");
        }
        if (kk != null && !number(kk)) {
            throw new Refused("kk_invalid /data/recipient/kk");
        }
        if (ends < starts) {
            throw new Refused("covers_inverted /data/covers");
        }
        if (!work.programmes().contains(programme)) {
            throw new Refused("programme_unknown /data/programme");
        }
        if (!work.regions().contains(region)) {
            throw new Refused((REGION.matcher(region).matches() ? "region_unknown" : "schema") + " /data/region");
        }
    }

    /** What NIK and KK have in common: 16 digits, a province that exists, a serial that is not 0000. */
    private boolean number(String number) {
        return number.length() == 16
                && number.chars().allMatch(each -> each >= '0' && each <= '9')
                && work.provinces().contains(number.substring(0, 2))
                && !number.endsWith("0000");
    }

    /** Day (women: and 40) and month make a date; 2000 stands for the years of no known century. */
    private static boolean bornOnADay(String nik) {
        int day = number(nik, 6, 8), month = number(nik, 8, 10), year = 2000 + number(nik, 10, 12);
        day = day > 40 ? day - 40 : day;
        return month >= 1 && month <= 12 && day >= 1 && day <= YearMonth.of(year, month).lengthOfMonth();
    }

    private void complete(JsonNode data) throws Refused {
        if (!Set.of("payouts", "beneficiaries").contains(anyText(data, "kind", "/data/kind"))) {
            throw new Refused("schema /data/kind");
        }
        day(data, "through", "/data/through");
        String programme = optionalText(data, "programme", "/data/programme");
        if (programme != null && !work.programmes().contains(programme)) {
            throw new Refused("programme_unknown /data/programme");
        }
    }

    private UUID pseudonym(String name) {
        ByteBuffer bytes = ByteBuffer.wrap(mac.doFinal(name.getBytes(StandardCharsets.US_ASCII)));
        return new UUID(bytes.getLong(), bytes.getLong());
    }

    private JsonNode parsed(byte[] value) throws Refused {
        if (value == null || value.length == 0 || value.length > LARGEST) {
            throw new Refused("malformed");
        }
        try {
            JsonNode event = json.readTree(value);
            if (!event.isObject()) {
                throw new Refused("schema");
            }
            return event;
        } catch (IOException error) {
            throw new Refused("malformed");
        }
    }

    private static boolean present(JsonNode of, String name) {
        return of.hasNonNull(name);
    }

    private static JsonNode object(JsonNode of, String name, String pointer) throws Refused {
        JsonNode found = of.get(name);
        if (found == null || !found.isObject()) {
            throw new Refused("schema " + pointer);
        }
        return found;
    }

    /** A required text of 1 to so many characters, none of them NUL. */
    private static String text(JsonNode of, String name, String pointer, int most) throws Refused {
        String text = anyText(of, name, pointer);
        if (text.isEmpty() || (text.length() > most && text.codePointCount(0, text.length()) > most)) {
            throw new Refused("schema " + pointer);
        }
        return text;
    }

    private static String anyText(JsonNode of, String name, String pointer) throws Refused {
        JsonNode found = of.get(name);
        if (found == null || !found.isTextual() || found.textValue().indexOf('\0') >= 0) {
            throw new Refused("schema " + pointer);
        }
        return found.textValue();
    }

    private static String optionalText(JsonNode of, String name, String pointer) throws Refused {
        return present(of, name) ? anyText(of, name, pointer) : null;
    }

    /** A whole number from 0 to 2^63 - 1. */
    private static long whole(JsonNode of, String name, String pointer) throws Refused {
        JsonNode found = of.get(name);
        if (found == null || !found.isIntegralNumber() || !found.canConvertToLong() || found.longValue() < 0) {
            throw new Refused("schema " + pointer);
        }
        return found.longValue();
    }

    private static int day(JsonNode of, String name, String pointer) throws Refused {
        String text = anyText(of, name, pointer);
        try {
            if (DAY.matcher(text).matches() && !text.startsWith("0000")) {
                return (int) epochDay(text);
            }
        } catch (DateTimeException error) {
            // told below
        }
        throw new Refused("schema " + pointer);
    }

    /** Microseconds since 1970, of `yyyy-mm-ddThh:mm:ss[.ffffff](Z|±hh:mm)`; by hand, at a tenth of the library's cost. */
    private static long micros(String text) throws Refused {
        try {
            if (TIME.matcher(text).matches() && !text.startsWith("0000")) {
                boolean utc = text.endsWith("Z") || text.endsWith("z");
                int end = text.length() - (utc ? 1 : 6);
                int offset = utc ? 0 : number(text, end + 1, end + 3) * 60 + number(text, end + 4, end + 6);
                long seconds = epochDay(text) * 86_400 + number(text, 11, 13) * 3_600 + number(text, 14, 16) * 60
                        + number(text, 17, 19) - (!utc && text.charAt(end) == '-' ? -60L : 60L) * offset;
                long fraction = end == 19 ? 0 : Long.parseLong((text.substring(20, end) + "00000").substring(0, 6));
                return seconds * 1_000_000 + fraction;
            }
        } catch (DateTimeException error) {
            // told below
        }
        throw new Refused("schema /time");
    }

    private static long epochDay(String text) {
        return LocalDate.of(number(text, 0, 4), number(text, 5, 7), number(text, 8, 10)).toEpochDay();
    }

    private static int number(String text, int begin, int end) {
        return Integer.parseInt(text, begin, end, 10);
    }

    private void begin() {
        if (!begun) {
            begun = true;
            try {
                Files.createFile(Path.of(work.began()));
            } catch (FileAlreadyExistsException other) {
                // another thread's door, at the same moment
            } catch (IOException error) {
                throw new IllegalStateException(error);
            }
        }
    }
}
