// The pictures of docs/report.md: node screenshots.mjs REPORT.html FOLDER
import { mkdirSync } from "node:fs";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { chromium } from "playwright-core";

const [report, folder] = process.argv.slice(2);
if (!folder) {
  console.error("usage: node screenshots.mjs REPORT.html FOLDER");
  process.exit(2);
}
mkdirSync(folder, { recursive: true });
const browser = await chromium.launch({ executablePath: process.env.DS4_CHROMIUM || "/usr/bin/chromium" });

// From the top of `first` to the bottom of `last`.
const shoot = async (name, { width, theme, first, last, address = "" }) => {
  const context = await browser.newContext({ viewport: { width, height: 900 }, colorScheme: theme });
  const page = await context.newPage();
  page.setDefaultTimeout(120000);
  await page.goto(pathToFileURL(resolve(report)).href + address);
  await page.addStyleTag({ content: "nav { position: static !important; }" }).catch(() => {});
  // It names paths and hardware of whoever ran it.
  await page.evaluate(() => document.getElementById("run")?.remove());
  if (await page.locator(last).count() === 0) throw new Error(`${report} has no ${last} for ${name}`);
  const [top, bottom] = await page.evaluate(([a, b]) => [
    document.querySelector(a).getBoundingClientRect().top + scrollY,
    document.querySelector(b).getBoundingClientRect().bottom + scrollY], [first, last]);
  await page.screenshot({ path: join(folder, name), fullPage: true,
                          clip: { x: 0, y: top - 16, width, height: bottom - top + 32 } });
  await context.close();
};

await shoot("report.png", { width: 1280, theme: "light", first: "header", last: "#trade-off figure:nth-of-type(1)" });
await shoot("report-dark.png", { width: 1280, theme: "dark", first: "#speed", last: "#speed figure:nth-of-type(2)" });
await shoot("report-memory.png", { width: 1280, theme: "light", first: "#memory figure", last: "#memory figure" });
await shoot("report-phone.png", { width: 360, theme: "light", first: "#trade-off", last: "#trade-off figure:nth-of-type(2)" });
await browser.close();
