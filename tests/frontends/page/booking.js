// Booking and giving a seat back. A call is made again with the same key when nobody knows whether it was done, or when others
// were in the way for a moment; the database answers such a call with what the first one did.

const tries = 4;
const pause = (milliseconds) => new Promise((done) => setTimeout(done, milliseconds));

async function insist(call) {
  for (let attempt = 1; ; attempt++) {
    const { data, error, status } = await call();
    const isWorthAnother = error && (error.code === "in_progress" || status === 0 || status === 503 || status === 504);
    if (!error || !isWorthAnother || attempt === tries) {
      return { data, error };
    }
    await pause(200 * 2 ** attempt * (0.5 + Math.random()));
  }
}

/** Takes one seat for whoever is signed in; gives `{data, error}`. */
export function book(client, sessionId) {
  const key = crypto.randomUUID();
  return insist(() => client.rpc("book_session", { p_session_id: sessionId, p_idempotency_key: key }));
}

/** Gives a seat back; gives `{data, error}`. */
export function cancel(client, bookingId) {
  const key = crypto.randomUUID();
  return insist(() => client.rpc("cancel_booking", { p_booking_id: bookingId, p_idempotency_key: key }));
}
