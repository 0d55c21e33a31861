// Refusals of Edge Functions, with the codes and the shape of those that come from the database, so that a
// client reads both the same way. docs/errors.md lists the codes.

const statuses = {
  invalid_input: 400,
  forbidden: 403,
  not_found: 404,
  duplicate: 409,
  in_progress: 409,
  cursor_expired: 410,
  limit_exceeded: 413,
  idempotency_mismatch: 422,
  rate_limited: 429,
  internal_error: 500,
  busy: 503,
} as const;

export type Code = keyof typeof statuses;

/** What a function throws to refuse a call: a stable code, a sentence, and what to do next. */
export class Refusal extends Error {
  readonly status: number;

  constructor(readonly code: Code, message: string, readonly hint: string | null = null) {
    super(message);
    this.status = statuses[code];
  }

  toJSON() {
    return { code: this.code, message: this.message, hint: this.hint, details: null };
  }
}
