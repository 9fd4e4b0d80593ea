// Pictures of losses and parameters, drawn with Apache ECharts.
"use strict";
const charts = (() => {
  const drawn = new Map();
  const css = name => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const text = found => echarts.format.encodeHTML(String(found));

  function chart(element) {
    if (!drawn.has(element)) {
      const made = echarts.init(element, null, {renderer: "svg"});
      drawn.set(element, made);
      new ResizeObserver(() => made.resize()).observe(element);
    }
    return drawn.get(element);
  }

  function forget(element) {
    drawn.get(element)?.dispose();
    drawn.delete(element);
  }

  const base = () => ({
    animation: false,
    textStyle: {fontFamily: css("--font"), color: css("--ink")},
    aria: {enabled: true},
  });

  const axis = (name, extra = {}) => ({
    name, nameLocation: "middle", nameTextStyle: {color: css("--soft"), fontSize: 12},
    axisLine: {show: true, lineStyle: {color: css("--line")}}, axisTick: {show: false},
    axisLabel: {color: css("--soft"), fontSize: 11, hideOverlap: true},
    splitLine: {lineStyle: {color: css("--grid")}}, minorSplitLine: {show: false}, ...extra,
  });

  const tooltip = extra => ({
    backgroundColor: css("--card"), borderColor: css("--line"), textStyle: {color: css("--ink"), fontSize: 12},
    confine: true, ...extra,
  });

  const row = (colour, name, value) => `<div class="tip"><i style="background:${colour}"></i><span>${text(name)}</span>`
    + `<b>${text(value)}</b></div>`;

  /** One loss of several models against the epoch; train is dashed where both are shown. */
  function curve(element, {network, loss, trainings, colour, split, log}) {
    const splits = split === "both" ? ["validation", "train"] : [split];
    const series = [];
    for (const training of trainings) {
      const curves = training.networks[network];
      for (const one of splits) {
        const values = curves?.losses[model.columnOf(one, loss)];
        if (!values) continue;
        const data = curves.epochs.map((epoch, k) => [epoch, values[k] === null || (log && values[k] <= 0) ? "-" : values[k]]);
        series.push({
          type: "line", id: `${training.id}/${one}`, name: training.name, data, connectNulls: false,
          symbol: "circle", symbolSize: data.length < 2 ? 7 : 4, showSymbol: data.length < 2, clip: false,
          lineStyle: {width: 1.8, type: one === "train" && split === "both" ? [4, 3] : "solid"}, color: colour(training),
          emphasis: {focus: "series", lineStyle: {width: 2.6}}, blur: {lineStyle: {opacity: 0.15}},
        });
      }
    }
    element.dataset.points = series.reduce((sum, s) => sum + s.data.length, 0);
    chart(element).setOption({
      ...base(), series,
      grid: {left: 8, right: 14, top: 12, bottom: 26, containLabel: true},
      xAxis: axis("epoch", {type: "value", min: "dataMin", max: ends => Math.max(ends.max, ends.min + 1), minInterval: 1, nameGap: 24, splitLine: {show: false}}),
      yAxis: axis("", {type: log ? "log" : "value", scale: true, splitNumber: 4,
        axisLabel: {color: css("--soft"), fontSize: 11, formatter: model.tick}}),
      tooltip: tooltip({trigger: "axis", order: "valueAsc", formatter: shown => {
        const some = shown.filter(s => s.value[1] !== "-").slice(0, 14);
        const more = shown.length - some.length;
        return `epoch ${text(shown[0]?.value[0])}` + some.map(s => {
          const kind = split === "both" ? `, ${s.seriesId.endsWith("/train") ? "train" : "validation"}` : "";
          return row(s.color, s.seriesName + kind, model.number(s.value[1]));
        }).join("") + (more > 0 ? `<div class="tip">and ${more} more</div>` : "");
      }}),
    }, {notMerge: true});
  }

  /** Two losses of all models, with those that no other beats in both joined by a line. */
  function pareto(element, {points, names, log, colour}) {
    const shown = points.filter(p => !log || (p.x > 0 && p.y > 0));
    const front = model.front(shown);
    const type = log ? "log" : "value";
    const label = {color: css("--soft"), fontSize: 11, formatter: model.tick};
    element.dataset.points = shown.length;
    element.dataset.front = front.map(p => p.training.name).join(" ");
    chart(element).setOption({
      ...base(),
      grid: {left: 46, right: 90, top: 20, bottom: 40, containLabel: true},
      xAxis: axis(names.x, {type, scale: true, nameGap: 30, axisLabel: label}),
      yAxis: axis(names.y, {type, scale: true, nameGap: 62, axisLabel: label}),
      tooltip: tooltip({trigger: "item", formatter: s => `<b>${text(s.data.training.name)}</b>`
        + row("transparent", names.x, model.number(s.data.value[0])) + row("transparent", names.y, model.number(s.data.value[1]))
        + s.data.told.map(([name, value]) => row("transparent", name, value)).join("")}),
      series: [
        {type: "line", step: "end", data: front.map(p => [p.x, p.y]), symbol: "none", silent: true,
          lineStyle: {color: css("--soft"), type: [4, 4], width: 1.2}},
        {type: "scatter", symbolSize: 13, data: shown.map(p => ({
          value: [p.x, p.y], training: p.training, told: p.told,
          itemStyle: front.includes(p) ? {color: colour(p.training), borderColor: css("--ink"), borderWidth: 1.5}
            : {color: colour(p.training), opacity: 0.7},
          label: {show: front.includes(p) || shown.length <= 12, formatter: p.training.name, position: "right",
            color: css("--soft"), fontSize: 11},
        })), labelLayout: {hideOverlap: true}},
      ],
    }, {notMerge: true});
  }

  /** Parameters of all models, one line each, and a loss that colours them. */
  function parallel(element, {trainings, parameters: all, loss, valueOf}) {
    // A line has a value at every axis.
    const parameters = all.filter(name => trainings.every(t => t.parameters[name] !== null && t.parameters[name] !== undefined));
    const axes = parameters.map((name, dim) => {
      const found = trainings.map(t => t.parameters[name]);
      const numbers = found.every(v => typeof v === "number");
      const few = new Set(found).size <= 12;
      const data = [...new Set(found)].sort((a, b) => numbers ? a - b : model.natural.compare(a, b)).map(model.parameter);
      return {dim, name, ...(numbers && !few ? {type: "value", scale: true} : {type: "category", data})};
    });
    const known = trainings.map(t => ({t, value: valueOf(t)})).filter(({value}) => value !== null);
    const values = known.map(({value}) => value);
    const [low, high] = [Math.min(...values), Math.max(...values)];
    if (loss) axes.push({dim: axes.length, name: loss, type: "value", scale: true});
    element.dataset.lines = known.length;
    const last = axes.length - 1;
    const width = Math.max(20, (element.clientWidth - 160) / Math.max(1, last) * 0.85);
    chart(element).setOption({
      ...base(),
      tooltip: tooltip({trigger: "item", formatter: s => text(s.name)}),
      parallelAxis: axes.map((a, dim) => ({...a, nameLocation: "end", nameGap: 14,
        nameTextStyle: {color: css("--ink"), fontSize: 12, align: dim === 0 ? "left" : dim === last ? "right" : "center"},
        nameTruncate: {maxWidth: Math.min(230, dim === 0 || dim === last ? 0.5 * width : width)},
        axisLine: {lineStyle: {color: css("--line")}}, axisTick: {show: false},
        axisLabel: {color: css("--ink"), fontSize: 11, backgroundColor: css("--card"), padding: [1, 3], ...(a.type === "value" ? {formatter: model.tick} : {})}})),
      parallel: {left: 30, right: 130, top: 46, bottom: 24},
      visualMap: values.length && high > low ? {show: true, type: "continuous", dimension: last, min: low, max: high,
        inRange: {color: [css("--low"), "#3b528b", "#21918c", "#5ec962", "#d9c700"]}, calculable: false, right: 0, top: "middle",
        itemHeight: 120, itemWidth: 10, formatter: model.number, textStyle: {color: css("--soft"), fontSize: 11},
        seriesIndex: 0} : undefined,
      series: [{type: "parallel", smooth: false, lineStyle: {width: 2, opacity: 0.85},
        data: known.map(({t, value}) => ({name: t.name, value: [
          ...parameters.map((name, k) => axes[k].type === "category" ? model.parameter(t.parameters[name]) : t.parameters[name]),
          value]}))}],
    }, {notMerge: true});
  }

  return {curve, pareto, parallel, forget};
})();
