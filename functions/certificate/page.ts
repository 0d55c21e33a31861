// The page itself: everything it needs is in it, and what people wrote is escaped.

import qrcode from "npm:qrcode-generator@2";

/** What verify_certificate says of a code. */
export interface Certificate {
  status: "valid" | "expired" | "revoked";
  serial: string;
  holder_name: string;
  course_title: string;
  organisation: string | null;
  issued_on: string;
  expires_on: string | null;
  revoked_on: string | null;
}

const entities: Record<string, string> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;" };

function escape(text: string): string {
  return text.replace(/[&<>"']/g, (character) => entities[character]);
}

function day(date: string): string {
  const at = new Date(`${date}T00:00:00Z`);
  return new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "long", year: "numeric", timeZone: "UTC" }).format(at);
}

/** A QR code of a text, as an SVG of one path. */
function qr(text: string): string {
  const code = qrcode(0, "M");
  code.addData(text);
  code.make();
  const size = code.getModuleCount();
  let path = "";
  for (let row = 0; row < size; row++) {
    for (let column = 0; column < size; column++) {
      path += code.isDark(row, column) ? `M${column} ${row}h1v1h-1z` : "";
    }
  }
  // Four modules of white all round are part of the code.
  return `<svg class="qr" viewBox="-4 -4 ${size + 8} ${size + 8}" role="img" aria-label="Address to verify this certificate at"><path d="${path}"/></svg>`;
}

const style = `
@page { size: A4 landscape; margin: 0 }
* { box-sizing: border-box; margin: 0 }
html { background: #e7e5e0; color: #22303c; font: 16px/1.45 Georgia, "Times New Roman", "Noto Serif", serif }
.sheet { width: 297mm; height: 209.5mm; margin: 8mm auto; padding: 11mm; background: #fffdf8; position: relative; overflow: hidden;
  box-shadow: 0 2mm 8mm rgb(0 0 0 / .2); print-color-adjust: exact; -webkit-print-color-adjust: exact }
.frame { height: 100%; border: .6mm solid #2f4f6f; outline: .25mm solid #b08d57; outline-offset: -2.4mm; padding: 13mm 18mm 10mm;
  display: flex; flex-direction: column; align-items: center; text-align: center }
.organisation { font-size: 6mm; letter-spacing: .12em; text-transform: uppercase; color: #2f4f6f; overflow-wrap: anywhere; max-width: 50% }
h1 { font-size: 12mm; font-weight: normal; letter-spacing: .04em; margin-top: 8mm }
.line { margin-top: 9mm; font-size: 5mm; font-style: italic; color: #55626d }
.name { margin-top: 2mm; font-size: 15mm; line-height: 1.15; padding: 0 8mm 2mm; border-bottom: .25mm solid #b08d57; overflow-wrap: anywhere }
.name.long { font-size: 9mm } .name.longest { font-size: 6mm }
.course { margin-top: 3mm; font-size: 9mm; line-height: 1.2; color: #2f4f6f; overflow-wrap: anywhere }
.course.long { font-size: 6.5mm } .course.longest { font-size: 5mm }
.foot { margin-top: auto; width: 100%; display: flex; align-items: flex-end; justify-content: space-between; gap: 10mm; text-align: left; font-size: 3.6mm }
dl { display: grid; grid-template-columns: auto auto; gap: .6mm 4mm } dt { color: #55626d } dd { font-variant-numeric: tabular-nums }
.verify { display: flex; align-items: flex-end; gap: 4mm; text-align: right; max-width: 150mm } .verify p { overflow-wrap: anywhere }
.verify a { color: inherit } code { font: 3.4mm/1.5 ui-monospace, "DejaVu Sans Mono", monospace; letter-spacing: .03em }
.qr { width: 28mm; height: 28mm; flex: none; background: #fff; fill: #000 }
.status { position: absolute; top: 20mm; right: 22mm; padding: 1mm 4mm; border: .4mm solid; border-radius: 1.5mm; font: bold 4mm/1.5 Arial, sans-serif }
.valid { color: #1f6b45 } .expired { color: #8a5a00 } .revoked { color: #a11c1c }
.stamp { position: absolute; inset: 0; display: grid; place-items: center; pointer-events: none }
.stamp span { font: bold 42mm/1 Arial, sans-serif; letter-spacing: .08em; text-transform: uppercase; transform: rotate(-18deg); opacity: .16 }
.message { max-width: 36em; margin: 20vh auto; padding: 2em; background: #fffdf8; text-align: center } .message h1 { font-size: 1.7em; margin: 0 0 .6em }
@media print { html { background: none } .sheet { margin: 0; box-shadow: none } .status.valid { display: none } }
@media screen and (min-width: 180mm) and (max-width: 297mm) { .sheet { zoom: calc(100vw / 300mm) } }
/* Who scanned the code with a phone wants to read it there: the same, one below the other. */
@media screen and (max-width: 179.9mm) {
  .sheet { width: auto; height: auto; margin: 3mm; padding: 3mm } .frame { padding: 19mm 5mm 7mm } .organisation { font-size: 4.5mm; max-width: none }
  h1 { font-size: 7mm; margin-top: 5mm } .line { margin-top: 5mm; font-size: 4.2mm } .name { font-size: 8mm; padding: 0 2mm 2mm }
  .name.long { font-size: 6mm } .name.longest, .course.long, .course.longest { font-size: 4.5mm } .course { font-size: 5.5mm }
  .foot { margin-top: 9mm; flex-direction: column; align-items: stretch; gap: 6mm; font-size: 4mm }
  .verify { flex-direction: column-reverse; align-items: flex-start; text-align: left }
  .status { top: 9mm; right: auto; left: 50%; transform: translateX(-50%); white-space: nowrap } .stamp span { font-size: 15mm }
}
`;

