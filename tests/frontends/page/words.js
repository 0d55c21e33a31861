// What the page says in words: days and times by the session's own clock, refusals as sentences.

const weekdayAndDay = new Intl.DateTimeFormat("en-GB", { weekday: "long", day: "numeric", month: "long", timeZone: "UTC" });
const monthAndYear = new Intl.DateTimeFormat("en-GB", { month: "long", year: "numeric", timeZone: "UTC" });
const here = Intl.DateTimeFormat().resolvedOptions().timeZone;

// A session's date is a day on the wall of the place where it is. Read as UTC and written as UTC it stays that day,
// wherever the reader is.
const asUtc = (date) => new Date(`${date}T00:00:00Z`);

export const dayName = (date) => weekdayAndDay.format(asUtc(date));
export const monthName = (month) => monthAndYear.format(asUtc(`${month}-01`));
export const clock = (time) => time.slice(0, 5);

/** Today's date in a time zone, as YYYY-MM-DD. */
export const today = (zone) => new Intl.DateTimeFormat("en-CA", { timeZone: zone, dateStyle: "short" }).format(new Date());

/** Whose clock it is, where that is not the reader's: "Lisbon time". */
export function zoneName(zone) {
  return zone === here ? "" : zone === "UTC" ? "UTC" : `${zone.split("/").at(-1).replaceAll("_", " ")} time`;
}

/** A session as one says it: "First Aid, Tuesday 1 December at 10:00". */
export function sessionName({ course_title, session_date, start_time }) {
  return `${course_title}, ${dayName(session_date)} at ${clock(start_time)}`;
}

export function price(amount, currency) {
  return new Intl.NumberFormat("en", { style: "currency", currency }).format(amount);
}

function sentence(text) {
  return /[.!?]$/.test(text) ? text : `${text}.`;
}

/**
 * What to tell somebody whose call was refused. `error` is what supabase-js gives; its `code` decides, as docs/errors.md says.
 * `undone` is what has not been done now: "was not booked".
 */
export function refusal(error, session, undone) {
  const details = read(error.details);
  const name = sessionName(session);
  switch (error.code) {
    case "seats_full":
      return details.seats_left > 0
        ? `Only ${details.seats_left} seats are left in ${name}.`
        : `${name} is full: somebody else took the last seat.`;
    case "in_progress":
      return `Others are booking ${name} at this very moment. Try again.`;
    case "forbidden":
    case "PGRST301":
    case "PGRST302":
    case "PGRST303":
      return `${name} ${undone}. You are not signed in any more: sign in and try again.`;
    case "rate_limited":
      return `${name} ${undone}: that was too much at once. Try again in ${details.retry_after ?? 60} seconds.`;
    case "invalid_input":
    case "duplicate":
    case "illegal_transition":
    case "not_found":
    case "limit_exceeded":
      return `${name} ${undone}. ${sentence(error.message)}`;
    case "":
      return `Nobody answered, so perhaps ${name} ${undone}. Check your connection: the calendar will say.`;
    default:
      return `${name} ${undone}. Something went wrong: try again later.`;
  }
}

function read(details) {
  try {
    return JSON.parse(details) ?? {};
  } catch {
    return {};
  }
}
