// Generation of students' classes, for a database webhook on students and for callers without a login:
// POST /functions/v1/class-generation/generate-missing    {"studentId": "…"}, {} for everyone, a webhook's body
// POST /functions/v1/class-generation/generate-weekly     {}
// POST /functions/v1/class-generation                     a webhook's body
// The secret CLASS_GENERATION_SECRET is the permission: in x-webhook-secret, or in Authorization after Bearer.
// Everything is decided in the database; docs/tracking.md says how a webhook is set up.

import { serversClient } from "../_shared/clients.ts";
import { type Code, Refusal } from "../_shared/errors.ts";
import { json, readJson, serve } from "../_shared/http.ts";
import { isSecret } from "../_shared/secrets.ts";
import { type Asking, readAsking, routeOf } from "./asking.ts";

const patience = 55_000;
// A student before and after, with the longest schedule and notes there can be, is a fifth of this.
const longestBody = 256 * 1024;
const listed = 100;

const passedOn: Readonly<Record<string, Code>> = {
  invalid_input: "invalid_input",
  not_found: "not_found",
  in_progress: "in_progress",
  idempotency_mismatch: "idempotency_mismatch",
  limit_exceeded: "limit_exceeded",
  rate_limited: "rate_limited",
};

interface Log {
  student_id: string | null;
  run_id: number;
  status: string;
  message: string;
  classes_created: number;
  classes_removed: number;
  error_details: Record<string, unknown>;
}

interface Done {
  operation: string;
  student_id: string | null;
  run_id: number | null;
  status: string;
  message: string;
  classes_created: number;
  classes_removed: number;
  /** Those whose classes were changed or could not all be made, the first hundred. */
  students: Omit<Log, "run_id">[];
}

async function checkSecret(headers: Headers): Promise<void> {
  const bearer = /^Bearer (.+)$/i.exec(headers.get("Authorization") ?? "")?.[1] ?? null;
  if (!(await isSecret(headers.get("x-webhook-secret") ?? bearer, "CLASS_GENERATION_SECRET"))) {
    throw new Refusal("forbidden", "The secret is missing or wrong.", "Send it in x-webhook-secret.");
  }
}

// The run's own row comes first, so that no limit on an answer's rows cuts it off.
async function generate(asking: Asking): Promise<Log[]> {
  const weekly = asking.route === "generate-weekly";
  const { data, error, status } = await serversClient()
    .rpc(weekly ? "generate_weekly_classes" : "generate_missing_classes", {
      ...(weekly ? {} : { p_student_id: asking.studentId }),
      p_idempotency_key: asking.key,
    })
    .order("student_id", { nullsFirst: true })
    .limit(listed + 1)
    .abortSignal(AbortSignal.timeout(patience));
  if (error === null) {
    return data;
  }
  const code = passedOn[error.code];
  if (code !== undefined) {
    throw new Refusal(code, error.message, error.hint);
  }
  console.error(asking.route, "failed", status, error.code, error.message);
  // Nothing answers, or not in time. Everything else is the fault of how this is set up.
  if (status === 0 || status >= 500) {
    throw new Refusal("busy", "Classes cannot be generated just now.", "Send the same again in a while.");
  }
  throw new Refusal("internal_error", "The database did not take the call.", "The function's log says why.");
}

async function answer(asking: Asking): Promise<Done> {
  const about = { operation: asking.route, student_id: asking.studentId };
  if (asking.event === "DELETE") {
    const message = "Who is gone misses no classes";
    return { ...about, run_id: null, status: "skipped", message, classes_created: 0, classes_removed: 0, students: [] };
  }
  const [run, ...students] = await generate(asking);
  const { run_id, status, message, classes_created, classes_removed } = run;
  return {
    ...about, run_id, status, message, classes_created, classes_removed,
    students: students.map((one) => ({
      student_id: one.student_id, status: one.status, message: one.message, classes_created: one.classes_created,
      classes_removed: one.classes_removed, error_details: one.error_details,
    })),
  };
}

serve(["POST"], async (request) => {
  const started = performance.now();
  const told: Record<string, unknown> = { function: "class-generation" };
  try {
    await checkSecret(request.headers);
    const route = routeOf(new URL(request.url));
    told.route = route;
    const body = await readJson(request, longestBody);
    const asking = await readAsking(route, body, request.headers.get("Idempotency-Key"));
    Object.assign(told, { route: asking.route, by: asking.by, event: asking.event, student_id: asking.studentId });
    const done = await answer(asking);
    Object.assign(told, { code: "ok", run_id: done.run_id, status: done.status, classes_created: done.classes_created });
    return json(done);
  } catch (error) {
    told.code = error instanceof Refusal ? error.code : "internal_error";
    throw error;
  } finally {
    told.duration_ms = Math.round(performance.now() - started);
    console.log(JSON.stringify(told));
  }
});
