// The change feed as server-sent events, for who wants to hear of changes at once:
// GET /functions/v1/changes?topics=session:ID,course:ID      with the caller's token in Authorization, or none at all
// Last-Event-ID (or ?cursor=) goes on where an earlier stream broke off; docs/live.md says what comes.

import { callersClient } from "../_shared/clients.ts";
import { Refusal } from "../_shared/errors.ts";
import { crossOrigin, serve } from "../_shared/http.ts";
import { Follower } from "./following.ts";
import { readAsking, readPage } from "./reading.ts";
import { Wakes } from "./wakes.ts";

const mostFollowers = 500;
const wakes = new Wakes();

serve(["GET"], async (request) => {
  const asking = readAsking(request);
  if (wakes.size >= mostFollowers) {
    throw new Refusal("busy", "Too many follow already.", "Ask rpc/changes_since every few seconds instead.");
  }
  const client = callersClient(request);
  const first = await readPage(client, asking);
  return new Response(new ReadableStream(new Follower(client, wakes, asking, first), { highWaterMark: 1 }), {
    headers: {
      ...crossOrigin,
      "Content-Type": "text/event-stream; charset=utf-8",
      "Cache-Control": "no-store",
      "X-Accel-Buffering": "no",
    },
  });
});
