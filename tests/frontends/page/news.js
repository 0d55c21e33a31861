// What happened since the page was opened, latest first.

import { sessionName } from "./words.js";

const longest = 200;
const said = {
  "booking-confirmed": (seats) => (seats === 1 ? "A seat was booked" : `${seats} seats were booked`),
  "booking-cancelled": (seats) => (seats === 1 ? "A seat became free" : `${seats} seats became free`),
  "session-created": () => "New",
  "session-cancelled": () => "Cancelled",
  "session-update": () => "Changed",
};

export class News {
  #list;

  constructor(list) {
    this.#list = list;
  }

  /** Adds changes; `sessions` has what is known of theirs by id. */
  add(changes, sessions) {
    for (const { id, event, payload, created_at } of changes) {
      const newest = this.#list.firstElementChild;
      // A booking is followed by an update that says how many seats it left: one thing to a reader.
      if (event === "session-update" && newest?.dataset.session === payload.session_id && newest.dataset.event.startsWith("booking")) {
        newest.dataset.changes += ` ${id}`;
        newest.dataset.event = event;
        continue;
      }
      const item = document.createElement("li");
      Object.assign(item.dataset, { changes: id, session: payload.session_id, event });
      const time = document.createElement("time");
      time.dateTime = created_at;
      time.textContent = new Date(created_at).toLocaleTimeString("en-GB", { timeStyle: "short" });
      const session = sessions.get(payload.session_id);
      item.append(time, ` ${said[event]?.(payload.seats) ?? "Changed"}: ${session ? sessionName(session) : "a session"}`);
      this.#list.prepend(item);
    }
    while (this.#list.children.length > longest) {
      this.#list.lastElementChild.remove();
    }
  }
}
