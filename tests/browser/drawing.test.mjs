// The page opens without a sound, draws every chart, and fits screen and paper.
import assert from "node:assert/strict";
import { test } from "node:test";
import { NARROW, SIZES, THEMES, open, printed } from "./browser.mjs";

// Of each canvas: how many pixels it has of each of its series' colours, and how many of any.
const inkOfCharts = (page) => page.evaluate(() => {
  const models = JSON.parse(document.getElementById("charts").textContent);
  const probe = document.createElement("canvas").getContext("2d");
  const rgb = (colour) => {
    probe.clearRect(0, 0, 1, 1);
    probe.fillStyle = colour;
    probe.fillRect(0, 0, 1, 1);
    return probe.getImageData(0, 0, 1, 1).data;
  };
  const variable = (name) => getComputedStyle(document.documentElement).getPropertyValue(name);
  return models.map((model) => {
    const canvas = document.querySelector(`[data-chart="${model.id}"] canvas`);
    const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
    let any = 0;
    for (let i = 3; i < data.length; i += 4) any += data[i] > 0;
    const series = model.series
      .filter((one) => one.form !== "area" && !one.points.every((point) => point.faint))
      .map((one) => {
        const name = one.form === "crosses" ? "--bad"
          : one.colour < 0 ? "--muted" : `--series-${one.colour % 8}`;
        const wanted = rgb(variable(name));
        let pixels = 0;
        for (let i = 0; i < data.length; i += 4) {
          pixels += data[i + 3] > 200 && [0, 1, 2].every((c) => Math.abs(data[i + c] - wanted[c]) < 12);
        }
        return { name: one.name, pixels };
      });
    return { id: model.id, any, series, picture: canvas.toDataURL() };
  });
});

for (const name of ["example.html", "attack_run.html"]) {
  for (const theme of THEMES) {
    test(`${name} opens in ${theme} without an error or a request`, async () => {
      const { page, problems, context } = await open(name, { theme });
      await page.waitForTimeout(200);
      assert.deepEqual(problems, []);
      await context.close();
    });
  }
}

test("every chart is drawn, in the colours of both themes", async () => {
  const pictures = {};
  for (const theme of THEMES) {
    const { page, context } = await open("example.html", { theme });
    const charts = await inkOfCharts(page);
    assert.ok(charts.length >= 6);
    for (const chart of charts) {
      assert.ok(chart.any > 2000, `${chart.id} in ${theme}: ${chart.any} pixels`);
      for (const series of chart.series) {
        assert.ok(series.pixels >= 8, `${chart.id}, ${series.name}, in ${theme}: not drawn`);
      }
    }
    pictures[theme] = charts.map((chart) => chart.picture);
    await context.close();
  }
  pictures.light.forEach((picture, i) => assert.notEqual(picture, pictures.dark[i]));
});

test("stacked areas fill down to the one below, not over each other", async () => {
  const { page, context } = await open("example.html");
  const fills = await page.evaluate(() => Chart.getChart(document.querySelector("#chart-memory-time canvas"))
    .data.datasets.filter((dataset) => dataset.stack === "areas").map((dataset) => dataset.fill));
  assert.deepEqual(fills, ["origin", 0, 1, 2, 3, 4, 5, 6]);
  await context.close();
});

test("a chart is drawn anew when the theme is switched", async () => {
  const { page, context } = await open("example.html", { theme: "light" });
  const before = await inkOfCharts(page);
  await page.getByRole("button", { name: "Dark" }).click();
  const switched = await inkOfCharts(page);
  before.forEach((chart, i) => assert.notEqual(chart.picture, switched[i].picture));
  switched.forEach((chart) => chart.series.forEach((series) => assert.ok(series.pixels >= 8)));
  await context.close();
});

for (const size of SIZES) {
  test(`nothing is cut at ${size.width} px, nor the page wider than its window`, async () => {
    for (const name of ["example.html", "attack.html", "attack_run.html"]) {
      const { page, context } = await open(name, { size });
      await page.evaluate(() => document.querySelectorAll("details").forEach((d) => { d.open = true; }));
      const [scroll, window] = await page.evaluate(() =>
        [document.documentElement.scrollWidth, document.documentElement.clientWidth]);
      assert.ok(scroll <= window, `${name}: ${scroll} px in ${window}`);
      const cut = await page.evaluate(() => [...document.querySelectorAll("body *")]
        .filter((e) => !e.closest(".scroll") || e.matches(".scroll"))
        .filter((e) => e.checkVisibility() && (e.getBoundingClientRect().right > innerWidth + 1 ||
          e.getBoundingClientRect().left < -1))
        .map((e) => `${e.tagName} ${e.className} ${e.textContent.slice(0, 40)}`));
      assert.deepEqual(cut, [], name);
      await context.close();
    }
  });
}

