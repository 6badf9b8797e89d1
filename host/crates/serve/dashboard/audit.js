// Who changed what: the last entries of the audit log.

import { getLines, repeat } from "./api.js";
import { h, keep, put } from "./dom.js";
import { time } from "./format.js";
import { cell, nothing, table, troubles } from "./parts.js";

const COLUMNS = [["Number", "number"], ["At"], ["Who"], ["From"], ["Tenant"], ["Request"], ["Answer"]];
const SHOWN = 200;

export function audit(place, { signal }) {
  const trouble = troubles();
  const body = h("tbody");
  const list = table("Audit", COLUMNS, body, { stacked: true });
  const empty = nothing("Nothing was changed yet.", "Each request that could change something is here, with its answer.");
  put(place, h("div", { class: "heading" }, h("h1", {}, "Audit"), h("p", { class: "soft summary" },
    `the last ${SHOWN}; \`sage-host audit\` has all, and checks that none was changed`)), trouble, list, empty);
  list.hidden = empty.hidden = true;
  repeat(async () => {
    let found;
    try {
      found = await getLines(`/v1/audit?last=${SHOWN}`);
      trouble.set(null);
    } catch (error) {
      return trouble.set(error);
    }
    if (signal.aborted) return;
    list.hidden = found.length === 0;
    empty.hidden = !list.hidden;
    keep(body, found.toReversed(), (entry) => entry.seq, make, () => {});
  }, 5000, signal);
}

function make(entry) {
  const failed = entry.status >= 400;
  return h("tr", {},
    h("th", { scope: "row", class: "number" }, String(entry.seq)), cell("At", "", time(entry.at)),
    cell("Who", "mono", entry.who), cell("From", "", entry.peer), cell("Tenant", "", entry.tenant ?? "–"),
    cell("Request", "mono path", `${entry.method} ${entry.path}`),
    cell("Answer", "", h("span", { class: "answer", "data-mood": failed ? "bad" : "run" }, `${entry.status} ${entry.code ?? ""}`)));
}
