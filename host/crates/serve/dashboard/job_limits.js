// The enforcement report: what each instance asked for, what it got, what holds it there, and how hard.

import { get, ofJob } from "./api.js";
import { h, put } from "./dom.js";
import { cell, nothing, problem, table, tier } from "./parts.js";

const COLUMNS = [["Operator"], ["Resource"], ["Requested"], ["Effective"], ["Mechanism"], ["Tier"]];

export async function limits(room, { id, signal }) {
  let report;
  try {
    report = await get(ofJob(id, "/explain"));
  } catch (error) {
    const none = error.status === 409 || error.status === 502;
    return put(room, none ? nothing("There is no report now.", error.message) : problem(error));
  }
  if (signal.aborted) return;
  const counted = new Map();
  for (const { tier } of report.rows) counted.set(tier, (counted.get(tier) ?? 0) + 1);
  const summary = [...counted].map(([word, limits]) => `${limits} ${word}`).join(" · ");
  let last = null;
  const rows = report.rows.map((row) => {
    const isFirst = row.operator !== last;
    last = row.operator;
    const instances = row.instances > 1 ? ` × ${row.instances}` : "";
    return h("tr", { class: isFirst ? "first" : "" },
      h("th", { scope: "row", class: isFirst ? "" : "same" }, row.operator, h("span", { class: "soft" }, instances)),
      cell("Resource", "mono", row.resource), cell("Requested", "", row.requested ?? "–"),
      cell("Effective", "", row.effective), cell("Mechanism", "", row.mechanism), cell("Tier", "", tier(row.tier, row.requested !== null)));
  });
  const notes = (report.notes ?? []).map((note) => h("li", {}, note));
  put(room,
    h("p", { class: "soft" }, `${report.rows.length} limits: ${summary}. A hard limit holds whatever the operator does; `
      + "a cooperative one holds among programs that keep to it."),
    table("Limits", COLUMNS, h("tbody", {}, rows), { stacked: true }),
    notes.length > 0 && h("ol", { class: "soft" }, notes));
}
