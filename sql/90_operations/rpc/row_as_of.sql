create function private.read_row_as_of(p_table text, p_id text, p_at timestamptz) returns jsonb
language plpgsql stable security definer set search_path = ''
as $$
declare
  v_table constant regclass := private.audited_table(p_table);
begin
  perform private.fail_input(private.input_error(p_at is null, 'p_at', 'Say when'));
  return private.row_at(v_table, private.audited_key(v_table, p_id), p_at);
end;
$$;
comment on function private.read_row_as_of(text, text, timestamptz) is 'A row as it was at an instant, for a holder of read:audit.';

create function public.row_as_of(p_table text, p_id text, p_at timestamptz) returns jsonb
language sql stable set search_path = ''
return private.read_row_as_of(p_table, p_id, p_at);
comment on function public.row_as_of(text, text, timestamptz) is
  'One row of a table as it was at an instant, as JSON with instants in UTC; null when it did not exist. What a transaction wrote counts from when it began. Before the log begins a row is as it was then, from its created_at on. *** stands for values that are left out or were forgotten. p_id is the key''s text, or a JSON object of a key''s columns. Needs read:audit. Raises not_found for an unknown table, invalid_input for one that is not audited, an id that cannot be one, or no instant.';
