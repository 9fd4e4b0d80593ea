// What the page knows, and what follows from it. Nothing here touches the document.
"use strict";
const model = (() => {
  const STATES = ["running", "queued", "finished", "failed", "lost"];
  // After Petroff's accessible colours (arXiv:2107.02270), with more of them and darker light ones.
  const COLOURS = ["#3f90da", "#e76300", "#832db6", "#5aa02c", "#bd1f01", "#00a2a2", "#a96b59", "#e0a000", "#d6438a",
    "#717581", "#1b4f8a", "#8f8a00"];
  const SIGNED = /(^|_|\.)(multiplier_|unitarity_mean)|sum of probabilities/;

  const known = {groups: [], trainings: new Map(), now: 0, folder: "", revision: 0, offset: 0};

  /** Take a message of the server: what is new, and which trainings there still are. */
  function take(message) {
    const ids = new Set(message.ids);
    for (const training of message.trainings) {
      const earlier = known.trainings.get(training.id);
      known.trainings.set(training.id, {networks: earlier?.networks ?? {}, ...training});
    }
    for (const id of [...known.trainings.keys()]) if (!ids.has(id)) known.trainings.delete(id);
    const {groups, now, folder, revision} = message;
    Object.assign(known, {groups, now, folder, revision, offset: now - Date.now() / 1000});
  }

  const natural = new Intl.Collator("en", {numeric: true});
  const byName = (a, b) => natural.compare(a.name, b.name) || natural.compare(a.id, b.id);
  const members = group => [...known.trainings.values()].filter(t => t.group === group).sort(byName);

  /** Number of trainings by state; points of a grid that have no log yet are queued. */
  function counts(trainings, points = 0) {
    const found = Object.fromEntries(STATES.map(state => [state, 0]));
    for (const training of trainings) found[training.state] += 1;
    found.queued += Math.max(0, points - trainings.length);
    return found;
  }

  /** Names of the parameters that differ, those of the grid first. */
  function varied(trainings, group) {
    const names = new Set(trainings.flatMap(t => Object.keys(t.parameters)));
    const own = (group?.varied ?? []).filter(name => names.has(name));
    if (own.length) return own;
    if (trainings.length < 2) return [];
    return [...names].filter(name => new Set(trainings.map(t => JSON.stringify(t.parameters[name]))).size > 1);
  }

  const networks = trainings => [...new Set(trainings.flatMap(t => Object.keys(t.networks)))];

  /** "validation_mmd" is the loss "mmd" of the split "validation"; the loss that is minimised has no name. */
  function parse(column) {
    const [split, ...rest] = column.split("_");
    return {split, loss: rest.join("_") || "loss"};
  }

  /** Losses of a network, the one that is minimised first, multipliers last. */
  function losses(trainings, network) {
    const found = new Set(trainings.flatMap(t => Object.keys(t.networks[network]?.losses ?? {})).map(c => parse(c).loss));
    const rank = name => name === "loss" ? 0 : name.startsWith("multiplier_") ? 3 : name.startsWith("infeasibility_") ? 2 : 1;
    return [...found].sort((a, b) => rank(a) - rank(b) || natural.compare(a, b));
  }

  const words = name => name.replaceAll("_", " ");
  const columnOf = (split, loss) => loss === "loss" ? split : `${split}_${loss}`;
  const isRanked = column => column.includes("infeasibility_") || !SIGNED.test(column);
  const cost = (column, value) => column.includes("infeasibility_") ? Math.abs(value) : value;

  /** Columns of the summary: losses of every network in one split or both, then values at the end. */
  function columns(trainings, splits = ["validation", "train"]) {
    const several = networks(trainings).length > 1;
    const found = [];
    for (const network of networks(trainings)) {
      for (const loss of losses(trainings, network)) {
        for (const split of splits) {
          const name = columnOf(split, loss);
          if (!trainings.some(t => name in (t.networks[network]?.losses ?? {}))) continue;
          const title = words(several ? `${network} · ${loss}` : loss);
          found.push({key: `${network}/${name}`, network, name, split, title, ranked: isRanked(name)});
        }
      }
    }
    for (const name of new Set(trainings.flatMap(t => Object.keys(t.final)))) {
      found.push({key: `final/${name}`, network: null, name, split: "end", title: words(name), ranked: isRanked(name)});
    }
    return found;
  }

  /** Value of a training in a column, and its epoch if it has one. */
  function value(training, column, at) {
    if (column.network === null) return {value: training.final[column.name] ?? null, epoch: null};
    const curves = training.networks[column.network];
    if (!curves) return {value: null, epoch: null};
    if (at === "best") {
      const [found, epoch] = curves.best[column.name] ?? [null, null];
      return {value: found, epoch};
    }
    const epoch = at === "kept" ? curves.kept_epoch : curves.epochs.at(-1);
    return {value: curves[at][column.name] ?? null, epoch};
  }

  /** Best training in a column, or null. */
  function best(trainings, column, at) {
    if (!column.ranked) return null;
    let found = null;
    for (const training of trainings) {
      const here = value(training, column, at);
      if (here.value === null) continue;
      if (found === null || cost(column.name, here.value) < cost(column.name, found.value)) found = {training, ...here};
    }
    return found;
  }

  /** Points that no other one beats in both coordinates, from left to right. */
  function front(points) {
    const ordered = [...points].sort((a, b) => a.x - b.x || a.y - b.y);
    let lowest = Infinity;
    return ordered.filter(point => point.y < lowest && ((lowest = point.y), true));
  }

  /** Numbers with four significant digits, and a proper minus. */
  function number(found) {
    if (found === null || found === undefined) return "–";
    if (typeof found !== "number") return String(found);
    if (found === 0) return "0";
    const size = Math.abs(found);
    if (size >= 1e-3 && size < 1e5) {
      const digits = Math.max(0, 3 - Math.floor(Math.log10(size)));
      return found.toFixed(Math.min(digits, 6)).replace("-", "\u2212");
    }
    return found.toExponential(2).replace("e+", "e").replaceAll("-", "\u2212");
  }

  /** Number at a tick of an axis, as short as it can be. */
  const tick = found => (found !== 0 && (Math.abs(found) < 1e-3 || Math.abs(found) >= 1e5)
    ? found.toExponential().replace(/^(-?\d\.?\d{0,2})\d*e\+?/, "$1e") : String(+found.toPrecision(4))).replaceAll("-", "\u2212");

  const parameter = found => found === null || found === undefined ? "–"
    : typeof found === "number" ? String(+found.toPrecision(6)).replace("-", "\u2212") : String(found);

  function duration(seconds) {
    const s = Math.max(0, Math.round(seconds));
    if (s < 60) return `${s} s`;
    if (s < 3600) return `${Math.floor(s / 60)} min ${String(s % 60).padStart(2, "0")} s`;
    if (s < 86400) return `${Math.floor(s / 3600)} h ${String(Math.floor(s / 60) % 60).padStart(2, "0")} min`;
    return `${Math.floor(s / 86400)} d ${Math.floor(s / 3600) % 24} h`;
  }

  /** Table as CSV (RFC 4180). What a spreadsheet would take for a formula is no formula. */
  function csv(rows) {
    const cell = found => {
      const text = found === null || found === undefined ? "" : String(found);
      const safe = typeof found === "string" && /^[=+@\-\t\r]/.test(text) ? `'${text}` : text;
      return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
    };
    return rows.map(row => row.map(cell).join(",")).join("\r\n") + "\r\n";
  }

  return {STATES, COLOURS, known, take, members, counts, varied, networks, losses, columnOf, columns, value, best, front,
    number, tick, words, parameter, duration, csv, natural, isRanked};
})();
