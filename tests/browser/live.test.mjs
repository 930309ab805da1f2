// `report --serve` while a sweep runs: new figures come in place, and what a reader does stays.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { chromium } from "playwright-core";

const SWEEP = process.env.DS4_SWEEP_BINARY;
const CHROMIUM = process.env.DS4_CHROMIUM || "/usr/bin/chromium";
if (!SWEEP) throw new Error("DS4_SWEEP_BINARY must name ds4-sweep; see README.md");

// The first line a program prints, while it goes on.
const firstLine = async (child) => {
  let text = "";
  for await (const bytes of child.stdout) {
    text += bytes;
    if (text.includes("\n")) return text.split("\n")[0];
  }
  throw new Error("it ended without a word");
};

test("a served report follows the sweep and keeps what is open, where one is and the focus", async () => {
  const folder = mkdtempSync(join(tmpdir(), "ds4-live-"));
  const file = (name) => join(folder, name);
  writeFileSync(file("script.json"), JSON.stringify({ rules: [
    { seed: 1, contains: "Japan", text: "Tokyo <img src=x onerror=alert(1)>" },
    { seed: 1, text: "no" },
    { delay_ms: 400, text: "OK" }] }));
  writeFileSync(file("profile.toml"), `name = "live"
description = "scripted"
target = "scripted"
script = "script.json"
[[suite]]
name = "smoke"
[sweep]
"engine.seed" = [1, 2]
settle_timeout = "100ms"
`);
  const run = (...words) => spawn(SWEEP, [...words, "--db", file("results.db")]);
  const measuring = run("run", file("profile.toml"), "--no-progress");
  const ended = once(measuring, "exit");
  const browser = await chromium.launch({ executablePath: CHROMIUM });
  let serving;
  try {
    // The first cell takes no time, each answer of the second does.
    let address = "";
    for (let i = 0; i < 100 && !address; ++i) {
      serving = run("report", "latest", "--serve", "--port", "0");
      address = await firstLine(serving).catch(() => "");
      if (!address) await new Promise((resolve) => { setTimeout(resolve, 100); });
    }
    const page = await browser.newPage({ viewport: { width: 1200, height: 800 } });
    const problems = [];
    page.on("console", (message) => {
      if (["error", "warning"].includes(message.type())) problems.push(message.text());
    });
    page.on("pageerror", (error) => problems.push(error.message));
    page.on("dialog", (dialog) => { problems.push(dialog.message()); dialog.dismiss(); });
    page.on("request", (request) => {
      if (!request.url().startsWith(new URL(address).origin)) problems.push(request.url());
    });
    await page.goto(address);
    const shown = page.frameLocator("iframe:not(.coming)");
    const versionShown = () => page.locator("iframe:not(.coming)").getAttribute("src");
    const item = shown.locator("details.item", { hasText: "smoke/" }).first();
    await item.waitFor();
    const title = await item.locator("summary").textContent();
    await item.locator("summary").click();
    await shown.getByLabel("Show rows with").fill("smoke");
    await shown.getByLabel("Show rows with").press("ArrowLeft");
    await item.evaluate((element) => { element.scrollIntoView({ block: "start" }); scrollBy(0, -100); });
    const before = await versionShown();
    const top = () => shown.locator("details.item", { hasText: title }).first()
      .evaluate((element) => Math.round(element.getBoundingClientRect().top));
    const topBefore = await top();

    await page.waitForFunction((src) => {
      const frame = document.querySelector("iframe:not(.coming)");
      return frame && frame.getAttribute("src") !== src;
    }, before, { timeout: 60000 });
    const same = shown.locator("details.item", { hasText: title }).first();
    assert.equal(await same.evaluate((element) => element.open), true, "what was open is open");
    assert.ok(Math.abs(await top() - topBefore) <= 2, `${await top()} where it was ${topBefore}`);
    const box = shown.getByLabel("Show rows with");
    assert.equal(await box.inputValue(), "smoke");
    assert.equal(await box.evaluate((input) => document.activeElement === input && input.selectionStart), 4);
    assert.match(page.url(), /filter=smoke/, "the address has the view");
    assert.equal(await page.evaluate(() => performance.getEntriesByType("navigation").length), 1);

    await ended;
    await page.waitForFunction(() => {
      const frame = document.querySelector("iframe:not(.coming)");
      return frame && /40 of 40|Everything/.test(frame.contentDocument.body.textContent);
    }, null, { timeout: 60000 });
    const last = await versionShown();
    await page.waitForTimeout(2500);
    assert.equal(await versionShown(), last, "nothing is written, nothing is loaded");
    serving.kill("SIGINT");
    await once(serving, "exit");
    await page.getByRole("status").first().getByText("does not answer").waitFor({ timeout: 10000 });
    assert.deepEqual(problems.filter((text) => !/ERR_CONNECTION_REFUSED/.test(text)), []);
  } finally {
    measuring.kill("SIGKILL");
    if (serving) serving.kill("SIGKILL");
    await browser.close();
    rmSync(folder, { recursive: true, force: true });
  }
});
