// Answers what it was asked, and from which environment.
Deno.serve(async (request) =>
  Response.json({
    method: request.method,
    path: new URL(request.url).pathname + new URL(request.url).search,
    headers: Object.fromEntries(request.headers),
    body: await request.text(),
    environment: Deno.env.toObject(),
    can_reach_out: (await Deno.permissions.query({ name: "net", host: "203.0.113.1:443" })).state,
    can_write: (await Deno.permissions.query({ name: "write" })).state,
    can_run: (await Deno.permissions.query({ name: "run" })).state,
  }, { status: 201, headers: { "X-Echo": "yes" } })
);
