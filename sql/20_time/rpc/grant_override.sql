create function private.grant_override_to(p_members jsonb, p_reason text, p_expires_at timestamptz) returns public.overrides
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_override public.overrides;
  v_standing record;
begin
  perform private.require_permission('grant:override');
  insert into public.overrides (reason, granted_by, expires_at)
  values (private.clean_text(p_reason), private.caller_id(), p_expires_at)
  returning * into v_override;
  -- What an ended override named may be named again. Whoever names one at the same moment is waited for, and then seen.
  insert into public.override_members as m (override_id, source_table, source_id)
  select distinct v_override.id, g.source_table, g.source_id
  from jsonb_to_recordset(p_members) as g(source_table text, source_id uuid)
  order by g.source_id, g.source_table
  on conflict (source_id, source_table) do update
  set override_id = excluded.override_id
  where exists (
    select from public.overrides o where o.id = m.override_id and least(o.expires_at, o.revoked_at) <= private.now()
  );
  select m.source_table, m.source_id, o.reason into v_standing
  from jsonb_to_recordset(p_members) as g(source_table text, source_id uuid)
  join public.override_members m on m.source_table = g.source_table and m.source_id = g.source_id
  join public.overrides o on o.id = m.override_id
  where o.id <> v_override.id
  order by m.source_id
  limit 1;
  if found then
    perform private.fail('duplicate', format('One of them is in an override already (%s)', v_standing.reason), 'p_members',
      jsonb_build_object('source_table', v_standing.source_table, 'source_id', v_standing.source_id),
      'A happening is in at most one group: revoke that override first, or change when it expires.');
  end if;
  return v_override;
end;
$$;
comment on function private.grant_override_to(jsonb, text, timestamptz) is 'Makes an override group for a holder of grant:override.';

create function public.grant_override(
  p_members jsonb,
  p_reason text,
  p_expires_at timestamptz default null,
  p_idempotency_key text default null
) returns setof public.overrides
language plpgsql volatile set search_path = ''
as $$
declare
  v_request jsonb := jsonb_build_object('members', p_members, 'reason', p_reason, 'expires_at', p_expires_at at time zone 'UTC');
  v_answer jsonb := private.answered_before('grant_override', p_idempotency_key, v_request);
  v_override public.overrides;
begin
  if v_answer is not null then
    return query select * from jsonb_populate_record(null::public.overrides, v_answer);
    return;
  end if;
  perform private.fail_input(
    private.input_error(private.clean_text(p_reason) is null, 'p_reason', 'Say why they may overlap')
    || private.input_error(length(p_reason) > 1000, 'p_reason', 'A reason has at most 1000 characters')
    || private.input_error(p_expires_at <= private.now(), 'p_expires_at', 'An override expires in the future')
    || case
      when jsonb_typeof(p_members) is distinct from 'array' then
        private.input_error(true, 'p_members', 'Members are a list of {"source_table", "source_id"}')
      when jsonb_array_length(p_members) not between 2 and 1000 then
        private.input_error(true, 'p_members', 'A group has 2 to 1000 members')
      else coalesce((
        select jsonb_agg(jsonb_build_object('field', format('p_members[%s]', m.position - 1),
          'message', 'A member is {"source_table": a table of happenings, "source_id": its id}'))
        from jsonb_array_elements(p_members) with ordinality as m(member, position)
        where jsonb_typeof(m.member) <> 'object' or m.member ->> 'source_table' is null
          or coalesce(m.member ->> 'source_id', '') !~* '^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$'
      ), '[]')
    end
  );
  v_override := private.grant_override_to(p_members, p_reason, p_expires_at);
  perform private.remember_answer('grant_override', p_idempotency_key, v_request, to_jsonb(v_override));
  return next v_override;
end;
$$;
comment on function public.grant_override(jsonb, text, timestamptz, text) is
  'Lets a group of happenings overlap each other: p_members is [{"source_table": "meetings", "source_id": "…"}, …], 2 to 1000 of them, which may be written before or after. Strangers to the group are still refused. Happenings that start at p_expires_at or later are not covered. Needs grant:override. Returns the override. Raises duplicate when one is in a group already.';
