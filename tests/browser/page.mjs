// A page of Chromium that notes everything that a page of ours must never do.

import { createRequire } from "node:module";
import { readFileSync } from "node:fs";
import path from "node:path";

export const WIDTHS = [400, 1400];
export const SCHEMES = ["light", "dark"];

/** Starts Chromium with the packages in a folder. */
export async function browser(packages, program) {
  const require = createRequire(path.join(packages, "/"));
  const puppeteer = require("puppeteer-core");
  const root = process.getuid() === 0 ? ["--no-sandbox"] : [];
  const browser = await puppeteer.launch({
    executablePath: program, headless: true, protocolTimeout: 60000,
    args: [...root, "--disable-dev-shm-usage", "--no-first-run", "--disable-extensions", "--hide-scrollbars"],
  });
  return { browser, axe: readFileSync(require.resolve("axe-core/axe.min.js"), "utf8") };
}

/** A page, and what was wrong with it so far. */
export async function watched(browser, origin) {
  const page = await browser.newPage();
  const wrong = [];
  page.on("dialog", async (dialog) => {
    wrong.push(`dialog: ${dialog.message()}`);
    await dialog.dismiss();
  });
  page.on("pageerror", (error) => wrong.push(`error: ${error.message}`));
  page.on("console", (message) => {
    // A browser logs each refused request, which pages show themselves.
    const isRefusal = message.text().startsWith("Failed to load resource");
    if (["error", "warn", "assert"].includes(message.type()) && !isRefusal) wrong.push(`console: ${message.text()}`);
  });
  page.on("request", (request) => {
    if (!request.url().startsWith(origin)) wrong.push(`request to ${request.url()}`);
  });
  page.on("framenavigated", (frame) => {
    if (!frame.url().startsWith(origin) && frame.url() !== "about:blank") wrong.push(`navigated to ${frame.url()}`);
  });
  await page.evaluateOnNewDocument(() => {
    window.violations = [];
    document.addEventListener("securitypolicyviolation", (event) => {
      window.violations.push(`${event.violatedDirective} ${event.blockedURI} ${event.sample}`);
    });
  });
  return { page, wrong };
}

/** Sets width and colours. A phone is a phone: it has a height and touches of its own. */
export async function sized(page, width, scheme) {
  await page.setViewport({ width, height: width < 500 ? 860 : 900, deviceScaleFactor: 1 });
  await page.emulateMediaFeatures([
    { name: "prefers-color-scheme", value: scheme }, { name: "prefers-reduced-motion", value: "reduce" },
  ]);
}

/** Waits until a text is seen. */
export async function seen(page, text, selector = "main") {
  const there = (selector, text) => document.querySelector(selector)?.innerText.includes(text);
  await page.waitForFunction(there, { timeout: 20000, polling: 100 }, selector, text).catch(async () => {
    const found = await page.evaluate((selector) => document.querySelector(selector)?.innerText ?? "nothing", selector);
    throw new Error(`“${text}” is not in ${selector} of ${page.url()}:\n${found}`);
  });
}

/** What is wrong with the page now: for assistive technology, in its width, and against its policy. */
export async function faults(page, axe) {
  await page.evaluate(axe);
  const found = await page.evaluate(async () => {
    const results = await window.axe.run(document, { resultTypes: ["violations"] });
    const serious = results.violations.filter(({ impact }) => impact === "serious" || impact === "critical");
    const shown = serious.map(({ id, help, nodes }) => {
      return `axe ${id}: ${help}: ${nodes.slice(0, 3).map((node) => node.target.join(" ") + " " + (node.any[0]?.message ?? "")).join("; ")}`;
    });
    const wide = document.documentElement.scrollWidth - window.innerWidth;
    return [...shown, ...window.violations.map((violation) => `policy: ${violation}`), ...(wide > 0 ? [`${wide} px too wide`] : [])];
  });
  return found;
}
