// Devices of the machine, and the leases that runs hold on them.

import { get, repeat } from "./api.js";
import { h, put } from "./dom.js";
import { bytes, percent } from "./format.js";
import { bar, cell, nothing, table, tier, troubles } from "./parts.js";

export function machine(place, { signal }) {
  const trouble = troubles();
  const room = h("div");
  put(place, h("div", { class: "heading" }, h("h1", {}, "Machine")), trouble, room);
  let shown = "";
  repeat(async () => {
    let found;
    try {
      found = await get("/v1/devices");
      trouble.set(null);
    } catch (error) {
      return trouble.set(error);
    }
    const now = JSON.stringify(found);
    if (signal.aborted || now === shown) return;
    shown = now;
    put(room, h("h2", {}, "Devices"), devices(found.devices), h("h2", {}, "Leases"), leases(found.leases));
  }, 5000, signal);
}

function devices(found) {
  if (found.length === 0) return nothing("No device is declared or was found.", "Tables [[device]] of host.toml declare some.");
  const rows = found.map((device) => h("tr", {},
    h("th", { scope: "row" }, device.id, device.model ? h("span", { class: "soft" }, ` ${device.model}`) : null),
    cell("Kind", "", device.kind), cell("Backend", "", device.backend),
    cell("Memory held", "", bar().set(device.memory ? device.memory_held / device.memory : null,
      `${bytes(device.memory_held)} of ${bytes(device.memory)}`)),
    cell("Share held", "", bar().set(device.shares_held_ten_thousandths / device.shares_ten_thousandths)),
    cell("Tier", "", device.trouble ? device.trouble : tier(device.tier)),
    cell("num_gpus", "", device.serves_num_gpus ? "yes" : "no")));
  return table("Devices", [["Device"], ["Kind"], ["Backend"], ["Memory held"], ["Share held"], ["Tier"], ["num_gpus"]],
    h("tbody", {}, rows), { stacked: true });
}

function leases(found) {
  if (found.length === 0) return nothing("No run holds a lease on a device.");
  const rows = found.map((lease) => h("tr", {},
    h("th", { scope: "row", class: "mono" }, String(lease.token)), cell("Device", "", lease.device),
    cell("Share", "number", percent(lease.share_ten_thousandths / 10000)), cell("Memory", "number", bytes(lease.memory)),
    cell("State", "", lease.state), cell("Tenant", "", lease.tenant), cell("Pipeline", "", lease.pipeline),
    cell("Operator", "", `${lease.operator} ${lease.instance}`)));
  return table("Leases", [["Lease"], ["Device"], ["Share", "number"], ["Memory", "number"], ["State"], ["Tenant"], ["Pipeline"],
    ["Operator"]], h("tbody", {}, rows), { stacked: true });
}
