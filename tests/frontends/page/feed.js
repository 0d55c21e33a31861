// Following the change feed: pushed while that works, asked for every few seconds while it does not.
//
// The cursor is the truth. Whatever arrives, by push or by asking, counts only if it goes on from the cursor there is at that
// moment, and moves it: so nothing is missed and nothing is handed out twice, however the two ways take turns.
//
// EventSource could not do it: it sends no token (private topics need one) and gives up at the first answer that is not 200.

import { EventSourceParserStream } from "./lib/eventsource-parser/stream.js";

const pollEvery = 5_000;
const retryEvery = 3_000;
// The function says something every 15 seconds; a stream that is silent for longer is dead, whatever TCP thinks.
const longestSilence = 35_000;

const pause = (milliseconds) => new Promise((done) => setTimeout(done, milliseconds));

export class Feed {
  #client;
  #address;
  #key;
  #onChanges;
  #onLost;
  #onState;
  #cursor = null;
  #topics = [];
  #state = "connecting";
  #isPushed = false;
  #isStarted = false;
  #stream = null;
  #askNow = null;

  /**
   * Of a supabase-js client, the project's address and its public key. `onChanges` is handed the next changes, `onLost` is
   * called when there is no telling what happened in between (read everything again), and `onState` is told `live`,
   * `polling` or `reconnecting`.
   */
  constructor({ client, address, key, onChanges, onLost, onState }) {
    this.#client = client;
    this.#address = `${address}/functions/v1/changes`;
    this.#key = key;
    this.#onChanges = onChanges;
    this.#onLost = onLost;
    this.#onState = onState;
  }

  /** Follows these topics from now on: what is read after this has returned, changes will bring up to date. */
  async follow(topics) {
    if (topics.length === 0 || [...topics].sort().join() === [...this.#topics].sort().join()) {
      return;
    }
    this.#topics = topics;
    if (this.#cursor === null) {
      await this.#begin();
    }
    if (this.#isStarted) {
      this.#stream?.abort(); // to be opened again for these topics, from where it was
      return;
    }
    this.#isStarted = true;
    this.#keepPushed();
    this.#keepAsking();
  }

  async #begin() {
    const [row] = await this.#ask(null);
    this.#cursor = row.cursor;
  }

  async #ask(cursor) {
    const { data, error } = await this.#client.rpc("changes_since", { p_cursor: cursor, p_topics: this.#topics });
    if (error) {
      throw error;
    }
    return data;
  }

  #be(state) {
    if (state !== this.#state) {
      this.#state = state;
      this.#onState(state);
    }
  }

  /** What followed the cursor cannot be told any more. */
  async #startAgain() {
    await this.#begin();
    this.#onLost();
  }

  async #keepPushed() {
    for (;;) {
      const topics = this.#topics;
      const opened = Date.now();
      try {
        await this.#push(topics);
      } catch (error) {
        if (error.code === "cursor_expired") {
          await this.#startAgain().catch(() => {});
        }
      }
      const wasPushed = this.#isPushed;
      this.#isPushed = false;
      if (this.#topics !== topics) {
        continue;
      }
      if (wasPushed) {
        this.#be("reconnecting");
        if (Date.now() - opened > retryEvery) {
          continue; // most breaks are no more than that
        }
      }
      this.#askNow?.();
      await pause(retryEvery * (0.5 + Math.random())); // not all browsers at the same moment
    }
  }

  /** One stream, for as long as it lasts. */
  async #push(topics) {
    const from = this.#cursor;
    const stream = new AbortController();
    this.#stream = stream;
    let silence = setTimeout(() => stream.abort(), longestSilence);
    const heard = () => {
      clearTimeout(silence);
      silence = setTimeout(() => stream.abort(), longestSilence);
    };
    try {
      const { data } = await this.#client.auth.getSession();
      const answer = await fetch(`${this.#address}?topics=${encodeURIComponent(topics.join())}`, {
        headers: { apikey: this.#key, Authorization: `Bearer ${data.session?.access_token ?? this.#key}`, "Last-Event-ID": from },
        cache: "no-store",
        signal: stream.signal,
      });
      if (!answer.ok) {
        throw await answer.json();
      }
      const events = answer.body
        .pipeThrough(new TextDecoderStream())
        .pipeThrough(new EventSourceParserStream({ onComment: heard }))
        .getReader();
      for (let isFirst = true; ; isFirst = false) {
        const { value: event, done } = await events.read();
        if (done) {
          return;
        }
        heard();
        const said = JSON.parse(event.data);
        if (event.event === "end") {
          throw said;
        }
        if (isFirst) {
          if (this.#cursor !== from || this.#topics !== topics) {
            return; // asking was quicker
          }
          this.#isPushed = true;
        }
        this.#cursor = event.id;
        if (event.event === "ready") {
          this.#be(said.state);
        } else if (event.event === "change") {
          this.#onChanges([said]);
        }
      }
    } finally {
      clearTimeout(silence);
      stream.abort();
    }
  }

  async #keepAsking() {
    for (;;) {
      await new Promise((done) => {
        setTimeout(done, pollEvery);
        this.#askNow = done;
      });
      for (let more = !this.#isPushed; more; ) {
        const [from, topics] = [this.#cursor, this.#topics];
        try {
          const rows = await this.#ask(from);
          if (this.#isPushed || this.#cursor !== from || this.#topics !== topics) {
            break; // push was quicker, or it was the wrong question
          }
          this.#cursor = rows.at(-1).cursor;
          more = rows.at(-1).more;
          this.#be("polling");
          this.#onChanges(rows.filter((row) => row.id !== null));
        } catch (error) {
          more = false;
          this.#be("reconnecting");
          if (error.code === "cursor_expired") {
            await this.#startAgain().catch(() => {});
          }
        }
      }
    }
  }
}
