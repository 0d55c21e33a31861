// Sends what waits in the outbox: POST /functions/v1/dispatch, from a job, a cron, or by hand. The secret DISPATCH_SECRET is
// the permission: in x-dispatch-secret, or in Authorization after Bearer. docs/messages.md says how it is set up.
//
// Any number may run at once. A message is claimed under a lease, sent, and reported; who dies in between leaves it to the
// next, who sends it again under the same idempotency key.

import { serversClient } from "../_shared/clients.ts";
import { Refusal } from "../_shared/errors.ts";
import { json, readJson, serve } from "../_shared/http.ts";
import { isSecret } from "../_shared/secrets.ts";
import { type Adapter, adapters, type Channel, type Message } from "./adapters.ts";
import { type Outcome, send } from "./sending.ts";

function milliseconds(name: string, otherwise: number): number {
  const said = Number(Deno.env.get(name) ?? "");
  return Number.isFinite(said) && said > 0 ? said * 1000 : otherwise;
}

// How long one provider is waited for, how long one call goes on claiming, and how many messages are on their way at once.
const patience = milliseconds("DISPATCH_SEND_SECONDS", 10_000);
const together = 8;
const working = 40_000;
const askingPatience = 15_000;
// Whoever claimed the last of a batch waits for those before it: a batch is sent well before its leases run out.
const batch = 3 * together;
const leaseSeconds = Math.ceil((3 * patience + 2 * askingPatience) / 1000);

type Counts = Record<"sent" | "retried" | "failed" | "unreported", number>;

async function ask<T>(name: string, values: Record<string, unknown>): Promise<T> {
  const { data, error, status } = await serversClient().rpc(name, values).abortSignal(AbortSignal.timeout(askingPatience));
  if (error === null) {
    return data;
  }
  console.error(name, "failed", status, error.code, error.message);
  if (status === 0 || status >= 500) {
    throw new Refusal("busy", "The database does not answer just now.", "Call again in a while.");
  }
  throw new Refusal("internal_error", "The database did not take the call.", "The function's log says why.");
}

// Reporting twice changes nothing, so it is tried twice; without a report the lease runs out.
async function report(message: Message, outcome: Outcome): Promise<keyof Counts> {
  const of = { p_id: message.id, p_lease: message.lease };
  for (let attempt = 1;; attempt++) {
    try {
      if (outcome.sent) {
        await ask("complete_outbox", { ...of, p_provider_message_id: outcome.name });
        return "sent";
      }
      const [become] = await ask<{ status: string }[]>("fail_outbox", {
        ...of, p_error: outcome.error, p_reason: outcome.reason, p_retry_after: outcome.retryAfter,
      });
      return become.status === "failed" ? "failed" : "retried";
    } catch (error) {
      if (attempt === 2 || !(error instanceof Refusal && error.code === "busy")) {
        return "unreported";
      }
    }
  }
}

async function sendAll(messages: Message[], by: Map<Channel, Adapter>, until: number, counts: Counts): Promise<void> {
  const left = messages[Symbol.iterator]();
  await Promise.all(Array.from({ length: together }, async () => {
    for (const message of left) {
      // What is about to be somebody else's is left to them.
      if (until - performance.now() < patience) {
        counts.unreported++;
        continue;
      }
      counts[await report(message, await send(by.get(message.channel)!, message, patience))]++;
    }
  }));
}

async function dispatch(limit: number): Promise<Counts & { channels: Channel[] }> {
  const by = adapters();
  const channels = [...by.keys()];
  const counts: Counts = { sent: 0, retried: 0, failed: 0, unreported: 0 };
  const until = performance.now() + working;
  for (let left = limit; left > 0 && channels.length > 0 && performance.now() < until;) {
    // By our own clock, from before we asked: the database's may show another time.
    const leasedUntil = performance.now() + leaseSeconds * 1000;
    const messages = await ask<Message[]>("claim_outbox", {
      p_channels: channels, p_limit: Math.min(batch, left), p_lease_seconds: leaseSeconds,
    });
    if (messages.length === 0) {
      break;
    }
    left -= messages.length;
    await sendAll(messages, by, leasedUntil, counts);
  }
  return { ...counts, channels };
}

async function readLimit(request: Request): Promise<number> {
  const body = await readJson(request, 4096);
  const limit = typeof body === "object" && body !== null && !Array.isArray(body) ? (body as { limit?: unknown }).limit ?? 10_000 : null;
  if (typeof limit !== "number" || !Number.isInteger(limit) || limit < 1 || limit > 10_000) {
    throw new Refusal("invalid_input", "The limit is not a number from 1 to 10000.", 'Send {} or {"limit": 100}.');
  }
  return limit;
}

serve(["POST"], async (request) => {
  const started = performance.now();
  const told: Record<string, unknown> = { function: "dispatch" };
  try {
    const bearer = /^Bearer (.+)$/i.exec(request.headers.get("Authorization") ?? "")?.[1] ?? null;
    if (!(await isSecret(request.headers.get("x-dispatch-secret") ?? bearer, "DISPATCH_SECRET"))) {
      throw new Refusal("forbidden", "The secret is missing or wrong.", "Send it in x-dispatch-secret.");
    }
    const done = await dispatch(await readLimit(request));
    Object.assign(told, { code: "ok", ...done });
    return json(done);
  } catch (error) {
    told.code = error instanceof Refusal ? error.code : "internal_error";
    throw error;
  } finally {
    told.duration_ms = Math.round(performance.now() - started);
    console.log(JSON.stringify(told));
  }
});
