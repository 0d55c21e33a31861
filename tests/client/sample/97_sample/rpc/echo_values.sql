create function public.echo_values(
  p_flag boolean,
  p_number integer,
  p_big bigint,
  p_ratio double precision,
  p_amount numeric,
  p_id uuid,
  p_text text,
  p_day date,
  p_clock time,
  p_at timestamptz,
  p_local timestamp,
  p_length interval,
  p_bytes bytea,
  p_document jsonb
) returns table (
  flag boolean,
  number integer,
  big bigint,
  ratio double precision,
  amount numeric,
  id uuid,
  text text,
  day date,
  clock time,
  at timestamptz,
  local timestamp,
  length interval,
  bytes bytea,
  document jsonb
)
language sql immutable set search_path = ''
begin atomic
  select p_flag, p_number, p_big, p_ratio, p_amount, p_id, p_text, p_day, p_clock, p_at, p_local, p_length, p_bytes, p_document;
end;
comment on function public.echo_values is 'Says back what it was told.';
