alter table public.sample_entries enable row level security;
create policy "everyone signed in reads" on public.sample_entries for select to authenticated using (true);
create policy "everyone signed in enters what is theirs" on public.sample_entries for insert to authenticated
  with check (title is distinct from 'theirs');
grant select on public.sample_entries to authenticated, service_role;
grant insert on public.sample_entries to authenticated, service_role;
grant delete, update on public.sample_entries to service_role;
grant usage on sequence public.sample_attempts to anon, authenticated, service_role;
grant execute on all functions in schema public to service_role;
grant execute on function public.shouted(public.sample_entries), public.sample_trigger() to authenticated;
grant execute on function public.told(text[]), public.refuse(text, text), public.list_entries(integer, integer) to anon, authenticated;
grant execute on function public.add_entry(text, numeric, tstzrange, text) to authenticated;
revoke execute on function public.hidden() from service_role;
