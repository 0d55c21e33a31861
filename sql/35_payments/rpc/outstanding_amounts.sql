-- One pass over what is owed, one over what was paid for rows that cost nothing any more, one over advances; which tables
-- there are is only known when it is asked.
create function private.outstanding(p_profile_ids uuid[]) returns table (
  profile_id uuid, source_table text, source_id uuid, title text, amount_due numeric, amount_paid numeric, amount_outstanding numeric
)
language plpgsql stable security definer set search_path = ''
as $$
declare
  v_sources constant text[] := array(select s.source_table from private.dues_sources() s order by 1);
begin
  return query execute
    (
      select string_agg(format($sql$
        select d.profile_id, %1$L::text, d.source_id, d.title, d.amount::numeric, t.paid, d.amount - t.paid
        from private.%2$I d
        cross join lateral (
          select coalesce(sum(l.amount), 0) as paid from private.paid_lines l where l.source_id = d.source_id and l.source_table = %1$L
        ) t
        where ($1 is null or d.profile_id = any($1)) and d.amount <> t.paid
        $sql$, s.name, s.name || '_dues'), ' union all ')
      from unnest(v_sources) as s(name)
    )
    || ' union all '
    || format($sql$
      select l.payer_id, l.source_table, l.source_id, null, 0, sum(l.amount), -sum(l.amount)
      from private.paid_lines l
      where ($1 is null or l.payer_id = any($1)) and not case l.source_table %s else false end
      group by l.payer_id, l.source_table, l.source_id
      having sum(l.amount) <> 0
      $sql$,
      (
        select string_agg(format('when %L then exists (select from private.%I d where d.source_id = l.source_id)', s.name, s.name || '_dues'), ' ')
        from unnest(v_sources) as s(name)
      ))
    || $sql$
      union all
      select t.payer_id, 'payments', t.payment_id, null, 0, t.advance_left, -t.advance_left
      from private.payment_totals t
      where ($1 is null or t.payer_id = any($1)) and t.status = 'succeeded' and t.advance_left <> 0
      $sql$
    using p_profile_ids;
end;
$$;
comment on function private.outstanding(uuid[]) is 'What these people (null: all) owe, row by row; negative where they paid too much, or paid an advance.';

create function private.outstanding_for_caller(p_profile_ids uuid[]) returns table (
  profile_id uuid, source_table text, source_id uuid, title text, amount_due numeric, amount_paid numeric, amount_outstanding numeric
)
language plpgsql stable security definer set search_path = ''
as $$
declare
  v_self constant uuid[] := array_remove(array[private.current_profile_id()], null);
begin
  if not private.has_permission('read:payments') then
    if not p_profile_ids <@ v_self then
      perform private.require_permission('read:payments');
    end if;
    p_profile_ids := coalesce(p_profile_ids, v_self);
  end if;
  return query select o.* from private.outstanding(p_profile_ids) o;
end;
$$;
comment on function private.outstanding_for_caller(uuid[]) is 'What public.outstanding_amounts does, with the rights to do it.';

create function public.outstanding_amounts(p_profile_ids uuid[] default null) returns table (
  profile_id uuid, source_table text, source_id uuid, title text, amount_due numeric, amount_paid numeric, amount_outstanding numeric
)
language sql stable set search_path = ''
begin atomic
  select o.profile_id, o.source_table, o.source_id, o.title, o.amount_due, o.amount_paid, o.amount_outstanding
  from private.outstanding_for_caller(p_profile_ids) o
  order by o.profile_id, o.source_table, o.title, o.source_id;
end;
comment on function public.outstanding_amounts(uuid[]) is
  'What is still owed, worked out now: one row for each thing that was not paid exactly, with what it costs, what was paid for it less refunds, and the difference; negative where there is something to give back. What a payment pays for nothing in particular is an advance, a row of the source_table payments; so the differences of a person add up to what they owe in all. One''s own; with read:payments everyone''s, or that of p_profile_ids. Raises forbidden for other people''s without read:payments.';
