// One attempt to send one message, and what its outcome means.

import type { Adapter, Message } from "./adapters.ts";

/** What fail_outbox is told, or the provider's name for the message. */
export type Outcome =
  | { sent: true; name: string | null }
  | { sent: false; error: string; reason: "transient" | "permanent" | "throttled"; retryAfter: number | null };

const longestAnswer = 64 * 1024;
const longestWait = 86_400;

/** Retry-After in whole seconds, said as such or as a date; null when it makes no sense. */
export function retryAfter(said: string | null, now: number): number | null {
  if (said === null || said.trim() === "") {
    return null;
  }
  const seconds = /^\d+$/.test(said.trim()) ? Number(said) : Math.ceil((Date.parse(said) - now) / 1000);
  return Number.isFinite(seconds) ? Math.min(Math.max(seconds, 0), longestWait) : null;
}

// Never more than it takes to say what went wrong, however much a provider answers.
async function readAnswer(response: Response): Promise<string> {
  const reader = response.body?.getReader();
  const decoder = new TextDecoder();
  let text = "";
  let length = 0;
  while (reader !== undefined) {
    const { done, value } = await reader.read();
    if (done) {
      break;
    }
    text += decoder.decode(value, { stream: true });
    length += value.byteLength;
    if (length > longestAnswer) {
      await reader.cancel();
      break;
    }
  }
  return text;
}

/**
 * Sends a message, waiting for the provider at most so many milliseconds.
 *
 * A wrong key, a provider's fault and silence are tried again and count against the provider; what it says of the message
 * itself is final.
 */
export async function send(adapter: Adapter, message: Message, patience: number): Promise<Outcome> {
  let response: Response;
  let answer: string;
  try {
    const { url, headers, body } = await adapter.request(message);
    response = await fetch(url, {
      method: "POST", headers, body, redirect: "manual", signal: AbortSignal.timeout(patience),
    });
    answer = await readAnswer(response);
  } catch (error) {
    const late = error instanceof DOMException && error.name === "TimeoutError";
    const said = late ? `No answer within ${patience / 1000} s.` : "The provider could not be reached.";
    return { sent: false, error: said, reason: "transient", retryAfter: null };
  }
  const { status } = response;
  if (status >= 200 && status < 300) {
    return { sent: true, name: adapter.named(answer, response.headers) };
  }
  const wait = retryAfter(response.headers.get("Retry-After"), Date.now());
  const error = `HTTP ${status}: ${answer.replace(/\s+/g, " ").slice(0, 300)}`;
  if (status === 429) {
    return { sent: false, error, reason: "throttled", retryAfter: wait };
  }
  // 409 is what a provider says while the same key is still being worked on; 401 and 403 are our key's fault.
  const passes = status >= 500 || [401, 403, 408, 409, 425].includes(status);
  return { sent: false, error, reason: passes ? "transient" : "permanent", retryAfter: passes ? wait : null };
}
