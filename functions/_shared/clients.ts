// The database over REST, from inside a function.

import { createClient, type SupabaseClient } from "npm:@supabase/supabase-js@2";

function setting(name: string): string {
  const value = Deno.env.get(name);
  if (!value) {
    throw new Error(`${name} is not set; the runtime provides it`);
  }
  return value;
}

/** As nobody: what a visitor may see. A function serves many callers, so nothing of one is kept for the next. */
export function visitorsClient(): SupabaseClient {
  const auth = { persistSession: false, autoRefreshToken: false, detectSessionInUrl: false };
  return createClient(setting("SUPABASE_URL"), setting("SUPABASE_ANON_KEY"), { auth });
}
