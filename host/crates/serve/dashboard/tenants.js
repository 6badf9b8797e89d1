// What each tenant uses of its ceilings.

import { get, repeat } from "./api.js";
import { h, put } from "./dom.js";
import { bytes, count } from "./format.js";
import { bar, facts, nothing, troubles } from "./parts.js";

/** What is counted now, with the form of its numbers. */
const USED = [["jobs", "running jobs", count], ["queued", "waiting jobs", count], ["memory", "memory", bytes],
  ["component_bytes", "stored files", bytes]];

export function tenants(place, { signal }) {
  const trouble = troubles();
  const room = h("div", { class: "tenants" });
  put(place, h("div", { class: "heading" }, h("h1", {}, "Tenants")), trouble, room);
  let shown = "";
  repeat(async () => {
    let found = [];
    try {
      found = (await get("/v1/tenants")).tenants;
      trouble.set(null);
    } catch (error) {
      if (error.status !== 404) return trouble.set(error);
    }
    const now = JSON.stringify(found);
    if (signal.aborted || now === shown) return;
    shown = now;
    const none = () => nothing("There are no tenants here.", "Tables [tenant.NAME] of host.toml declare some.");
    put(room, found.length === 0 ? none() : found.map(card));
  }, 3000, signal);
}

function card({ name, ceiling = {}, used = {} }) {
  const bars = USED.filter(([key]) => used[key] !== undefined).map(([key, title, shown]) => {
    const most = ceiling[key];
    const isBound = most !== null && most !== undefined;
    return bar(title).set(isBound ? used[key] / most : null, isBound ? `${shown(used[key])} of ${shown(most)}` : shown(used[key]));
  });
  const bounds = [["CPUs", ceiling.cpus], ["GPUs", ceiling.num_gpus], ["weight", ceiling.weight],
    ["requests/s", ceiling.requests_per_second], ...Object.entries(ceiling.resources ?? {})];
  const known = bounds.filter(([, value]) => value !== null && value !== undefined);
  return h("article", { class: "tenant", "aria-label": name }, h("h2", {}, name), bars,
    known.length > 0 && facts(known.map(([title, value]) => [`at most: ${title}`, count(value)])));
}
