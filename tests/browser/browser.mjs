// Opens pages of DS4_PAGES in the browser DS4_CHROMIUM and keeps a record of what they must not do.
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before } from "node:test";
import { pathToFileURL } from "node:url";
import { chromium } from "playwright-core";

const PAGES = process.env.DS4_PAGES;
const CHROMIUM = process.env.DS4_CHROMIUM || "/usr/bin/chromium";
if (!PAGES) throw new Error("DS4_PAGES must name the folder that write_pages filled; see README.md");

export const WIDE = { width: 1600, height: 1000 };
export const NARROW = { width: 360, height: 740 };
export const SIZES = [WIDE, NARROW];
export const THEMES = ["light", "dark"];

let browser;
before(async () => {
  browser = await chromium.launch({ executablePath: CHROMIUM });
});
after(async () => {
  await browser.close();
});

export const addressOf = (name) => pathToFileURL(join(PAGES, name)).href;

/// Opens a page by its file name. `problems` collects, in words: errors on the console (a policy's
/// refusals among them), uncaught errors, dialogs, and requests for anything but the file.
export const open = async (name, { fragment = "", theme = "light", size = WIDE, scripts = true,
                                   motion = "no-preference" } = {}) => {
  const context = await browser.newContext({ viewport: size, colorScheme: theme,
                                             javaScriptEnabled: scripts, reducedMotion: motion });
  await context.grantPermissions(["clipboard-read", "clipboard-write"]);
  const page = await context.newPage();
  page.setDefaultTimeout(120000);  // of a machine with much else to do
  const problems = [];
  const address = addressOf(name);
  page.on("console", (message) => {
    if (["error", "warning"].includes(message.type())) problems.push(`console: ${message.text()}`);
  });
  page.on("pageerror", (error) => problems.push(`error: ${error.message}`));
  page.on("dialog", (dialog) => {
    problems.push(`dialog: ${dialog.message()}`);
    dialog.dismiss();
  });
  page.on("request", (request) => {
    if (request.url().split("#")[0] !== address) problems.push(`request: ${request.url()}`);
  });
  page.on("popup", (popup) => problems.push(`popup: ${popup.url()}`));
  await page.goto(address + fragment);
  return { page, problems, context };
};

/// What the open page prints, as text page by page (pdftotext), with `scripts` as loaded.
export const printed = async (page) => {
  const folder = mkdtempSync(join(tmpdir(), "ds4-print-"));
  try {
    const file = join(folder, "page.pdf");
    writeFileSync(file, await page.pdf({ format: "A4", preferCSSPageSize: true }));
    return execFileSync("pdftotext", ["-layout", file, "-"], { encoding: "utf8", maxBuffer: 1e8 })
      .split("\f");
  } finally {
    rmSync(folder, { recursive: true });
  }
};
