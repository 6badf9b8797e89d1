// Answers in which every text is a stranger's: the page gets the real answer of the server with texts that try to become
// more than text, as from a job whose process was taken over.

export const CORPUS = [
  "<img src=x onerror=alert(1)>",
  "<script>window.pwned=1</script>",
  "\"><svg onload=alert(1)>",
  "'-alert(1)-'",
  "javascript:alert(1)",
  "{{constructor.constructor('alert(1)')()}}",
  "</title><iframe src=//evil.example>",
  "&lt;b&gt;bold&lt;/b&gt;",
  "\u202egnp.exe",
];

/** Words that the page compares, and digests. */
const KEPT = new Set(["tier", "digest", "kind", "class", "restart", "desired", "role", "level"]);

function spoilt(value, name, at) {
  if (typeof value === "string") return KEPT.has(name) ? value : `${value} ${CORPUS.join(" ")}`;
  if (Array.isArray(value)) return value.map((item) => spoilt(item, name, at));
  if (value && typeof value === "object") {
    const entries = Object.entries(value).map(([key, item]) => [name === "files" || name === "labels" ? spoilt(key, "", at) : key, spoilt(item, key, at)]);
    return Object.fromEntries(entries);
  }
  return value;
}

/** Spoils every answer of the API that a page gets. A stream ends after what is known. */
export async function hostile(page, url) {
  await page.setRequestInterception(true);
  page.on("request", async (request) => {
    const path = request.url().slice(url.length);
    if (!path.startsWith("/v1/") || path.startsWith("/v1/session")) return request.continue();
    const cookies = await page.browserContext().cookies();
    const headers = { cookie: cookies.map(({ name, value }) => `${name}=${value}`).join("; ") };
    const isStream = path.includes("format=sse");
    const asked = isStream ? path.replace("follow&format=sse", path.includes("/metrics") ? "" : "format=ndjson") : path;
    try {
      const response = await fetch(url + asked, { headers });
      const text = await response.text();
      if (!isStream) {
        if (path.startsWith("/v1/audit")) {
          const lines = text.split("\n").filter(Boolean).map((line) => JSON.stringify(spoilt(JSON.parse(line))));
          return await request.respond({ status: response.status, contentType: "application/x-ndjson", body: lines.join("\n") });
        }
        const body = text ? JSON.stringify(spoilt(JSON.parse(text))) : "";
        return await request.respond({ status: response.status, contentType: "application/json", body });
      }
      const event = path.includes("/logs") ? "log" : path.includes("/metrics") ? "metrics" : "state";
      const lines = text.split("\n").filter(Boolean).map((line) => JSON.parse(line));
      const body = lines.map((line) => `id: ${line.seq}\nevent: ${event}\ndata: ${JSON.stringify(spoilt(line))}\n\n`).join("");
      await request.respond({ status: response.status, contentType: "text/event-stream", body });
    } catch {
      await request.abort().catch(() => null);
    }
  });
}
