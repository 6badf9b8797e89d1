// The frame of the page: who is signed in, the views, and which of them the address names.

import { get, remove, signedOut } from "./api.js";
import { announce, h, put } from "./dom.js";
import { audit } from "./audit.js";
import { components } from "./components.js";
import { events } from "./events.js";
import { job } from "./job.js";
import { jobs } from "./jobs.js";
import { machine } from "./machine.js";
import { signIn } from "./sign_in.js";
import { tenants } from "./tenants.js";

const VIEWS = [
  { path: "jobs", title: "Jobs", view: jobs },
  { path: "events", title: "Events", view: events },
  { path: "tenants", title: "Tenants", view: tenants },
  { path: "components", title: "Components", view: components },
  { path: "machine", title: "Machine", view: machine },
  { path: "audit", title: "Audit", view: audit, role: "admin" },
];

const main = document.getElementById("main");
const top = document.getElementById("top");
let shown = new AbortController();
let who = null;

document.getElementById("skip").addEventListener("click", (event) => {
  event.preventDefault();
  main.focus();
});
window.addEventListener("hashchange", () => show(true));
signedOut.addEventListener("out", () => start());

/** Asks who uses the page, and shows what the address names or the form to sign in. */
async function start() {
  shown.abort();
  try {
    who = await get("/v1/session");
  } catch (error) {
    who = null;
    put(top, brand());
    document.title = "Sign in – sage-host";
    return put(main, signIn(error.status === 401 ? null : error, start));
  }
  put(top, brand(), navigation(), account());
  show(false);
}

function brand() {
  return h("a", { class: "brand", href: "#/jobs" }, "sage-host");
}

function navigation() {
  const links = VIEWS.filter(({ role }) => !role || role === who.role).map(({ path, title }) => h("li", {}, h("a", { href: `#/${path}`, "data-path": path }, title)));
  return h("nav", { "aria-label": "Views" }, h("ul", {}, links));
}

function account() {
  const name = who.tenant ? `${who.tenant} · ${who.role}` : who.role;
  const out = async () => {
    await remove("/v1/session").catch(() => null);
    start();
  };
  return h("div", { class: "account" }, h("span", { class: "soft" }, name),
    who.name.startsWith("token:") && h("button", { type: "button", class: "quiet", on: { click: out } }, "Sign out"));
}

/** Shows the view that the address names. */
function show(moved) {
  if (!who) return;
  shown.abort();
  shown = new AbortController();
  const parts = location.hash.replace(/^#\/?/, "").split("/").filter(Boolean).map(decoded);
  const named = jobIn(parts);
  const known = VIEWS.find((view) => view.path === (named ? "jobs" : parts[0])) ?? VIEWS[0];
  for (const link of top.querySelectorAll("nav a")) {
    if (link.dataset.path === known.path) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  const view = named ? job : known.view;
  const place = h("div", { class: "view" });
  put(main, place);
  const title = named ? named.name : known.title;
  document.title = `${title} – sage-host`;
  view(place, { ...named, who, signal: shown.signal });
  if (moved) {
    announce(title);
    if (!named) window.scrollTo(0, 0);
  }
}

/** The job that an address names: jobs/NAME/LOOK or tenants/TENANT/jobs/NAME/LOOK. */
function jobIn(parts) {
  const [tenant, rest] = parts[0] === "tenants" && parts[2] === "jobs" ? [parts[1], parts.slice(2)] : [null, parts];
  return rest[0] === "jobs" && rest[1] ? { tenant, name: rest[1], wanted: rest[2] } : null;
}

function decoded(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

start();
