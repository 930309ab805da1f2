// Draws the charts of a page: reads the JSON that chart.cpp writes and hands it to Chart.js.
// What the library lacks to draw is in decorations.js.
"use strict";

const pageCharts = (() => {
  const source = document.getElementById("charts");
  const models = source ? JSON.parse(source.textContent) : [];
  for (const series of models.flatMap((model) => model.series)) {
    for (const point of series.points) point.cell ??= series.cell ?? "";
  }
  const charts = new Map();  // by id: {model, chart, readout, legend}
  let chosenCell = "";       // marked on every chart
  const onChoice = [];       // functions told of it

  // ---- colours, shapes, numbers ----

  // Colours are the style sheet's, so that the theme decides them.
  const colourOf = (name) =>
    getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const N_COLOURS = 8;
  const colourName = (series) => {
    if (series.form === "crosses") return "bad";
    return series.colour < 0 ? "muted" : `series-${series.colour % N_COLOURS}`;
  };
  const seriesColour = (series) => colourOf(`--${colourName(series)}`);
  const withAlpha = (hex, alpha) => hex + Math.round(alpha * 255).toString(16).padStart(2, "0");

  // Filled all, told apart at 8 pixels. The style sheet has the same for the legend.
  const SHAPES = [["circle", 0], ["rect", 0], ["triangle", 0], ["rectRot", 0], ["triangle", 180],
                  ["triangle", 90], ["triangle", 270], ["rectRounded", 45]];
  const shapeNumber = (series) => Math.max(series.shape, 0) % SHAPES.length;
  const isLine = (series) => ["line", "steps"].includes(series.form);
  // A roof or a frontier is no measurement: no marks.
  const isBareLine = (series) => isLine(series) && series.colour < 0;
  // A long line is read by its course; some marks tell it from others of its colour.
  const isLongLine = (series) => isLine(series) && series.points.length > 40;
  const radiiOf = (series, index) => {
    if (isBareLine(series)) return 0;
    if (!isLongLine(series)) return series.points.map((point) => (point.faint ? 2.5 : 4.5));
    const stride = Math.ceil(series.points.length / 6);
    const first = Math.floor(stride * ((0.3 + 0.37 * index) % 1));  // not one above the other
    return series.points.map((_, i) => (i % stride === first ? 4.5 : 0));
  };

  // Three significant digits below 1,000, whole numbers with separators above.
  const formatNumber = (value) => {
    if (value === 0) return "0";
    const size = Math.abs(value);
    if (size >= 1000) return Math.round(value).toLocaleString("en-US");
    return String(Number(value.toPrecision(3)));
  };

  // Of a row of ticks: as many decimals as their distance needs.
  const formatTick = (value, index, ticks) => {
    const step = ticks.length > 1 ? Math.abs(ticks[1].value - ticks[0].value) : value;
    let digits = 0;
    while (digits < 6 && Math.abs(step * 10 ** digits - Math.round(step * 10 ** digits)) > 1e-6) ++digits;
    return value.toLocaleString("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits });
  };

  const isDrawn = (point) => point.x !== null && point.y !== null;

  // A mark in words: its series, its values with their intervals, its note.
  const describe = (model, series, point) => {
    const range = (interval) =>
      interval ? ` (${formatNumber(interval[0])} to ${formatNumber(interval[1])})` : "";
    const value = (axis, number, interval) => (axis.categories ? axis.categories[number]
      : `${axis.title} ${formatNumber(number)}${range(interval)}`);
    const parts = [series.name, value(model.x, point.x, point.xi), value(model.y, point.y, point.yi)];
    if (point.label && point.label !== series.name) parts.splice(1, 0, point.label);
    if (point.note) parts.push(point.note);
    return parts;
  };

  const dimmed = (point) => chosenCell !== "" && point.cell !== chosenCell;
  const alphaOf = (point) => (point.faint ? 0.4 : 1) * (dimmed(point) ? 0.35 : 1);

  // ---- the extent of an axis ----

  const hasForm = (model, form) => model.series.some((series) => series.form === form);

  // Lowest and highest of all that is drawn along an axis, intervals among it.
  const extentOf = (model, name) => {
    const axis = model[name];
    let [lo, hi] = [Infinity, -Infinity];
    const take = (value) => {
      if (value === null || (axis.log && value <= 0)) return;
      lo = Math.min(lo, value);
      hi = Math.max(hi, value);
    };
    const stacked = new Map();
    for (const series of model.series) {
      for (const point of series.points) {
        if (!isDrawn(point)) continue;
        take(point[name]);
        (point[`${name}i`] || []).forEach(take);
        if (name === "y" && series.form === "area") {
          stacked.set(point.x, (stacked.get(point.x) || 0) + point.y);
        }
      }
    }
    stacked.forEach(take);
    if (hasForm(model, name === "x" ? "bars" : "area")) take(0);
    return [lo, hi];
  };

  // A guide widens the axis unless the data would shrink to less than two fifths of it; then it
  // stands at the edge with an arrow.
  const withGuides = (model, name, [lo, hi]) => {
    const scaled = model[name].log ? Math.log : (value) => value;
    const span = scaled(hi) - scaled(lo);
    for (const guide of model.guides || []) {
      if (guide.vertical !== (name === "x") || (model[name].log && guide.at <= 0)) continue;
      const [low, high] = [Math.min(lo, guide.at), Math.max(hi, guide.at)];
      if (scaled(high) - scaled(low) <= 2.5 * span) [lo, hi] = [low, high];
    }
    return [lo, hi];
  };

  // With room at both ends, never across zero, and not where areas begin and end.
  const paddedExtent = (model, name) => {
    const [lo, hi] = withGuides(model, name, extentOf(model, name));
    if (model[name].log) {
      const factor = Math.max((hi / lo) ** 0.04, 1.08);
      return [lo / factor, hi * factor];
    }
    if (name === "x" && hasForm(model, "area")) return [lo, hi];
    const room = hi > lo ? (hi - lo) * 0.05 : Math.abs(hi) * 0.05 || 1;
    return [lo >= 0 && lo < room ? 0 : lo - room, hi <= 0 && -hi < room ? 0 : hi + room];
  };

  // 1, 2, 5 of each power of ten, or 1 and 3, or 1: as many as there is room for. Evenly spaced
  // values where less than three of those are in sight.
  const logTicks = (min, max, most) => {
    const decades = Math.log10(max / min);
    const between = (mantissas, every = 1) => {
      const ticks = [];
      for (let power = Math.floor(Math.log10(min)); power <= Math.log10(max); power += every) {
        ticks.push(...mantissas.map((m) => Number(`${m}e${power}`)));
      }
      return ticks.filter((value) => value >= min && value <= max);
    };
    if (between([1, 2, 5]).length < 3) {
      const raw = (max - min) / Math.max(most, 2);
      const unit = 10 ** Math.floor(Math.log10(raw));
      const step = unit * [1, 2, 5, 10].find((m) => m * unit >= raw);
      const count = Math.floor(max / step) - Math.ceil(min / step) + 1;
      return Array.from({ length: count }, (_, i) => (Math.ceil(min / step) + i) * step);
    }
    return [between([1, 2, 5]), between([1, 3]), between([1])].find((ticks) => ticks.length <= most) ??
      between([1], Math.ceil(decades / most));
  };

  // ---- Chart.js configuration ----

  const decorations = chartDecorations(
    { colourOf, withAlpha, seriesColour, alphaOf, dimmed, isDrawn, isBareLine, isLongLine },
    (model, named) => showLegend(charts.get(model.id), named));

  const scaleOf = (model, name) => {
    const axis = model[name];
    const isX = name === "x";
    const scale = {
      type: axis.log ? "logarithmic" : "linear",
      stacked: !isX && hasForm(model, "area"),
      title: { display: Boolean(axis.title), text: axis.title, color: colourOf("--muted"), font: { size: 12 } },
      grid: { color: colourOf("--grid") },
      ticks: { color: colourOf("--muted"), callback: formatTick, maxRotation: 0, autoSkipPadding: 16,
               includeBounds: false },
    };
    if (axis.categories) {
      const shortened = (text, chart) => {
        const most = chart.width < 500 ? 16 : 36;
        return text.length > most ? `${text.slice(0, most - 1)}…` : text;
      };
      // By number, downwards: two rows may have one name.
      return Object.assign(scale, {
        min: -0.5, max: axis.categories.length - 0.5, reverse: true, grid: { display: false },
        afterBuildTicks: (built) => { built.ticks = axis.categories.map((_, value) => ({ value })); },
        ticks: { color: colourOf("--text"), autoSkip: false,
                 callback(value) { return shortened(axis.categories[value], this.chart); } },
      });
    }
    const [lo, hi] = paddedExtent(model, name);
    // Places and counts have nothing between them.
    const isWhole = (point) => Number.isInteger(point[name] ?? 0);
    const span = (axis.max ?? hi) - (axis.min ?? lo);
    if (span >= 2 && span < 20 && model.series.every((series) => series.points.every(isWhole))) {
      scale.ticks.precision = 0;
    }
    if (axis.log) {
      scale.min = axis.min ?? lo;
      scale.max = axis.max ?? hi;
      scale.ticks.callback = (value) => formatNumber(value);
      scale.afterBuildTicks = (built) => {
        const most = isX ? built.chart.width / 80 : built.chart.height / 36;
        built.ticks = logTicks(built.min, built.max, most).map((value) => ({ value }));
      };
    } else {
      Object.assign(scale, { min: axis.min, max: axis.max, suggestedMin: lo, suggestedMax: hi });
      if (isX && hasForm(model, "area")) {
        Object.assign(scale, { min: axis.min ?? lo, max: axis.max ?? hi });
      }
    }
    return scale;
  };

  const datasetOf = (series, index, model) => {
    const colour = seriesColour(series);
    const colours = series.points.map((point) => withAlpha(colour, alphaOf(point)));
    const [style, turn] = SHAPES[shapeNumber(series)];
    const positive = (axis, value) => (axis.log && value <= 0 ? null : value);
    const dataset = {
      label: series.name,
      data: series.points.map((point) => ({
        x: positive(model.x, point.x), y: positive(model.y, point.y),
      })),
      borderColor: colour,
      backgroundColor: colours,
      pointBackgroundColor: colours,
      pointBorderColor: colours,
      pointStyle: style,
      pointRotation: turn,
      pointRadius: radiiOf(series, index),
      pointHoverRadius: 7,
      pointHoverBorderColor: colourOf("--text"),
      pointHitRadius: 6,
      borderWidth: 2,
      borderDash: series.dashed ? [6, 4] : [],
      showLine: series.form !== "points" && series.form !== "crosses",
      clip: 8,  // marks on the edge stay whole
      stack: `alone-${index}`,
    };
    if (series.form === "steps") dataset.stepped = "before";
    if (series.form === "area") {
      // Down to the area below; to the axis they would lie over each other and mix colours.
      const below = model.series.findLastIndex((other, i) => i < index && other.form === "area");
      Object.assign(dataset, { fill: below < 0 ? "origin" : below, stack: "areas", pointRadius: 0, borderWidth: 1.5,
                               backgroundColor: withAlpha(colour, 0.5) });
    }
    if (series.form === "bars") {
      Object.assign(dataset, { type: "bar", indexAxis: "y", maxBarThickness: 16, borderWidth: 0 });
    }
    if (series.form === "crosses") {
      Object.assign(dataset, { pointStyle: "crossRot", pointRotation: 0, pointRadius: 8,
                               pointBorderWidth: 3, order: -1 });
    }
    return dataset;
  };

  const hasLabels = (model) => model.series.some((series) => series.points.some((point) => point.label));

  const configurationOf = (model) => ({
    type: hasForm(model, "bars") ? "bar" : "line",
    data: { datasets: model.series.map((series, i) => datasetOf(series, i, model)) },
    options: {
      animation: false,
      responsive: true,
      maintainAspectRatio: false,
      indexAxis: hasForm(model, "bars") ? "y" : "x",
      interaction: { mode: "nearest", intersect: true },
      layout: { padding: { top: model.bands ? decorations.bandsHeight + 2
        : hasLabels(model) ? decorations.labelsHeight + 4 : 8, right: 12 } },
      onClick: (_, elements) => {
        const hit = elements[0];
        const point = hit && model.series[hit.datasetIndex].points[hit.index];
        chooseCell(point && point.cell && point.cell !== chosenCell ? point.cell : "");
      },
      scales: { x: scaleOf(model, "x"), y: scaleOf(model, "y") },
      plugins: {
        legend: { display: false },
        tooltip: {
          displayColors: false,
          backgroundColor: colourOf("--text"),
          bodyColor: colourOf("--back"),
          callbacks: {
            title: () => "",
            label: (item) => {
              const series = model.series[item.datasetIndex];
              return describe(model, series, series.points[item.dataIndex]);
            },
          },
        },
      },
    },
    plugins: [decorations.plugin(model)],
  });

  // ---- reading with the keyboard ----

  // Left and right step through the marks of a series, up and down change it; what is read out
  // stands below the picture.
  const readByKeyboard = (canvas, entry) => {
    const rows = entry.model.series.map((series, s) => ({ series, s,
      places: series.points.map((_, i) => i).filter((i) => isDrawn(series.points[i])) }))
      .filter(({ places }) => places.length > 0);
    let [row, at] = [0, -1];
    const around = (index, length) => (index + length) % length;
    const show = () => {
      const { series, s, places } = rows[row];
      const index = places[at];
      entry.readout.textContent = describe(entry.model, series, series.points[index]).join("; ");
      entry.chart.setActiveElements([{ datasetIndex: s, index }]);
      entry.chart.update("none");
    };
    const leave = () => {
      at = -1;
      entry.readout.textContent = "";
      entry.chart.setActiveElements([]);
      entry.chart.update("none");
    };
    canvas.addEventListener("keydown", (event) => {
      const { places } = rows[row];
      const moves = {
        ArrowRight: () => { at = around(at + 1, places.length); },
        ArrowLeft: () => { at = around(Math.max(at, 0) - 1, places.length); },
        Home: () => { at = 0; },
        End: () => { at = places.length - 1; },
        ArrowDown: () => { if (at >= 0) row = around(row + 1, rows.length); },
        ArrowUp: () => { if (at >= 0) row = around(row - 1, rows.length); },
      };
      if (moves[event.key]) {
        event.preventDefault();
        moves[event.key]();
        at = Math.min(Math.max(at, 0), rows[row].places.length - 1);
        show();
      } else if (event.key === "Enter" && at >= 0) {
        const { cell } = rows[row].series.points[places[at]];
        chooseCell(cell && cell !== chosenCell ? cell : "");
        show();
      } else if (event.key === "Escape") {
        leave();
      }
    });
    canvas.addEventListener("blur", leave);
  };

  const isFaint = (series) => series.points.every((point) => point.faint);
  const markClass = (series) => {
    let shape = `shape-${shapeNumber(series)}`;
    if (["bars", "area"].includes(series.form)) shape = "shape-1";
    if (isBareLine(series)) shape = "shape-line";
    if (series.form === "crosses") shape = "shape-ended";
    return `mark ${shape} colour-${colourName(series)}` + (series.dashed ? " dashed" : "");
  };

  // The legend is text in the page, with the mark's shape and colour drawn beside it. What several
  // series have beside them ("K160, each answer") is named once.
  const legendOf = (model) => {
    const list = document.createElement("ul");
    list.className = "legend";
    const seen = new Set();
    const add = (name, marks, s) => {
      if (seen.has(name)) return;
      seen.add(name);
      const item = document.createElement("li");
      item.dataset.series = s;
      const mark = document.createElement("span");
      mark.className = marks;
      mark.setAttribute("aria-hidden", "true");
      item.append(mark, name);
      list.append(item);
    };
    const besides = [];
    model.series.forEach((series, s) => {
      const main = isFaint(series) && model.series.find((other) => !isFaint(other) &&
        markClass(other) === markClass(series) && series.name.startsWith(`${other.name}, `));
      if (main) besides.push([`faint: ${series.name.slice(main.name.length + 2)}`, s]);
      else add(series.name, markClass(series) + (isFaint(series) ? " faint" : ""), s);
    });
    besides.forEach(([name, s]) => add(name, "mark shape-0 colour-muted faint", s));
    return list;
  };

  const showLegend = (entry, named) => {
    if (!entry) return;  // the first drawing, inside the constructor
    for (const item of entry.legend.children) item.hidden = named[Number(item.dataset.series)];
  };

  // ---- the charts of the page ----

  const CHART_HEIGHT = 340;
  const heightOf = (model, width) => {
    if (!model.y.categories) return width < 500 ? 280 : CHART_HEIGHT;
    const n_bars = model.series.filter((series) => series.form === "bars").length;
    return 90 + model.y.categories.length * Math.max(24, 14 * n_bars + 10);
  };

  const draw = (place, model) => {
    const frame = document.createElement("div");
    frame.className = "canvas";
    frame.style.height = `${heightOf(model, place.clientWidth)}px`;
    const canvas = document.createElement("canvas");
    canvas.tabIndex = 0;
    // Its arrow keys are its own: a screen reader passes them on to an application alone.
    canvas.setAttribute("role", "application");
    canvas.setAttribute("aria-roledescription", "chart");
    canvas.setAttribute("aria-label", `${model.title} ${model.answer} ` +
      "Left and right read the values of a series, up and down change the series.");
    const readout = document.createElement("p");
    readout.className = "readout";
    readout.setAttribute("aria-live", "polite");
    frame.append(canvas);
    const legend = legendOf(model);
    place.replaceChildren(frame, readout, legend);
    const entry = { model, readout, legend, chart: new Chart(canvas, configurationOf(model)) };
    charts.set(model.id, entry);
    entry.chart.draw();  // now with its legend
    readByKeyboard(canvas, entry);
  };

  // Draws all charts: the first time from nothing, then anew in the colours of now.
  const drawAll = () => {
    for (const model of models) {
      const entry = charts.get(model.id);
      if (entry) {
        const fresh = configurationOf(model);
        entry.chart.data = fresh.data;
        entry.chart.options = fresh.options;
        entry.chart.update("none");
        continue;
      }
      const place = document.querySelector(`.picture[data-chart="${CSS.escape(model.id)}"]`);
      if (place && model.series.some((series) => series.points.some(isDrawn))) draw(place, model);
    }
  };

  const isOnCharts = (cell) => models.some((model) =>
    model.series.some((series) => series.points.some((point) => point.cell === cell)));

  const chooseCell = (cell) => {
    if (cell === chosenCell || (cell !== "" && !isOnCharts(cell))) return;
    chosenCell = cell;
    drawAll();
    onChoice.forEach((told) => told(cell));
  };

  // The width of an A4 or Letter page, of which the browser tells nothing before it prints.
  const PAPER_WIDTH = 640;
  const fitPaper = () => charts.forEach(({ model, chart }) =>
    chart.resize(PAPER_WIDTH, heightOf(model, PAPER_WIDTH)));
  const fitScreen = () => charts.forEach(({ chart }) => chart.resize());

  return { drawAll, chooseCell, fitPaper, fitScreen, onChoice: (told) => onChoice.push(told) };
})();
