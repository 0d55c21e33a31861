// A calendar at a secret address, for calendar programs to subscribe to:
// GET /functions/v1/calendar-feed/SECRET.ics, or ?token=SECRET. The secret is the permission, so nobody signs in, and
// it is never logged here. docs/calendar.md says how an address is made and revoked.

import { visitorsClient } from "../_shared/clients.ts";
import { Refusal } from "../_shared/errors.ts";
import { serve } from "../_shared/http.ts";
import { type Feed, toCalendar } from "./calendar.ts";

const patience = 20_000;

function secretOf(url: URL): string {
  const last = url.pathname.split("/").at(-1) ?? "";
  const inPath = last === "calendar-feed" ? "" : last.replace(/\.ics$/, "");
  return inPath || (url.searchParams.get("token") ?? "");
}

async function read(secret: string): Promise<Feed> {
  // Nothing else was ever given out, so nothing else is worth a call.
  if (!/^[0-9a-f]{64}$/.test(secret)) {
    throw new Refusal("not_found", "There is no such calendar.");
  }
  const { data, error, status } = await visitorsClient()
    .rpc("calendar_feed", { p_token: secret })
    .abortSignal(AbortSignal.timeout(patience));
  if (error === null) {
    return data;
  }
  switch (error.code) {
    case "not_found":
      throw new Refusal("not_found", "There is no such calendar.", "It may have been revoked.");
    case "limit_exceeded":
      throw new Refusal("limit_exceeded", error.message, error.hint);
    default:
      console.error("calendar_feed failed", status, error.code, error.message);
      throw new Refusal("busy", "The calendar cannot be read just now.", "Ask again in a while.");
  }
}

async function tag(body: Uint8Array<ArrayBuffer>): Promise<string> {
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", body));
  return `"${Array.from(digest.slice(0, 16), (byte) => byte.toString(16).padStart(2, "0")).join("")}"`;
}

serve(["GET", "HEAD"], async (request) => {
  const feed = await read(secretOf(new URL(request.url)));
  const body = new TextEncoder().encode(toCalendar(feed));
  const etag = await tag(body);
  const headers = {
    "Content-Type": "text/calendar; charset=utf-8",
    "Content-Disposition": 'inline; filename="calendar.ics"',
    // Kept by the program that asked, never by a cache in between: a revoked address ends with the next question.
    "Cache-Control": "private, no-cache",
    ETag: etag,
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Robots-Tag": "noindex",
  };
  const known = (request.headers.get("If-None-Match") ?? "").split(",").map((one) => one.trim().replace(/^W\//, ""));
  if (known.includes(etag) || known.includes("*")) {
    return new Response(null, { status: 304, headers });
  }
  return new Response(request.method === "HEAD" ? null : body, {
    headers: { ...headers, "Content-Length": String(body.length) },
  });
});
