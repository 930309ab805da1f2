// Draws the charts of a page: reads the JSON that chart.cpp writes and hands it to Chart.js.
// What the library lacks is here: intervals, guides with their value, phases, labels beside marks.
"use strict";

const pageCharts = (() => {
  const source = document.getElementById("charts");
  const models = source ? JSON.parse(source.textContent) : [];
  const charts = new Map();  // by id: {model, chart, readout}
  let chosenCell = "";       // marked on every chart
  const onChoice = [];       // functions told of it

  // Colours are the style sheet's, so that the theme decides them.
  const colourOf = (name) =>
    getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const N_COLOURS = 8;
  const seriesColour = (series) =>
    series.colour < 0 ? colourOf("--muted") : colourOf(`--series-${series.colour % N_COLOURS}`);
  const SHAPES = ["circle", "rect", "triangle", "rectRot", "rectRounded", "star", "cross", "dash"];
  const withAlpha = (hex, alpha) => hex + Math.round(alpha * 255).toString(16).padStart(2, "0");

  // Three significant digits below 1,000, whole numbers with separators above.
  const formatNumber = (value) => {
    if (value === 0) return "0";
    const size = Math.abs(value);
    if (size >= 1000) return Math.round(value).toLocaleString("en-US");
    if (size < 0.001) return value.toExponential(2);
    return String(Number(value.toPrecision(3)));
  };

  const describe = (model, series, point) => {
    const x = model.x.categories ? model.x.categories[point.x] : formatNumber(point.x);
    const y = model.y.categories ? model.y.categories[point.y] : formatNumber(point.y);
    const range = (interval) =>
      interval ? ` (${formatNumber(interval[0])} to ${formatNumber(interval[1])})` : "";
    const note = point.note ? `; ${point.note}` : "";
    return `${series.name}: ${model.x.title} ${x}${range(point.xi)}, ` +
      `${model.y.title} ${y}${range(point.yi)}${note}`;
  };

  const dimmed = (point) => chosenCell !== "" && point.cell !== chosenCell;
  const alphaOf = (point) => (point.faint ? 0.35 : 1) * (dimmed(point) ? 0.35 : 1);

  // ---- what is drawn behind and above the data ----

  const drawBands = (chart, model) => {
    const { ctx, chartArea: area, scales } = chart;
    (model.bands || []).forEach((band, i) => {
      const from = Math.max(scales.x.getPixelForValue(band.from), area.left);
      const to = Math.min(scales.x.getPixelForValue(band.to), area.right);
      if (to <= from) return;
      if (i % 2 === 0) {
        ctx.fillStyle = withAlpha(colourOf("--muted"), 0.1);
        ctx.fillRect(from, area.top, to - from, area.bottom - area.top);
      }
      ctx.fillStyle = colourOf("--muted");
      ctx.textAlign = "left";
      ctx.textBaseline = "top";
      if (ctx.measureText(band.label).width < to - from - 4) {
        ctx.fillText(band.label, from + 3, area.top + 2);
      }
    });
  };

  // The interval of a line as a band, of a mark as a thin cross.
  const drawIntervals = (chart, model) => {
    const { ctx, scales } = chart;
    const px = (value) => scales.x.getPixelForValue(value);
    const py = (value) => scales.y.getPixelForValue(value);
    for (const series of model.series) {
      const colour = seriesColour(series);
      if (series.form === "line") {
        const points = series.points.filter((p) => p.yi);
        if (points.length < 2) continue;
        ctx.fillStyle = withAlpha(colour, 0.15);
        ctx.beginPath();
        points.forEach((p) => ctx.lineTo(px(p.x), py(p.yi[1])));
        points.reverse().forEach((p) => ctx.lineTo(px(p.x), py(p.yi[0])));
        ctx.fill();
        continue;
      }
      ctx.lineWidth = 1;
      for (const point of series.points) {
        ctx.strokeStyle = withAlpha(colour, 0.8 * alphaOf(point));
        ctx.beginPath();
        if (point.yi) {
          ctx.moveTo(px(point.x), py(point.yi[0]));
          ctx.lineTo(px(point.x), py(point.yi[1]));
        }
        if (point.xi) {
          ctx.moveTo(px(point.xi[0]), py(point.y));
          ctx.lineTo(px(point.xi[1]), py(point.y));
        }
        ctx.stroke();
      }
    }
  };

  const drawGuides = (chart, model) => {
    const { ctx, chartArea: area, scales } = chart;
    for (const guide of model.guides || []) {
      const at = scales[guide.vertical ? "x" : "y"].getPixelForValue(guide.at);
      const inside = guide.vertical ? at >= area.left - 1 && at <= area.right + 1
        : at >= area.top - 1 && at <= area.bottom + 1;
      if (!inside) continue;
      const colour = colourOf(guide.bad ? "--bad" : "--muted");
      ctx.strokeStyle = colour;
      ctx.fillStyle = colour;
      ctx.lineWidth = guide.bad ? 2 : 1.5;
      ctx.setLineDash(guide.bad ? [6, 4] : []);
      ctx.beginPath();
      if (guide.vertical) {
        ctx.moveTo(at, area.top);
        ctx.lineTo(at, area.bottom);
      } else {
        ctx.moveTo(area.left, at);
        ctx.lineTo(area.right, at);
      }
      ctx.stroke();
      ctx.setLineDash([]);
      const width = ctx.measureText(guide.label).width;
      ctx.textAlign = "left";
      ctx.textBaseline = "bottom";
      if (guide.vertical) {
        const left = at + 4 + width > area.right ? at - 4 - width : at + 4;
        ctx.fillText(guide.label, left, area.top + 14);
      } else {
        ctx.fillText(guide.label, area.right - width - 4, at > area.top + 16 ? at - 2 : at + 14);
      }
    }
  };

  // Beside each mark, at the first of four places where it covers neither a label nor the edge.
  const drawLabels = (chart, model) => {
    const { ctx, chartArea: area } = chart;
    const taken = [];
    ctx.textBaseline = "middle";
    ctx.textAlign = "left";
    model.series.forEach((series, s) => {
      const marks = chart.getDatasetMeta(s).data;
      series.points.forEach((point, i) => {
        if (!point.label || !marks[i] || Number.isNaN(marks[i].x)) return;
        const width = ctx.measureText(point.label).width;
        const { x, y } = marks[i];
        const places = [[x + 8, y], [x - 8 - width, y], [x - width / 2, y - 14], [x - width / 2, y + 14]];
        const free = places.find(([left, middle]) =>
          left >= area.left && left + width <= area.right + 2 && middle > area.top &&
          taken.every((t) => left > t.left + t.width || left + width < t.left ||
            Math.abs(middle - t.middle) > 12));
        if (!free) return;
        taken.push({ left: free[0], middle: free[1], width });
        ctx.fillStyle = withAlpha(colourOf("--text"), dimmed(point) || point.faint ? 0.5 : 1);
        ctx.fillText(point.label, free[0], free[1]);
      });
    });
  };

  const decorations = (model) => ({
    id: "decorations",
    beforeDatasetsDraw(chart) {
      chart.ctx.save();
      chart.ctx.font = FONT;
      drawBands(chart, model);
      drawIntervals(chart, model);
      chart.ctx.restore();
    },
    afterDatasetsDraw(chart) {
      chart.ctx.save();
      chart.ctx.font = FONT;
      drawGuides(chart, model);
      drawLabels(chart, model);
      chart.ctx.restore();
    },
  });
  const FONT = "12px system-ui, sans-serif";

  // ---- Chart.js configuration ----

  const scaleOf = (axis, isX, model) => {
    const bars = model.series.some((s) => s.form === "bars");
    const areas = model.series.some((s) => s.form === "area");
    const scale = {
      type: axis.log ? "logarithmic" : "linear",
      min: axis.min,
      max: axis.max,
      beginAtZero: isX ? bars : areas,
      stacked: !isX && areas,
      title: { display: true, text: axis.title, color: colourOf("--muted") },
      grid: { color: colourOf("--grid") },
      ticks: { color: colourOf("--muted"), callback: formatNumber, maxRotation: 0, autoSkipPadding: 12 },
    };
    if (axis.log) {
      // Powers of ten alone: the ticks the library picks are too many.
      scale.ticks.callback = (value) => {
        const power = Math.log10(value);
        return Math.abs(power - Math.round(power)) < 1e-9 ? formatNumber(value) : "";
      };
    }
    if (axis.categories) {
      Object.assign(scale, { type: "category", labels: axis.categories, grid: { display: false } });
      scale.ticks = { color: colourOf("--text"), autoSkip: false };
    }
    return scale;
  };

  const datasetOf = (series, index, model) => {
    const colour = seriesColour(series);
    const colours = series.points.map((p) => withAlpha(colour, alphaOf(p)));
    const dataset = {
      label: series.name,
      data: series.points.map((p) => ({
        x: p.x, y: model.y.categories ? model.y.categories[p.y] : p.y,
      })),
      borderColor: colour,
      backgroundColor: colours,
      pointBackgroundColor: colours,
      pointBorderColor: colours,
      pointStyle: SHAPES[Math.max(series.shape, 0) % SHAPES.length],
      pointRadius: 4,
      pointHoverRadius: 6,
      borderWidth: 2,
      borderDash: series.dashed ? [5, 4] : [],
      showLine: series.form !== "points" && series.form !== "crosses",
      stack: `alone-${index}`,
    };
    if (series.form === "steps") dataset.stepped = "before";
    if (series.form === "area") {
      Object.assign(dataset, { fill: true, stack: "areas", pointRadius: 0, borderWidth: 1,
                               backgroundColor: withAlpha(colour, 0.45) });
    }
    if (series.form === "bars") {
      Object.assign(dataset, { type: "bar", indexAxis: "y", barThickness: "flex", maxBarThickness: 18,
                               borderWidth: 0 });
    }
    if (series.form === "crosses") {
      Object.assign(dataset, { pointStyle: "crossRot", pointRadius: 8, borderWidth: 3,
                               pointBorderColor: colourOf("--bad"), pointBorderWidth: 3 });
    }
    // A long line is read by its course; marks would cover it.
    if (series.form === "line" && series.points.length > 40) dataset.pointRadius = 0;
    return dataset;
  };

  const configurationOf = (model) => ({
    type: model.series.some((s) => s.form === "bars") ? "bar" : "line",
    data: { datasets: model.series.map((series, i) => datasetOf(series, i, model)) },
    options: {
      animation: false,
      responsive: true,
      maintainAspectRatio: false,
      indexAxis: model.series.some((s) => s.form === "bars") ? "y" : "x",
      interaction: { mode: "nearest", intersect: true },
      onClick: (_, elements) => {
        const hit = elements[0];
        const point = hit && model.series[hit.datasetIndex].points[hit.index];
        chooseCell(point && point.cell && point.cell !== chosenCell ? point.cell : "");
      },
      scales: { x: scaleOf(model.x, true, model), y: scaleOf(model.y, false, model) },
      plugins: {
        legend: { display: false },
        tooltip: {
          displayColors: false,
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
    plugins: [decorations(model)],
  });

  // ---- reading with the keyboard ----

  // Arrow keys step through the marks, and what is read out stands below the picture.
  const readByKeyboard = (canvas, entry) => {
    const places = entry.model.series.flatMap((series, s) =>
      series.points.map((point, i) => ({ series, point, s, i })));
    let at = -1;
    canvas.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
      if (places.length === 0) return;
      if (step) {
        event.preventDefault();
        at = (at + step + places.length) % places.length;
        if (at < 0) at = 0;
        const place = places[at];
        entry.readout.textContent = describe(entry.model, place.series, place.point);
        entry.chart.setActiveElements([{ datasetIndex: place.s, index: place.i }]);
        entry.chart.update("none");
      } else if (event.key === "Enter" && at >= 0) {
        const { point } = places[at];
        chooseCell(point.cell && point.cell !== chosenCell ? point.cell : "");
      } else if (event.key === "Escape") {
        entry.readout.textContent = "";
        chooseCell("");
      }
    });
  };

  // The legend is text in the page, with the mark's shape and colour drawn beside it.
  const legendOf = (model) => {
    const list = document.createElement("ul");
    list.className = "legend";
    const seen = new Set();
    for (const series of model.series) {
      if (seen.has(series.name)) continue;
      seen.add(series.name);
      const item = document.createElement("li");
      const mark = document.createElement("span");
      mark.className = `mark shape-${SHAPES[Math.max(series.shape, 0) % SHAPES.length]} ` +
        (series.colour < 0 ? "colour-none" : `colour-${series.colour % N_COLOURS}`) +
        (series.dashed ? " dashed" : "") + (series.form === "crosses" ? " ended" : "");
      mark.setAttribute("aria-hidden", "true");
      item.append(mark, series.name);
      list.append(item);
    }
    return list;
  };

  const draw = (place, model) => {
    const frame = document.createElement("div");
    frame.className = "canvas";
    const canvas = document.createElement("canvas");
    canvas.tabIndex = 0;
    canvas.setAttribute("role", "img");
    canvas.setAttribute("aria-label", `${model.title} ${model.answer} ` +
      "Arrow keys read the values one by one.");
    const readout = document.createElement("p");
    readout.className = "readout";
    readout.setAttribute("aria-live", "polite");
    frame.append(canvas);
    const bars = model.y.categories ? model.y.categories.length : 0;
    if (bars > 8) frame.classList.add(bars > 20 ? "tallest" : "tall");
    place.replaceChildren(frame, legendOf(model), readout);
    const entry = { model, readout, chart: new Chart(canvas, configurationOf(model)) };
    charts.set(model.id, entry);
    readByKeyboard(canvas, entry);
  };

  const drawAll = () => {
    charts.forEach(({ chart }) => chart.destroy());
    charts.clear();
    for (const model of models) {
      const place = document.querySelector(`.picture[data-chart="${CSS.escape(model.id)}"]`);
      if (place && model.series.some((series) => series.points.length > 0)) draw(place, model);
    }
  };

  // Colours and dimming anew, with the same data.
  const restyle = () => {
    for (const { model, chart } of charts.values()) {
      const fresh = configurationOf(model);
      chart.data = fresh.data;
      chart.options = fresh.options;
      chart.update("none");
    }
  };

  const chooseCell = (cell) => {
    if (cell === chosenCell) return;
    chosenCell = cell;
    restyle();
    onChoice.forEach((told) => told(cell));
  };

  drawAll();
  return { restyle, chooseCell, chosenCell: () => chosenCell, onChoice: (told) => onChoice.push(told),
           resize: () => charts.forEach(({ chart }) => chart.resize()) };
})();
