// The form that takes a token and begins a session.

import { post } from "./api.js";
import { h } from "./dom.js";
import { troubles } from "./parts.js";

export function signIn(error, done) {
  const wrong = troubles();
  const token = h("input", {
    id: "token", name: "token", type: "password", autocomplete: "off", spellcheck: "false", required: true,
    placeholder: "sage_…",
  });
  const button = h("button", { type: "submit" }, "Sign in");
  const send = async (event) => {
    event.preventDefault();
    button.disabled = true;
    try {
      await post("/v1/session", { token: token.value.trim() });
      token.value = "";
      await done();
    } catch (problem) {
      wrong.set(problem);
      token.focus();
    }
    button.disabled = false;
  };
  if (error) wrong.set(error);
  queueMicrotask(() => token.focus());
  return h("section", { class: "sign-in" },
    h("h1", {}, "Sign in"),
    h("p", { class: "soft" }, "with a token of this server. The page keeps a session for it, not the token."),
    h("form", { on: { submit: send } }, h("label", { for: "token" }, "Token"), token, button),
    wrong,
    h("p", { class: "soft" }, "The owner of the server makes tokens on its machine:"),
    h("pre", { tabindex: "0" }, "sage-host token new --role read"));
}
