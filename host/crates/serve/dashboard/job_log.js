// The log of a job: its last lines, and those that come.

import { follow, ofJob } from "./api.js";
import { h, put, say } from "./dom.js";
import { time } from "./format.js";

const KEPT = 1000;

export function log(room, { id, signal, isOver }) {
  let stream = new AbortController();
  signal.addEventListener("abort", () => stream.abort());
  const level = h("select", { id: "level" }, ["trace", "debug", "info", "warn", "error"].map((word) =>
    h("option", { value: word, selected: word === "info" }, word)));
  const operator = h("input", { id: "operator", type: "search", autocomplete: "off", placeholder: "all" });
  const pinned = h("input", { id: "pinned", type: "checkbox", checked: true });
  const state = h("span", { class: "soft", role: "status" });
  const lines = h("ol");
  const box = h("div", { class: "lines", tabindex: "0", role: "log", "aria-live": "off", "aria-label": "Log", hidden: true }, lines);
  const empty = h("p", { class: "soft" }, "Nothing was said yet.");
  put(room,
    h("form", { class: "filters", on: { submit: (event) => event.preventDefault() } },
      h("label", { for: "level" }, "From level"), level, h("label", { for: "operator" }, "Operator"), operator,
      h("label", { class: "check", for: "pinned" }, pinned, "Follow the end"), state),
    empty, box);

  let waiting = [];
  let frame = null;
  const show = () => {
    frame = null;
    const fresh = waiting.splice(0).slice(-KEPT);
    lines.append(...fresh);
    empty.hidden = lines.childElementCount > 0;
    box.hidden = !empty.hidden;
    while (lines.childElementCount > KEPT) lines.firstChild.remove();
    if (pinned.checked) box.scrollTop = box.scrollHeight;
  };
  const add = (element) => {
    waiting.push(element);
    if (waiting.length > 2 * KEPT) waiting = waiting.slice(-KEPT);
    frame ??= requestAnimationFrame(show);
  };
  const open = () => {
    stream.abort();
    stream = new AbortController();
    waiting = [];
    put(lines);
    empty.hidden = false;
    box.hidden = true;
    const wanted = operator.value.trim();
    const query = `?level=${level.value}` + (isWord(wanted) ? `&operator=${wanted}` : "");
    follow(ofJob(id, `/logs${query}`), { log: (item) => add(line(item)), gap: (gap) => add(missing(gap)) }, {
      signal: stream.signal, over: isOver,
      state: (word) => say(state, { live: "live", waiting: "connecting …", over: "the job has ended" }[word]),
    });
  };
  level.addEventListener("change", open);
  operator.addEventListener("change", open);
  box.addEventListener("scroll", () => {
    const isAtEnd = box.scrollHeight - box.scrollTop - box.clientHeight < 24;
    if (!isAtEnd && box.matches(":hover, :focus")) pinned.checked = false;
  });
  pinned.addEventListener("change", show);
  open();
}

/** The API takes names as they are. */
function isWord(text) {
  return /^[A-Za-z0-9_.-]+$/.test(text);
}

function line(item) {
  return h("li", { "data-level": item.level },
    h("time", { title: new Date(item.at).toISOString() }, time(item.at, true)),
    h("span", { class: "level" }, item.level),
    h("span", { class: "who" }, item.operator ? item.operator + (item.instance > 0 ? ` ${item.instance}` : "") : "host"),
    h("span", { class: "text" }, item.message));
}

function missing({ after, before }) {
  return h("li", { class: "gap" }, `lines ${after + 1} to ${before - 1} are not kept any more`);
}