function page(title: string, body: string): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<title>${escape(title)}</title>
<style>${style}</style>
</head>
<body>
${body}
</body>
</html>
`;
}

function size(text: string, long: number, longest: number): string {
  return text.length > longest ? " longest" : text.length > long ? " long" : "";
}

function said(certificate: Certificate): string {
  switch (certificate.status) {
    case "valid":
      return "Valid";
    case "expired":
      return `Expired on ${day(certificate.expires_on!)}`;
    case "revoked":
      return `Revoked on ${day(certificate.revoked_on!)}`;
  }
}

/** The certificate as a page of A4 across, and whether it is valid. */
export function certificatePage(certificate: Certificate, code: string, address: string): string {
  const { status, serial, holder_name, course_title } = certificate;
  const rows = [
    ["Certificate", serial],
    ["Issued", day(certificate.issued_on)],
    ["Valid", certificate.expires_on === null ? "without limit" : `until ${day(certificate.expires_on)}`],
  ];
  const grouped = code.match(/.{1,4}/g)!.join(" ");
  return page(
    `${holder_name}: ${course_title}`,
    `<main class="sheet"><div class="frame">
<p class="organisation">${escape(certificate.organisation ?? "")}</p>
<h1>Certificate of Attendance</h1>
<p class="line">This is to certify that</p>
<p class="name${size(holder_name, 34, 90)}">${escape(holder_name)}</p>
<p class="line">attended the course</p>
<p class="course${size(course_title, 60, 120)}">${escape(course_title)}</p>
<div class="foot">
<dl>${rows.map(([name, value]) => `<dt>${name}</dt><dd>${escape(value)}</dd>`).join("")}</dl>
<div class="verify"><p>Anyone can verify it at<br><a href="${escape(address)}">${escape(address.replace(/\/[^/]*$/, ""))}</a><br>with the code<br><code>${grouped}</code></p>${qr(address)}</div>
</div>
</div>
<p class="status ${status}" role="status">${said(certificate)}</p>
${status === "valid" ? "" : `<div class="stamp ${status}" aria-hidden="true"><span>${status}</span></div>`}
</main>`,
  );
}

/** A page with a sentence, and what to do. */
export function messagePage(sentence: string, hint: string): string {
  return page(sentence, `<main class="message"><h1>${escape(sentence)}</h1><p>${escape(hint)}</p></main>`);
}
