package tepat.door;

import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Set;

/** What a peer is told of its work: where, under which contract and policy, and whom to tell that it began. */
public record Work(
        String name,
        String kafka,
        String home,
        String began,
        String agency,
        String topic,
        String households,
        String overlaps,
        String deadLetters,
        String secret,
        Set<String> provinces,
        Set<String> regions,
        Set<String> programmes,
        List<Rule> rules) {

    /** A rule of the policy over an unordered pair of programmes. */
    public record Rule(String id, List<String> programmes, String scope, String verdict) {}

    public static Work read(String path) throws IOException {
        return new ObjectMapper().readValue(Path.of(path).toFile(), Work.class);
    }
}
