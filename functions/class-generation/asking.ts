// What a call asks for, read from its path and body.

import { Refusal } from "../_shared/errors.ts";
import { fingerprint } from "../_shared/secrets.ts";

export const routes = ["generate-missing", "generate-weekly"] as const;
export type Route = (typeof routes)[number];

/** One call, understood. `key` is the same for the same call, so that the database does it once; null: every time. */
export interface Asking {
  route: Route;
  by: "webhook" | "hand";
  studentId: string | null;
  key: string | null;
  /** What happened to the row, as a webhook tells it. */
  event: "INSERT" | "UPDATE" | "DELETE" | null;
}

const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

/** The route a path ends with; null for the bare address, which is for webhooks. */
export function routeOf(url: URL): Route | null {
  const rest = url.pathname.replace(/^\/functions\/v1/, "").replace(/^\/class-generation/, "").replace(/\/$/, "");
  const route = rest === "" ? null : routes.find((one) => rest === `/${one}`);
  if (route === undefined) {
    throw new Refusal("not_found", "There is no such route.", `There are ${routes.join(" and ")}.`);
  }
  return route;
}

// The same however the keys are ordered, since nobody promises that a retried webhook writes them as before.
function canonical(value: unknown): string {
  if (Array.isArray(value)) {
    return `[${value.map(canonical).join(",")}]`;
  }
  if (typeof value === "object" && value !== null) {
    const entries = Object.entries(value).sort(([one], [other]) => (one < other ? -1 : 1));
    return `{${entries.map(([name, item]) => `${JSON.stringify(name)}:${canonical(item)}`).join(",")}}`;
  }
  return JSON.stringify(value);
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function idOf(value: unknown, name: string): string {
  if (typeof value !== "string" || !uuid.test(value)) {
    throw new Refusal("invalid_input", `${name} is not the id of a student.`, "It is a UUID.");
  }
  return value.toLowerCase();
}

async function readWebhook(body: Record<string, unknown>): Promise<Asking> {
  const { type, schema, table } = body;
  if (type !== "INSERT" && type !== "UPDATE" && type !== "DELETE") {
    throw new Refusal("invalid_input", "A webhook's type is INSERT, UPDATE or DELETE.");
  }
  if (schema !== "public" || table !== "students") {
    throw new Refusal("invalid_input", "This takes webhooks of public.students only.", "See the webhook's settings.");
  }
  const row = type === "DELETE" ? body.old_record : body.record;
  const name = type === "DELETE" ? "old_record.id" : "record.id";
  const studentId = idOf(isObject(row) ? row.id : undefined, name);
  const said = { type, record: body.record ?? null, old_record: body.old_record ?? null };
  return { route: "generate-missing", by: "webhook", studentId, event: type, key: `webhook ${await fingerprint(canonical(said))}` };
}

/** Understands a call, or refuses it. `key` is what the caller calls it by, where it says so. */
export async function readAsking(route: Route | null, body: unknown, key: string | null): Promise<Asking> {
  if (!isObject(body)) {
    throw new Refusal("invalid_input", "The body is not an object.", 'Send {} or {"studentId": "…"}.');
  }
  if (route === null || route === "generate-missing" && "type" in body) {
    return await readWebhook(body);
  }
  const unknown = Object.keys(body).filter((name) => name !== "studentId" || route === "generate-weekly");
  if (unknown.length > 0) {
    const hint = route === "generate-weekly" ? "Send {}." : 'Send {} or {"studentId": "…"}.';
    throw new Refusal("invalid_input", `${unknown.slice(0, 5).join(", ").slice(0, 200)}: not understood here.`, hint);
  }
  const studentId = body.studentId === undefined ? null : idOf(body.studentId, "studentId");
  return { route, by: "hand", studentId, event: null, key: key === null ? null : `hand ${await fingerprint(key)}` };
}
