// A certificate as a page to print, and to see whether one is genuine: GET /functions/v1/certificate/CODE, or ?code=CODE.
// The code is the permission, so nobody signs in. The browser makes the PDF. docs/certificates.md says the rest.

import { visitorsClient } from "../_shared/clients.ts";
import { Refusal } from "../_shared/errors.ts";
import { serve } from "../_shared/http.ts";
import { type Certificate, certificatePage, messagePage } from "./page.ts";

const patience = 20_000;

function codeOf(url: URL): string {
  const last = decodeURIComponent(url.pathname.split("/").at(-1) ?? "");
  const code = last === "certificate" ? (url.searchParams.get("code") ?? "") : last;
  return code.replace(/[\s-]/g, "").toUpperCase();
}

// What is printed on paper has to be right for years, so the organisation may name an address of its own.
function addressOf(code: string): string {
  const base = Deno.env.get("CERTIFICATE_URL") || `${Deno.env.get("SUPABASE_URL")}/functions/v1/certificate`;
  return `${base.replace(/\/$/, "")}/${code}`;
}

async function read(code: string, visitor: string | null): Promise<Certificate | null> {
  // Nothing else was ever given out, so nothing else is worth a call.
  if (!/^[0-9A-F]{32}$/.test(code)) {
    return null;
  }
  let call = visitorsClient().rpc("verify_certificate", { p_code: code }).abortSignal(AbortSignal.timeout(patience));
  if (visitor !== null) {
    // The database counts calls by visitor: those who come through here are not one.
    call = call.setHeader("X-Forwarded-For", visitor);
  }
  const { data, error, status } = await call;
  if (error === null) {
    return data[0] ?? null;
  }
  if (error.code === "rate_limited") {
    throw new Refusal("rate_limited", "Too many certificates were asked for.", "Wait a minute.");
  }
  console.error("verify_certificate failed", status, error.code, error.message);
  throw new Refusal("busy", "The certificate cannot be read just now.", "Ask again in a while.");
}

function page(html: string, status: number, isHead: boolean): Response {
  const body = new TextEncoder().encode(html);
  return new Response(isHead ? null : body, {
    status,
    headers: {
      "Content-Type": "text/html; charset=utf-8",
      "Content-Length": String(body.length),
      // Never from a cache: it may be revoked by now.
      "Cache-Control": "no-store",
      "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
      "Referrer-Policy": "no-referrer",
      "X-Content-Type-Options": "nosniff",
      "X-Robots-Tag": "noindex",
    },
  });
}

serve(["GET", "HEAD"], async (request) => {
  const isHead = request.method === "HEAD";
  const code = codeOf(new URL(request.url));
  try {
    const certificate = await read(code, request.headers.get("X-Forwarded-For"));
    if (certificate === null) {
      const hint = "Compare the code with the one on the certificate, letter by letter. If they are the same, it is not genuine.";
      return page(messagePage("There is no such certificate", hint), 404, isHead);
    }
    return page(certificatePage(certificate, code, addressOf(code)), 200, isHead);
  } catch (error) {
    if (error instanceof Refusal) {
      return page(messagePage(error.message, error.hint ?? ""), error.status, isHead);
    }
    throw error;
  }
});
