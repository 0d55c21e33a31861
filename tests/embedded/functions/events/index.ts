// Server-sent events, the second only after somebody asked for it: a proxy that collects would never show the first.
let release: () => void = () => {};

Deno.serve(async (request) => {
  if (request.method === "POST") {
    // Answers each piece of the request's body as it comes.
    return new Response(request.body);
  }
  if (new URL(request.url).pathname.endsWith("/go")) {
    release();
    return new Response("went");
  }
  const gone = new Promise<void>((resolve) => release = resolve);
  const text = new TextEncoder();
  const stream = new ReadableStream({
    async start(controller) {
      controller.enqueue(text.encode("data: first\n\n"));
      await gone;
      controller.enqueue(text.encode("data: second\n\n"));
      controller.close();
    },
  });
  return new Response(stream, { headers: { "Content-Type": "text/event-stream" } });
});
