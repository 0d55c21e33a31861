-- 97_sample: one of every kind of signature, for the tests of the client and its generator.

create type public.sample_mood as enum ('calm', 'busy');
comment on type public.sample_mood is 'How it feels.';

create domain public.sample_amount as numeric(12, 2) check (value >= 0);
comment on domain public.sample_amount is 'Money, never less than nothing.';

create table public.sample_entries (
  id uuid primary key default gen_random_uuid(),
  title text not null unique,
  amount public.sample_amount not null default 0,
  "class" text,
  "json" jsonb,
  parent_id uuid references public.sample_entries (id),
  during tstzrange,
  made_at timestamptz not null default now(),
  constraint title_is_short check (length(title) <= 40),
  constraint one_at_a_time exclude using gist (during with &&)
);
create index sample_entries_parent_id on public.sample_entries (parent_id);
comment on table public.sample_entries is 'Things that were entered. A comment may hold "quotes", \backslashes and """.';
comment on column public.sample_entries.amount is 'What it costs, in the organisation''s currency.';

create type public.sample_pair as (label text, entry public.sample_entries, moods public.sample_mood[]);
comment on type public.sample_pair is 'A label and an entry.';

-- Attempts are counted where a rollback does not reach.
create sequence public.sample_attempts;
