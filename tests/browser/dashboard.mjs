// The dashboard in Chromium: node dashboard.mjs SETTINGS, which is JSON with `url`, `token`, `packages`, `chromium`, `out`.
// Ends with 0 if every view is readable in each width and in both colours, without a complaint of the browser.

import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import path from "node:path";

import { CORPUS, hostile } from "./hostile.mjs";
import { SCHEMES, WIDTHS, browser as start, faults, seen, sized, watched } from "./page.mjs";

const { url, token, packages, chromium, out } = JSON.parse(process.argv[2]);
mkdirSync(out, { recursive: true });
const { browser, axe } = await start(packages, chromium);
const { page, wrong } = await watched(browser, url);
const complaints = [];

/** Addresses of views, what must be seen in each, and how the picture is called. */
const VIEWS = [
  ["jobs", "readings", "jobs"],
  ["jobs/readings/flow", "archive", "flow"],
  ["jobs/readings/limits", "duty-cycle", "limits"],
  ["jobs/loud/log", "onerror=alert(1)", "log"],
  ["jobs/readings/events", "running", "events-of-job"],
  ["jobs/readings/revisions", "in force", "revisions"],
  ["jobs/broken/details", "Exit code", "details"],
  ["events", "waits", "events"],
  ["tenants", "Tenants", "tenants"],
  ["components", "stored", "components"],
  ["machine", "Devices", "machine"],
  ["audit", "POST /v1/jobs", "audit"],
];

async function picture(name, width, scheme) {
  for (const fault of await faults(page, axe)) complaints.push(`${name} ${width} ${scheme}: ${fault}`);
  await page.screenshot({ path: path.join(out, `${name}-${width}-${scheme}.png`), fullPage: true });
}

/** Shows a view as a user does who follows a link. */
async function go(hash) {
  await page.evaluate((hash) => {
    location.hash = "#/";
    location.hash = `#/${hash}`;
  }, hash);
}

async function signIn() {
  await page.goto(url);
  await seen(page, "Sign in");
  for (const width of WIDTHS) {
    for (const scheme of SCHEMES) {
      await sized(page, width, scheme);
      await picture("sign-in", width, scheme);
    }
  }
  // The form is used with the keyboard alone.
  assert.equal(await page.evaluate(() => document.activeElement.id), "token");
  await page.keyboard.type("sage_abcdefghijkl_" + "x".repeat(43));
  await page.keyboard.press("Enter");
  await page.waitForSelector(".note[data-mood=bad]");
  await page.$eval("#token", (input) => input.select());
  await page.keyboard.type(token);
  await page.keyboard.press("Enter");
  await seen(page, "Jobs");
  const stored = await page.evaluate(() => [document.cookie, localStorage.length, sessionStorage.length]);
  assert.deepEqual(stored, ["", 0, 0], "scripts see no session, and nothing stores the token");
}

async function views() {
  for (const [hash, text, name] of VIEWS) {
    for (const width of WIDTHS) {
      await sized(page, width, "light");
      await go(hash);
      await seen(page, text);
      if (name === "flow") await page.waitForFunction(() => document.querySelectorAll("polyline").length >= 3);
      for (const scheme of SCHEMES) {
        await sized(page, width, scheme);
        await picture(name, width, scheme);
      }
    }
  }
}

/** What views say is what the server knows. */
async function truths() {
  await sized(page, 1400, "light");
  await go("jobs");
  await seen(page, "waits");
  const why = await page.$$eval("tbody tr", (rows) => rows.map((row) => row.innerText).find((text) => text.includes("waits")));
  assert.match(why, /queued/);
  assert.match(why, /licence/);
  await page.select("#state", "failed");
  await seen(page, "broken");
  assert.equal(await page.$$eval("tbody tr", (rows) => rows.length), 1);
  await page.select("#state", "");
  await page.type("#name", "readi");
  await page.waitForFunction(() => document.querySelectorAll("tbody tr").length === 1);
  await go("jobs/readings/flow");
  await page.waitForFunction(() => /^[0-9.]+k?$/.test(document.querySelector(".stage .rate")?.innerText ?? ""));
  const edges = await page.$$eval(".edges path", (paths) => paths.map((path) => path.getAttribute("d")));
  assert.equal(edges.length, 4);
  assert.ok(edges.every((edge) => !edge.includes("NaN")), edges.join(" "));
  await seen(page, "fahrenheit f64");
  // Keyboard: the first Tab leads to the link that skips the navigation.
  await page.evaluate(() => document.activeElement?.blur());
  await page.reload();
  await seen(page, "archive");
  await page.keyboard.press("Tab");
  assert.equal(await page.evaluate(() => document.activeElement.id), "skip");
  await page.keyboard.press("Enter");
  assert.equal(await page.evaluate(() => document.activeElement.id), "main");
  await revisions();
  await bars();
  await audited();
  await go("jobs/no-such-job");
  await seen(page, "There is no job");
}

