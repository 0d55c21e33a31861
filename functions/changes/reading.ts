// What a follower asks for, and reading it as the follower.

import type { SupabaseClient } from "npm:@supabase/supabase-js@2";
import { type Code, Refusal } from "../_shared/errors.ts";

/** One row of changes_since: a change with the cursor after it, or a cursor alone. */
export interface Row {
  cursor: string;
  more: boolean;
  id: number | null;
  topic: string;
  event: string;
  payload: Record<string, unknown>;
  created_at: string;
}

export interface Asking {
  topics: string[];
  cursor: string | null;
}

const patience = 20_000;
const pageSize = 200;

const passedOn: Readonly<Record<string, Code>> = {
  invalid_input: "invalid_input",
  forbidden: "forbidden",
  limit_exceeded: "limit_exceeded",
  cursor_expired: "cursor_expired",
  rate_limited: "rate_limited",
};

/** The topics and where to begin: `?topics=a,b` or `?topic=a&topic=b`; Last-Event-ID, or `?cursor=` for a first call. */
export function readAsking(request: Request): Asking {
  const query = new URL(request.url).searchParams;
  const named = [...query.getAll("topic"), ...query.getAll("topics").flatMap((list) => list.split(","))];
  const topics = [...new Set(named.map((topic) => topic.trim()).filter((topic) => topic !== ""))];
  if (topics.length === 0) {
    throw new Refusal("invalid_input", "Say which topics to follow.", "Use ?topics=one,another.");
  }
  return { topics, cursor: request.headers.get("Last-Event-ID") || query.get("cursor") || null };
}

/** The next page; a Refusal says that asking again is of no use, unless it is `busy`. */
export async function readPage(client: SupabaseClient, asking: Asking): Promise<Row[]> {
  const { data, error, status } = await client
    .rpc("changes_since", { p_cursor: asking.cursor, p_topics: asking.topics, p_limit: pageSize })
    .abortSignal(AbortSignal.timeout(patience));
  if (error === null) {
    return data;
  }
  const code = passedOn[error.code];
  if (code !== undefined) {
    throw new Refusal(code, error.message, error.hint);
  }
  if (status === 401 || status === 403) {
    throw new Refusal("forbidden", "The token is not, or no longer, good.", "Come back with a fresh one and the last id.");
  }
  console.error("changes_since failed", status, error.code, error.message);
  throw new Refusal("busy", "The feed cannot be read just now.", "Ask again in a while.");
}
