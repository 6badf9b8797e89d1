// Changes of jobs' states, as they happen.

import { follow, ofJob, toJob } from "./api.js";
import { h, put, say } from "./dom.js";
import { time } from "./format.js";
import { badge } from "./parts.js";

const KEPT = 500;

export function events(place, { signal }) {
  const state = h("p", { class: "soft summary" });
  const room = h("section", { "aria-label": "Events" });
  put(place, h("div", { class: "heading" }, h("h1", {}, "Events"), state), room);
  list(room, "/v1/events", true, { signal, state: (word) => say(state, word === "live" ? "live" : "connecting …") });
}

export function eventsOfJob(room, { id, signal }) {
  list(room, ofJob(id, "/events"), false, { signal });
}

function list(room, path, withNames, options) {
  const items = h("ol", { class: "events" });
  const empty = h("p", { class: "soft" }, "Nothing happened yet.");
  put(room, empty, items);
  let waiting = [];
  let frame = null;
  const show = () => {
    frame = null;
    items.prepend(...waiting.splice(0).reverse().slice(0, KEPT));
    empty.hidden = items.childElementCount > 0;
    while (items.childElementCount > KEPT) items.lastChild.remove();
  };
  const add = (element) => {
    waiting.push(element);
    frame ??= requestAnimationFrame(show);
  };
  follow(path, {
    state: (event) => add(item(event, withNames)),
    gap: ({ before }) => add(h("li", { class: "gap" }, `events before number ${before} are not kept here`)),
  }, options);
}

function item(event, withNames) {
  return h("li", {},
    h("time", { title: new Date(event.at).toISOString() }, time(event.at)),
    withNames && h("a", { href: toJob({ tenant: event.tenant, name: event.job }) }, event.tenant ? `${event.tenant}/${event.job}` : event.job),
    badge(event.to),
    h("span", { class: "soft" }, event.attempt > 0 ? `attempt ${event.attempt}` : ""),
    h("span", { class: "text" }, event.message ?? ""));
}
