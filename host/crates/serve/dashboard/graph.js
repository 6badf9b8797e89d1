// A graph of cards in layers, from left to right, or below each other where the page is narrow.

import { h, put, svg } from "./dom.js";

/** The graph of a plan. `make` makes the card of a stage. */
export function graph(plan, make, signal) {
  const cards = new Map(plan.stages.map((stage) => {
    const from = plan.edges.filter((edge) => edge.to === stage.name).map((edge) => edge.from);
    return [stage.name, make(stage, [...new Set(from)])];
  }));
  const columns = layers(plan).map((names) => h("div", { class: "layer" }, names.map((name) => cards.get(name))));
  const lines = svg("svg", { class: "edges", "aria-hidden": "true" });
  const inner = h("div", { class: "layers" }, lines, columns);
  const element = h("div", { class: "graph", tabindex: "0", role: "region", "aria-label": "Stages and edges" }, inner);
  const draw = () => paths(plan, cards, inner, lines);
  const watch = new ResizeObserver(draw);
  watch.observe(inner);
  for (const card of cards.values()) watch.observe(card);
  signal.addEventListener("abort", () => watch.disconnect());
  return { element, cards };
}

/** Names by their longest way from a source. Within a layer, a stage is beside those that it reads from. */
function layers(plan) {
  const depth = new Map(plan.stages.map((stage) => [stage.name, 0]));
  // The plan has no circles, so this ends after as many rounds as there are stages.
  for (let round = 0; round < plan.stages.length; round += 1) {
    let changed = false;
    for (const { from, to } of plan.edges) {
      if (depth.get(to) < depth.get(from) + 1) {
        depth.set(to, depth.get(from) + 1);
        changed = true;
      }
    }
    if (!changed) break;
  }
  const found = [];
  for (const [name, layer] of depth) (found[layer] ??= []).push(name);
  const place = new Map();
  for (const names of found) {
    const wanted = (name) => {
      const parents = plan.edges.filter((edge) => edge.to === name).map((edge) => place.get(edge.from) ?? 0);
      return parents.length ? parents.reduce((sum, at) => sum + at, 0) / parents.length : 0;
    };
    names.sort((one, other) => wanted(one) - wanted(other));
    names.forEach((name, at) => place.set(name, at - (names.length - 1) / 2));
  }
  return found;
}

function paths(plan, cards, inner, lines) {
  const frame = inner.getBoundingClientRect();
  // In a column, each card says from where it reads.
  if (frame.width === 0 || getComputedStyle(inner).flexDirection === "column") return;
  const of = (name) => {
    const box = cards.get(name).getBoundingClientRect();
    return { left: box.left - frame.left, top: box.top - frame.top, width: box.width, height: box.height };
  };
  const drawn = plan.edges.map(({ from, to }) => {
    const [a, b] = [of(from), of(to)];
    const [x1, y1, x2, y2] = [a.left + a.width, a.top + a.height / 2, b.left, b.top + b.height / 2];
    const bend = Math.max(20, (x2 - x1) / 2);
    return `M${x1},${y1} C${x1 + bend},${y1} ${x2 - bend},${y2} ${x2},${y2}`;
  });
  lines.setAttribute("viewBox", `0 0 ${frame.width} ${frame.height}`);
  lines.setAttribute("width", String(frame.width));
  lines.setAttribute("height", String(frame.height));
  put(lines, drawn.map((d) => svg("path", { d })));
}
