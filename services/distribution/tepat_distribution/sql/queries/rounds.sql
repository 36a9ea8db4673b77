-- Rounds of goods and cash. What changes one relies on its row being locked first: acts on a round follow one another.

-- name: take_rankings
-- Keep what is told of rankings; the parts that are new, or told with a greater revision than before.
with told as materialized (select part::jsonb as t from unnest(:told::text[]) part),
whole as (
    insert into ranking (round, programme, unit, region, places, ranked, parts, policy_version, made_at)
    select distinct on (t ->> 'round') t ->> 'round', t ->> 'programme', t ->> 'unit', t ->> 'region',
           (t ->> 'places')::bigint, (t ->> 'of')::bigint, (t ->> 'parts')::int, t ->> 'policy_version',
           (t ->> 'made_at')::timestamptz
    from told order by t ->> 'round'
    on conflict (round) do nothing)
insert into ranking_part as p (round, part, revision)
select t ->> 'round', (t ->> 'part')::int, (t ->> 'revision')::bigint from told order by 1, 2
on conflict (round, part) do update set revision = excluded.revision where p.revision < excluded.revision
returning round, part;

-- name: forget_parts!
-- Of parts that are told anew, what they told before.
delete from ranked r using unnest(:rounds::text[], :parts::int[]) p (round, part)
where (r.round, r.part) = (p.round, p.part);

-- name: keep_parts!
-- Keep everybody's place.
insert into ranked (round, place, part, subject, region)
select t ->> 'round', (e ->> 'place')::bigint, (t ->> 'part')::int, (e ->> 'subject')::uuid,
       coalesce(e ->> 'region', t ->> 'region')
from unnest(:told::text[]) part
cross join lateral (select part::jsonb as t) as as_json
cross join lateral jsonb_array_elements(t -> 'ranked') e;

-- name: forget_listed!
-- Persons or households are erased: they leave the lists.
delete from ranked where subject = any(:subjects::uuid[]);

-- name: disown
-- Coupons of those who stand on the list of these rounds no more, delivered or not, are nobody's; to whom a resident's
-- was handed may name them. What was not fetched is promised to nobody; the rounds of which that is so, and how many.
with left_list as (
    update coupon c set subject = null, state = case c.state when 'allocated' then 'returned' else c.state end
    where c.round = any(:rounds::text[]) and c.subject is not null
      and not exists (select from ranked l where (l.round, l.place) = (c.round, c.place))
    returning c.round, c.place, old.state as was
), handed as (
    update handover h set name = null from left_list l where (h.round, h.place, h.step) = (l.round, l.place, 3)
), given as (
    update delivery d set lat = null, lon = null, elsewhere = null
    from left_list l where (d.round, d.place) = (l.round, l.place)
), back as (
    insert into return (round, place, reason, recorded_at, by)
    select round, place, :reason, :now, :by from left_list where was = 'allocated'
    returning round)
select round, count(*) as packages from back group by round order by round;

-- name: ranking^
-- A ranking, and whether every part of it is here; until the transaction ends nobody leaves its list.
select r.*, r.parts = (select count(*) from ranking_part p where p.round = r.round) as whole
from ranking r where r.round = :round for update;

-- name: begin_round$
-- Open a round, unless one of that name was.
insert into round (round, programme, unit, region, ranked, day, closes, each, by_coupon, packages, stock, secret_id,
                   opened_at, opened_by)
select round, programme, unit, region, ranked, :day, :closes, :each, :by_coupon, :packages, :packages, :secret_id,
       :now, :by
from ranking where round = :round
on conflict (round) do nothing
returning true;

-- name: told_before$
-- Whether our own topic told of a round before this database was.
select exists (select from round_told where round = :round);

-- name: packages_at_first$
-- How many packages a round was opened with, before any came in addition or were lost.
select packages - coalesce((select sum(packages) from restock where round = r.round), 0)::bigint
from round r where round = :round;

-- name: locked_round^
-- A round, until the transaction ends for nobody else to change.
select * from round where round = :round for update;

-- name: allocate$
-- Promise what is neither given nor promised to the next on the list, each once, in their order; to how many.
with free as (
    select greatest(r.stock - count(c.place), 0) as packages
    from round r left join coupon c on c.round = r.round and c.state = 'allocated'
    where r.round = :round and r.open
    group by r.stock
), next as (
    insert into coupon (round, place, subject, region)
    select round, place, subject, region from ranked
    where round = :round and place > coalesce((select max(place) from coupon where round = :round), 0)
    order by place limit coalesce((select packages from free), 0)
    on conflict do nothing
    returning 1)