test("a wide table scrolls in its own box, reached by the keyboard", async () => {
  const { page, context } = await open("example.html", { size: NARROW });
  const boxes = await page.evaluate(() => [...document.querySelectorAll(".scroll")]
    .filter((box) => box.checkVisibility() && box.scrollWidth > box.clientWidth)
    .map((box) => box.tabIndex >= 0 || box.querySelector("button, a") !== null));
  assert.ok(boxes.length > 0);
  assert.ok(boxes.every(Boolean));
  await context.close();
});

const sentences = (page) => page.evaluate(() =>
  [...document.querySelectorAll("h1, h2, h3, figcaption p, main section > p, caption")]
    .map((e) => e.textContent));
const squeeze = (text) => text.replace(/\s+/g, "");

for (const scripts of [true, false]) {
  test(`prints every heading and answer ${scripts ? "with" : "without"} scripts`, async () => {
    const { page, context } = await open("example.html", { scripts, theme: "dark" });
    const pages = await printed(page);
    assert.ok(pages.length > 5, `${pages.length} pages`);
    const text = squeeze(pages.join(""));
    const plain = await open("example.html", { scripts: false });
    for (const sentence of await plain.page.locator(
      "h1, h2, h3, figcaption p, main section > p, section > .scroll caption").allTextContents()) {
      assert.ok(text.includes(squeeze(sentence)), `not on paper: ${sentence}`);
    }
    if (scripts) assert.ok(text.includes(squeeze("The code is A-0.")), "failed items are open");
    pages.slice(0, -1).forEach((sheet, i) => {
      assert.match(sheet, /ds4-sweep, run aaaaaaaa, commit 0123456789ab/, `margin of page ${i + 1}`);
    });
    const longest = pages.filter((sheet) => (sheet.match(/needle\/\d+ +K1/g) ?? []).length > 10);
    assert.ok(longest.length > 10 && longest.every((sheet) => /case +cell +grade/.test(sheet)),
              "the heading row is repeated");
    await plain.context.close();
    await context.close();
  });
}

test("after printing the page is as before", async () => {
  const { page, context } = await open("example.html", { theme: "dark" });
  await printed(page);
  assert.equal(await page.locator("details[open]").count(), 0);
  assert.equal(await page.evaluate(() => document.documentElement.dataset.theme), undefined);
  assert.equal(await page.evaluate(() => location.hash.includes("open=")), false);
  await context.close();
});

test("without scripts every question, answer and table is there, and no dead control", async () => {
  const { page, problems, context } = await open("example.html", { scripts: false });
  for (const figure of await page.locator("figure").all()) {
    assert.ok(await figure.locator("h3").isVisible());
    assert.ok((await figure.locator("figcaption p").textContent()).length > 20);
    await figure.locator("summary").click();
    assert.ok(await figure.locator("table").isVisible());
    assert.ok(await figure.locator("tbody tr").count() > 1);
  }
  assert.equal(await page.locator("button, input").count(), 0);
  await page.locator("details.item summary").first().click();
  assert.ok(await page.getByText("The code is A-0.").isVisible());
  assert.deepEqual(problems, []);
  await context.close();
});

test("2,000 rows are filtered and sorted within a breath", async () => {
  const { page, context } = await open("example.html");
  const milliseconds = await page.evaluate(() => {
    const start = performance.now();
    const box = document.getElementById("filter");
    box.value = "wrong";
    box.dispatchEvent(new Event("input"));
    const table = [...document.querySelectorAll("table")].find((t) => t.rows.length > 1000);
    table.tHead.querySelector("th:nth-child(4) button").click();
    document.body.getBoundingClientRect();
    return performance.now() - start;
  });
  assert.ok(milliseconds < 2000, `${milliseconds} ms`);
  await context.close();
});
