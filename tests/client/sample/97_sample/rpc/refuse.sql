create function public.refuse(p_how text, p_what text default null) returns void
language plpgsql volatile set search_path = ''
as $$
begin
  case p_how
    when 'code' then
      perform private.fail(p_what, 'It was refused: ' || p_what, 'p_what', '{"limit": 12.50, "row": {"id": 1}}', 'Ask for something else.');
    when 'input' then
      perform private.fail_input(private.input_error(true, 'p_how', 'One is wrong') || private.input_error(true, 'p_what', 'Two is wrong'));
    when 'late' then
      perform private.fail('rate_limited', 'Too many', p_details => '{"retry_after": 7}');
    when 'twice' then
      insert into public.sample_entries (title) values ('same'), ('same');
    when 'overlap' then
      insert into public.sample_entries (title, during) values ('one', '[2024-01-01,2024-01-02)'), ('two', '[2024-01-01,2024-01-02)');
    when 'orphan' then
      insert into public.sample_entries (title, parent_id) values ('orphan', '00000000-0000-0000-0000-000000000000');
    when 'long' then
      insert into public.sample_entries (title) values (repeat('x', 41));
    when 'null' then
      insert into public.sample_entries (title) values (null);
    when 'domain' then
      insert into public.sample_entries (title, amount) values ('domain', -1);
    when 'cast' then
      perform p_what::integer;
    when 'private' then
      delete from private.error_codes;
    when 'sqlstate' then
      raise exception using errcode = p_what, message = 'as asked', detail = 'a detail', hint = 'a hint';
    when 'policy' then
      insert into public.sample_entries (title) values ('theirs');
    when 'missing' then
      perform public.there_is_no_such_function();
  end case;
end;
$$;
comment on function public.refuse is 'Fails in the way that is asked for.';
