create function private.check_audit_partitions_missing() returns table (entity text, entity_id text, message text, detail jsonb)
language sql stable security definer set search_path = ''
begin atomic
  select 'public.audit_log', to_char(m.month, 'YYYY-MM'),
    case when m.row_count > 0 then format('The audit trail has no partition for %s: %s row(s) wait for it', to_char(m.month, 'YYYY-MM'), m.row_count)
      else format('The audit trail has no partition for %s', to_char(m.month, 'YYYY-MM')) end,
    jsonb_build_object('month', m.month, 'rows', m.row_count)
  from private.missing_audit_months() m
  union all
  select 'pg_class', p.partition::text, format('Nothing keeps %s from being changed: its triggers are missing or disabled', p.partition),
    jsonb_build_object('month', p.month)
  from private.audit_partitions() p
  where not p.is_guarded;
end;
comment on function private.check_audit_partitions_missing() is 'Months the audit trail has no partition for, and partitions without their guards.';

-- Whichever of them were named: they are made together.
create function private.fix_audit_partitions_missing(p_entity_ids text[]) returns void
language sql volatile security definer set search_path = ''
begin atomic
  select private.make_audit_partitions() where cardinality(p_entity_ids) > 0;
end;
comment on function private.fix_audit_partitions_missing(text[]) is 'Makes them, moves the rows that wait for one, and guards them all.';
