-- Where extensions live, apart from `public`, which the API exposes. No extension is made here: modules
-- create the ones they need.
create schema if not exists extensions;
grant usage on schema extensions to anon, authenticated, service_role;

-- Supabase lets the API roles see `public`; what they may do with what is in it, our modules say.
grant usage on schema public to anon, authenticated, service_role;
