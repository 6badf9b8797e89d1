// The list of jobs: a page at a time, by state and name, with the reason why each is in its state.

import { get, repeat, toJob } from "./api.js";
import { h, keep, put, say } from "./dom.js";
import { count, cpu, span, time, whole } from "./format.js";
import { badge, bar, cell, memoryOf, nothing, setBadge, table, troubles } from "./parts.js";

const STATES = [
  ["live", "not ended"], ["", "all"], ["running", "running"], ["queued", "queued"], ["backoff", "in backoff"],
  ["ended", "ended"], ["failed", "failed"], ["completed", "completed"], ["stopped", "stopped"], ["rejected", "rejected"],
];
const COLUMNS = [
  ["Name"], ["State"], ["For", "number"], ["Records/s", "number"], ["Rejected", "number"], ["CPU", "number"],
  ["Attempt", "number"], ["Memory"], ["Why", "why"],
];
const PAGE = 50;

export function jobs(place, { signal, who }) {
  const choice = { state: "live", name: "", cursors: [] };
  const rates = new Map();
  const trouble = troubles();
  const body = h("tbody");
  const list = table("Jobs", COLUMNS, body, { stacked: true, pairs: true });
  const empty = h("div");
  const state = h("select", { id: "state" }, STATES.map(([value, text]) => h("option", { value }, text)));
  const name = h("input", { id: "name", type: "search", autocomplete: "off", placeholder: "a part of it" });
  const earlier = h("button", { type: "button", class: "quiet" }, "Earlier");
  const later = h("button", { type: "button", class: "quiet" }, "Later");
  const pages = h("nav", { class: "pages", "aria-label": "Pages" }, earlier, later);
  const summary = h("p", { class: "soft summary" });
  put(place,
    h("div", { class: "heading" }, h("h1", {}, "Jobs"), summary,
      h("form", { class: "filters", role: "search", on: { submit: (event) => event.preventDefault() } },
        h("label", { for: "state" }, "State"), state, h("label", { for: "name" }, "Name"), name)),
    trouble, list, empty, pages);

  let next = null;
  const look = async () => {
    const cursor = choice.cursors.at(-1);
    const query = [`limit=${PAGE}`, choice.state && `state=${choice.state}`,
      choice.name && `name=${encodeURIComponent(choice.name)}`, cursor && `cursor=${cursor}`];
    let page;
    try {
      page = await get(`/v1/jobs?${query.filter(Boolean).join("&")}`);
    } catch (error) {
      return trouble.set(error);
    }
    if (signal.aborted) return;
    trouble.set(null);
    next = page.next ?? null;
    const now = Date.now();
    for (const row of page.jobs) note(rates, row, now);
    keep(body, page.jobs, (row) => row.id, make, (element, row) => update(element, row, rates, now));
    list.hidden = page.jobs.length === 0;
    pages.hidden = !next && choice.cursors.length === 0;
    earlier.disabled = choice.cursors.length === 0;
    later.disabled = !next;
    say(summary, told(page.jobs, next));
    if (page.jobs.length > 0) put(empty);
    else if (!empty.firstChild) put(empty, none(choice, who));
  };
  const again = () => {
    put(empty);
    choice.state = state.value;
    choice.name = name.value.trim().toLowerCase();
    choice.cursors = [];
    look();
  };
  state.addEventListener("change", again);
  name.addEventListener("input", again);
  earlier.addEventListener("click", () => {
    choice.cursors.pop();
    look();
  });
  later.addEventListener("click", () => {
    if (next) choice.cursors.push(next);
    look();
  });
  repeat(look, 2000, signal);
}

function none(choice, who) {
  if (choice.state === "live" && !choice.name) {
    return nothing("No job runs or waits.", who.role === "read" ? null : "sage-host submit PIPELINE.toml starts one.");
  }
  return nothing("No job is like that.");
}

function told(rows, next) {
  const states = new Map();
  for (const row of rows) states.set(row.state, (states.get(row.state) ?? 0) + 1);
  const parts = [...states].map(([state, jobs]) => `${jobs} ${state}`);
  return parts.join(" · ") + (next ? " on this page" : "");
}

/** Remembers counts of the last seconds, from which rates are. */
function note(rates, row, now) {
  const known = (rates.get(row.id) ?? []).filter((look) => look.attempt === row.attempt && now - look.at < 9000);
  if (row.records_in !== null && row.records_in !== undefined) {
    known.push({ at: now, attempt: row.attempt, records: row.records_in });
  }
  rates.set(row.id, known);
}

function rate(rates, row) {
  const known = rates.get(row.id) ?? [];
  if (row.state !== "running" || known.length < 2) return null;
  const [first, last] = [known[0], known.at(-1)];
  return last.at > first.at ? ((last.records - first.records) * 1000) / (last.at - first.at) : null;
}

function make(row) {
  const memory = bar();
  const cells = {
    state: badge(row.state), since: h("span"), rate: h("span"), rejected: h("span"), cpu: h("span"), memory,
    attempt: h("span"), why: h("span", { class: "clamp" }),
  };
  const element = h("tr", {},
    h("th", { scope: "row" }, h("a", { href: toJob(row) }, row.name),
      row.tenant && h("span", { class: "tenant-of soft" }, ` ${row.tenant}`)),
    cell("State", "", cells.state), cell("For", "number", cells.since), cell("Records/s", "number", cells.rate),
    cell("Rejected", "number", cells.rejected), cell("CPU", "number", cells.cpu), cell("Attempt", "number", cells.attempt),
    cell("Memory", "broad", memory), cell("Why", "why", cells.why));
  element.cells_ = cells;
  return element;
}

function update(element, row, rates, now) {
  const cells = element.cells_;
  setBadge(cells.state, row.state);
  say(cells.since, span(now - row.since));
  cells.since.title = time(row.since);
  say(cells.rate, count(rate(rates, row)));
  say(cells.rejected, whole(row.rejected));
  cells.rejected.parentNode.classList.toggle("alert", row.rejected > 0);
  say(cells.cpu, cpu(row.cpu_seconds));
  const [text, part] = memoryOf(row.memory_used, row.memory_limit);
  cells.memory.set(part, text);
  say(cells.attempt, row.attempt || "–");
  say(cells.why, row.why);
  cells.why.title = row.why ?? "";
  element.dataset.why = row.why ? "yes" : "no";
}
