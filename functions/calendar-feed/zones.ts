// VTIMEZONE from what the database says its clocks do, so that a reader comes to the very instants of the ledger.

export interface Zone {
  name: string;
  /** Seconds east of UTC before the first change. */
  offset: number;
  /** Each change, by the clock before it. */
  changes: Change[];
}

interface Change {
  at: string;
  from: number;
  to: number;
}

export type Property = [name: string, parameters: Record<string, string>, type: string, ...values: unknown[]];
export type Component = [name: string, properties: Property[], components: Component[]];

const weekdays = ["SU", "MO", "TU", "WE", "TH", "FR", "SA"];

function offset(seconds: number): string {
  const part = (value: number) => String(value).padStart(2, "0");
  const size = Math.abs(seconds);
  const parts = [Math.floor(size / 3600), Math.floor(size / 60) % 60, size % 60];
  return (seconds < 0 ? "-" : "+") + (parts[2] === 0 ? parts.slice(0, 2) : parts).map(part).join(":");
}

function observance({ at, from, to }: Change, rule?: Record<string, unknown>): Component {
  const properties: Property[] = [
    ["dtstart", {}, "date-time", at],
    ["tzoffsetfrom", {}, "utc-offset", offset(from)],
    ["tzoffsetto", {}, "utc-offset", offset(to)],
  ];
  if (rule) {
    properties.push(["rrule", {}, "recur", rule]);
  }
  return [to > from ? "daylight" : "standard", properties, []];
}

/** The yearly rule that changes of several years in a row follow ("the last Sunday of March"), if they do. */
function yearly(changes: Change[]): Record<string, unknown> | null {
  const days = changes.map(({ at }) => new Date(`${at}Z`));
  const first = days[0];
  const inARow = days.every((day, place) =>
    day.getUTCFullYear() === first.getUTCFullYear() + place && day.getUTCMonth() === first.getUTCMonth()
  );
  if (days.length < 3 || !inARow) {
    return null;
  }
  const weeks = new Set(days.map((day) => Math.ceil(day.getUTCDate() / 7)));
  const isLast = days.every((day) => new Date(day.getTime() + 7 * 86_400_000).getUTCMonth() !== day.getUTCMonth());
  if (!isLast && weeks.size > 1) {
    return null;
  }
  const place = isLast ? -1 : [...weeks][0];
  return { freq: "YEARLY", bymonth: first.getUTCMonth() + 1, byday: place + weekdays[first.getUTCDay()] };
}

/**
 * The zone as a component. What recurs every year is written as a rule, which is all that some programs understand, and
 * which goes on after the last change that is known; everything else change by change.
 */
export function timeZone({ name, offset: before, changes }: Zone): Component {
  const alike = new Map<string, Change[]>();
  for (const change of changes) {
    const weekday = new Date(`${change.at}Z`).getUTCDay();
    const key = [change.from, change.to, weekday, change.at.slice(5, 7), change.at.slice(11)].join(" ");
    alike.set(key, [...(alike.get(key) ?? []), change]);
  }
  const lastYear = changes.at(-1)?.at ?? "";
  const observances = [observance({ at: "1970-01-01T00:00:00", from: before, to: before })];
  for (const group of alike.values()) {
    // A rule that ended must not go on.
    const goesOn = Date.parse(`${lastYear}Z`) - Date.parse(`${group.at(-1)!.at}Z`) < 360 * 86_400_000;
    const rule = goesOn ? yearly(group) : null;
    observances.push(...(rule ? [observance(group[0], rule)] : group.map((change) => observance(change))));
  }
  return ["vtimezone", [["tzid", {}, "text", name]], observances];
}
