// Secrets that a caller shows instead of signing in.

async function digest(text: string): Promise<Uint8Array> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text)));
}

/** A fingerprint of a text, in hexadecimal. */
export async function fingerprint(text: string): Promise<string> {
  return Array.from(await digest(text), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/**
 * Whether what a caller showed is the secret of that name in the environment. Takes as long for a near miss as for
 * anything else; nothing is right while no secret is set.
 */
export async function isSecret(shown: string | null, name: string): Promise<boolean> {
  const secret = Deno.env.get(name) ?? "";
  const [one, other] = await Promise.all([digest(shown ?? ""), digest(secret)]);
  let difference = 0;
  for (let index = 0; index < one.length; index++) {
    difference |= one[index] ^ other[index];
  }
  return secret !== "" && difference === 0;
}
