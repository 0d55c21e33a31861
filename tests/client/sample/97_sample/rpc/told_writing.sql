create function public.told_writing() returns text
language sql volatile set search_path = ''
return current_setting('transaction_read_only');
