// The answer of rpc/calendar_feed as iCalendar (RFC 5545), by way of jCal (RFC 7265): ical.js escapes and folds.

import ICAL from "npm:ical.js@2";

import { type Component, type Property, timeZone, type Zone } from "./zones.ts";

/** Wall-clock times are of the event's zone; instants are of UTC, without the Z. What does not apply is left out. */
interface Happening {
  uid: string;
  sequence: number;
  status: "CONFIRMED" | "TENTATIVE" | "CANCELLED";
  summary: string;
  category: string;
  location?: string;
  description?: string;
  created_at: string;
  changed_at: string;
}

/** On a day, without times. */
interface DayEvent extends Happening {
  on_date: string;
}

/** From start to end; `replaces` is the start of the date of a recurring event that it is instead of. */
interface TimedEvent extends Happening {
  time_zone: string;
  starts: string;
  ends: string;
  replaces?: string;
}

/** Every week from its start on, for so many seconds, until an instant, except at these starts. */
interface WeeklyEvent extends Happening {
  time_zone: string;
  starts: string;
  lasts: number;
  until?: string;
  leaves_out?: string[];
}

export interface Feed {
  name: string;
  zones: Zone[];
  events: (DayEvent | TimedEvent | WeeklyEvent)[];
}

// A line that goes on begins with a blank, which counts among its 75 octets and which ical.js does not count.
ICAL.foldLength = 74;

// What everybody reads and no standard names; without these ical.js would say VALUE=TEXT, which not everybody reads.
for (const name of ["x-wr-calname", "name"]) {
  ICAL.design.icalendar.property[name] = { defaultType: "text" };
}
ICAL.design.icalendar.property["x-published-ttl"] = { defaultType: "duration" };

function text(name: string, value?: string): Property[] {
  // deno-lint-ignore no-control-regex
  const clean = value?.replace(/\r\n?/g, "\n").replace(/[\u0000-\u0009\u000b-\u001f\u007f]/g, " ");
  return clean ? [[name, {}, "text", clean]] : [];
}

function when(event: Feed["events"][number]): Property[] {
  if ("on_date" in event) {
    return [["dtstart", {}, "date", event.on_date]];
  }
  const at = (name: string, ...walls: string[]): Property => [name, { tzid: event.time_zone }, "date-time", ...walls];
  if (!("lasts" in event)) {
    const replaces = event.replaces ? [at("recurrence-id", event.replaces)] : [];
    return [at("dtstart", event.starts), at("dtend", event.ends), ...replaces];
  }
  const minutes = event.lasts % 60 === 0;
  return [
    at("dtstart", event.starts),
    ["duration", {}, "duration", minutes ? `PT${event.lasts / 60}M` : `PT${event.lasts}S`],
    ["rrule", {}, "recur", { freq: "WEEKLY", ...(event.until ? { until: `${event.until}Z` } : {}) }],
    ...(event.leaves_out ? [at("exdate", ...event.leaves_out)] : []),
  ];
}

function component(event: Feed["events"][number]): Component {
  const takesTime = event.status !== "CANCELLED" && !("on_date" in event);
  return ["vevent", [
    ["uid", {}, "text", event.uid],
    // Without a METHOD this is when the event was last changed, so the same calendar is the same text every time.
    ["dtstamp", {}, "date-time", `${event.changed_at}Z`],
    ["created", {}, "date-time", `${event.created_at}Z`],
    ["last-modified", {}, "date-time", `${event.changed_at}Z`],
    ["sequence", {}, "integer", event.sequence],
    ...when(event),
    ...text("summary", event.summary),
    ...text("location", event.location),
    ...text("description", event.description),
    ["categories", {}, "text", event.category],
    ["status", {}, "text", event.status],
    ["transp", {}, "text", takesTime ? "OPAQUE" : "TRANSPARENT"],
  ], []];
}

/** The feed as text/calendar. Without X-WR-TIMEZONE, for which readers throw away the zones of single events. */
export function toCalendar(feed: Feed): string {
  return ICAL.stringify(["vcalendar", [
    ["version", {}, "text", "2.0"],
    ["prodid", {}, "text", "-//classbase//calendar feed//EN"],
    ["calscale", {}, "text", "GREGORIAN"],
    ...text("x-wr-calname", feed.name),
    ...text("name", feed.name),
    ["refresh-interval", {}, "duration", "PT1H"],
    ["x-published-ttl", {}, "duration", "PT1H"],
  ], [...feed.zones.map(timeZone), ...feed.events.map(component)]]);
}
