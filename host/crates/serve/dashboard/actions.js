// What a user may do with a job: stop, start and restart it.

import { ofJob, post } from "./api.js";
import { announce, h } from "./dom.js";
import { problem } from "./parts.js";

const MAY = new Set(["operate", "deploy", "tenant-admin", "admin"]);

export function actions(id, who, done) {
  const { name } = id;
  const element = h("div", { class: "actions" });
  element.set = () => {};
  if (!MAY.has(who.role)) return element;
  const send = async (verb, body) => {
    try {
      await post(ofJob(id, `/${verb}`), body);
      announce(`${verb} was accepted`);
    } catch (error) {
      element.append(problem(error));
    }
    await done();
  };
  const button = (text, act) => h("button", { type: "button", class: "quiet", on: { click: act } }, text);
  const stop = button("Stop", () => asked(`Stop ${name}?`, "Sources stop, and what was read is finished.", "Stop", () => send("stop", {})));
  const restart = button("Restart", () => asked(`Restart ${name}?`, "The job drains and starts again.", "Restart", () => send("restart")));
  const start = button("Start", () => send("start"));
  element.append(start, restart, stop);
  element.set = (job) => {
    const isOver = job.exit_code !== null && job.exit_code !== undefined;
    start.hidden = !isOver;
    stop.hidden = isOver || job.desired === "stopped";
    restart.hidden = isOver;
  };
  return element;
}

/** Asks before something is done. */
export function asked(title, text, verb, act) {
  const close = () => {
    dialog.close();
    dialog.remove();
  };
  const yes = () => {
    close();
    act();
  };
  const dialog = h("dialog", { "aria-label": title, on: { cancel: close } },
    h("h2", {}, title), h("p", {}, text),
    h("div", { class: "actions" },
      h("button", { type: "button", class: "quiet", on: { click: close } }, "Leave it"),
      h("button", { type: "button", on: { click: yes } }, verb)));
  document.body.append(dialog);
  dialog.showModal();
}
