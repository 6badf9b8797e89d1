// The stages of a job as a graph, with what each does now.

import { follow, get, ofJob } from "./api.js";
import { h, keep, put, say } from "./dom.js";
import { count, cpu, delay, percent, whole } from "./format.js";
import { graph } from "./graph.js";
import { bar, cell, memoryOf, nothing, spark, table, troubles } from "./parts.js";

const COLUMNS = [
  ["Stage"], ["Kind"], ["Instances", "number"], ["In/s", "number"], ["Out/s", "number"], ["Busy", "number"],
  ["Held back", "number"], ["Queue", "number"], ["p99", "number"], ["Memory", "number"], ["CPU", "number"],
  ["Rejected", "number"], ["Dead letters", "number"], ["Failed", "number"], ["Breaches", "number"],
  ["Restarts", "number"],
];

export function flow(room, { id, signal, isOver, watch }) {
  const trouble = troubles();
  const wait = nothing("The job has no process now.", "Its stages are shown while it runs.");
  const picture = h("div");
  const body = h("tbody");
  const numbers = table("Stages", COLUMNS, body, { dense: true });
  const edges = h("div");
  const below = h("div", { hidden: true }, h("h2", {}, "Numbers"), numbers, edges);
  put(room, trouble, wait, picture, below);

  let drawn = null;
  let attempt = null;
  const history = new Map();
  const draw = async (now) => {
    if (attempt === now) return;
    attempt = now;
    try {
      const plan = await get(ofJob(id, "/graph"));
      if (signal.aborted) return;
      drawn = graph(plan, make, signal);
      put(picture, drawn.element);
      put(edges, schemas(plan));
      history.clear();
    } catch {
      // A job that starts has no graph yet.
      attempt = null;
    }
  };
  const see = async (look) => {
    if (look.silent) {
      return trouble.set({ code: "silent", message: "The job’s process does not answer.", hint: look.silent });
    }
    trouble.set(null);
    if (look.stages.length > 0) await draw(look.attempt);
    if (signal.aborted) return;
    wait.hidden = look.stages.length > 0;
    if (look.stages.length > 0) say(wait.firstChild, "The job has no process now.");
    else say(wait.firstChild, "The job starts.");
    below.hidden = look.stages.length === 0;
    for (const stage of look.stages) {
      const known = history.get(stage.name) ?? [];
      if (stage.records_per_second !== null) known.push(stage.records_per_second);
      history.set(stage.name, known.slice(-60));
      const card = drawn?.cards.get(stage.name);
      if (card) update(card, stage, history.get(stage.name));
    }
    keep(body, look.stages, (stage) => stage.name, row, updateRow);
  };
  let last = Promise.resolve();
  watch((job) => {
    const isOver = job.exit_code !== null && job.exit_code !== undefined;
    if (isOver && !drawn) say(wait.firstChild, "The job has ended.");
  });
  follow(ofJob(id, "/metrics"), {
    metrics: (look) => {
      last = last.then(() => see(look));
    },
  }, { signal, over: isOver });
}

/** The card of a stage. */
function make(stage, from) {
  const parts = {
    rate: h("span", { class: "rate" }, "–"), trend: h("div"), busy: bar("busy"), held: bar("held back"), queue: bar("queue"), memory: bar("memory"),
    flags: h("ul", { class: "flags" }),
  };
  const kind = stage.parallelism > 1 ? `${stage.kind} × ${stage.parallelism}` : stage.kind;
  const element = h("article", { class: "stage", "aria-label": stage.name },
    h("header", {}, h("h3", { title: stage.name }, stage.name), h("span", { class: "soft" }, kind)),
    from.length > 0 && h("p", { class: "from soft" }, `from ${from.join(", ")}`),
    h("div", { class: "now" }, h("p", {}, parts.rate, h("span", { class: "soft" }, " records/s")), parts.trend),
    parts.busy, parts.held, stage.kind !== "source" && parts.queue, parts.memory, parts.flags);
  element.parts_ = parts;
  return element;
}

function update(card, stage, history) {
  const { rate, trend, busy, held, queue, memory, flags } = card.parts_;
  say(rate, count(stage.records_per_second));
  put(trend, spark(history));
  // A share that is used up is no trouble: the limit holds.
  held.hidden = !(stage.throttled > 0.005);
  held.set(stage.throttled, percent(stage.throttled), Infinity);
  busy.set(stage.busy);
  queue.set(stage.back_pressure);
  const [text, part] = memoryOf(stage.memory_used, stage.memory_limit);
  memory.hidden = stage.memory_used === null;
  memory.set(part, text);
  const marks = [
    ["rejected", stage.rejected], ["dead-lettered", stage.dead_lettered], ["failed", stage.failed],
    ["breaches", stage.breaches], ["restarts", stage.restarts],
  ];
  const told = marks.filter(([, number]) => number > 0).map(([word, number]) => `${count(number)} ${word}`);
  if (stage.latency_p99 !== null) told.unshift(`p99 ${delay(stage.latency_p99)}`);
  keep(flags, told, (text) => text.replace(/^[^ ]+ /, ""), () => h("li"), (item, text) => {
    say(item, text);
    item.dataset.mood = text.startsWith("p99") ? "over" : "bad";
  });
}

function row(stage) {
  const cells = COLUMNS.slice(1).map(([title, kind]) => cell(title, kind));
  const element = h("tr", {}, h("th", { scope: "row" }, stage.name), cells);
  element.cells_ = cells;
  return element;
}

function updateRow(element, stage) {
  const values = [
    stage.kind, stage.instances, count(stage.kind === "source" ? null : stage.records_per_second),
    count(stage.kind === "sink" ? null : stage.records_out_per_second), percent(stage.busy), percent(stage.throttled),
    percent(stage.back_pressure), delay(stage.latency_p99), memoryOf(stage.memory_used, stage.memory_limit)[0],
    cpu(stage.cpu_seconds), whole(stage.rejected), whole(stage.dead_lettered), whole(stage.failed), whole(stage.breaches),
    whole(stage.restarts),
  ];
  values.forEach((value, at) => say(element.cells_[at], value));
  element.cells_.slice(10).forEach((cell) => {
    cell.classList.toggle("alert", cell.textContent !== "0");
    cell.classList.toggle("soft", cell.textContent === "0");
  });
}

/** The records of each edge: fields with their types, or bytes. */
function schemas(plan) {
  const body = h("tbody", {}, plan.edges.map((edge) => {
    const port = edge.port ? ` (${edge.port})` : "";
    return h("tr", {},
      h("th", { scope: "row" }, `${edge.from}${port} → ${edge.to}`),
      cell("Records", "", fields(edge)),
      cell("By key", "", edge.key ? edge.key.join(", ") : "–"));
  }));
  return h("div", {}, h("h2", {}, "Records of each edge"),
    table("Records of each edge", [["Edge"], ["Records"], ["By key"]], body, { stacked: true }));
}

function fields(edge) {
  if (!edge.fields) return h("span", { class: "soft" }, "bytes, of which no field is known");
  const known = edge.fields.map((field) => h("li", { class: field.read ? "" : "soft" },
    h("span", { class: "mono" }, field.name), " ", h("span", { class: "soft" }, typeOf(field)),
    field.read ? null : h("span", { class: "soft" }, " not read")));
  return h("ul", { class: "fields" }, known, edge.other_fields ? h("li", { class: "soft" }, "and others") : null);
}

function typeOf(field) {
  const word = typeof field.type === "string" ? field.type : JSON.stringify(field.type);
  return field.nullable ? `${word}?` : word;
}
