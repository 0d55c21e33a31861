// Server-sent events, the second only after somebody asked for it: a proxy that collects would never show the first.
let release: () => void = () => {};
let left = 0;

Deno.serve(async (request) => {
  if (request.method === "POST") {
    // Answers each piece of the request's body as it comes.
    return new Response(request.body);
  }
  const path = new URL(request.url).pathname;
  if (path.endsWith("/go")) {
    release();
    return new Response("went");
  }
  if (path.endsWith("/left")) {
    return new Response(String(left)); // how many listeners went away before the end
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
    cancel() {
      left += 1;
    },
  });
  return new Response(stream, { headers: { "Content-Type": "text/event-stream" } });
});
