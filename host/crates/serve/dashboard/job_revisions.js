// The revisions of a job: who submitted each and why, and what differs between two of them.

import { get, ofJob, post, repeat } from "./api.js";
import { announce, h, put } from "./dom.js";
import { time } from "./format.js";
import { asked } from "./actions.js";
import { cell, problem, table, troubles } from "./parts.js";

const MAY = new Set(["deploy", "tenant-admin", "admin"]);
const COLUMNS = [["Revision"], ["State"], ["Submitted"], ["By"], ["Why"], ["Pipeline"], [""]];

export function revisions(room, { id, who, signal }) {
  const trouble = troubles();
  const last = h("p", { class: "note", hidden: true });
  const list = h("div");
  const differences = h("section", { "aria-label": "Differences", "aria-live": "polite" });
  put(room, trouble, last, list, differences);
  let shown = "";
  const look = async () => {
    let found;
    try {
      found = await get(ofJob(id, "/revisions"));
      trouble.set(null);
    } catch (error) {
      return trouble.set(error);
    }
    const now = JSON.stringify(found);
    if (signal.aborted || now === shown) return;
    shown = now;
    const end = found.last_rollout;
    last.hidden = !end;
    if (end) {
      last.dataset.mood = end.outcome === "done" ? "over" : "bad";
      put(last, `Revision ${end.from} to ${end.to}: ${end.outcome}${end.message ? `, ${end.message}` : ""}`);
    }
    const rows = found.revisions.toReversed().map((revision) => row(revision, found));
    put(list, table("Revisions", COLUMNS, h("tbody", {}, rows), { stacked: true }));
  };
  const row = (revision, { current, rollout, revisions: all }) => {
    const { number } = revision;
    const before = all.map((one) => one.number).filter((one) => one < number).at(-1);
    const state = rollout?.to === number ? rollout.stage : number === current ? "in force" : "–";
    const diff = before && h("button", { type: "button", class: "quiet", on: { click: () => show(before, number) } },
      `Changes since ${before}`);
    const back = number !== current && !rollout && MAY.has(who.role)
      && h("button", { type: "button", class: "quiet", on: { click: () => ask(number) } }, "Roll out");
    return h("tr", {},
      h("th", { scope: "row" }, String(number)), cell("State", "", state), cell("Submitted", "", time(revision.at)),
      cell("By", "mono", revision.who ?? "–"), cell("Why", "", revision.note ?? "–"),
      cell("Pipeline", "mono", String(revision.pipeline).replace("sha256:", "").slice(0, 12)),
      cell("", "", h("div", { class: "actions" }, diff, back)));
  };
  const show = async (from, to) => {
    try {
      put(differences, drawn(await get(ofJob(id, `/diff?from=${from}&to=${to}`))));
    } catch (error) {
      put(differences, problem(error));
    }
  };
  const ask = (number) => asked(`Roll revision ${number} out?`,
    "A job with checkpoints goes on from the last epoch. Another one that runs is left alone: `sage-host rollback --yes` begins it anew.",
    "Roll out", async () => {
      try {
        await post(ofJob(id, "/rollback"), { revision: number });
        announce("the rollout was accepted");
        await look();
      } catch (error) {
        put(differences, problem(error));
      }
    });
  repeat(look, 2000, signal);
}

function drawn({ from, to, lines, files, others }) {
  const nothing = lines.length + files.length + others.length === 0;
  return [h("h2", {}, `Revision ${from} to ${to}`), nothing && h("p", { class: "soft" }, "Both run the same."),
    lines.length > 0 && h("ol", { class: "diff", tabindex: "0" }, lines.map(({ sign, text }) =>
      h("li", { "data-sign": sign }, sign === "@" ? "…" : `${sign} ${text}`))),
    files.length > 0 && h("ul", {}, files.map(({ path, from: one, to: other }) =>
      h("li", { class: "mono" }, `${path}: ${short(one)} to ${short(other)}`))),
    others.length > 0 && h("ul", {}, others.map((text) => h("li", {}, text)))];
}

function short(digest) {
  return digest ? String(digest).replace("sha256:", "").slice(0, 12) : "not there";
}