select count(*) from next;

-- name: places_of
-- Where subjects stand on the list of a round.
select subject, place from ranked where round = :round and subject = any(:subjects::uuid[]);

-- name: places_delivered
-- For whom deliveries were.
select delivery_id, place from delivery where round = :round and delivery_id = any(:ids::text[]);

-- name: coupons_at
-- The coupons of places, with how they were redeemed, or when those erased left whom nothing was recorded of by then.
select c.place, c.subject, c.region, c.state, c.held, d.delivery_id, d.at, b.recorded_at as left_at
from coupon c
left join delivery d using (round, place)
left join return b on (b.round, b.place, b.reason, b.by) = (c.round, c.place, :reason, :by) and c.subject is null
where c.round = :round and c.place = any(:places::bigint[]);

-- name: coupons_held
-- Coupons of an area that wait one step before, and after them those that were handed along to this step before.
select place from coupon
where round = :round and state = 'allocated' and held in (:step - 1, :step) and region ^@ :region
order by held, place limit :at_most;

-- name: coupons_waiting
-- How many coupons of an area that are to be redeemed were handed along how many steps.
select held, count(*) as coupons from coupon
where round = :round and state = 'allocated' and region ^@ :region
group by held;

-- name: deliveries_under
-- What was recorded under these ids.
select * from delivery where round = :round and delivery_id = any(:ids::text[]);

-- name: photos_used
-- Which of these photos prove a delivery.
select sha256 from delivery where proof = 'photo' and sha256 = any(:photos::text[]);

-- name: take_stock$
-- Take so many packages off the stock, if there are as many; what is left.
update round set stock = stock - :packages where round = :round and stock >= :packages returning stock;

-- name: keep_deliveries!
-- Keep what was given, and redeem its coupons; what the erased had fetched did not come back.
with given as (
    insert into delivery (
        round, delivery_id, place, at, officer, region, lat, lon, proof, sha256, elsewhere, recorded_at, by)
    select :round, d.*, :now, :by
    from unnest(:ids::text[], :places::bigint[], :at::timestamptz[], :officers::text[], :regions::text[],
                :lats::float8[], :lons::float8[], :proofs::text[], :hashes::text[], :elsewhere::text[]) d
    returning place
), fetched as (
    delete from return b using given where b.round = :round and b.place = given.place)
update coupon c set state = 'delivered' from given where c.round = :round and c.place = given.place;

-- name: keep_returns!
-- Keep who gave back what, and why; of the erased in place of their leaving.
with back as (
    insert into return (round, place, reason, recorded_at, by)
    select :round, r.*, :now, :by from unnest(:places::bigint[], :reasons::text[]) r
    on conflict (round, place) do update set
        reason = excluded.reason, recorded_at = excluded.recorded_at, by = excluded.by
    returning place)
update coupon c set state = 'returned' from back where c.round = :round and c.place = back.place;

-- name: keep_handovers!
-- Keep to whom coupons were handed.
with handed as (
    insert into handover (round, place, step, name, at, by)
    select :round, place, :step, :name, :at, :by from unnest(:places::bigint[]) place
    returning place)
update coupon c set held = :step from handed where c.round = :round and c.place = handed.place;

-- name: restocked^
-- What was recorded under that id.
select * from restock where round = :round and restock_id = :restock_id;

-- name: restock$
-- Add packages, or take away what was lost, if as many are left; what is in stock then.
with changed as (
    update round set stock = stock + :packages, packages = packages + :packages
    where round = :round and stock + :packages >= 0
    returning stock
), kept as (
    insert into restock (round, restock_id, packages, reason, recorded_at, by)
    select :round, :restock_id, :packages, :reason, :now, :by from changed)
select stock from changed;

-- name: lapse$
-- What was promised and not fetched is promised no more; how many these are.
with lapsed as (update coupon set state = 'unclaimed' where round = :round and state = 'allocated' returning 1)
select count(*) from lapsed;

-- name: prolong!
-- A round goes on until another day.
update round set closes = :closes where round = :round;

-- name: end_round!
update round set open = false, closed_at = :now where round = :round;

-- name: listing
-- The rounds on whose lists any of these stand, or in which they were promised anything, opened or not.
select round from ranked where subject = any(:subjects::uuid[])
union
select round from coupon where subject = any(:subjects::uuid[]);