/** A revision is compared with the one before. */
async function revisions() {
  await go("jobs/loud/revisions");
  await seen(page, "Changes since 1");
  await page.$$eval("main button", (buttons) => buttons.find((button) => button.innerText === "Changes since 1").click());
  await page.waitForSelector(".diff");
  const signs = await page.$$eval(".diff li", (lines) => lines.map((line) => line.dataset.sign));
  assert.ok(signs.includes("+"), signs.join(""));
  await seen(page, "second words");
  for (const width of WIDTHS) {
    await sized(page, width, "light");
    await picture("diff", width, "light");
  }
  await sized(page, 1400, "light");
}

/** What a tenant uses of its ceiling is the width of a bar. */
async function bars() {
  await go("tenants");
  await seen(page, "1 of 4");
  const widths = await page.$$eval('article[aria-label="blue"] .bar', (bars) => bars.map((bar) =>
    [bar.querySelector(".bar-label").innerText, bar.querySelector(".bar-fill").style.inlineSize, bar.querySelector(".bar-text").innerText]));
  const jobs = widths.find(([label]) => label === "running jobs");
  assert.deepEqual(jobs, ["running jobs", "25%", "1 of 4"]);
  assert.match(widths.find(([label]) => label === "memory")[2], / of 2 GiB$/);
}

/** The newest entry is first, and a refused request says so. */
async function audited() {
  await go("audit");
  await seen(page, "PUT /v1/jobs/loud");
  const numbers = await page.$$eval("tbody th", (cells) => cells.map((cell) => Number(cell.innerText)));
  assert.ok(numbers.length > 5 && numbers.every((number, at) => at === 0 || number < numbers[at - 1]), numbers.join(" "));
  await seen(page, "409 still-live");
}

/** A job is stopped with the keyboard, and the page notices without a reload. */
async function stopped() {
  await go("jobs/stops");
  await seen(page, "running");
  await page.focus(".actions button:last-child");
  await page.keyboard.press("Enter");
  await page.waitForSelector("dialog[open]");
  await picture("stop", 1400, "light");
  await page.keyboard.press("Tab");
  await page.keyboard.press("Enter");
  await seen(page, "stopped");
}

/** Views in which this server has no text of a stranger: no tenant's, no device's, and digests are digits. */
const SILENT = new Set(["tenants", "components", "machine"]);

/** Names and messages of strangers, on every view, in every field of every answer. */
async function strangers() {
  const { page: other, wrong: wrongThere } = await watched(browser, url);
  await hostile(other, url);
  await sized(other, 1400, "light");
  const shown = [];
  for (const [hash, , name] of VIEWS) {
    await other.goto(`${url}/#/${hash}`);
    await other.reload();
    if (!SILENT.has(name)) await other.waitForFunction((mark) => document.querySelector("main").innerText.includes(mark), { timeout: 20000 }, CORPUS[0])
      .catch(() => wrongThere.push(`${name} shows no text of a stranger`));
    await new Promise((done) => setTimeout(done, 600));
    const made = await other.evaluate(() => ({
      elements: [...document.querySelectorAll("main :is(img, script, iframe, object, embed, math, base, form[action])")].map((e) => e.outerHTML),
      listeners: [...document.querySelectorAll("main *")].flatMap((e) => [...e.attributes]).filter((a) => a.name.startsWith("on")).map((a) => a.name),
      links: [...document.querySelectorAll("a")].map((a) => a.href).filter((href) => !href.startsWith(location.origin)),
      pwned: window.pwned ?? null,
      violations: window.violations,
    }));
    assert.deepEqual(made, { elements: [], listeners: [], links: [], pwned: null, violations: [] }, name);
    shown.push(...(await other.evaluate((corpus) => {
      const text = document.querySelector("main").innerText;
      return corpus.filter((part) => text.includes(part));
    }, CORPUS)));
    await other.screenshot({ path: path.join(out, `strangers-${name}.png`) });
  }
  assert.deepEqual([...new Set(shown)].sort(), [...CORPUS].sort(), "each text of the corpus is shown as it is");
  assert.deepEqual(wrongThere, []);
  await other.close();
}

async function signOut() {
  await sized(page, 1400, "light");
  await go("jobs");
  await seen(page, "Sign out", "header");
  await page.$$eval("header button", (buttons) => buttons.at(-1).click());
  await seen(page, "with a token");
  await page.reload();
  await seen(page, "with a token");
}

try {
  for (const step of [signIn, views, truths, stopped, strangers, signOut]) {
    const begun = Date.now();
    await step();
    console.log(`${step.name}: ${((Date.now() - begun) / 1000).toFixed(1)} s`);
  }
  assert.deepEqual(wrong, []);
  assert.deepEqual(complaints, []);
} catch (error) {
  await page.screenshot({ path: path.join(out, "failed.png") }).catch(() => null);
  console.error(error.stack ?? error, wrong, complaints);
  process.exitCode = 1;
} finally {
  await browser.close();
}
