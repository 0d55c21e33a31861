create function public.echo_ranges(
  p_instants tstzrange,
  p_locals tsrange,
  p_days daterange,
  p_numbers int4range,
  p_amounts numrange,
  p_many_instants tstzmultirange,
  p_many_days datemultirange
) returns table (
  instants tstzrange,
  locals tsrange,
  days daterange,
  numbers int4range,
  amounts numrange,
  many_instants tstzmultirange,
  many_days datemultirange
)
language sql immutable set search_path = ''
begin atomic
  select p_instants, p_locals, p_days, p_numbers, p_amounts, p_many_instants, p_many_days;
end;
