// One job: its state, and six looks at it.

import { get, ofJob, repeat, toJob } from "./api.js";
import { h, put, say } from "./dom.js";
import { span, time } from "./format.js";
import { actions } from "./actions.js";
import { badge, nothing, problem, setBadge, troubles } from "./parts.js";
import { details } from "./job_details.js";
import { eventsOfJob } from "./events.js";
import { flow } from "./job_flow.js";
import { limits } from "./job_limits.js";
import { log } from "./job_log.js";
import { revisions } from "./job_revisions.js";

const LOOKS = [
  { path: "flow", title: "Flow", look: flow },
  { path: "limits", title: "Limits", look: limits },
  { path: "log", title: "Log", look: log },
  { path: "events", title: "Events", look: eventsOfJob },
  { path: "revisions", title: "Revisions", look: revisions },
  { path: "details", title: "Details", look: details },
];

export async function job(place, { tenant, name, wanted, who, signal }) {
  const id = { tenant, name };
  let known;
  try {
    known = await get(ofJob(id));
  } catch (error) {
    const gone = error.status === 404 || error.status === 400;
    return put(place, gone ? nothing(`There is no job “${name}”.`) : problem(error));
  }
  if (signal.aborted) return;
  const state = badge(known.state);
  const about = h("p", { class: "soft summary" });
  const why = h("p", { class: "note", hidden: true });
  const trouble = troubles();
  const buttons = actions(id, who, () => look());
  const chosen = LOOKS.find((look) => look.path === wanted) ?? LOOKS[0];
  const links = LOOKS.map(({ path, title }) => h("li", {}, h("a", {
    href: toJob(id, path), "aria-current": path === chosen.path ? "page" : null,
  }, title)));
  const room = h("section", { class: `look ${chosen.path}`, "aria-label": chosen.title });
  put(place,
    h("p", { class: "crumbs" }, h("a", { href: "#/jobs" }, "Jobs")),
    h("div", { class: "heading" }, h("h1", {}, name), tenant && h("span", { class: "soft" }, tenant), state, about, buttons),
    why, trouble, h("nav", { class: "looks", "aria-label": "Looks" }, h("ul", {}, links)), room);

  const listeners = new Set();
  const context = {
    id, who, signal,
    job: () => known,
    /** Calls a function now, and whenever the job was looked at. */
    watch: (listener) => {
      listeners.add(listener);
      listener(known);
    },
    isOver: async () => {
      await look();
      return known.exit_code !== null && known.exit_code !== undefined;
    },
  };
  const update = () => {
    setBadge(state, known.state);
    const attempt = known.attempt ? `attempt ${known.attempt}` : null;
    const revision = known.revision > 1 ? `revision ${known.revision}` : null;
    const restarts = known.restarts ? `${known.restarts} restarts` : null;
    const since = `for ${span(Date.now() - known.since)}`;
    say(about, [since, attempt, revision, restarts, known.class].filter(Boolean).join(" · "));
    about.title = `since ${time(known.since)}`;
    why.hidden = !known.why;
    why.dataset.mood = state.dataset.mood;
    say(why, known.why);
    buttons.set(known);
    for (const listener of listeners) listener(known);
  };
  const look = async () => {
    try {
      known = await get(ofJob(id));
      trouble.set(null);
    } catch (error) {
      return trouble.set(error);
    }
    if (!signal.aborted) update();
  };
  update();
  chosen.look(room, context);
  repeat(look, 2000, signal);
}
