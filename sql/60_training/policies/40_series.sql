alter table public.session_series enable row level security;

-- Written through functions, which plan before they write; sessions show the public what there is.
grant select on public.session_series to authenticated, service_role;
grant insert, update, delete on public.session_series to service_role;
create policy "planners see series, instructors theirs" on public.session_series for select to authenticated
  using (
    (select private.has_permission('manage:series')) or (select private.has_permission('read:calendar'))
    or instructor_id = (select private.current_profile_id())
  );

grant execute on function
  public.plan_series(uuid, text, date, time, time, uuid, uuid, text, integer, integer, numeric, date[], date[], text),
  public.create_series(uuid, text, date, time, time, uuid, uuid, text, integer, integer, numeric, date[], date[], text, boolean, text),
  public.plan_series_change(text, uuid, jsonb), public.update_series(text, uuid, jsonb, integer, boolean, text),
  public.cancel_series(uuid, text, text)
  to authenticated, service_role;
grant execute on function
  private.draft_series(uuid, text, date, time, time, uuid, uuid, text, integer, integer, numeric, date[], date[], text),
  private.plan_draft(public.session_series), private.write_series(public.session_series, boolean), private.planned_change(text, uuid, jsonb),
  private.change_one_series(text, uuid, jsonb, integer, boolean), private.cancel_one_series(uuid, text)
  to authenticated, service_role;