-- name: lock_rankings!
-- Lets none of these rounds be opened until the transaction ends.
select from ranking where round = any(:rounds::text[]) order by round for update;

-- name: lock_rounds
-- Those of these rounds that were opened, locked as acts lock them; and whether they are closed.
select round, turns_revision > 0 as closed from round where round = any(:rounds::text[]) order by round for update;

-- name: tell_turns
-- Closed rounds of which is told, now or anew, who had their turn; with their new revisions.
update round set turns_revision = turns_revision + 1 where round = any(:rounds::text[])
returning round, programme, ranked, turns_revision as revision;

-- name: turns
-- Who had their turn otherwise than their place said: reached were so many as the ranking had places.
select l.subject::text as subject, l.place, coalesce(c.state in ('delivered', 'returned'), false) as had
from ranked l join ranking r using (round) left join coupon c using (round, place)
where l.round = :round and coalesce(c.state in ('delivered', 'returned'), false) <> (l.place <= r.places)
order by l.place;

-- name: touch_round!
-- Something of a round is to be told, a minute after it was told of last.
insert into round_due (round, due)
select :round, greatest(:now, (select told_at from round_told where round = :round) + interval '1 minute')
on conflict (round) do nothing;

-- name: due_rounds
-- The rounds to be told now, taken off.
delete from round_due where round in (select round from round_due where due <= :now order by due limit :at_most)
returning round;

-- name: rounds_told_of
select * from round where round = any(:rounds::text[]) order by round;

-- name: areas
-- How far each area of these rounds is; an area is as long a beginning of a code as is wanted of the round.
select c.round, left(c.region, length) as region, count(*) as allocated, count(*) filter (where c.held = 3) as handed,
       count(*) filter (where c.state = 'delivered') as delivered,
       count(*) filter (where c.state = 'returned') as returned,
       count(*) filter (where c.state = 'unclaimed') as unclaimed,
       count(*) filter (where c.state = 'allocated') as "left",
       count(*) filter (where c.state = 'delivered' and c.held < 3) as unhanded,
       count(*) filter (where c.held >= 1) as psm, count(*) filter (where c.held >= 2) as rw
from unnest(:rounds::text[], :lengths::int[]) wanted (round, length) join coupon c using (round)
where cardinality(:regions::text[]) = 0 or c.region ^@ any(:regions::text[])
group by c.round, left(c.region, length)
order by 1, 2;

-- name: tell_rounds
-- Keep what is told of rounds now; those of which it is new, with their new revision.
insert into round_told as t (round, revision, told_at, digest)
select round, 1, :now, digest from unnest(:rounds::text[], :digests::bytea[]) n (round, digest) order by round
on conflict (round) do update set revision = t.revision + 1, told_at = excluded.told_at, digest = excluded.digest
where t.digest <> excluded.digest
returning round, revision;

-- name: recall_rounds!
insert into round_told as t (round, revision, told_at, digest)
select * from unnest(:rounds::text[], :revisions::bigint[], :at::timestamptz[], :digests::bytea[])
on conflict (round) do update set revision = excluded.revision, told_at = excluded.told_at, digest = excluded.digest
where t.revision < excluded.revision;

-- name: recall_held!
insert into held as h (programme, region, day, round, packages, revision, reported_at, reported_by)
select * from unnest(:programmes::text[], :regions::text[], :days::date[], :rounds::text[], :packages::bigint[],
                     :revisions::bigint[], :at::timestamptz[], :by::text[])
on conflict (programme, region, day, round) do update
    set packages = excluded.packages, revision = excluded.revision, reported_at = excluded.reported_at,
        reported_by = excluded.reported_by
where h.revision < excluded.revision;

-- name: hold$
-- Keep that a community held a round; the revision to be told, none where that was known.
insert into held as h (programme, region, day, packages, revision, reported_at, reported_by)
values (:programme, :region, :day, :packages, 1, :now, :by)
on conflict (programme, region, day, round) do update
    set packages = excluded.packages, revision = h.revision + 1, reported_at = excluded.reported_at,
        reported_by = excluded.reported_by
where h.packages <> excluded.packages
returning revision;

-- name: rounds
-- Rounds, the last first, of an area or around it, with how many coupons are delivered and left.
select r.*, coalesce(c.allocated, 0) as allocated, coalesce(c.delivered, 0) as delivered, coalesce(c."left", 0) as "left"
from round r
left join lateral (
    select count(*) as allocated, count(*) filter (where state = 'delivered') as delivered,
           count(*) filter (where state = 'allocated') as "left"
    from coupon where coupon.round = r.round) c on true
