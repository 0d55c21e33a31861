// One follower: a stream of server-sent events that is written only as fast as it is read.
//
//   id: CURSOR   event: ready    data: {"state": "live" | "polling"}            once, and whenever the state changes
//   id: CURSOR   event: change   data: {"id", "topic", "event", "payload", "created_at"}
//                event: end      data: {"code", "message", "hint"}              nothing comes after it
//
// Nothing waits here for a slow reader: what it has not read yet stays in the feed, behind its cursor.

import type { SupabaseClient } from "npm:@supabase/supabase-js@2";
import { Refusal } from "../_shared/errors.ts";
import { type Asking, readPage, type Row } from "./reading.ts";
import type { Sleeper, Wakes } from "./wakes.ts";

const heartbeat = 15_000;
const pollWhileLive = 30_000; // in case a wake-up got lost
const pollAlone = 5_000;
const leastPause = 25; // many commits in a row are one look

const utf8 = new TextEncoder();

function event(name: string, data: unknown, id?: string): string {
  return `${id === undefined ? "" : `id: ${id}\n`}event: ${name}\ndata: ${JSON.stringify(data)}\n\n`;
}

function told(row: Row): string {
  const { id, topic, event: name, payload, created_at } = row;
  return event("change", { id, topic, event: name, payload, created_at }, row.cursor);
}

export class Follower implements Sleeper, UnderlyingDefaultSource<Uint8Array> {
  readonly #client: SupabaseClient;
  readonly #wakes: Wakes;
  readonly #asking: Asking;
  #waiting: Row[];
  #state: "live" | "polling" | null = null;
  #isWoken = true; // between the first read and now something may have been published
  #isOver = false;
  /** What the reader has, once it has read what it was sent. */
  #sentCursor: string;
  #rouse: (() => void) | null = null;
  #lookedAt = 0;

  /** Follows on from `first`, the answer to a first read, which also showed that the caller may. */
  constructor(client: SupabaseClient, wakes: Wakes, asking: Asking, first: Row[]) {
    this.#client = client;
    this.#wakes = wakes;
    this.#asking = asking;
    this.#waiting = [];
    this.#sentCursor = asking.cursor ?? "";
    this.#take(first);
    wakes.add(this);
  }

  wake(): void {
    this.#isWoken = true;
    this.#rouse?.();
  }

  /** Called when the reader has room: gives it one piece, as soon as there is one. */
  async pull(controller: ReadableStreamDefaultController<Uint8Array>): Promise<void> {
    let piece: string | null;
    try {
      piece = await this.#next();
    } catch (error) {
      this.cancel();
      const refusal = error instanceof Refusal ? error : new Refusal("internal_error", "The function failed.");
      if (!(error instanceof Refusal)) {
        console.error(error);
      }
      controller.enqueue(utf8.encode(event("end", refusal)));
      controller.close();
      return;
    }
    if (piece !== null) {
      controller.enqueue(utf8.encode(piece));
    }
  }

  /** Called when the reader went away. */
  cancel(): void {
    this.#isOver = true;
    this.#wakes.remove(this);
    this.#rouse?.();
  }

  /** The next piece to send; null when the reader is gone. */
  async #next(): Promise<string | null> {
    let quietSince = Date.now();
    while (!this.#isOver) {
      const state = this.#wakes.listening ? "live" : "polling";
      if (state !== this.#state) {
        this.#state = state;
        return event("ready", { state }, this.#sentCursor);
      }
      if (this.#waiting.length > 0) {
        const piece = this.#waiting.map(told).join("");
        this.#sentCursor = this.#waiting[this.#waiting.length - 1].cursor;
        this.#waiting = [];
        return piece;
      }
      if (this.#isWoken || Date.now() - this.#lookedAt >= (state === "live" ? pollWhileLive : pollAlone)) {
        await this.#look();
        continue;
      }
      const untilHeartbeat = quietSince + heartbeat - Date.now();
      if (untilHeartbeat <= 0) {
        // The id alone moves a reader's cursor on without an event.
        return `id: ${this.#sentCursor}\n: alive\n\n`;
      }
      const untilPoll = this.#lookedAt + (state === "live" ? pollWhileLive : pollAlone) - Date.now();
      await this.#sleep(Math.max(1, Math.min(untilHeartbeat, untilPoll)));
    }
    return null;
  }

  async #look(): Promise<void> {
    const early = this.#lookedAt + leastPause - Date.now();
    if (early > 0) {
      await new Promise((done) => setTimeout(done, early));
    }
    this.#isWoken = false;
    this.#lookedAt = Date.now();
    try {
      this.#take(await readPage(this.#client, this.#asking));
    } catch (error) {
      if (!(error instanceof Refusal && error.code === "busy")) {
        throw error;
      }
      await this.#sleep(1_000);
      this.#isWoken = true;
    }
  }

  #take(rows: Row[]): void {
    const last = rows[rows.length - 1];
    this.#asking.cursor = last.cursor;
    this.#waiting = rows.filter((row) => row.id !== null);
    if (this.#waiting.length === 0) {
      this.#sentCursor = last.cursor;
    }
    this.#isWoken ||= last.more;
  }

  #sleep(milliseconds: number): Promise<void> {
    return new Promise((done) => {
      const timer = setTimeout(finish, milliseconds);
      function finish() {
        clearTimeout(timer);
        done();
      }
      this.#rouse = finish;
    });
  }
}
