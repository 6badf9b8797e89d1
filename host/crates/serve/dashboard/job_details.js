// What was submitted, and how the last attempt ended.

import { h, put } from "./dom.js";
import { bytes, span, time, whole } from "./format.js";
import { cell, facts, table } from "./parts.js";

export function details(room, { watch, signal }) {
  let shown = "";
  watch((job) => {
    const now = JSON.stringify([job.state, job.attempt, job.end, job.labels]);
    if (signal.aborted || now === shown) return;
    shown = now;
    const labels = Object.entries(job.labels ?? {}).map(([name, value]) => `${name}=${value}`).join(", ");
    const files = Object.entries(job.files ?? {});
    put(room,
      facts([
        ["Identifier", h("span", { class: "mono" }, job.id)],
        ["Submitted", time(job.created)],
        ["Pipeline", h("span", { class: "mono" }, job.pipeline ?? "–")],
        ["Data", h("span", { class: "mono" }, job.data ?? "–")],
        ["Labels", labels || "–"],
        ["Another attempt", { idempotent: "gives the same output", "at-least-once": "does some things again",
          "loses-state": "loses state" }[job.class] ?? "–"],
        ["Restart", job.restart],
        ["Wanted", job.desired],
        job.exit_code !== null && job.exit_code !== undefined && ["Exit code", String(job.exit_code)],
      ]),
      end(job.end, job.why),
      files.length > 0 && h("div", {}, h("h2", {}, "Files"), table("Files", [["Path"], ["SHA-256"]], h("tbody", {},
        files.map(([path, digest]) => h("tr", {}, h("th", { scope: "row", class: "mono" }, path),
          cell("SHA-256", "mono digest", String(digest).replace("sha256:", ""))))), { stacked: true })));
  });
}

function end(end, why) {
  if (!end) return null;
  const error = end.error?.error ?? end.error;
  const summary = end.summary;
  const stages = summary?.stages ?? [];
  return h("div", {}, h("h2", {}, "End of the last attempt"),
    facts([["Outcome", end.outcome], ["At", time(end.at)],
      summary && ["Took", span(summary.elapsed_seconds * 1000)]]),
    error?.message && error.message !== why && h("p", { class: "note", "data-mood": "bad" }, error.message),
    error?.hint && h("p", { class: "note" }, error.hint),
    stages.length > 0 && table("Stages", [["Stage"], ["In", "number"], ["Out", "number"], ["Rejected", "number"],
      ["Peak of memory", "number"]], h("tbody", {}, stages.map((stage) => h("tr", {}, h("th", { scope: "row" }, stage.name),
      cell("In", "number", whole(stage.records_in)), cell("Out", "number", whole(stage.records_out)),
      cell("Rejected", "number", whole(stage.rejected)),
      cell("Peak of memory", "number", bytes(stage.memory_peak_bytes)))))));
}
