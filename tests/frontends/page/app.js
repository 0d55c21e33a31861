// A month of sessions with the seats that are left, for whoever looks; booking, for whoever signs in. It stays right by itself:
// the change feed says what changed, and the page reads that again. Numbers in changes are not shown, since of two bookings
// at once neither counts the other (docs/training.md).

import { book, cancel } from "./booking.js";
import { Feed } from "./feed.js";
import { boundsOf, Month, monthAfter } from "./month.js";
import { News } from "./news.js";
import { refusal, sessionName, today } from "./words.js";

const states = {
  connecting: "Connecting",
  live: "Live: changes appear at once",
  polling: "Polling: changes appear within 5 seconds",
  reconnecting: "Reconnecting",
};
// A hold that runs out and a new course say nothing in the feed.
const readAnyway = 60_000;
const page = 1000; // what one answer holds at most

const get = (id) => document.getElementById(id);
const { address, key } = await (await fetch("project.json")).json();
const client = supabase.createClient(address, key);

const good = ({ data, error }) => {
  if (error) {
    throw error;
  }
  return data;
};
const config = good(await client.rpc("app_config", {}, { get: true }));
document.title = `Sessions · ${config.organisation_name}`;
get("organisation").textContent = config.organisation_name;

let month = new URLSearchParams(location.search).get("month") ?? today(config.organisation_time_zone).slice(0, 7);
let person = null;
let changes = [];
let courses = new Map();
const bookingNow = new Set();

// ---- reading ------------------------------------------------------------------------------------------------

async function readMonth() {
  const [p_from, p_to] = boundsOf(month);
  const sessions = [];
  for (let more = true; more; ) {
    const rows = good(await client.rpc("calendar_availability", { p_from, p_to }, { get: true }).range(sessions.length, sessions.length + page - 1));
    sessions.push(...rows);
    more = rows.length === page;
  }
  return sessions;
}

async function readBookings() {
  if (person === null) {
    return new Map();
  }
  const [from, to] = boundsOf(month);
  const rows = good(
    await client
      .from("session_bookings")
      .select("id, session_id, course_sessions!inner()")
      .eq("user_id", person.id)
      .neq("status", "cancelled")
      .gte("course_sessions.session_date", from)
      .lte("course_sessions.session_date", to),
  );
  return new Map(rows.map((booking) => [booking.session_id, booking]));
}

/** What news are about, also sessions that are not in the calendar (any more). */
async function readSessions(ids) {
  if (ids.length === 0) {
    return new Map();
  }
  const rows = good(await client.from("course_sessions").select("id, course_id, session_date, start_time").in("id", ids));
  return new Map(rows.map((row) => [row.id, { ...row, course_title: courses.get(row.course_id) ?? "a course" }]));
}

async function followCourses() {
  const rows = good(await client.from("courses").select("id, title").eq("is_active", true).order("id").limit(config.changes_topics_limit));
  courses = new Map(rows.map((row) => [row.id, row.title]));
  await feed.follow(rows.map((row) => `course:${row.id}`));
}

let isReading = false;
let isOutdated = false;

/** Reads and shows everything again; one at a time, and once more when asked for meanwhile. */
async function refresh() {
  isOutdated = true;
  if (isReading) {
    return;
  }
  isReading = true;
  while (isOutdated) {
    isOutdated = false;
    const asked = [month, person];
    const told = changes;
    changes = [];
    try {
      const [sessions, bookings, known] = await Promise.all([
        readMonth(), readBookings(), readSessions([...new Set(told.map((change) => change.payload.session_id))]),
      ]);
      news.add(told, known);
      get("no-news").hidden = get("news").children.length > 0;
      if (asked[0] === month && asked[1] === person) {
        calendar.show(sessions, bookings, person !== null);
        get("nothing").hidden = sessions.length > 0;
      } else {
        isOutdated = true;
      }
    } catch {
      changes = [...told, ...changes];
      isOutdated = true;
      await new Promise((done) => setTimeout(done, 1_000));
    }
  }
  isReading = false;
}

// ---- doing --------------------------------------------------------------------------------------------------

function tell(text, kind) {
  const line = document.createElement("p");
  line.textContent = text;
  line.className = kind;
  get("outcome").replaceChildren(line);
}

async function act(session, booking) {
  if (person === null) {
    askToSignIn(`Sign in to book ${sessionName(session)}.`, session.session_id);
    return;
  }
  if (bookingNow.has(session.session_id)) {
    return;
  }
  bookingNow.add(session.session_id);
  tell(`${booking ? "Cancelling" : "Booking"}: ${sessionName(session)} …`, "");
  try {
    const { error } = booking ? await cancel(client, booking.id) : await book(client, session.session_id);
    if (error) {
      tell(refusal(error, session, booking ? "was not cancelled" : "was not booked"), "bad");
    } else {
      tell(booking ? `Your seat is free again: ${sessionName(session)}.` : `You have a seat: ${sessionName(session)}.`, "good");
    }
  } finally {
    bookingNow.delete(session.session_id);
  }
  await refresh();
}

let cameFrom = null;

function askToSignIn(why, sessionId) {
  cameFrom = sessionId;
  get("sign-in-why").textContent = why;
  get("sign-in-error").textContent = "";
  get("sign-in-dialog").showModal();
}

async function signIn(event) {
  event.preventDefault();
  const form = event.target;
  const { error } = await client.auth.signInWithPassword({ email: form.email.value, password: form.password.value });
  if (error) {
    get("sign-in-error").textContent =
      error.code === "invalid_credentials" ? "This address and password do not belong together." : `You are not signed in: ${error.message}.`;
    return;
  }
  form.reset();
  get("sign-in-dialog").close();
  if (cameFrom !== null) {
    calendar.focus(cameFrom);
  }
}

function showPerson(session) {
  if (person?.id !== session?.user.id) {
    get("outcome").replaceChildren();
  }
  person = session?.user ?? null;
  get("person").textContent = person?.user_metadata.full_name ?? person?.email ?? "";
  get("sign-in").hidden = person !== null;
  get("sign-out").hidden = person === null;
  refresh();
}

function open(next) {
  month = next;
  history.replaceState(null, "", `?month=${month}`);
  calendar.open(month, today(config.organisation_time_zone));
  refresh();
}

// ---- beginning ----------------------------------------------------------------------------------------------

const calendar = new Month(document.querySelector("table"), { currency: config.currency, onAct: act });
const news = new News(get("news"));
const feed = new Feed({
  client, address, key,
  onChanges(told) {
    if (told.length > 0) {
      changes.push(...told);
      refresh();
    }
  },
  onLost: refresh,
  onState(state) {
    get("state").dataset.state = state;
    get("state").textContent = states[state];
  },
});

get("previous").onclick = () => open(monthAfter(month, -1));
get("next").onclick = () => open(monthAfter(month, 1));
get("today").onclick = () => open(today(config.organisation_time_zone).slice(0, 7));
get("sign-in").onclick = () => askToSignIn("", null);
get("sign-in-cancel").onclick = () => get("sign-in-dialog").close();
get("sign-in-form").onsubmit = signIn;
get("sign-out").onclick = () => client.auth.signOut();
// Not asked for anything within: supabase-js waits for what is called here.
client.auth.onAuthStateChange((_, session) => void setTimeout(() => showPerson(session)));

open(month);
for (;;) {
  // First the place in the feed, then what is so: nothing falls between them.
  const pause = await followCourses().then(() => refresh(), () => 1_000);
  await new Promise((done) => setTimeout(done, pause ?? readAnyway));
}
