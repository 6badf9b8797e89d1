// Components and models that the server has stored.

import { get, repeat } from "./api.js";
import { h, keep, put, say } from "./dom.js";
import { bytes } from "./format.js";
import { cell, nothing, table, troubles } from "./parts.js";

export function components(place, { signal }) {
  const trouble = troubles();
  const summary = h("p", { class: "soft summary" });
  const body = h("tbody");
  const list = table("Components", [["SHA-256"], ["Size", "number"], ["Revisions", "number"], ["Signed by"]], body, { stacked: true });
  const empty = nothing("No component or model is stored.", "`sage-host submit` sends those that a pipeline names.");
  put(place, h("div", { class: "heading" }, h("h1", {}, "Components"), summary), trouble, list, empty);
  list.hidden = empty.hidden = true;
  repeat(async () => {
    let found;
    try {
      found = (await get("/v1/components")).components;
      trouble.set(null);
    } catch (error) {
      return trouble.set(error);
    }
    list.hidden = found.length === 0;
    empty.hidden = !list.hidden;
    const all = found.reduce((sum, file) => sum + file.size, 0);
    say(summary, `${found.length} stored · ${bytes(all)}`);
    keep(body, found, (file) => file.digest, make, update);
  }, 5000, signal);
}

function make(file) {
  const cells = [cell("Size", "number"), cell("Revisions", "number"), cell("Signed by")];
  const element = h("tr", {},
    h("th", { scope: "row", class: "mono digest" }, file.digest.replace("sha256:", "")), cells);
  element.cells_ = cells;
  return element;
}

function update(element, file) {
  say(element.cells_[0], bytes(file.size));
  say(element.cells_[1], file.used_by);
  say(element.cells_[2], file.signer ?? "–");
}
