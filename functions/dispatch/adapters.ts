// How each channel's provider is spoken to. A channel has an adapter when the environment names its provider:
//   email      EMAIL_URL, EMAIL_KEY, EMAIL_FROM (Resend's API, or one like it)
//   webhook    WEBHOOK_SECRET: every call is signed with it (https://www.standardwebhooks.com)
//   sms        TWILIO_URL, TWILIO_ACCOUNT, TWILIO_TOKEN, SMS_FROM
//   whatsapp   the same, and WHATSAPP_FROM

export type Channel = "email" | "sms" | "whatsapp" | "webhook";

/** A message as claim_outbox hands it out. `id` is the idempotency key. */
export interface Message {
  id: string;
  lease: string;
  channel: Channel;
  recipient: string;
  subject: string | null;
  body: string;
  kind: string;
  attempts: number;
}

/** The one request that sends a message. */
export interface Sending {
  url: string;
  headers: Record<string, string>;
  body: string;
}

/** Builds the request, and finds the provider's name for the message in its answer. */
export interface Adapter {
  request(message: Message): Promise<Sending>;
  named(answer: string, headers: Headers): string | null;
}

function environment(...names: string[]): string[] | null {
  const values = names.map((name) => Deno.env.get(name) ?? "");
  return values.includes("") ? null : values;
}

function field(answer: string, name: string): string | null {
  try {
    const value = JSON.parse(answer)?.[name];
    return typeof value === "string" ? value : null;
  } catch {
    return null; // what it is called is good to know; that it was sent does not depend on it
  }
}

function email(): Adapter | null {
  const values = environment("EMAIL_URL", "EMAIL_KEY", "EMAIL_FROM");
  if (values === null) {
    return null;
  }
  const [url, key, from] = values;
  return {
    request: (message) =>
      Promise.resolve({
        url,
        headers: { "Authorization": `Bearer ${key}`, "Content-Type": "application/json", "Idempotency-Key": message.id },
        body: JSON.stringify({ from, to: [message.recipient], subject: message.subject, text: message.body }),
      }),
    named: (answer) => field(answer, "id"),
  };
}

// As Standard Webhooks has it: what is signed names the call and its time, so that neither can be used again for another.
function webhook(): Adapter | null {
  const values = environment("WEBHOOK_SECRET");
  if (values === null) {
    return null;
  }
  const [secret] = values;
  const bytes = secret.startsWith("whsec_")
    ? Uint8Array.from(atob(secret.slice(6)), (letter) => letter.charCodeAt(0))
    : new TextEncoder().encode(secret);
  const key = crypto.subtle.importKey("raw", bytes, { name: "HMAC", hash: "SHA-256" }, false, ["sign"]);
  return {
    request: async (message) => {
      const timestamp = Math.floor(Date.now() / 1000).toString();
      const signed = new TextEncoder().encode(`${message.id}.${timestamp}.${message.body}`);
      const signature = new Uint8Array(await crypto.subtle.sign("HMAC", await key, signed));
      return {
        url: message.recipient,
        headers: {
          "Content-Type": "application/json",
          "Idempotency-Key": message.id,
          "webhook-id": message.id,
          "webhook-timestamp": timestamp,
          "webhook-signature": `v1,${btoa(String.fromCharCode(...signature))}`,
        },
        body: message.body,
      };
    },
    named: (_, headers) => headers.get("x-request-id"),
  };
}

// Twilio's API has no idempotency key: it is told one all the same, for proxies that know it.
function twilio(sender: "SMS_FROM" | "WHATSAPP_FROM", prefix: string): Adapter | null {
  const values = environment("TWILIO_URL", "TWILIO_ACCOUNT", "TWILIO_TOKEN", sender);
  if (values === null) {
    return null;
  }
  const [url, account, token, from] = values;
  return {
    request: (message) =>
      Promise.resolve({
        url: `${url.replace(/\/$/, "")}/2010-04-01/Accounts/${encodeURIComponent(account)}/Messages.json`,
        headers: {
          "Authorization": `Basic ${btoa(`${account}:${token}`)}`,
          "Content-Type": "application/x-www-form-urlencoded",
          "Idempotency-Key": message.id,
        },
        body: new URLSearchParams({
          From: prefix + from,
          To: prefix + message.recipient,
          Body: message.subject === null ? message.body : `${message.subject}\n${message.body}`,
        }).toString(),
      }),
    named: (answer) => field(answer, "sid"),
  };
}

/** The adapters whose providers the environment names. */
export function adapters(): Map<Channel, Adapter> {
  const all: [Channel, Adapter | null][] = [
    ["email", email()],
    ["webhook", webhook()],
    ["sms", twilio("SMS_FROM", "")],
    ["whatsapp", twilio("WHATSAPP_FROM", "whatsapp:")],
  ];
  return new Map(all.filter((one): one is [Channel, Adapter] => one[1] !== null));
}
