package tepat.streams;

import com.fasterxml.jackson.annotation.JsonIgnore;
import com.fasterxml.jackson.annotation.JsonInclude;
import java.time.LocalDate;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.UUID;
import java.util.stream.Collectors;
import tepat.door.Payout;
import tepat.door.Work;

/** What is announced of two payouts that overlap; `a` is the one that sorts first. */
@JsonInclude(JsonInclude.Include.NON_NULL)
record Overlap(
        String a,
        String b,
        String rule,
        String verdict,
        String scope,
        UUID person,
        UUID household,
        String from,
        String to,
        long amount_at_risk) {

    private static final Work.Rule BUILT_IN =
            new Work.Rule("same-programme-same-person", List.of(), "person", "exclusive");

    /** The policy's rules by the programmes they pair. */
    static Map<Set<String>, Work.Rule> rules(List<Work.Rule> rules) {
        return rules.stream().collect(Collectors.toMap(rule -> Set.copyOf(rule.programmes()), rule -> rule));
    }

    /** The overlap of two payouts of one household, null where they do not overlap. */
    static Overlap of(Payout one, Payout other, Map<Set<String>, Work.Rule> rules) {
        int from = Math.max(one.from(), other.from()), to = Math.min(one.to(), other.to());
        if (from > to) {
            return null;
        }
        boolean same = one.programme().equals(other.programme());
        Work.Rule rule = same ? BUILT_IN : rules.get(Set.of(one.programme(), other.programme()));
        if (rule == null || (rule.scope().equals("person") && !one.person().equals(other.person()))) {
            return null;
        }
        boolean sorted = one.id().compareTo(other.id()) < 0;
        return new Overlap(
                sorted ? one.id() : other.id(),
                sorted ? other.id() : one.id(),
                rule.id(),
                rule.verdict(),
                rule.scope(),
                rule.scope().equals("person") ? one.person() : null,
                one.household(),
                LocalDate.ofEpochDay(from).toString(),
                LocalDate.ofEpochDay(to).toString(),
                Math.min(one.amount(), other.amount()));
    }

    @JsonIgnore
    String pair() {
        return a + "|" + b;
    }
}
