-- Joint business groups, and business capital. Who changes a group holds the lock of all groups until the commit.

-- name: one_change_of_groups!
select pg_advisory_xact_lock(hashtext('kube'));

-- name: form_group$
insert into kube (kube, title, agency, region, formed_on, at, who)
values (:kube, :title, :agency, :region, :formed_on, :at, :who)
on conflict do nothing returning kube;

-- name: groups
-- Groups with how many are in them, by name.
select * from kube_now
where (:after::text is null or kube > :after)
  and (:agency::text is null or agency = :agency)
  and (:region::text is null or region ^@ :region)
  and (cardinality(:regions::text[]) = 0 or region ^@ any(:regions::text[]))
order by kube limit :at_most;

-- name: group^
select * from kube_now where kube = :kube;

-- name: members
-- Who is and was in a group: the person as the registry knows them now, and the other groups they are active in under
-- another NIK, since the two were merged after they had joined.
select m.nik, coalesce(p.stands_for, m.nik) as person, m.since, m.until,
       array(select o.kube from kube_member o left join person q on q.nik = o.nik
             where o.until is null and m.until is null and (o.kube, o.nik) <> (m.kube, m.nik)
               and coalesce(q.stands_for, o.nik) = coalesce(p.stands_for, m.nik)
             order by o.kube) as also_in
from kube_member m left join person p on p.nik = m.nik
where m.kube = :kube
order by m.until is not null, m.since, m.nik;

-- name: active_in
-- The groups in which a person is active, under whichever of their NIKs: one, unless NIKs were merged later.
select m.kube, m.nik, m.since from kube_member m
where m.until is null
  and (m.nik = :nik
       or m.nik = (select stands_for from person where nik = :nik)
       or m.nik in (select nik from person
                    where stands_for = coalesce((select stands_for from person where nik = :nik), :nik)))
order by m.kube;

-- name: join_group!
-- Who left on the day they join again, or later, goes on as if they had not left.
insert into kube_member (kube, nik, since, who) values (:kube, :nik, :since, :who)
on conflict (kube, nik, since) do update set until = null, who = excluded.who;

-- name: leave_group$
-- The last day of a member; none where they are not active in that group.
update kube_member set until = :until, who = :who
where kube = :kube and nik = :nik and until is null
returning until;

-- name: groups_of
-- The groups that NIKs are or were in.
select m.kube, m.nik, m.since, m.until, k.title, k.agency, k.region
from kube_member m join kube k using (kube)
where m.nik = any(:niks::uuid[]) order by m.since, m.kube;

-- name: forget_members!
delete from kube_member where nik = any(:niks::uuid[]);

-- name: capital
-- Payouts of business capital, by agency and payout id.
select * from capital
where (:after_agency::text is null or (agency, payout_id) > (:after_agency, :after))
  and (:agency::text is null or agency = :agency)
  and (:household::uuid is null or household = :household)
  and (:receipt::boolean is null or (receipt is not null) = :receipt)
  and (:region::text is null or region ^@ :region)
  and (cardinality(:regions::text[]) = 0 or region ^@ any(:regions::text[]))
order by agency, payout_id limit :at_most;

-- name: capital_of^
select * from capital where agency = :agency and payout_id = :payout_id;

-- name: keep_receipt$
-- Keep the receipt of a payout; its hash, none where another one is kept.
insert into capital_receipt as c (agency, payout_id, receipt, received_on, at, who)
values (:agency, :payout_id, :receipt, :received_on, :at, :who)
on conflict (agency, payout_id) do update set receipt = excluded.receipt
where (c.receipt, c.received_on) = (excluded.receipt, excluded.received_on)
returning receipt;

-- name: receipts_of
-- The receipts of payouts.
select r.* from unnest(:agencies::text[], :payout_ids::text[]) w (agency, payout_id)
join capital_receipt r using (agency, payout_id);