where (:after::bigint is null or number < :after)
  and (:round::text is null or r.round = :round)
  and (:programme::text is null or programme = :programme)
  and (:open::boolean is null or open = :open)
  and (:region::text is null or region ^@ :region)
  and (cardinality(:regions::text[]) = 0
       or exists (select from unnest(:regions::text[]) own where region ^@ own or own ^@ region))
order by number desc limit :at_most;

-- name: coupons
-- The coupons of a round, in the order of its list, with the last hand they were given into and their delivery.
select c.*, h.name as holder, h.at as handed_at, d.delivery_id, d.at, d.officer, d.region as delivered_in, d.lat, d.lon,
       d.proof, d.sha256, d.elsewhere, b.reason
from coupon c
left join handover h on (h.round, h.place, h.step) = (c.round, c.place, c.held)
left join delivery d on (d.round, d.place) = (c.round, c.place)
left join return b on (b.round, b.place) = (c.round, c.place)
where c.round = :round and c.place > :after
  and (:state::text is null or c.state = :state)
  and (:region::text is null or c.region ^@ :region)
  and (cardinality(:regions::text[]) = 0 or c.region ^@ any(:regions::text[]))
order by c.place limit :at_most;

-- name: chain
-- Every hand a coupon was given into.
select step, name, at, by from handover where round = :round and place = :place order by step;

-- name: in_rounds
-- What subjects were promised and given in rounds, and on which lists they stand.
select r.round, r.programme, r.day, l.place, coalesce(c.region, l.region) as region, c.state, d.delivery_id, d.at,
       h.at as handed_at, h.name as handed_to, d.officer, d.lat, d.lon, d.proof, d.sha256, d.elsewhere, b.reason
from ranked l
left join coupon c on (c.round, c.place) = (l.round, l.place)
left join round r on r.round = l.round
left join handover h on (h.round, h.place, h.step) = (l.round, l.place, 3)
left join delivery d on (d.round, d.place) = (l.round, l.place)
left join return b on (b.round, b.place) = (l.round, l.place)
where l.subject = any(:subjects::uuid[])
order by l.round, l.place;

-- name: rounds_with_coupons
-- Rounds that go by coupon, the last first.
select round, secret_id from round where by_coupon order by number desc;

-- name: acts_on_round
-- What people did with a round.
select at, act, who, detail from act where target = :round and starts_with(act, 'round.') order by id;

-- name: coupon_steps
-- What became of what subjects were promised in rounds, or of one place of a round. When it was promised is not kept:
-- it is told at the opening.
with of as (
    select c.*, r.programme, r.opened_at from coupon c join round r using (round) where c.subject = :subject::uuid
    union all
    select c.*, r.programme, r.opened_at from coupon c join round r using (round)
    where c.round = :round::text and c.place = :place::bigint)
select of.round, of.programme, of.place, of.subject, of.region, of.state, s.*
from of cross join lateral (
    select of.opened_at as at, 'package promised' as what, null::smallint as step, null::text as more
    union all
    select at, 'coupon handed on', step, json_build_object('name', name, 'by', by)::text
    from handover h where (h.round, h.place) = (of.round, of.place)
    union all
    select recorded_at, 'package delivered', null,
           json_build_object('delivery_id', delivery_id, 'given_at', at, 'officer', officer, 'proof', proof, 'by', by)::text
    from delivery d where (d.round, d.place) = (of.round, of.place)
    union all
    select recorded_at, 'package returned', null, json_build_object('reason', reason, 'by', by)::text
    from return b where (b.round, b.place) = (of.round, of.place)) s
order by s.at, of.round, of.place;

-- name: adoption
-- In how many kelurahan and desa of an area a round of a programme was held within so many days up to each of these.
with giving as materialized (
    select region, day from held
    where programme = :programme and packages > 0 and region ^@ :region
    union
    select c.region, r.day from coupon c join round r using (round)
    where r.programme = :programme and c.state = 'delivered' and c.region ^@ :region)
select d.upto, count(distinct g.region) as held
from unnest(:upto::date[]) d (upto)
left join giving g on g.day between d.upto - :within::int + 1 and d.upto and length(g.region) = 13
group by d.upto order by d.upto;
