"""What PostgreSQL takes at most: the ledger's rows by one bare COPY into a table with the same indexes."""

import io
import time

import asyncpg

COLUMNS = """
select array_agg(attname::text order by attnum) from pg_attribute
where attrelid = 'payout'::regclass and attnum > 0 and attgenerated = '' and not attisdropped"""


async def rows_per_second(url: str) -> float:
    """Rows a second, from the first byte to the commit, of all that the ledger at `url` holds."""
    connection = await asyncpg.connect(url)
    try:
        columns = await connection.fetchval(COLUMNS)
        ledger = io.BytesIO()
        await connection.copy_from_table("payout", columns=columns, output=ledger, format="binary")
        await connection.execute("create table bare (like payout including all)")
        ledger.seek(0)
        started = time.perf_counter()
        told = await connection.copy_to_table("bare", source=ledger, columns=columns, format="binary")
        seconds = time.perf_counter() - started
        await connection.execute("drop table bare")
    finally:
        await connection.close()
    return int(told.split()[-1]) / seconds
