// Pages whose every text is an attack: nothing runs, nothing is asked for, and it is read literally.
import assert from "node:assert/strict";
import { test } from "node:test";
import { THEMES, open, printed } from "./browser.mjs";

for (const name of ["attack.html", "attack_run.html"]) {
  test(`${name}: nothing runs, however the page is used`, async () => {
    for (const theme of THEMES) {
      const { page, problems, context } = await open(name, { theme });
      await page.evaluate(() => document.querySelectorAll("details").forEach((d) => { d.open = true; }));
      await page.getByLabel("Show rows with").fill("<img src=x onerror=window.attacked=9>");
      await page.getByLabel("Show rows with").fill("");
      for (const button of await page.locator("button.copy").all()) await button.click();
      for (const button of await page.locator("th:first-child button.sorter").all()) await button.click();
      for (const canvas of await page.locator("canvas").all()) {
        await canvas.focus();
        for (const key of ["ArrowRight", "ArrowDown", "ArrowRight", "Enter"]) await page.keyboard.press(key);
        await canvas.hover();
      }
      await printed(page);
      const made = await page.evaluate(() => ({
        attacked: window.attacked,
        elements: document.querySelectorAll(
          "body script:not([id]):not(:nth-last-of-type(-n+4)), img, svg, iframe, object, embed, link, base, " +
          "meta[http-equiv=refresh], body style, [onload], [onerror], [onmouseover], [href^=javascript]").length,
        hidden: getComputedStyle(document.body).display === "none",
      }));
      assert.deepEqual(made, { attacked: undefined, elements: 0, hidden: false });
      assert.deepEqual(problems, []);
      await context.close();
    }
  });

  test(`${name}: texts stand as they are, and what acts on text is spelled out`, async () => {
    const { page, context } = await open(name);
    const text = await page.evaluate(() => document.body.textContent);
    for (const attack of ["<script>window.attacked=1</script>", "</script><script>window.attacked=2</script>",
                          "<img src=x onerror=window.attacked=3>", "<a href=\"javascript:window.attacked=6\">press</a>",
                          "&lt;b&gt;&#x3c;script&#x3e;", "<U+202E>gnp.exe<U+2066><U+2069>", "␛]0;title␇"]) {
      assert.ok(text.includes(attack), attack);
    }
    // No bidirectional control, no control character but tab and line feed.
    assert.doesNotMatch(text, /[\u202a-\u202e\u2066-\u2069\u200e\u200f\u0000-\u0008\u000b-\u001f\u007f]/);
    await context.close();
  });
}

test("attack.html: labels of charts and legends are text", async () => {
  const { page, context } = await open("attack.html");
  const canvas = page.locator("canvas").first();
  await canvas.focus();
  await page.keyboard.press("ArrowRight");
  assert.ok((await page.locator(".readout").first().textContent()).includes("window.attacked"));
  assert.ok((await page.locator(".legend").allTextContents()).join().includes("window.attacked"));
  assert.ok((await canvas.getAttribute("aria-label")).includes("<"));
  await context.close();
});

test("a copied table cannot act where Markdown is shown", async () => {
  const { page, context } = await open("attack.html");
  await page.locator("button.copy").first().click();
  const copied = await page.evaluate(() => navigator.clipboard.readText());
  assert.doesNotMatch(copied, /(^|[^\\])[<>]/);
  const lines = copied.trim().split("\n").slice(2);
  const columns = (line) => line.replace(/\\./g, "").split("|").length;
  assert.ok(lines.length > 3);
  assert.ok(lines.every((line) => columns(line) === columns(lines[0])));
  await context.close();
});

test("a script that got into the page would be refused", async () => {
  const { page, problems, context } = await open("example.html");
  let asked = false;
  await context.route("https://attack.invalid/**", (route) => {
    asked = true;
    return route.fulfill({ status: 200, body: "" });
  });
  await page.evaluate(() => {
    const script = document.createElement("script");
    script.textContent = "window.attacked = 1";
    document.body.append(script);
    const image = new Image();
    image.src = "https://attack.invalid/a.png";
    document.body.insertAdjacentHTML("beforeend", "<b onclick='window.attacked=2' id=bold>x</b>");
    document.getElementById("bold").click();
  });
  await page.waitForTimeout(100);
  assert.equal(await page.evaluate(() => window.attacked), undefined);
  assert.equal(asked, false);
  for (const refused of [/inline script/, /attack\.invalid/, /event handler/]) {
    assert.ok(problems.some((problem) => refused.test(problem)), problems.join("\n"));
  }
  await context.close();
});
