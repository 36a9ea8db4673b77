package tepat.flink;

import java.util.UUID;
import org.apache.flink.table.annotation.ArgumentHint;
import org.apache.flink.table.annotation.ArgumentTrait;
import org.apache.flink.table.annotation.DataTypeHint;
import org.apache.flink.table.data.GenericRowData;
import org.apache.flink.table.data.RowData;
import org.apache.flink.table.data.StringData;
import org.apache.flink.table.functions.FunctionContext;
import org.apache.flink.table.functions.ProcessTableFunction;
import tepat.door.Door;
import tepat.door.Payout;
import tepat.door.Refused;
import tepat.door.Work;

/**
 * The door as a process table function: one record in, one payout out, or a row of the record and why not. Unlike a
 * table function's lateral join, its call is one part of the plan however many statements read from it.
 */
@DataTypeHint(
        value = "ROW<reason STRING, refused BYTES, payout_id STRING, revision BIGINT, step INT, told_at BIGINT,"
                + " event_id STRING, person STRING, household STRING, programme STRING, starts DATE, ends DATE,"
                + " amount BIGINT>",
        bridgedTo = RowData.class)
public final class Admit extends ProcessTableFunction<RowData> {
    private static final int FIELDS = 13;
    private transient Door door;

    @Override
    public void open(FunctionContext context) throws Exception {
        door = new Door(Work.read(context.getJobParameter("work", null)));
    }

    public void eval(
            @ArgumentHint(
                            name = "inbound",
                            value = ArgumentTrait.ROW_SEMANTIC_TABLE,
                            type = @DataTypeHint(value = "ROW<message BYTES>", bridgedTo = RowData.class))
                    RowData inbound) {
        byte[] value = inbound.getBinary(0);
        try {
            Payout payout = door.admit(value);
            if (payout != null) {
                collect(row(payout));
            }
        } catch (Refused refused) {
            GenericRowData row = new GenericRowData(FIELDS);
            row.setField(0, StringData.fromString(refused.getMessage()));
            row.setField(1, value);
            collect(row);
        }
    }

    private static RowData row(Payout payout) {
        GenericRowData row = new GenericRowData(FIELDS);
        row.setField(2, StringData.fromString(payout.id()));
        row.setField(3, payout.revision());
        row.setField(4, payout.rank());
        row.setField(5, payout.time());
        row.setField(6, StringData.fromString(payout.event()));
        if (payout.live()) {
            row.setField(7, text(payout.person()));
            row.setField(8, text(payout.household()));
            row.setField(9, StringData.fromString(payout.programme()));
            row.setField(10, payout.from());
            row.setField(11, payout.to());
            row.setField(12, payout.amount());
        }
        return row;
    }

    private static StringData text(UUID pseudonym) {
        return StringData.fromString(pseudonym.toString());
    }
}
