// Answers of Edge Functions: JSON, readable from any page, refusals in one shape.

import { Refusal } from "./errors.ts";

// It is the key and the token that say who calls, never a cookie, so any page may.
export const crossOrigin = {
  "Access-Control-Allow-Origin": "*",
  "Access-Control-Allow-Headers": "authorization, x-client-info, apikey, content-type, last-event-id",
  "Access-Control-Allow-Methods": "GET, POST, OPTIONS",
};

/** A JSON answer that nobody keeps. */
export function json(body: unknown, status = 200): Response {
  return Response.json(body, { status, headers: { ...crossOrigin, "Cache-Control": "no-store" } });
}

/**
 * The body of a request as JSON; nothing at all is an empty object. Never reads more than it is told to, whatever the
 * request says of its length.
 */
export async function readJson(request: Request, limit: number): Promise<unknown> {
  const parts: Uint8Array<ArrayBuffer>[] = [];
  let length = 0;
  for await (const part of request.body ?? []) {
    length += part.byteLength;
    if (length > limit) {
      throw new Refusal("limit_exceeded", `The body is longer than ${limit} bytes.`, "Send less at once.");
    }
    parts.push(part);
  }
  try {
    const text = new TextDecoder("utf-8", { fatal: true }).decode(await new Blob(parts).arrayBuffer());
    return text.trim() === "" ? {} : JSON.parse(text);
  } catch {
    throw new Refusal("invalid_input", "The body is not JSON in UTF-8.", "Send an object, {} at least.");
  }
}

/** Serves one function: answers preflights, refuses other methods, and turns what is thrown into an answer. */
export function serve(methods: readonly string[], handler: (request: Request) => Promise<Response>): void {
  Deno.serve(async (request) => {
    if (request.method === "OPTIONS") {
      return new Response(null, { status: 204, headers: crossOrigin });
    }
    try {
      if (!methods.includes(request.method)) {
        const hint = `Use ${methods.join(" or ")}.`;
        const refused = json(new Refusal("invalid_input", `${request.method} is not understood here.`, hint), 405);
        refused.headers.set("Allow", [...methods, "OPTIONS"].join(", "));
        return refused;
      }
      return await handler(request);
    } catch (error) {
      if (error instanceof Refusal) {
        return json(error, error.status);
      }
      console.error(error); // the log has the details, the caller has no use for them
      return json(new Refusal("internal_error", "The function failed.", "Its log says why."), 500);
    }
  });
}
