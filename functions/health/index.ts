// Whether REST and the database behind it answer, and how fast. For load balancers and uptime monitors:
// 200 when both do, 503 when one does not.

import { visitorsClient } from "../_shared/clients.ts";
import { json, serve } from "../_shared/http.ts";

interface Check {
  healthy: boolean;
  latency_ms: number;
  problem: string | null;
}

const patience = 5_000;
// PostgREST's own words for "I am here, but the database is not".
const databaseAway = new Set(["PGRST000", "PGRST001", "PGRST002", "PGRST003"]);

// One call tells both apart: who cannot reach REST gets no status at all, who reaches REST without a database gets
// its word for that.
async function ask(): Promise<{ rest: Check; database: Check; version: string | null }> {
  const started = performance.now();
  const { data, error, status } = await visitorsClient().rpc("app_config").abortSignal(AbortSignal.timeout(patience));
  const latency_ms = Math.round((performance.now() - started) * 10) / 10;
  const check = (problem: string | null): Check => ({ healthy: problem === null, latency_ms, problem });

  if (error === null) {
    return { rest: check(null), database: check(null), version: data?.version ?? null };
  }
  if (databaseAway.has(error.code)) {
    return { rest: check(null), database: check("The database does not answer."), version: null };
  }
  if (status === 0 || error.code === "" || error.code === "unavailable") {
    return { rest: check("REST does not answer."), database: check("Unknown: REST does not answer."), version: null };
  }
  return { rest: check(null), database: check("The schema is not in place."), version: null };
}

serve(["GET", "POST"], async () => {
  const { rest, database, version } = await ask();
  const healthy = rest.healthy && database.healthy;
  return json({ healthy, version, checks: { rest, database } }, healthy ? 200 : 503);
});
