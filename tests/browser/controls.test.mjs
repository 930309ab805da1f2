// Filter, sorting, links that reopen a view, copying, theme; and all of it by keyboard alone.
import assert from "node:assert/strict";
import { test } from "node:test";
import { open } from "./browser.mjs";

const SPEED = "Speed by suite and prompt length.";
const tableOf = (page, caption) => page.locator("table", { has: page.locator("caption", { hasText: caption }) });
const columnOf = (table, n) => table.locator(`tbody tr:visible > :nth-child(${n})`).allTextContents();
const sorter = (table, name) => table.locator("thead").getByRole("button", { name, exact: true });

test("rows and items are filtered by words, and the count is told", async () => {
  const { page, context } = await open("example.html");
  const cases = tableOf(page, "Every case.");
  await page.getByLabel("Show rows with").fill("k160 WRONG");
  assert.ok((await columnOf(cases, 2)).every((cell) => cell === "K160"));
  assert.ok((await columnOf(cases, 3)).every((grade) => grade === "✗ wrong"));
  assert.equal(await page.locator("details.item:visible").count(), 1);
  assert.match(await page.getByRole("status").textContent(), /^\d+ of 2,?0\d\d rows and items shown$/);
  // Tables that are not about cells or cases stay: they say what no filter changes.
  assert.ok(await tableOf(page, "K144: recall by needle depth").locator("tbody tr:visible").count() > 0);
  await page.getByLabel("Show rows with").fill("");
  assert.equal((await columnOf(cases, 1)).length, 2000);
  await context.close();
});

test("columns are sorted by what their units mean, texts by their numbers, nothing last", async () => {
  const { page, context } = await open("example.html");
  const speed = tableOf(page, SPEED);
  const written = await columnOf(speed, 4);
  await sorter(speed, "TTFT").click();
  assert.deepEqual(await columnOf(speed, 4), ["95.1 µs", "12.0 ms", "980 ms", "1.20 s", "2.50 min", "—"]);
  assert.equal(await speed.locator("thead th:nth-child(4)").getAttribute("aria-sort"), "ascending");
  await sorter(speed, "TTFT").click();
  assert.deepEqual(await columnOf(speed, 4), ["2.50 min", "1.20 s", "980 ms", "12.0 ms", "95.1 µs", "—"]);
  await sorter(speed, "TTFT").click();
  assert.deepEqual(await columnOf(speed, 4), written);
  await sorter(speed, "peak").click();
  assert.deepEqual(await columnOf(speed, 6), ["512 B", "64.0 KiB", "900 MiB", "1.10 GiB", "97.2 GiB", "—"]);
  const cases = tableOf(page, "Every case.");
  await sorter(cases, "case").click();
  assert.deepEqual((await columnOf(cases, 1)).slice(0, 12).at(-1), "needle/11");
  const gates = tableOf(page, "Each gate");
  await sorter(gates, "bound").click();
  assert.deepEqual(await columnOf(gates, 4), ["≥ 0.980", "≥ 15.0", "none"]);
  await context.close();
});

