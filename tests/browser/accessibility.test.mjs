// axe-core on the page, and the contrast of every colour of the sheet in both themes.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { test } from "node:test";
import { SIZES, THEMES, open } from "./browser.mjs";

const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

for (const theme of THEMES) {
  for (const size of SIZES) {
    test(`axe finds nothing serious in ${theme} at ${size.width} px`, async () => {
      for (const name of ["example.html", "attack_run.html"]) {
        const { page, context } = await open(name, { theme, size });
        await page.evaluate(() => {
          document.querySelectorAll("details").forEach((d) => { d.open = true; });
          // A long table more of the same says nothing new.
          document.querySelectorAll("tbody tr:nth-child(n+30)").forEach((row) => row.remove());
        });
        await page.evaluate(AXE);
        const { violations } = await page.evaluate(() =>
          axe.run(document, { resultTypes: ["violations"] }));
        const serious = violations.filter((v) => ["serious", "critical"].includes(v.impact));
        assert.deepEqual(serious.map((v) => `${v.id}: ${v.nodes[0].html.slice(0, 200)}`), [], name);
        await context.close();
      }
    });
  }
}

// WCAG 2.2: relative luminance, contrast ratio.
const luminance = ([r, g, b]) => {
  const linear = [r, g, b].map((c) => (c / 255 <= 0.04045 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4));
  return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2];
};
const contrast = (a, b) => {
  const [low, high] = [luminance(a), luminance(b)].sort((x, y) => x - y);
  return (high + 0.05) / (low + 0.05);
};

// What the browser makes of colours given as CSS, as red, green, blue.
const rgbOf = (page, colours) => page.evaluate((all) => {
  const context = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  return all.map((colour) => {
    context.fillStyle = colour;
    context.fillRect(0, 0, 1, 1);
    return [...context.getImageData(0, 0, 1, 1).data].slice(0, 3);
  });
}, colours);

const variables = (page, names) => page.evaluate((all) => all.map((name) =>
  getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim()), names);

test("the contrast of known pairs", () => {
  assert.ok(Math.abs(contrast([0, 0, 0], [255, 255, 255]) - 21) < 1e-9);
  assert.ok(Math.abs(contrast([118, 118, 118], [255, 255, 255]) - 4.54) < 0.01);
});

for (const theme of THEMES) {
  test(`text has 4.5:1 and marks have 3:1 in ${theme}`, async () => {
    const { page, context } = await open("example.html", { theme });
    const ratio = async (front, back) => {
      const values = await variables(page, [front, back]);
      assert.ok(values.every(Boolean), `--${front}, --${back}: not in the sheet`);
      return contrast(...await rgbOf(page, values));
    };
    for (const back of ["back", "head"]) {
      for (const text of ["text", "muted", "good", "bad", "unsure", "link"]) {
        assert.ok(await ratio(text, back) >= 4.5, `--${text} on --${back}`);
      }
    }
    assert.ok(await ratio("text", "chosen") >= 4.5, "--text on --chosen");
    const marks = [...Array(8).keys()].map((i) => `series-${i}`).concat("edge", "muted", "bad");
    for (const mark of marks) assert.ok(await ratio(mark, "back") >= 3, `--${mark}`);
    await context.close();
  });

  test(`every step of the heat maps is legible in ${theme}, and no two are the same`, async () => {
    const { page, context } = await open("example.html", { theme });
    const cells = await page.evaluate(() => {
      const row = document.querySelector("tbody").insertRow();
      return ["heat", "less", "more"].flatMap((scale) => [...Array(11).keys()].map((step) => {
        const cell = row.insertCell();
        cell.className = `number ${scale} step${step}`;
        const { color, backgroundColor } = getComputedStyle(cell);
        return { name: cell.className, color, backgroundColor };
      }));
    });
    for (const cell of cells) {
      const [text, back] = await rgbOf(page, [cell.color, cell.backgroundColor]);
      assert.ok(contrast(text, back) >= 4.5, `${cell.name}: ${contrast(text, back).toFixed(2)}`);
    }
    for (let i = 0; i < cells.length; i += 11) {
      assert.equal(new Set(cells.slice(i, i + 11).map((cell) => cell.backgroundColor)).size, 11);
    }
    await context.close();
  });
}

test("headings descend one by one, landmarks and tables are marked up", async () => {
  const { page, context } = await open("example.html");
  const levels = await page.locator("h1, h2, h3, h4").evaluateAll((all) => all.map((h) => Number(h.tagName[1])));
  assert.equal(levels.filter((level) => level === 1).length, 1);
  levels.forEach((level, i) => assert.ok(i === 0 || level <= levels[i - 1] + 1));
  for (const role of ["banner", "navigation", "main"]) assert.equal(await page.getByRole(role).count(), 1);
  assert.equal(await page.locator("table:not(:has(caption))").count(), 0);
  assert.equal(await page.locator("th:not([scope])").count(), 0);
  await context.close();
});

test("nothing moves, with reduced motion or without", async () => {
  for (const motion of ["reduce", "no-preference"]) {
    const { page, context } = await open("example.html", { motion });
    assert.equal(await page.evaluate(() => document.getAnimations().length), 0);
    assert.ok(await page.evaluate(() => [...document.querySelectorAll("canvas")]
      .every((canvas) => Chart.getChart(canvas).options.animation === false)));
    await context.close();
  }
});
