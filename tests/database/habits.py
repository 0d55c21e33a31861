"""How SQL is written here, as queries that list what is not: each with something wrong that it must find."""

from __future__ import annotations

from dataclasses import dataclass

OURS = "n.nspname in ('public', 'private')"
# Objects that belong to an extension are not ours to write.
NOT_FROM_EXTENSION = "not exists (select from pg_depend e where e.objid = {oid} and e.deptype = 'e')"
FUNCTIONS = f"""
  from pg_proc p join pg_namespace n on n.oid = p.pronamespace
  where {OURS} and {NOT_FROM_EXTENSION.format(oid="p.oid")}
"""
RELATIONS = f"""
  from pg_class c join pg_namespace n on n.oid = c.relnamespace
  where {OURS} and not c.relispartition and {NOT_FROM_EXTENSION.format(oid="c.oid")}
"""
BODY = "coalesce(pg_get_function_sqlbody(p.oid), p.prosrc)"


@dataclass(frozen=True)
class Habit:
    """`query` returns one text column naming what breaks the rule; `planted` is SQL that breaks it."""

    query: str
    planted: str


HABITS = {
    "nothing raises what PostgREST retries for ever": Habit(
        f"""select p.oid::regprocedure::text {FUNCTIONS}
          and {BODY} ~* '40001|40P01|serialization_failure|deadlock_detected'""",
        """create function private.planted() returns void language plpgsql set search_path = ''
          as $$ begin raise sqlstate '40001'; end $$""",
    ),
    "nothing swallows every error": Habit(
        # What runs jobs takes every error in order to record it, with its SQLSTATE and an alert.
        f"select p.oid::regprocedure::text {FUNCTIONS} and {BODY} ~* 'when\\s+others' and p.proname <> 'attempt_job'",
        """create function private.planted() returns void language plpgsql set search_path = ''
          as $$ begin perform 1; exception when
            others then null; end $$""",
    ),
    "security definer is found in private only": Habit(
        f"select p.oid::regprocedure::text {FUNCTIONS} and n.nspname <> 'private' and p.prosecdef",
        "create function public.planted() returns void language sql security definer set search_path = '' as ''",
    ),
    "every function pins an empty search_path": Habit(
        f"""select p.oid::regprocedure::text {FUNCTIONS}
          and not coalesce('search_path=""' = any (p.proconfig), false)""",
        "create function private.planted() returns void language sql as ''",
    ),
    "no function is overloaded": Habit(
        f"select n.nspname || '.' || p.proname {FUNCTIONS} group by n.nspname, p.proname having count(*) > 1",
        """create function private.planted() returns void language sql as '';
          create function private.planted(integer) returns void language sql as ''""",
    ),
    "nothing is granted to everybody": Habit(
        f"""select p.oid::regprocedure::text {FUNCTIONS} and exists (
            select from aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a where a.grantee = 0)
          union all
          select c.oid::regclass::text {RELATIONS} and exists (select from aclexplode(c.relacl) a where a.grantee = 0)""",
        "create function private.planted() returns void language sql as '';"
        "grant execute on function private.planted() to public",
    ),
    "every table in public has row level security": Habit(
        f"select c.oid::regclass::text {RELATIONS} and n.nspname = 'public' and c.relkind in ('r', 'p') "
        "and not c.relrowsecurity",
        "create table public.planted (id integer)",
    ),
    "exposed views ask with the caller's rights": Habit(
        f"""select c.oid::regclass::text {RELATIONS} and c.relkind = 'v' and n.nspname = 'public'
          and not coalesce(c.reloptions && array['security_invoker=true', 'security_invoker=on'], false)""",
        "create view public.planted as select 1 as one",
    ),
    "every table and view has a comment": Habit(
        f"select c.oid::regclass::text {RELATIONS} and c.relkind in ('r', 'p', 'v', 'm') "
        "and obj_description(c.oid, 'pg_class') is null",
        "create table private.planted (id integer)",
    ),
    "every function has a comment": Habit(
        f"select p.oid::regprocedure::text {FUNCTIONS} and obj_description(p.oid, 'pg_proc') is null",
        "create function private.planted() returns void language sql as ''",
    ),
    "every type has a comment": Habit(
        f"""select t.oid::regtype::text from pg_type t join pg_namespace n on n.oid = t.typnamespace
          left join pg_class c on c.oid = t.typrelid
          where {OURS} and (t.typtype in ('e', 'd', 'r') or c.relkind = 'c')
            and obj_description(t.oid, 'pg_type') is null and {NOT_FROM_EXTENSION.format(oid="t.oid")}""",
        "create type private.planted as (one integer)",
    ),
    "every foreign key leads an index": Habit(
        f"""select k.conrelid::regclass || '.' || k.conname
          from pg_constraint k join pg_namespace n on n.oid = k.connamespace
          where {OURS} and k.contype = 'f' and k.conparentid = 0 and not exists (
            select from pg_index i
            where i.indrelid = k.conrelid and i.indisvalid
              and (select array_agg(a order by a) from unnest((i.indkey::smallint[])[0:cardinality(k.conkey) - 1]) a)
                = (select array_agg(a order by a) from unnest(k.conkey) a)
              -- A partial index serves when it only leaves out the rows that refer to nothing.
              and (i.indpred is null or pg_get_expr(i.indpred, i.indrelid) ~ '^\\(\\w+ IS NOT NULL\\)$'))""",
        "create table private.planted (name text references public.permissions (name))",
    ),
    "check constraints are named as sentences": Habit(
        f"""select k.conrelid::regclass || '.' || k.conname
          from pg_constraint k join pg_namespace n on n.oid = k.connamespace
          where {OURS} and k.contype = 'c' and k.conrelid <> 0 and (k.conname ~ '_check\\d*$' or k.conname !~ '_')""",
        "create table private.planted (id integer check (id > 0))",
    ),
    "triggers say when and what": Habit(
        f"""select t.tgrelid::regclass || '.' || t.tgname
          from pg_trigger t join pg_proc p on p.oid = t.tgfoid join pg_namespace n on n.oid = p.pronamespace
          where {OURS} and not t.tgisinternal and t.tgname !~ '^t\\d\\d_[a-z_]+$'""",
        "create trigger planted before update on public.settings for each row execute function private.keep_version()",
    ),
    "policies are sentences": Habit(
        f"""select l.polrelid::regclass || '.' || l.polname
          from pg_policy l join pg_class c on c.oid = l.polrelid join pg_namespace n on n.oid = c.relnamespace
          where {OURS} and l.polname !~ '\\w \\w+ \\w'""",
        "create policy planted on public.settings for select to authenticated using (true)",
    ),
    "policies name whom they are for": Habit(
        f"""select l.polrelid::regclass || '.' || l.polname
          from pg_policy l join pg_class c on c.oid = l.polrelid join pg_namespace n on n.oid = c.relnamespace
          where {OURS} and l.polroles = '{{0}}'""",
        'create policy "everybody sees settings" on public.settings for select using (true)',
    ),
    "instants have a zone, amounts are exact, generated columns are stored": Habit(
        f"""select c.oid::regclass || '.' || a.attname
          from pg_attribute a join pg_class c on c.oid = a.attrelid join pg_namespace n on n.oid = c.relnamespace
          where {OURS} and c.relkind in ('r', 'p') and a.attnum > 0 and not a.attisdropped
            and (a.atttypid in ('timestamp'::regtype, 'timetz'::regtype, 'real'::regtype, 'float8'::regtype,
                'money'::regtype, 'json'::regtype) or a.attgenerated = 'v')""",
        "create table private.planted (at timestamp)",
    ),
    "case-insensitive text is not citext": Habit(
        "select e.extname::text from pg_extension e where e.extname = 'citext'",
        "create extension citext with schema extensions",
    ),
    "extensions stay out of the exposed schema": Habit(
        "select e.extname::text from pg_extension e join pg_namespace n on n.oid = e.extnamespace "
        "where n.nspname in ('public', 'private')",
        "create extension citext with schema public",
    ),
}
