create function public.check_assignment_performance() returns table (kind text, subject text, message text, details jsonb)
language sql volatile set search_path = ''
begin atomic
  select * from private.measure_performance();
end;
comment on function public.check_assignment_performance() is
  'Looks for too many slow statements (kind slow_statements, where pg_stat_statements is installed) and too large tables (kind large_table), as the job check_performance does every five minutes: raises and resolves their alerts, announces new ones on the channel performance_alert, and returns one row a problem. Needs read:diagnostics.';
