"""The local backend: real Postgres, real PostgREST and real Deno behind one origin, without Docker."""
