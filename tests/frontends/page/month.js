// A month as a table of weeks, Monday first; sessions are cards in the cells of their days.

import { clock, dayName, monthName, price, sessionName, zoneName } from "./words.js";

const weekdays = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];

function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

const asDate = (date) => date.toISOString().slice(0, 10);

/** The first and the last day of a month (YYYY-MM). */
export function boundsOf(month) {
  const [year, number] = month.split("-").map(Number);
  return [`${month}-01`, asDate(new Date(Date.UTC(year, number, 0)))];
}

export function monthAfter(month, step) {
  const [year, number] = month.split("-").map(Number);
  return asDate(new Date(Date.UTC(year, number - 1 + step, 1))).slice(0, 7);
}

export class Month {
  #table;
  #currency;
  #onAct;
  #cards = new Map();
  #lists = new Map();

  /** In a table; `onAct(session, booking)` is called when somebody presses a session's button. */
  constructor(table, { currency, onAct }) {
    this.#table = table;
    this.#currency = currency;
    this.#onAct = onAct;
    for (const name of weekdays) {
      const header = element("th", { scope: "col" }, element("abbr", { title: name }, name.slice(0, 3)));
      header.setAttribute("role", "columnheader");
      table.tHead.rows[0].append(header);
    }
  }

  /** An empty month, with today marked in it. */
  open(month, today) {
    document.getElementById("month").textContent = monthName(month);
    this.#cards.clear();
    this.#lists.clear();
    const [first, last] = boundsOf(month);
    const rows = [];
    const day = new Date(`${first}T00:00:00Z`);
    day.setUTCDate(day.getUTCDate() - (day.getUTCDay() + 6) % 7);
    for (; asDate(day) <= last; ) {
      const row = element("tr");
      row.setAttribute("role", "row");
      for (let weekday = 0; weekday < 7; weekday++, day.setUTCDate(day.getUTCDate() + 1)) {
        row.append(this.#cell(asDate(day), month, today));
      }
      rows.push(row);
    }
    this.#table.tBodies[0].replaceChildren(...rows);
  }

  #cell(date, month, today) {
    const cell = element("td");
    cell.setAttribute("role", "cell");
    if (!date.startsWith(month)) {
      cell.className = "outside";
      return cell;
    }
    const list = element("ul");
    this.#lists.set(date, list);
    cell.dataset.date = date;
    const label = element("time", { dateTime: date }, element("span", { className: "long" }, dayName(date)));
    label.append(element("span", { className: "short", ariaHidden: "true" }, String(Number(date.slice(8)))));
    if (date === today) {
      cell.className = "today";
      cell.setAttribute("aria-current", "date");
    }
    cell.append(label, list);
    return cell;
  }

  /**
   * Shows sessions (as calendar_availability answers them), one's bookings (by session) and who asks. Cards stay the same
   * elements, so that nobody's keyboard loses its place when something changes.
   */
  show(sessions, bookings, isSignedIn) {
    const byDay = new Map([...this.#lists.keys()].map((date) => [date, []]));
    for (const session of sessions) {
      const card = this.#cards.get(session.session_id) ?? this.#newCard(session.session_id);
      this.#fill(card, session, bookings.get(session.session_id), isSignedIn);
      byDay.get(session.session_date)?.push(card);
    }
    const shown = new Set(sessions.map((session) => session.session_id));
    for (const [id, card] of this.#cards) {
      if (!shown.has(id)) {
        card.remove();
        this.#cards.delete(id);
      }
    }
    for (const [date, cards] of byDay) {
      const list = this.#lists.get(date);
      cards.forEach((card, position) => {
        if (list.children[position] !== card) {
          list.insertBefore(card, list.children[position] ?? null);
        }
      });
      list.closest("td").classList.toggle("empty", cards.length === 0);
    }
    // As a list only what has something in it is shown.
    for (const row of this.#table.tBodies[0].rows) {
      row.classList.toggle("empty", [...row.cells].every((cell) => cell.matches(".outside, .empty")));
    }
    this.#table.classList.toggle("empty", sessions.length === 0);
    this.#table.setAttribute("aria-busy", "false");
  }

  /** Puts the keyboard on a session. */
  focus(id) {
    (this.#cards.get(id)?.querySelector("button") ?? document.getElementById("today")).focus();
  }

  #newCard(id) {
    const card = element("li");
    card.dataset.session = id;
    for (const name of ["time", "title", "place", "seats", "bar", "mine"]) {
      card.append(element(name === "time" ? "time" : "span", { className: name }));
    }
    card.append(element("button", { type: "button" }));
    card.querySelector(".bar").setAttribute("aria-hidden", "true");
    this.#cards.set(id, card);
    return card;
  }

  #fill(card, session, booking, isSignedIn) {
    const { seats_left, max_capacity } = session;
    const say = (name, text) => {
      const part = card.querySelector(`.${name}`);
      if (part.textContent !== text) {
        part.textContent = text;
      }
    };
    card.querySelector("time").dateTime = session.starts_at;
    const zone = zoneName(session.time_zone);
    say("time", `${clock(session.start_time)}–${clock(session.end_time)}${zone ? ` ${zone}` : ""}`);
    say("title", session.course_title);
    say("place", [session.location_name, price(session.price, this.#currency)].filter(Boolean).join(" · "));
    say("seats", seats_left === 0 ? "No seats left" : `${seats_left} of ${max_capacity} seats left`);
    say("mine", booking ? "You have a seat" : session.status === "tentative" ? "Held if enough book" : "");
    card.querySelector(".bar").style.setProperty("--taken", `${100 - (100 * seats_left) / max_capacity}%`);
    card.classList.toggle("full", seats_left === 0);
    card.classList.toggle("booked", booking !== undefined);

    // Never truly disabled: a button that is loses the keyboard that is on it.
    const button = card.querySelector("button");
    const hasBegun = Date.parse(session.starts_at) <= Date.now();
    const [action, isOff] = hasBegun
      ? ["Begun", true]
      : booking
        ? ["Cancel my seat", false]
        : seats_left === 0
          ? ["Full", true]
          : isSignedIn ? ["Book", false] : ["Sign in to book", false];
    button.textContent = action;
    button.ariaLabel = `${action}: ${sessionName(session)}`;
    button.ariaDisabled = String(isOff);
    button.className = booking ? "" : "main";
    button.onclick = isOff ? null : () => this.#onAct(session, booking);
  }
}
