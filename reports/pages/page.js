// What a reader does with a page: theme, filter, sorting, copying as Markdown, links that reopen the
// same view. The page is complete without it; every control is made here, so none is ever dead.
"use strict";

(() => {
  // ---- the view, kept in the address: #SECTION?theme=dark&filter=K160&sort=2.3d&open=quality-4 ----

  const view = { section: "", theme: "", filter: "", sort: new Map(), cell: "", open: new Set() };

  const readView = () => {
    const [section, query = ""] = location.hash.slice(1).split("?");
    const given = new URLSearchParams(query);
    view.section = section;  // as it stands: identifiers of a page need no escapes
    view.theme = ["light", "dark"].includes(given.get("theme")) ? given.get("theme") : "";
    view.filter = given.get("filter") || "";
    view.cell = given.get("cell") || "";
    view.open = new Set((given.get("open") || "").split(",").filter(Boolean));
    view.sort = new Map();
    for (const entry of (given.get("sort") || "").split(",")) {
      const parts = /^(\d+)\.(\d+)([ad])$/.exec(entry);
      if (parts) view.sort.set(Number(parts[1]), { column: Number(parts[2]), down: parts[3] === "d" });
    }
  };

  const writeView = () => {
    const given = new URLSearchParams();
    if (view.theme) given.set("theme", view.theme);
    if (view.filter) given.set("filter", view.filter);
    if (view.cell) given.set("cell", view.cell);
    if (view.sort.size > 0) {
      given.set("sort", [...view.sort].map(([t, s]) => `${t}.${s.column}${s.down ? "d" : "a"}`).join());
    }
    if (view.open.size > 0) given.set("open", [...view.open].join());
    const query = given.toString();
    history.replaceState(null, "", `#${view.section}${query ? `?${query}` : ""}`);
  };

  const element = (name, properties = {}, ...children) => {
    const made = Object.assign(document.createElement(name), properties);
    made.append(...children);
    return made;
  };

  // How many rows the filter leaves, and what was done last.
  const status = element("p", { className: "status" });
  status.setAttribute("role", "status");
  let count = "";
  const say = (text) => { status.textContent = [count, text].filter(Boolean).join(" · "); };

  // ---- tables ----

  const tables = [...document.querySelectorAll("main table")];
  const headings = (table) => [...table.tHead.rows[0].cells];
  const titles = tables.map((table) => headings(table).map((cell) => cell.textContent));

  const UNITS = { "%": 0.01, s: 1, ms: 1e-3, "µs": 1e-6, min: 60, h: 3600, B: 1, KiB: 2 ** 10, MiB: 2 ** 20,
                  GiB: 2 ** 30, TiB: 2 ** 40, KB: 1e3, MB: 1e6, GB: 1e9, TB: 1e12 };
  // "1,234.5 ms" -> 1.2345, "≥ 0.980" -> 0.98; NaN for what is no number.
  const numberOf = (text) => {
    const parts = /^[≥≤<>≈~]?\s*([+−-]?[\d,]*\.?\d+(?:e[+-]?\d+)?)(?![\w/])\s*(\S*)/.exec(text.trim());
    if (!parts) return NaN;
    const value = Number(parts[1].replaceAll(",", "").replace("−", "-"));
    return value * (UNITS[parts[2]] ?? 1);
  };

  const original = tables.map((table) => [...table.tBodies[0].rows]);
  const textOrder = new Intl.Collator("en", { numeric: true }).compare;

  // What a row is sorted by. Numbers stand before texts, and nothing at the end either way.
  const sortKey = (row, column) => {
    const text = row.cells[column]?.textContent.trim() ?? "";
    const number = numberOf(text);
    return { row, text, number, kind: ["", "—", "–", "-"].includes(text) ? 2 : Number.isNaN(number) ? 1 : 0 };
  };

  const sortTable = (index) => {
    const wanted = view.sort.get(index);
    let rows = original[index];
    if (wanted) {
      const sign = wanted.down ? -1 : 1;
      rows = rows.map((row) => sortKey(row, wanted.column)).sort((a, b) => {
        if (a.kind !== b.kind) return a.kind - b.kind;
        return sign * (a.kind === 0 ? a.number - b.number : textOrder(a.text, b.text));
      }).map((key) => key.row);
    }
    tables[index].tBodies[0].append(...rows);
    headings(tables[index]).forEach((cell, column) => {
      const here = wanted && wanted.column === column;
      cell.setAttribute("aria-sort", here ? (wanted.down ? "descending" : "ascending") : "none");
    });
  };

  // First click ascending, second descending, third as written.
  const sortBy = (index, column) => {
    const now = view.sort.get(index);
    if (!now || now.column !== column) view.sort.set(index, { column, down: false });
    else if (!now.down) view.sort.set(index, { column, down: true });
    else view.sort.delete(index);
    sortTable(index);
    writeView();
  };

  // ---- filter ----

  // Tables about cells, suites or cases are filtered; the others say what no filter changes.
  const FILTERED = new Set(["cell", "suite", "case", "gate"]);
  const filterable = titles.map((names) => names.some((name) => FILTERED.has(name)));
  const items = [...document.querySelectorAll("main details.item")];

  // Of a row or an item, in small letters.
  const searched = new Map();
  original.forEach((rows, i) => {
    if (filterable[i]) rows.forEach((row) => searched.set(row, row.textContent.toLowerCase()));
  });
  items.forEach((item) => searched.set(item, item.firstElementChild.textContent.toLowerCase()));

  const applyFilter = () => {
    const words = view.filter.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    searched.forEach((text, row) => {
      row.hidden = !words.every((word) => text.includes(word));
      if (!row.hidden) shown += 1;
    });
    count = words.length > 0 ? `${shown} of ${searched.size} rows and items shown` : "";
    say("");
  };

  // ---- copying ----

  const copyText = async (text, what) => {
    try {
      await navigator.clipboard.writeText(text);
      say(`${what} copied`);
    } catch {
      say(`${what} could not be copied: the browser refuses it`);
    }
  };

  const escapeMarkdown = (text) => text.trim().replace(/\s+/g, " ").replace(/[\\`*_{}[\]<>|#]/g, "\\$&");

  const tableMarkdown = (table) => {
    const line = (cells) => `| ${cells.join(" | ")} |`;
    const heads = headings(table);
    const rows = [...table.tBodies[0].rows].filter((row) => !row.hidden);
    return [escapeMarkdown(table.caption.querySelector("span").firstChild.textContent), "",
            line(heads.map((cell) => escapeMarkdown(cell.textContent))),
            line(heads.map((cell) => (cell.classList.contains("number") ? "---:" : "---"))),
            ...rows.map((row) => line([...row.cells].map((cell) => escapeMarkdown(cell.textContent))))]
      .join("\n") + "\n";
  };

  // ---- controls ----

  const button = (text, act, label = text) => {
    const made = element("button", { type: "button", textContent: text });
    if (label !== text) made.setAttribute("aria-label", label);
    made.addEventListener("click", act);
    return made;
  };

  tables.forEach((table, index) => {
    headings(table).forEach((cell, column) => {
      if (cell.textContent.trim() === "") return;
      const sorter = button(cell.textContent, () => sortBy(index, column));
      sorter.className = "sorter";
      cell.replaceChildren(sorter);
    });
    const caption = table.caption.querySelector("span");
    const copy = button("Copy", () => copyText(tableMarkdown(table), "table"),
                        `Copy as Markdown: ${caption.textContent}`);
    copy.className = "copy";
    caption.append(" ", copy);
  });

  const filterBox = element("input", { type: "search", id: "filter", autocomplete: "off" });
  filterBox.addEventListener("input", () => {
    view.filter = filterBox.value;
    applyFilter();
    writeView();
  });

  const dark = matchMedia("(prefers-color-scheme: dark)");
  const themeButton = button("", () => {
    view.theme = (view.theme || (dark.matches ? "dark" : "light")) === "dark" ? "light" : "dark";
    applyTheme();
    writeView();
  });
  const applyTheme = () => {
    const shown = view.theme || (dark.matches ? "dark" : "light");
    if (view.theme) document.documentElement.dataset.theme = view.theme;
    else delete document.documentElement.dataset.theme;
    themeButton.textContent = shown === "dark" ? "Light" : "Dark";
    pageCharts.drawAll();
  };
  dark.addEventListener("change", applyTheme);

  const toolbar = element("div", { className: "toolbar" },
    element("label", { htmlFor: "filter", textContent: "Show rows with" }), filterBox,
    themeButton, button("Copy link", () => copyText(location.href, "link")), status);
  toolbar.setAttribute("role", "group");
  toolbar.setAttribute("aria-label", "View");
  const nav = document.querySelector("nav");
  nav.append(toolbar);
  // Where it sticks to the top, what a link leads to stops below it.
  const keepRoomForNav = () => {
    const height = getComputedStyle(nav).position === "sticky" ? nav.offsetHeight : 0;
    document.documentElement.style.scrollPaddingTop = `${height + 8}px`;
  };
  keepRoomForNav();
  new ResizeObserver(keepRoomForNav).observe(nav);

  // ---- a cell chosen on a chart is marked in every table ----

  const markCell = (cell) => {
    for (const rows of original) {
      for (const row of rows) {
        const about = cell !== "" && [...row.cells].some((td) => td.textContent === cell);
        row.classList.toggle("chosen", about);
      }
    }
  };
  pageCharts.onChoice((cell) => {
    view.cell = cell;
    markCell(cell);
    say(cell ? `${cell} is marked; Escape ends it` : "");
    writeView();
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") pageCharts.chooseCell("");
  });

  items.forEach((item) => item.addEventListener("toggle", () => {
    if (item.open) view.open.add(item.id);
    else view.open.delete(item.id);
    writeView();
  }));

  // ---- printing: what matters is open and drawn for paper ----

  let openedForPrint = [];
  addEventListener("beforeprint", () => {
    openedForPrint = [...document.querySelectorAll("main details.item:not([open])")]
      .filter((item) => item.querySelector("summary.bad"));
    openedForPrint.forEach((item) => { item.open = true; });
    document.documentElement.dataset.theme = "light";
    applyFilter();  // paper says what is left out
    pageCharts.drawAll();
    pageCharts.fitPaper();
  });
  addEventListener("afterprint", () => {
    openedForPrint.forEach((item) => { item.open = false; });
    applyTheme();
    pageCharts.fitScreen();
  });

  const applyView = () => {
    readView();
    filterBox.value = view.filter;
    applyTheme();
    applyFilter();
    tables.forEach((_, index) => sortTable(index));
    items.forEach((item) => { item.open = view.open.has(item.id); });
    pageCharts.chooseCell(view.cell);
    const target = view.section && document.getElementById(view.section);
    if (target) target.scrollIntoView();
  };
  addEventListener("hashchange", () => {
    // A link of the page names a section alone: the view stays.
    if (!location.hash.includes("?")) {
      view.section = location.hash.slice(1);
      writeView();
      return;
    }
    applyView();
  });
  applyView();
})();
