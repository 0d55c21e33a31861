create function private.check_audit_triggers_missing() returns table (entity text, entity_id text, message text, detail jsonb)
language sql stable security definer set search_path = ''
begin atomic
  select 'pg_class', t.t::text, format('What happens to %s is not recorded: its triggers for the audit trail are missing or disabled', t.t), '{}'::jsonb
  from private.tables_without_audit() as t(t);
end;
comment on function private.check_audit_triggers_missing() is 'Tables in public that are neither audited nor excused.';

create function private.fix_audit_triggers_missing(p_entity_ids text[]) returns void
language sql volatile security definer set search_path = ''
begin atomic
  select private.attach_audit(t.t, coalesce(r.left_out, '{}'), r.insert_condition)
  from private.tables_without_audit() as t(t)
  join pg_catalog.pg_class c on c.oid = t.t
  left join private.audit_rules r on r.table_name = c.relname
  where t.t::text = any(p_entity_ids);
end;
comment on function private.fix_audit_triggers_missing(text[]) is 'Audits them again as they were audited, or whole.';
