// Tables of trainings and of their losses.
"use strict";
const tables = (() => {
  /** Element with attributes, listeners ("onclick") and children; text is never taken for HTML. */
  function make(tag, attributes = {}, ...children) {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
      else if (name === "style") element.style.cssText = value;
      else if (value !== null && value !== undefined && value !== false) element.setAttribute(name, value === true ? "" : value);
    }
    element.append(...children.filter(child => child !== null && child !== undefined));
    return element;
  }

  const swatch = colour => make("i", {class: "swatch", style: `background:${colour}`});
  const pill = state => make("span", {class: `pill ${state}`}, state);

  /** Bar with a part a state, each as wide as its share. */
  function stacked(counts) {
    const total = Object.values(counts).reduce((a, b) => a + b, 0) || 1;
    const parts = model.STATES.filter(state => counts[state]);
    return make("span", {class: "bar", role: "img", "aria-label": parts.map(s => `${counts[s]} ${s}`).join(", ")},
      ...parts.map(state => make("i", {class: state, style: `width:${100 * counts[state] / total}%`})));
  }

  const countTexts = counts => model.STATES.filter(state => counts[state]).map(state =>
    make("span", {class: "counted"}, make("i", {class: `dot ${state}`}), `${counts[state]} ${state}`));

  function progress(training) {
    const share = training.planned ? training.done / training.planned : 0;
    return make("span", {class: "bar", role: "progressbar", "aria-valuemin": 0, "aria-valuemax": training.planned,
      "aria-valuenow": training.done}, make("i", {class: training.state, style: `width:${100 * share}%`}));
  }

  function remaining(training, now) {
    switch (training.state) {
      case "running": return training.ends === null ? "–" : `${model.duration(training.ends - now)} left`;
      case "queued": return "–";
      case "lost": return `silent for ${model.duration(now - training.seen)}`;
      default: return `took ${model.duration(training.seen - (training.started ?? training.seen))}`;
    }
  }

  const sortable = (title, key, sort, change, extra = {}) => make("th", {...extra, scope: "col",
    "aria-sort": sort.key === key ? (sort.falling ? "descending" : "ascending") : null},
    make("button", {onclick: () => change({key, falling: sort.key === key && !sort.falling})}, title));

  function compare(a, b, falling) {
    // What has no value comes last, whichever way is sorted.
    const [none, nothing] = [a === null || a === undefined, b === null || b === undefined];
    if (none || nothing) return none - nothing;
    const order = typeof a === "number" && typeof b === "number" ? a - b : model.natural.compare(a, b);
    return falling ? -order : order;
  }

  /** List of trainings, with a box each to show or hide it. */
  function runs(table, {trainings, parameters, sort, change, colour, isShown, show, now}) {
    const keys = {name: t => t.name, state: t => model.STATES.indexOf(t.state),
      done: t => t.planned ? t.done / t.planned : null, time: t => t.ends ?? t.seen};
    const key = keys[sort.key] ?? (t => t.parameters[sort.key.slice(2)]);
    const ordered = [...trainings].sort((a, b) => compare(key(a), key(b), sort.falling));
    const all = make("input", {type: "checkbox", "aria-label": "Show all", onchange: event => show(trainings, event.target.checked)});
    all.checked = trainings.length > 0 && trainings.every(isShown);
    all.indeterminate = !all.checked && trainings.some(isShown);
    const head = make("tr", {}, make("th", {class: "box"}, all), sortable("Training", "name", sort, change),
      sortable("State", "state", sort, change), sortable("Epochs", "done", sort, change, {class: "wide"}),
      sortable("Time", "time", sort, change),
      ...parameters.map(name => sortable(name, `p:${name}`, sort, change, {class: "number", title: name})));
    const body = ordered.map(t => {
      const box = make("input", {type: "checkbox", "aria-label": `Show ${t.name}`, onchange: event => show([t], event.target.checked)});
      box.checked = isShown(t);
      return make("tr", {"data-id": t.id, class: isShown(t) ? null : "off"}, make("td", {class: "box"}, box),
        make("td", {class: "name", title: t.id}, swatch(colour(t)), t.name), make("td", {title: t.error || t.host || null}, pill(t.state),
          ...(t.problem ? [make("div", {class: "problem"}, t.problem)] : [])),
        make("td", {class: "epochs"}, progress(t), make("span", {}, t.planned ? `${t.done} / ${t.planned}` : "–")),
        make("td", {class: "time"}, remaining(t, now)),
        ...parameters.map(name => make("td", {class: "number"}, model.parameter(t.parameters[name]))));
    });
    table.replaceChildren(make("thead", {}, head), make("tbody", {}, ...body));
  }

  /** Best model of every loss. */
  function best(table, {trainings, columns, at, colour}) {
    const rows = columns.map(column => [column, model.best(trainings, column, at)]).filter(([, found]) => found !== null);
    const head = make("tr", {}, ...["Loss", "Split", "Best model", "Value", "Epoch"].map((title, k) =>
      make("th", {scope: "col", class: k > 2 ? "number" : null}, title)));
    table.replaceChildren(make("thead", {}, head), make("tbody", {}, ...rows.map(([column, found]) => make("tr", {"data-key": column.key},
      make("td", {}, column.title),
      make("td", {class: "soft"}, column.split), make("td", {class: "name"}, swatch(colour(found.training)), found.training.name),
      make("td", {class: "number"}, model.number(found.value)), make("td", {class: "number"}, found.epoch ?? "–")))));
  }

  /** All models in rows, all losses in columns. */
  function matrix(table, {trainings, columns, at, sort, change, colour}) {
    const several = new Set(columns.map(c => c.split)).has("train") && columns.some(c => c.split === "validation");
    const bests = new Map(columns.map(column => [column.key, model.best(trainings, column, at)]));
    const column = columns.find(c => c.key === sort.key);
    const key = column ? t => model.value(t, column, at).value : t => t.name;
    const ordered = [...trainings].sort((a, b) => compare(key(a), key(b), sort.falling));
    const head = make("tr", {}, sortable("Model", "name", sort, change, {class: "stick"}),
      ...columns.map(c => sortable(several && c.split !== "end" ? `${c.title}, ${c.split}` : c.title, c.key, sort, change, {class: "number", "data-key": c.key})));
    const body = ordered.map(t => make("tr", {"data-id": t.id},
      make("th", {scope: "row", class: "stick name"}, swatch(colour(t)), t.name),
      ...columns.map(c => {
        const found = model.value(t, c, at);
        const best = bests.get(c.key);
        const isBest = best !== null && found.value === best.value && trainings.length > 1;
        return make("td", {class: isBest ? "number best" : "number", title: found.epoch === null ? null : `epoch ${found.epoch}`},
          model.number(found.value));
      })));
    table.replaceChildren(make("thead", {}, head), make("tbody", {}, ...body));
  }

  /** The matrix as rows for a file: states and parameters, then all losses in full. */
  function rows({trainings, parameters, columns, at}) {
    return [["model", "state", ...parameters, ...columns.map(c => c.split === "end" ? c.title : `${c.title}, ${c.split}`)],
      ...trainings.map(t => [t.name, t.state, ...parameters.map(name => t.parameters[name]),
        ...columns.map(c => model.value(t, c, at).value)])];
  }

  return {make, swatch, stacked, countTexts, runs, best, matrix, rows};
})();
