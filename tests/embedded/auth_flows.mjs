// supabase-js against the local origin: node auth_flows.mjs URL ANON_KEY SERVICE_ROLE_KEY
// Prints one JSON object with what happened; throws when something that has to succeed does not.
import { createClient } from "@supabase/supabase-js";

const [url, anonKey, serviceKey] = process.argv.slice(2);
const stateless = {
  auth: { persistSession: false, autoRefreshToken: false },
  // Live updates are not part of this; older Nodes have no WebSocket for supabase-js to find.
  realtime: { transport: globalThis.WebSocket ?? class {} },
};
const visitor = () => createClient(url, anonKey, stateless);
const admin = createClient(url, serviceKey, stateless);

const address = () => `js-${crypto.randomUUID()}@example.org`;
const password = "a long enough password";
const seen = {};

function good({ data, error }) {
  if (error) throw error;
  return data;
}
function refusal({ error }) {
  return { status: error?.status ?? null, code: error?.code ?? null, name: error?.name ?? null };
}

const email = address();
const client = visitor();
const events = [];
client.auth.onAuthStateChange((event) => void events.push(event));

const signedUp = good(await client.auth.signUp({ email, password, options: { data: { full_name: "Ravi Iyer" } } }));
seen.signed_up = signedUp.user.email === email && signedUp.session.access_token.length > 0;
seen.metadata = signedUp.user.user_metadata.full_name;
seen.profile = good(await client.from("user_profiles").select("full_name").single()).full_name;
seen.user = good(await client.auth.getUser()).user.id === signedUp.user.id;
seen.claims_role = good(await client.auth.getClaims()).claims.role;

const refreshed = good(await client.auth.refreshSession());
seen.rotated = refreshed.session.refresh_token !== signedUp.session.refresh_token;
seen.updated = good(await client.auth.updateUser({ data: { colour: "green" } })).user.user_metadata.colour;

seen.taken = refusal(await visitor().auth.signUp({ email, password }));
seen.weak = refusal(await visitor().auth.signUp({ email: address(), password: "short" }));
seen.wrong = refusal(await visitor().auth.signInWithPassword({ email, password: "not the password" }));
seen.signed_in = good(await visitor().auth.signInWithPassword({ email, password })).user.id === signedUp.user.id;

good(await client.auth.signOut());
seen.signed_out = (await client.auth.getSession()).data.session === null;
const kept = createClient(url, anonKey, { ...stateless, global: { headers: { Authorization: `Bearer ${refreshed.session.access_token}` } } });
seen.after_sign_out = refusal(await kept.auth.getUser(refreshed.session.access_token));
seen.events = events;

const made = good(await admin.auth.admin.createUser({ email: address(), password, email_confirm: true })).user;
seen.listed = good(await admin.auth.admin.listUsers({ page: 1, perPage: 1000 })).users.some(({ id }) => id === made.id);
seen.changed = good(await admin.auth.admin.updateUserById(made.id, { app_metadata: { team: "x" } })).user.app_metadata.team;
good(await admin.auth.admin.deleteUser(made.id));
seen.deleted = refusal(await admin.auth.admin.getUserById(made.id));
seen.not_admin = refusal(await visitor().auth.admin.listUsers());

seen.rpc = good(await visitor().rpc("app_config")).version.length > 0;
const health = good(await visitor().functions.invoke("health", { method: "GET" }));
seen.function_healthy = health.healthy;

console.log(JSON.stringify(seen));
process.exit(0);
