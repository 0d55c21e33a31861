create function public.resolve_alert(p_id bigint, p_note text default null) returns public.alerts
language sql volatile set search_path = ''
return private.settle_alert(p_id, true, p_note);
comment on function public.resolve_alert(bigint, text) is
  'Says that what an alert was about was put right, and how (p_note, kept in its details). If it was not, it is raised anew. Needs manage:alerts. Raises not_found; illegal_transition when it was resolved before.';
