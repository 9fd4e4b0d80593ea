// The page itself: what is chosen, and drawing it anew when there is news.
"use strict";
(() => {
  const {known} = model;
  const {make} = tables;
  const $$ = id => document.getElementById(id);
  const saved = $$("data");
  const view = {tab: null, group: null, hidden: new Set(), search: "", network: null, split: "validation", log: false,
    at: "kept", table: "validation", runsSort: {key: "name", falling: false}, matrixSort: {key: "name", falling: false},
    x: null, y: null, paretoLog: false, loss: null};

  const now = () => saved ? known.now : Date.now() / 1000 + known.offset;
  const group = () => view.tab === "grouped" ? known.groups.find(g => g.id === view.group) : null;
  const individuals = () => model.members(null);
  const context = () => view.tab === "grouped" ? (group() ? model.members(view.group) : []) : individuals();

  function colours(trainings) {
    const found = new Map(trainings.map((t, k) => [t.id, model.COLOURS[k % model.COLOURS.length]]));
    return training => found.get(training.id);
  }

  function matches(training, parameters) {
    const words = view.search.toLowerCase().split(/\s+/).filter(Boolean);
    const text = [training.name, training.id, training.state, ...parameters.map(name => `${name}=${training.parameters[name]}`)]
      .join(" ").toLowerCase();
    return words.every(word => text.includes(word));
  }

  /** Fill a select with options, and keep what was chosen as long as it is there. */
  function options(select, entries, chosen) {
    const text = JSON.stringify(entries);
    if (select.dataset.entries !== text) {
      select.replaceChildren(...entries.map(([value, title]) => make("option", {value}, title)));
      select.dataset.entries = text;
    }
    const value = entries.some(([key]) => key === chosen) ? chosen : entries[0]?.[0] ?? null;
    if (select.value !== value) select.value = value;
    return value;
  }

  function tabs() {
    const [grouped, alone] = [known.groups.length, individuals().length];
    view.tab ??= grouped || !alone ? "grouped" : "individual";
    for (const [tab, count] of [["grouped", grouped], ["individual", alone]]) {
      const button = $$(`tab-${tab}`);
      button.setAttribute("aria-selected", view.tab === tab);
      button.querySelector(".count").textContent = count;
    }
    if (!known.groups.some(g => g.id === view.group)) view.group = known.groups[0]?.id ?? null;
  }

  function groups() {
    const cards = view.tab !== "grouped" ? [] : known.groups.map(g => {
      const members = model.members(g.id);
      const counts = model.counts(members, g.points);
      const ends = members.map(t => t.ends).filter(end => end !== null);
      const seen = Math.max(0, ...members.map(t => t.seen));
      return make("button", {class: "card", "aria-pressed": g.id === view.group, "data-id": g.id,
        onclick: () => { view.group = g.id; draw(); }},
        make("b", {}, g.name), tables.stacked(counts),
        make("span", {class: "states"}, ...tables.countTexts(counts)),
        make("span", {class: "soft"}, seen ? `last sign of life ${model.duration(now() - seen)} ago` : "not begun",
          ends.length ? ` · running ones end in ${model.duration(Math.max(...ends) - now())}` : ""));
    });
    $$("groups").replaceChildren(...cards);
  }

  function draw() {
    tabs();
    groups();
    const all = context();
    const parameters = model.varied(all, group());
    const colour = colours(all);
    const found = all.filter(t => matches(t, parameters));
    const isShown = t => !view.hidden.has(t.id);
    const trainings = found.filter(isShown);
    $$("folder").textContent = known.folder;
    $$("nothing").hidden = all.length > 0;
    $$("nothing").textContent = view.tab === "grouped" && known.groups.length === 0
      ? "There is no group of trainings in this folder; a grid makes one." : "There are no trainings here yet.";
    for (const id of ["trainings", "curves", "summary", "pareto", "parallel"]) $$(id).hidden = all.length === 0;
    $$("states").replaceChildren(...tables.countTexts(model.counts(all, group()?.points)));
    tables.runs($$("runs"), {trainings: found, parameters: parameters.slice(0, 8), sort: view.runsSort, colour, isShown, now: now(),
      change: sort => { view.runsSort = sort; draw(); },
      show: (some, on) => { for (const t of some) view.hidden[on ? "delete" : "add"](t.id); draw(); }});
    curves(trainings, colour);
    const columns = model.columns(trainings);
    summary(trainings, columns, colour);
    pareto(trainings, columns, parameters, colour);
    parallel(trainings, columns, parameters);
  }

  function curves(trainings, colour) {
    view.network = options($$("network"), model.networks(trainings).map(n => [n, model.words(n)]), view.network);
    $$("network").parentElement.hidden = $$("network").options.length < 2;
    for (const button of $$("split").children) button.setAttribute("aria-pressed", button.value === view.split);
    $$("log").checked = view.log;
    $$("lines").textContent = view.split === "both" ? "Solid lines are validation, dashed ones training." : "";
    const names = model.losses(trainings, view.network);
    const place = $$("charts");
    const present = new Map([...place.children].map(figure => [figure.dataset.loss, figure]));
    for (const [name, figure] of present) {
      if (!names.includes(name)) { charts.forget(figure.querySelector(".chart")); figure.remove(); }
    }
    names.forEach((loss, k) => {
      const figure = present.get(loss) ?? make("figure", {"data-loss": loss},
        make("figcaption", {}, model.words(loss)), make("div", {class: "chart"}));
      if (place.children[k] !== figure) place.insertBefore(figure, place.children[k] ?? null);
      charts.curve(figure.querySelector(".chart"), {network: view.network, loss, trainings, colour, split: view.split, log: view.log});
    });
  }

  const entry = column => column.split === "end" ? column.title : `${column.title}, ${column.split}`;

  function summary(trainings, columns, colour) {
    $$("at").value = view.at;
    $$("table").value = view.table;
    const wanted = columns.filter(c => view.table === "all" || c.split === view.table || c.split === "end");
    tables.best($$("best"), {trainings, columns: wanted, at: view.at, colour});
    tables.matrix($$("matrix"), {trainings, columns: wanted, at: view.at, sort: view.matrixSort, colour,
      change: sort => { view.matrixSort = sort; draw(); }});
  }

  function pareto(trainings, columns, parameters, colour) {
    const entries = columns.map(c => [c.key, entry(c)]);
    const ranked = columns.filter(c => c.ranked && c.split !== "train");
    const first = ranked.filter(c => c.split === "validation");
    view.x = options($$("pareto-x"), entries, view.x ?? first[0]?.key);
    view.y = options($$("pareto-y"), entries, view.y ?? (first.find(c => c.name === "validation_mse") ?? first[1] ?? ranked[1])?.key);
    $$("pareto-log").checked = view.paretoLog;
    const [x, y] = [view.x, view.y].map(key => columns.find(c => c.key === key));
    $$("pareto").hidden = !x || !y || trainings.length === 0;
    if ($$("pareto").hidden) return;
    const points = trainings.map(training => ({training, x: model.value(training, x, view.at).value,
      y: model.value(training, y, view.at).value,
      told: parameters.slice(0, 8).map(name => [name, model.parameter(training.parameters[name])])}))
      .filter(p => p.x !== null && p.y !== null);
    const left = points.filter(p => view.paretoLog && !(p.x > 0 && p.y > 0)).length;
    $$("front").textContent = "Models on the line are better than any other in one loss or the other."
      + (left ? ` ${left} without a logarithm are left out.` : "");
    charts.pareto($$("pareto-chart"), {points, names: {x: entry(x), y: entry(y)}, log: view.paretoLog, colour});
  }

  function parallel(trainings, columns, parameters) {
    $$("parallel").hidden = parameters.length === 0 || trainings.length < 2;
    if ($$("parallel").hidden) return;
    const entries = columns.filter(c => c.ranked).map(c => [c.key, entry(c)]);
    view.loss = options($$("parallel-loss"), entries, view.loss);
    const column = columns.find(c => c.key === view.loss);
    charts.parallel($$("parallel-chart"), {trainings, parameters: parameters.slice(0, 8), loss: column ? entry(column) : null,
      valueOf: t => column ? model.value(t, column, view.at).value : null});
  }

  function listen() {
    for (const tab of ["grouped", "individual"]) $$(`tab-${tab}`).addEventListener("click", () => { view.tab = tab; draw(); });
    $$("search").addEventListener("input", event => { view.search = event.target.value; draw(); });
    $$("network").addEventListener("change", event => { view.network = event.target.value; draw(); });
    $$("split").addEventListener("click", event => { if (event.target.value) { view.split = event.target.value; draw(); } });
    $$("log").addEventListener("change", event => { view.log = event.target.checked; draw(); });
    $$("at").addEventListener("change", event => { view.at = event.target.value; draw(); });
    $$("table").addEventListener("change", event => { view.table = event.target.value; draw(); });
    $$("pareto-x").addEventListener("change", event => { view.x = event.target.value; draw(); });
    $$("pareto-y").addEventListener("change", event => { view.y = event.target.value; draw(); });
    $$("pareto-log").addEventListener("change", event => { view.paretoLog = event.target.checked; draw(); });
    $$("parallel-loss").addEventListener("change", event => { view.loss = event.target.value; draw(); });
    $$("csv").addEventListener("click", () => {
      const trainings = context().filter(t => !view.hidden.has(t.id));
      const parameters = model.varied(context(), group());
      const text = model.csv(tables.rows({trainings, parameters, columns: model.columns(trainings), at: view.at}));
      const address = URL.createObjectURL(new Blob([text], {type: "text/csv"}));
      make("a", {href: address, download: `${known.folder}.csv`}).click();
      setTimeout(() => URL.revokeObjectURL(address), 1000);
    });
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  }

  let waiting = false;
  /** Draw once for all news that come while the page is busy or out of sight. */
  function drawSoon() {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => { waiting = false; draw(); });
  }

  function follow() {
    const source = new EventSource("events");
    const say = (text, state) => { $$("live").textContent = text; $$("live").className = state; };
    source.onopen = () => say("live", "on");
    source.onmessage = event => { model.take(JSON.parse(event.data)); drawSoon(); };
    source.onerror = () => say("no connection, trying again", "off");
    setInterval(drawSoon, 5000);  // times go on without news
  }

  listen();
  if (saved) {
    model.take(JSON.parse(saved.textContent));
    $$("export").hidden = true;
    $$("live").textContent = `as of ${new Date(known.now * 1000).toLocaleString([], {dateStyle: "medium", timeStyle: "short"})}`;
    draw();
  } else {
    follow();
  }
})();
