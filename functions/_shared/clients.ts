// The database over REST, from inside a function.

import { createClient, type SupabaseClient } from "npm:@supabase/supabase-js@2";

function setting(name: string): string {
  const value = Deno.env.get(name);
  if (!value) {
    throw new Error(`${name} is not set; the runtime provides it`);
  }
  return value;
}

// A function serves many callers, so nothing of one is kept for the next.
function client(key: string, headers: Record<string, string> = {}): SupabaseClient {
  const auth = { persistSession: false, autoRefreshToken: false, detectSessionInUrl: false };
  return createClient(setting("SUPABASE_URL"), setting(key), { auth, global: { headers } });
}

/** As nobody: what a visitor may see. */
export function visitorsClient(): SupabaseClient {
  return client("SUPABASE_ANON_KEY");
}

/** As whoever calls the function: REST verifies the token with every call, and the database decides what it may see. */
export function callersClient(request: Request): SupabaseClient {
  const token = request.headers.get("Authorization");
  return client("SUPABASE_ANON_KEY", token === null ? {} : { Authorization: token });
}

/** As a server, which may do anything: only for a function that has looked at who calls it. */
export function serversClient(): SupabaseClient {
  return client("SUPABASE_SERVICE_ROLE_KEY");
}