test("the address reopens the same view", async () => {
  const first = await open("example.html", { theme: "light" });
  const { page } = first;
  await page.getByRole("button", { name: "Dark" }).click();
  await page.getByLabel("Show rows with").fill("k1 100% ?&#,");
  await page.getByLabel("Show rows with").fill("K144");
  await sorter(tableOf(page, SPEED), "TTFT").click();
  await sorter(tableOf(page, SPEED), "TTFT").click();
  await page.locator("details.item:visible summary").nth(1).click();
  await page.getByRole("link", { name: "Quality" }).click();
  const canvas = page.locator("#chart-decode canvas");
  await canvas.focus();
  await page.keyboard.press("ArrowRight");
  await page.keyboard.press("Enter");
  const viewOf = (some) => some.evaluate(() => ({
    theme: document.documentElement.dataset.theme,
    filter: document.getElementById("filter").value,
    sorted: [...document.querySelectorAll("th[aria-sort]:not([aria-sort=none])")]
      .map((th) => th.textContent + th.getAttribute("aria-sort")),
    rows: [...document.querySelectorAll("tbody tr:not([hidden])")].map((row) => row.textContent),
    open: [...document.querySelectorAll("details.item[open]")].map((item) => item.id),
    chosen: [...document.querySelectorAll("tr.chosen")].map((row) => row.textContent),
    address: location.hash,
  }));
  const view = await viewOf(page);
  assert.equal(view.theme, "dark");
  assert.deepEqual(view.sorted, ["TTFTdescending"]);
  assert.equal(view.open.length, 1);
  assert.ok(view.chosen.length > 0);
  assert.match(view.address, /^#quality\?theme=dark&filter=K144&cell=K144&sort=\d+\.3d&open=quality-\d+$/);
  const again = await open("example.html", { fragment: view.address, theme: "light" });
  assert.deepEqual(await viewOf(again.page), view);
  const [heading, nav] = await again.page.evaluate(() => ["#quality h2", "nav"]
    .map((what) => document.querySelector(what).getBoundingClientRect()));
  assert.ok(heading.top >= nav.bottom && heading.top < nav.bottom + 100, `at its section: ${heading.top}`);
  assert.deepEqual(again.problems, []);
  await again.context.close();
  await first.context.close();
});

test("what stands in an address is data: odd words are kept, nonsense is ignored", async () => {
  const filter = "100% %41 a?b &#,+ \"'";
  const first = await open("example.html");
  await first.page.getByLabel("Show rows with").fill(filter);
  const { hash } = new URL(first.page.url());
  const again = await open("example.html", { fragment: hash });
  assert.equal(await again.page.getByLabel("Show rows with").inputValue(), filter);
  const odd = await open("example.html", {
    fragment: "#%E0%A4%A?theme=red&sort=99.99d,x,0.77a&open=nobody,%00&cell=K999&filter=%ZZ" });
  assert.deepEqual(odd.problems, []);
  assert.equal(await odd.page.locator("tr.chosen").count(), 0);
  for (const { context } of [first, again, odd]) await context.close();
});

test("a table is copied as Markdown: the rows that are shown, in their order", async () => {
  const { page, context } = await open("example.html");
  await page.getByLabel("Show rows with").fill("K144");
  const speed = tableOf(page, SPEED);
  await sorter(speed, "TTFT").click();
  await page.getByRole("button", { name: `Copy as Markdown: ${SPEED}` }).click();
  assert.equal(await page.evaluate(() => navigator.clipboard.readText()), [
    "Speed by suite and prompt length.", "",
    "| cell | suite | n | TTFT | decode tok/s | peak |",
    "| --- | --- | ---: | ---: | ---: | ---: |",
    "| K144 | arithmetic | 3 | 980 ms | 1234.5 | 900 MiB |",
    "| K144 | needle @ 2048 | 24 | 2.50 min | 4938.0 | 97.2 GiB |", ""].join("\n"));
  assert.match(await page.getByRole("status").textContent(), /rows and items shown · table copied$/);
  await page.getByRole("button", { name: "Copy link" }).click();
  assert.equal(await page.evaluate(() => navigator.clipboard.readText()), page.url());
  await context.close();
});

test("the keyboard reaches every control, link, chart and item, and shows where it is", async () => {
  const { page, context } = await open("example.html");
  const wanted = await page.evaluate(() => {
    const all = [...document.querySelectorAll("a, button, input, summary, canvas")]
      .filter((element) => element.checkVisibility());
    all.forEach((element, i) => { element.dataset.stop = i; });
    return all.length;
  });
  assert.ok(wanted > 60);
  const reached = new Set();
  for (let i = 0; i < wanted + 20 && reached.size < wanted; ++i) {
    await page.keyboard.press("Tab");
    const now = await page.evaluate(() => {
      const { dataset, tagName } = document.activeElement;
      const { outlineStyle, outlineWidth } = getComputedStyle(document.activeElement);
      return { stop: dataset.stop, tagName, seen: outlineStyle !== "none" && parseFloat(outlineWidth) >= 2 };
    });
    if (now.stop === undefined) continue;
    assert.ok(now.seen, `${now.tagName} ${now.stop} does not show its focus`);
    reached.add(now.stop);
  }
  assert.equal(reached.size, wanted);
  await context.close();
});

test("arrow keys read a chart's values, Enter marks its cell everywhere, Escape ends it", async () => {
  const { page, context } = await open("example.html");
  const canvas = page.locator("#chart-decode canvas");
  const readout = page.locator("#chart-decode .readout");
  await canvas.focus();
  await page.keyboard.press("ArrowRight");
  assert.equal(await readout.textContent(),
    "K144; prompt tokens 512; decode tok/s 20 (19.2 to 20.6); median of 40");
  await page.keyboard.press("ArrowRight");
  assert.match(await readout.textContent(), /^K144; prompt tokens 2,048; /);
  await page.keyboard.press("ArrowDown");
  assert.match(await readout.textContent(), /^K160; prompt tokens 2,048; /);
  await page.keyboard.press("End");
  assert.match(await readout.textContent(), /^K160; prompt tokens 200,000; /);
  await page.keyboard.press("ArrowUp");
  await page.keyboard.press("Home");
  assert.match(await readout.textContent(), /^K144; prompt tokens 512; /);
  const other = page.locator("#chart-pareto-memory canvas");
  const unmarked = await other.evaluate((c) => c.toDataURL());
  await page.keyboard.press("Enter");
  assert.ok(await page.locator("tr.chosen").count() > 0);
  assert.ok(await page.locator("tr.chosen").evaluateAll((rows) =>
    rows.every((row) => [...row.cells].some((cell) => cell.textContent === "K144"))));
  assert.notEqual(await other.evaluate((c) => c.toDataURL()), unmarked);
  await page.keyboard.press("Escape");
  assert.equal(await page.locator("tr.chosen").count(), 0);
  assert.equal(await other.evaluate((c) => c.toDataURL()), unmarked);
  assert.equal(await readout.textContent(), "");
  await context.close();
});

test("the pointer reads a value and chooses its cell", async () => {
  const { page, context } = await open("example.html");
  const canvas = page.locator("#chart-decode canvas");
  await canvas.scrollIntoViewIfNeeded();
  const mark = await canvas.evaluate((c) => {
    const [point] = Chart.getChart(c).getDatasetMeta(0).data;
    return { x: point.x, y: point.y };
  });
  await canvas.hover({ position: mark });
  await page.waitForFunction((c) => Chart.getChart(c).tooltip.opacity > 0, await canvas.elementHandle());
  await canvas.click({ position: mark });
  await page.locator("tr.chosen").first().waitFor({ state: "attached" });
  await context.close();
});

test("items open by keyboard", async () => {
  const { page, context } = await open("example.html");
  await page.locator("#quality-1 summary").focus();
  await page.keyboard.press("Enter");
  assert.ok(await page.getByText("The code is A-0.").isVisible());
  await context.close();
});

test("the theme follows the system until it is chosen", async () => {
  const { page, context } = await open("example.html", { theme: "dark" });
  const background = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  const dark = await background();
  await page.emulateMedia({ colorScheme: "light" });
  const light = await background();
  assert.notEqual(light, dark);
  assert.equal(await page.getByRole("button", { name: "Dark" }).count(), 1);
  await page.getByRole("button", { name: "Dark" }).click();
  assert.equal(await background(), dark);
  await page.emulateMedia({ colorScheme: "dark" });
  await page.getByRole("button", { name: "Light" }).click();
  assert.equal(await background(), light);
  await context.close();
});
