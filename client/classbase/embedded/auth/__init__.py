"""A small `/auth/v1` for development: the calls that supabase-js and supabase-py make for password sign-in.

It answers in the shapes and with the error codes of Supabase Auth, from the same tables, so that a frontend can be
built against it. It sends no e-mail, knows no other way to sign in, and is not meant to face a network: a hosted
project uses Supabase Auth itself.
"""
