package tepat.streams;

import java.util.Map;
import org.apache.kafka.streams.state.RocksDBConfigSetter;
import org.rocksdb.BlockBasedTableConfig;
import org.rocksdb.BloomFilter;
import org.rocksdb.Cache;
import org.rocksdb.CompressionType;
import org.rocksdb.LRUCache;
import org.rocksdb.Options;

/** One block cache for all twelve stores, filters for the keys that are not there (most are new), LZ4. */
public final class RocksDb implements RocksDBConfigSetter {
    private static final Cache CACHE = new LRUCache(256L << 20);
    private static final BloomFilter FILTER = new BloomFilter(10, false);

    @Override
    public void setConfig(String store, Options options, Map<String, Object> configs) {
        BlockBasedTableConfig table = (BlockBasedTableConfig) options.tableFormatConfig();
        options.setTableFormatConfig(table.setBlockCache(CACHE).setFilterPolicy(FILTER));
        options.setWriteBufferSize(32L << 20).setCompressionType(CompressionType.LZ4_COMPRESSION);
    }

    @Override
    public void close(String store, Options options) {
        // cache and filter are shared: they live as long as the process
    }
}
