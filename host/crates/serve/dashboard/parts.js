// Parts that several views show.

import { h, put, say, svg } from "./dom.js";
import { bytes, percent } from "./format.js";

const TROUBLE = new Set(["failed", "rejected", "aborted", "killing"]);
const MOVING = new Set(["checking", "queued", "starting", "draining", "aborting", "backoff"]);

/** How a state looks: `run`, `wait`, `bad` or `over`. */
export function mood(state) {
  if (state === "running") return "run";
  if (TROUBLE.has(state)) return "bad";
  return MOVING.has(state) ? "wait" : "over";
}

/** The state of a job: a word with a mark, so that colour is not all that says it. */
export function badge(state) {
  const element = h("span", { class: "badge" }, h("span", { class: "dot", "aria-hidden": "true" }), h("span"));
  setBadge(element, state);
  return element;
}

export function setBadge(element, state) {
  element.dataset.mood = mood(state);
  say(element.lastChild, state);
}

/** A bar of a part of 1, with its text. */
export function bar(label) {
  const fill = h("span", { class: "bar-fill" });
  const text = h("span", { class: "bar-text" });
  const element = h("span", { class: "bar" },
    label && h("span", { class: "bar-label" }, label), h("span", { class: "bar-track", "aria-hidden": "true" }, fill), text);
  element.set = (part, shown = percent(part), from = 0.9) => {
    const known = part !== null && part !== undefined;
    fill.style.inlineSize = `${Math.min(100, Math.max(0, (known ? part : 0) * 100))}%`;
    element.dataset.high = known && part >= from ? "yes" : "no";
    say(text, shown);
    return element;
  };
  return element;
}

/** Memory in use of its limit. */
export function memoryOf(used, limit) {
  if (used === null || used === undefined) return ["–", null];
  return limit ? [`${bytes(used)} of ${bytes(limit)}`, used / limit] : [bytes(used), null];
}

/** A line of the last values. */
export function spark(values, most = 60) {
  const known = values.slice(-most);
  const top = Math.max(1, ...known);
  const step = 100 / (Math.max(20, known.length) - 1);
  const x = (at) => 100 - (known.length - 1 - at) * step;
  const points = known.map((value, at) => `${x(at).toFixed(2)},${(23 - (value / top) * 21).toFixed(2)}`);
  return svg("svg", { class: "spark", viewBox: "0 0 100 24", preserveAspectRatio: "none", "aria-hidden": "true" },
    points.length > 1 && svg("polyline", { points: points.join(" ") }));
}

/** A word about a limit's tier. Where nothing was asked for, none is no trouble. */
export function tier(name, isAskedFor = true) {
  return h("span", { class: "tier", "data-tier": isAskedFor || name !== "none" ? name : "open" }, name);
}

/**
 * A table in a box that scrolls sideways where it must. On a narrow page a row of a `stacked` table is a card, with two
 * values beside each other if they come in `pairs`.
 */
export function table(caption, columns, body, forms = {}) {
  const named = { stacked: "stacks", pairs: "pairs", dense: "dense" };
  const words = ["sheet", ...Object.keys(forms).map((form) => named[form])];
  const head = columns.map(([title, kind]) => h("th", { scope: "col", class: kind }, title));
  return h("div", { class: words.join(" "), tabindex: "0", role: "region", "aria-label": caption },
    h("table", {}, h("caption", { class: "visually-hidden" }, caption), h("thead", {}, h("tr", {}, head)), body));
}

/** A cell that knows the title of its column, which a narrow page shows beside it. */
export function cell(title, kind, ...children) {
  return h("td", { class: kind, "data-title": title }, children);
}

/** What is shown where there is nothing. */
export function nothing(text, hint) {
  return h("div", { class: "nothing" }, h("p", {}, text), hint && h("p", { class: "soft" }, hint));
}

/** An error of the API. */
export function problem(error) {
  return h("div", { class: "note", "data-mood": "bad", role: "alert" },
    h("p", {}, error.message), error.hint && h("p", { class: "soft" }, error.hint));
}

/** A place for an error that goes away when things work again. */
export function troubles() {
  const element = h("div", { class: "troubles" });
  let shown = "";
  element.set = (error) => {
    const text = error ? `${error.code}${error.message}` : "";
    if (text !== shown) put(element, error && problem(error));
    shown = text;
  };
  return element;
}

/** Facts: names and values. */
export function facts(pairs) {
  return h("dl", { class: "facts" }, pairs.filter(Boolean).map(([name, value]) => {
    return h("div", {}, h("dt", {}, name), h("dd", {}, value));
  }));
}
