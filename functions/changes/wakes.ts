// Being woken when something was published: one connection that listens, for everybody who follows the feed.
//
// A wake-up says nothing but "look". Whoever is woken reads the feed with a cursor, so one too many costs a look, and one
// that is lost (the connection broke, notifying is switched off) is made up for by looking every few seconds anyway. Of
// transactions that commit at once only one wakes: what the others wrote may be there a moment later, so a moment later
// everybody is woken again.

import pg from "npm:pg@8";

const channel = "classbase_changes";
const firstPause = 200;
const longestPause = 5_000;
// A connection that died without a word is found out by this question.
const askEvery = 20_000;
const afterWakeUp = [50, 1_000];

/** Someone waiting to be woken. */
export interface Sleeper {
  wake(): void;
}

/** The one listening connection, open while anybody is there to be woken. */
export class Wakes {
  readonly #sleepers = new Set<Sleeper>();
  #listening = false;
  #isKept = false;
  #hurry: (() => void) | null = null;
  #again: ReturnType<typeof setTimeout>[] = [];

  /** Whether a change published now would wake. */
  get listening(): boolean {
    return this.#listening;
  }

  get size(): number {
    return this.#sleepers.size;
  }

  add(sleeper: Sleeper): void {
    this.#sleepers.add(sleeper);
    if (!this.#isKept) {
      this.#isKept = true;
      this.#keep().finally(() => this.#isKept = false);
    }
  }

  remove(sleeper: Sleeper): void {
    this.#sleepers.delete(sleeper);
    if (this.#sleepers.size === 0) {
      this.#hurry?.();
    }
  }

  #wakeAll(): void {
    for (const sleeper of this.#sleepers) {
      sleeper.wake();
    }
  }

  /** Wakes now, and again a moment after the last time. */
  #heard(): void {
    this.#again.forEach(clearTimeout);
    this.#again = afterWakeUp.map((pause) => setTimeout(() => this.#wakeAll(), pause));
    this.#wakeAll();
  }

  /** Keeps a connection listening, and makes another when it breaks, until nobody is left. */
  async #keep(): Promise<void> {
    const url = Deno.env.get("SUPABASE_DB_URL");
    if (!url) {
      return; // without a connection of its own everybody looks every few seconds
    }
    let pause = firstPause;
    while (this.#sleepers.size > 0) {
      const client = new pg.Client({
        connectionString: url, application_name: "classbase changes", connectionTimeoutMillis: 10_000, query_timeout: 10_000,
      });
      let isOver = false;
      const over = () => {
        isOver = true;
        this.#hurry?.();
      };
      client.on("notification", () => this.#heard());
      client.on("error", over);
      client.on("end", over);
      try {
        await client.connect();
        await client.query(`listen ${channel}`);
        this.#listening = true;
        this.#wakeAll(); // what was published before woke nobody
        pause = firstPause;
        while (!isOver && this.#sleepers.size > 0) {
          await this.#wait(askEvery);
          if (!isOver && this.#sleepers.size > 0) {
            await client.query("select");
          }
        }
      } catch (error) {
        console.error("changes: cannot listen", error instanceof Error ? error.message : error);
      }
      this.#listening = false;
      this.#wakeAll(); // they tell their readers
      client.end().catch(() => {});
      if (this.#sleepers.size > 0) {
        await new Promise((done) => setTimeout(done, pause * (0.5 + Math.random() / 2)));
        pause = Math.min(pause * 2, longestPause);
      }
    }
  }

  #wait(milliseconds: number): Promise<void> {
    return new Promise((done) => {
      const finish = () => {
        clearTimeout(timer);
        this.#hurry = null;
        done();
      };
      const timer = setTimeout(finish, milliseconds);
      this.#hurry = finish;
    });
  }
}
