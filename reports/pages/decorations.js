// What a chart needs and Chart.js does not draw: intervals, guides with their value, phases, labels
// beside marks. A plugin for each chart.
"use strict";

// `look`: how charts.js shows series and points. `onNamed(model, named)` is told after each drawing
// which series are named on the picture.
const chartDecorations = (look, onNamed) => {
  const { colourOf, withAlpha, seriesColour, alphaOf, dimmed, isDrawn, isBareLine, isLongLine } = look;

  const font = "12px system-ui, sans-serif";

  // Text with a rim of the background's colour, legible on lines and marks.
  const drawText = (ctx, text, x, y, colour) => {
    ctx.lineWidth = 4;
    ctx.lineJoin = "round";
    ctx.strokeStyle = withAlpha(colourOf("--back"), 0.85);
    ctx.strokeText(text, x, y);
    ctx.fillStyle = colour;
    ctx.fillText(text, x, y);
  };

  // Above the picture, for what stands on its upper edge.
  const LABELS_HEIGHT = 16;

  // Boxes that text must not cover. Text is left-aligned in the middle of its line, 14 px high.
  class Room {
    constructor(area) {
      this.area = area;
      this.taken = [];
    }
    take(left, middle, width, height = 14) {
      this.taken.push({ left, right: left + width, top: middle - height / 2, bottom: middle + height / 2 });
    }
    // The first free place of [left, middle], which is then taken; undefined when none is.
    find(places, width) {
      const free = places.find(([left, middle]) => left >= this.area.left &&
        left + width <= this.area.right + 4 && middle - 7 >= this.area.top - LABELS_HEIGHT &&
        middle + 7 <= this.area.bottom &&
        this.taken.every((box) => left > box.right || left + width < box.left || middle - 7 > box.bottom ||
          middle + 7 < box.top));
      if (free) this.take(free[0], free[1], width);
      return free;
    }
  }

  // Alternating stretches behind the data, their names above the picture where they fit.
  const BANDS_HEIGHT = 18;
  const drawBands = ({ ctx, chartArea: area, scales }, model) => {
    (model.bands || []).forEach((band, i) => {
      const from = Math.max(scales.x.getPixelForValue(band.from), area.left);
      const to = Math.min(scales.x.getPixelForValue(band.to), area.right);
      if (!(to > from)) return;
      ctx.fillStyle = withAlpha(colourOf("--muted"), i % 2 === 0 ? 0.16 : 0.06);
      ctx.fillRect(from, area.top - BANDS_HEIGHT, to - from, area.bottom - area.top + BANDS_HEIGHT);
      ctx.fillStyle = colourOf("--text");
      if (ctx.measureText(band.label).width < to - from - 4) {
        ctx.fillText(band.label, from + 3, area.top - BANDS_HEIGHT / 2);
      }
    });
  };

  // The interval of a line as a band, of a mark as a thin cross, of a bar as a whisker.
  const drawIntervals = (chart, model, wanted) => {
    const { ctx, chartArea: area, scales } = chart;
    const px = (value) => Math.min(Math.max(scales.x.getPixelForValue(value), area.left), area.right);
    const py = (value) => Math.min(Math.max(scales.y.getPixelForValue(value), area.top), area.bottom);
    model.series.forEach((series, s) => {
      if (!wanted(series)) return;
      const colour = series.form === "bars" ? colourOf("--text") : seriesColour(series);
      const banded = series.points.filter((point) => isDrawn(point) && point.yi);
      if (series.form === "line" && banded.length > 1) {
        ctx.fillStyle = withAlpha(colour, 0.15);
        ctx.beginPath();
        banded.forEach((p) => ctx.lineTo(px(p.x), py(p.yi[1])));
        banded.reverse().forEach((p) => ctx.lineTo(px(p.x), py(p.yi[0])));
        ctx.fill();
        return;
      }
      const marks = chart.getDatasetMeta(s).data;
      ctx.lineWidth = 1.25;
      series.points.forEach((point, i) => {
        if (!isDrawn(point) || !marks[i]) return;
        const { x, y } = marks[i];  // of a bar: its end, its own row
        ctx.strokeStyle = withAlpha(colour, 0.8 * alphaOf(point));
        ctx.beginPath();
        if (point.yi) {
          ctx.moveTo(x, py(point.yi[0]));
          ctx.lineTo(x, py(point.yi[1]));
        }
        if (point.xi) {
          ctx.moveTo(px(point.xi[0]), y);
          ctx.lineTo(px(point.xi[1]), y);
        }
        ctx.stroke();
      });
    });
  };

  const drawGuides = ({ ctx, chartArea: area, scales }, model, room) => {
    for (const guide of model.guides || []) {
      const { vertical } = guide;
      const [first, last] = vertical ? [area.left, area.right] : [area.top, area.bottom];
      const exact = scales[vertical ? "x" : "y"].getPixelForValue(guide.at);
      if (Number.isNaN(exact)) continue;
      const at = Math.min(Math.max(exact, first), last);
      const beyond = Math.abs(exact - at) > 1;
      const colour = colourOf(guide.bad ? "--bad" : "--muted");
      if (!beyond) {
        ctx.strokeStyle = colour;
        ctx.lineWidth = guide.bad ? 2 : 1.5;
        ctx.setLineDash(guide.bad ? [6, 4] : []);
        ctx.beginPath();
        ctx.moveTo(vertical ? at : area.left, vertical ? area.top : at);
        ctx.lineTo(vertical ? at : area.right, vertical ? area.bottom : at);
        ctx.stroke();
        ctx.setLineDash([]);
      }
      const arrow = vertical ? (exact < at ? "← " : "→ ") : (exact < at ? "↑ " : "↓ ");
      const text = (beyond ? arrow : "") + guide.label;
      const width = ctx.measureText(text).width;
      const places = vertical
        ? [8, 24, 40, 56].flatMap((down) =>
          [[at + 5, area.top + down], [at - 5 - width, area.top + down]])
        : [area.right - width - 4, area.left + 4].flatMap((left) => [[left, at - 9], [left, at + 10]]);
      const free = room.find(places, width) ?? places[0];
      drawText(ctx, text, free[0], free[1], colour);
    }
  };

  const isPlaced = (mark) => mark && !Number.isNaN(mark.x) && !Number.isNaN(mark.y);

  // Marks but those of raw values, which are many.
  const takeMarks = (chart, model, room) => model.series.forEach((series, s) => {
    if (isBareLine(series) || isLongLine(series) || ["bars", "area"].includes(series.form)) return;
    const marks = chart.getDatasetMeta(s).data;
    series.points.forEach((point, i) => {
      if (isPlaced(marks[i]) && (!point.faint || point.label)) room.take(marks[i].x - 5, marks[i].y, 10, 10);
    });
  });

  // Beside each mark, where it covers neither another mark or label nor the edge. Tells which
  // series are named on the picture, all of them, so that the legend need not name them again.
  const drawLabels = (chart, model, room) => {
    const { ctx } = chart;
    const marksOf = model.series.map((_, s) => chart.getDatasetMeta(s).data);
    return model.series.map((series, s) => {
      let named = series.points.length > 0;
      series.points.forEach((point, i) => {
        const mark = marksOf[s][i];
        if (!point.label || !isPlaced(mark)) {
          named = false;
          return;
        }
        const width = ctx.measureText(point.label).width;
        const { x, y } = mark;
        const places = [[x + 9, y], [x - 9 - width, y], [x - width / 2, y - 15], [x - width / 2, y + 15],
                        [x + 7, y - 13], [x + 7, y + 13], [x - 7 - width, y - 13], [x - 7 - width, y + 13]];
        const free = room.find(places, width);
        if (!free || point.label !== series.name) named = false;
        if (!free) return;
        const colour = dimmed(point) || point.faint ? "--muted" : "--text";
        drawText(ctx, point.label, free[0], free[1], colourOf(colour));
      });
      return named;
    });
  };

  const plugin = (model) => ({
    id: "decorations",
    beforeDatasetsDraw(chart) {
      const { ctx } = chart;
      ctx.save();
      Object.assign(ctx, { font, textAlign: "left", textBaseline: "middle" });
      drawBands(chart, model);
      drawIntervals(chart, model, (series) => series.form !== "bars");
      ctx.restore();
    },
    afterDatasetsDraw(chart) {
      const { ctx } = chart;
      ctx.save();
      Object.assign(ctx, { font, textAlign: "left", textBaseline: "middle" });
      drawIntervals(chart, model, (series) => series.form === "bars");
      const room = new Room(chart.chartArea);
      takeMarks(chart, model, room);
      drawGuides(chart, model, room);
      onNamed(model, drawLabels(chart, model, room));
      ctx.restore();
    },
  });

  return { plugin, bandsHeight: BANDS_HEIGHT, labelsHeight: LABELS_HEIGHT };
};
