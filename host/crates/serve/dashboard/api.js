// The API of the server that sent this page. The session is a cookie that scripts cannot read.

/** An error of the API, in the form of RFC 9457. */
export class Problem extends Error {
  constructor(status, code, detail, hint) {
    super(detail);
    Object.assign(this, { status, code, hint });
  }
}

export const signedOut = new EventTarget();

async function ask(method, path, body, parse = JSON.parse) {
  const headers = { accept: "application/json" };
  if (method !== "GET") headers["x-sage-host"] = "1";
  if (body !== undefined) headers["content-type"] = "application/json";
  let response;
  try {
    response = await fetch(path, {
      method, headers, body: body === undefined ? undefined : JSON.stringify(body),
      credentials: "same-origin", cache: "no-store", redirect: "error",
    });
  } catch {
    throw new Problem(0, "unreachable", "the server does not answer");
  }
  const text = await response.text();
  let value = null;
  try {
    value = text ? (response.ok ? parse : JSON.parse)(text) : null;
  } catch {
    if (response.ok) throw new Problem(response.status, "not-json", "the server's answer cannot be read");
  }
  if (response.ok) return value;
  if (response.status === 401 && path !== "/v1/session") signedOut.dispatchEvent(new Event("out"));
  throw new Problem(response.status, value?.code ?? "error", value?.detail ?? response.statusText, value?.hint);
}

/** The items of a stream that ends: JSON, an item a line. */
export async function getLines(path) {
  const text = await ask("GET", path, undefined, (text) => text);
  return (text ?? "").split("\n").filter(Boolean).map((line) => JSON.parse(line));
}

export const get = (path) => ask("GET", path);
export const post = (path, body = {}) => ask("POST", path, body);
export const remove = (path) => ask("DELETE", path);

/** The path of a job in the API. A job is known by its tenant, if it has one, and its name. */
export function ofJob({ tenant, name }, rest = "") {
  const of = tenant ? `/v1/tenants/${encodeURIComponent(tenant)}` : "/v1";
  return `${of}/jobs/${encodeURIComponent(name)}${rest}`;
}

/** The address of a job in this page. */
export function toJob({ tenant, name }, look = "") {
  const of = tenant ? `#/tenants/${encodeURIComponent(tenant)}/jobs` : "#/jobs";
  return `${of}/${encodeURIComponent(name)}${look && `/${look}`}`;
}

/**
 * Follows a stream of server-sent events until `signal` says stop: items by their event names, `gap` for items that are
 * not kept any more. A stream that breaks is opened again behind its last item; `over` says whether it has ended instead.
 */
export function follow(path, events, { signal, over = async () => false, state = () => {} }) {
  let last = null;
  let pause = 500;
  let source = null;
  let timer = null;
  const open = () => {
    if (signal.aborted) return;
    const since = last === null ? "" : `&since=${last}`;
    source = new EventSource(path + (path.includes("?") ? "&" : "?") + "follow&format=sse" + since);
    source.addEventListener("open", () => {
      pause = 500;
      state("live");
    });
    for (const [name, listener] of Object.entries(events)) {
      source.addEventListener(name, (event) => {
        if (event.lastEventId) last = event.lastEventId;
        listener(JSON.parse(event.data));
      });
    }
    source.addEventListener("error", async () => {
      source.close();
      if (signal.aborted) return;
      state("waiting");
      if (await over().catch(() => false)) return state("over");
      timer = setTimeout(open, pause);
      pause = Math.min(pause * 2, 10000);
    });
  };
  signal.addEventListener("abort", () => {
    clearTimeout(timer);
    source?.close();
  });
  open();
}

/** Calls `look` now and then every `milliseconds`, while the page is seen, until `signal` says stop. */
export function repeat(look, milliseconds, signal) {
  let timer = null;
  const next = async () => {
    clearTimeout(timer);
    if (signal.aborted || document.hidden) return;
    await look();
    if (!signal.aborted) timer = setTimeout(next, milliseconds);
  };
  document.addEventListener("visibilitychange", next, { signal });
  signal.addEventListener("abort", () => clearTimeout(timer));
  next();
  return next;
}
