-- Overlapping payouts by Flink SQL: a ledger by payout, joined with itself by household.
-- job.py fills in what is in braces.

create temporary function admit as 'tepat.flink.Admit' language java;

create temporary table inbound (message bytes) with (
    'connector' = 'kafka', 'topic' = '{topic}', 'properties.bootstrap.servers' = '{kafka}',
    'properties.group.id' = 'peer-{name}', 'scan.startup.mode' = 'earliest-offset', 'format' = 'raw'
);

create temporary table dead_letters (message bytes, headers map<string, bytes> metadata) with (
    'connector' = 'kafka', 'topic' = '{deadLetters}', 'properties.bootstrap.servers' = '{kafka}', 'format' = 'raw',
    'sink.delivery-guarantee' = 'exactly-once', 'sink.transactional-id-prefix' = '{name}-dead-letters',
    'properties.transaction.timeout.ms' = '900000'
);

create temporary table announced (
    a string, b string, rule string, verdict string, `scope` string, person string, household string,
    `from` date, `to` date, amount_at_risk bigint, primary key (a, b) not enforced
) with (
    'connector' = 'upsert-kafka', 'topic' = '{overlaps}', 'properties.bootstrap.servers' = '{kafka}',
    'key.format' = 'json', 'value.format' = 'json',
    'sink.delivery-guarantee' = 'exactly-once', 'sink.transactional-id-prefix' = '{name}-overlaps',
    'properties.transaction.timeout.ms' = '900000', 'properties.compression.type' = 'lz4'
);

create temporary view judged as
select * from admit(table inbound);

-- Of several events about one payout the greatest holds; one that is cancelled or returned leaves.
create temporary view live as
select payout_id, person, household, programme, starts, ends, amount
from (
    select *, row_number() over (
        partition by payout_id order by revision desc, step desc, told_at desc, event_id desc
    ) as place
    from (
        select payout_id, revision, step, told_at, event_id, person, household, programme, starts, ends, amount
        from judged where reason is null
    )
)
where place = 1 and step < 2;

create temporary view paired as
select
    a.payout_id as a, b.payout_id as b, a.person, a.household,
    greatest(a.starts, b.starts) as starts, least(a.ends, b.ends) as ends, least(a.amount, b.amount) as amount,
    {rule} as rule
from live a join live b
    on a.household = b.household and a.payout_id < b.payout_id and a.starts <= b.ends and b.starts <= a.ends
where {rule} is not null;

insert into dead_letters
select refused, map['reason', encode(reason, 'UTF-8')] from judged where reason is not null;

insert into announced
select a, b, rule, {verdict}, {scope}, case when {scope} = 'person' then person end, household, starts, ends, amount
from paired;
