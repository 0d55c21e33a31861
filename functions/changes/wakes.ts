// Being woken when something was published: one connection that listens, for everybody who follows the feed.
//
// A wake-up says nothing but "look". Whoever is woken reads the feed with a cursor, so one too many costs a look, and one
// that is lost (the connection broke, notifying is switched off) is made up for by looking every few seconds anyway.

import postgres from "npm:postgres@3";

const channel = "classbase_changes";

/** Someone waiting to be woken. */
export interface Sleeper {
  wake(): void;
}

/** The one listening connection, open while anybody is there to be woken. */
export class Wakes {
  readonly #sleepers = new Set<Sleeper>();
  #sql: postgres.Sql | null = null;
  #listening = false;

  /** Whether a change published now would wake. */
  get listening(): boolean {
    return this.#listening;
  }

  get size(): number {
    return this.#sleepers.size;
  }

  add(sleeper: Sleeper): void {
    this.#sleepers.add(sleeper);
    if (this.#sql === null) {
      this.#open();
    }
  }

  remove(sleeper: Sleeper): void {
    this.#sleepers.delete(sleeper);
    if (this.#sleepers.size === 0 && this.#sql !== null) {
      const sql = this.#sql;
      this.#sql = null;
      this.#listening = false;
      sql.end({ timeout: 1 }).catch((error) => console.error("changes: closing failed", error));
    }
  }

  #wakeAll(): void {
    for (const sleeper of this.#sleepers) {
      sleeper.wake();
    }
  }

  #open(): void {
    const url = Deno.env.get("SUPABASE_DB_URL");
    if (!url) {
      return; // without a connection of its own everybody looks every few seconds
    }
    const sql = postgres(url, {
      max: 1,
      prepare: false,
      connect_timeout: 10,
      connection: { application_name: "classbase changes" },
      backoff: (retries: number) => Math.min(0.1 * 2 ** retries, 5) * (0.5 + Math.random() / 2),
      onclose: () => {
        if (this.#sql === sql) {
          this.#listening = false;
          this.#wakeAll(); // to tell their callers
        }
      },
      onnotice: () => {},
    });
    this.#sql = sql;
    // The second function is called again whenever the connection is back; what was published meanwhile woke nobody.
    const begin = async () => {
      while (this.#sql === sql) {
        try {
          await sql.listen(channel, () => this.#wakeAll(), () => {
            this.#listening = this.#sql === sql;
            this.#wakeAll();
          });
          return;
        } catch (error) {
          console.error("changes: cannot listen", error instanceof Error ? error.message : error);
          await new Promise((done) => setTimeout(done, 5_000));
        }
      }
    };
    begin();
  }
}
