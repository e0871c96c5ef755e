// The part "Explore" of the report. It reads the trials that the page holds, and asks for nothing.
// One set of filters says which trials are selected; the table, the parallel coordinates, the
// curves and the scatter plot all show it, and all of them change it.
(() => {
  "use strict";
  const note = document.getElementById("explore");
  const holder = document.getElementById("trials");
  const runs = holder ? JSON.parse(holder.textContent).runs : [];
  if (!note || !runs.length) return;
  document.documentElement.classList.add("script");

  const SHADES = 7, ROWS = 25, NEAR = 24;
  const make = (name, attributes = {}, ...children) => {
    const made = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) {
      if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
      else if (value !== null && value !== false) made.setAttribute(key, value === true ? "" : value);
    }
    made.append(...children);
    return made;
  };
  const draw = (name, attributes, words) => {
    const made = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    if (words !== undefined) made.textContent = words;
    return made;
  };
  const shown = (value) => {
    if (value === null || value === undefined) return "–";
    if (value === true || value === false) return value ? "yes" : "no";
    if (typeof value !== "number") return String(value);
    const size = Math.abs(value);
    if (Number.isInteger(value) && size < 1e6) return String(value);
    return size < 1e-3 || size >= 1e6
      ? value.toExponential(2).replace(/\.?0+e/, "e").replace("e+", "e")
      : String(Number(value.toPrecision(4)));
  };
  const brief = (value) => shown(typeof value === "number" && !Number.isInteger(value) ? Number(value.toPrecision(3)) : value);
  const byValue = (a, b) => (typeof a === "number" && typeof b === "number" ? a - b : String(a) < String(b) ? -1 : 1);

  // ---- scales ---------------------------------------------------------------------------------

  // Where a value lies on an axis, from 0 to 1. A hole, and a zero on a logarithmic axis, lie below.
  const LANE = -0.1;
  function scaleOf(column, values) {
    if (column.kind === "choice") {
      const choices = [...new Set(values)].sort((a, b) => (a === null) - (b === null) || byValue(a, b));
      const step = Math.max(1, choices.length - 1);
      const place = new Map(choices.map((each, turn) => [each, choices.length > 1 ? turn / step : 0.5]));
      return {
        choices, inLane: () => false, place: (value) => place.get(value),
        ticks: choices.map((each) => [place.get(each), each === null ? "none" : shown(each)]),
      };
    }
    const log = column.kind === "log";
    const inLane = (value) => typeof value !== "number" || (log && value <= 0);
    const known = values.filter((value) => !inLane(value));
    let low = known.reduce((a, b) => Math.min(a, b), Infinity), high = known.reduce((a, b) => Math.max(a, b), -Infinity);
    if (!known.length) [low, high] = [log ? 1 : 0, log ? 10 : 1];
    const bounds = [low, high];
    if (low === high) [low, high] = log ? [low / 1.5, high * 1.5] : [low - 0.5, high + 0.5];
    const to = log ? Math.log : (x) => x, back = log ? Math.exp : (x) => x;
    const place = (value) => (inLane(value) ? LANE : (to(value) - to(low)) / (to(high) - to(low)));
    const invert = (share) => back(to(low) + share * (to(high) - to(low)));
    const whole = known.every(Number.isInteger) && high - low >= 2;
    const inner = [1 / 3, 2 / 3].map((share) => (whole ? Math.round(invert(share)) : Number(invert(share).toPrecision(2))));
    const ends = (bounds[0] === bounds[1] ? bounds : [low, ...inner, high]).filter((value, turn, all) => all.indexOf(value) === turn);
    const ticks = ends.map((value) => [place(value), brief(value)]).filter(([where]) => where >= 0 && where <= 1);
    const lane = values.some(inLane);
    if (lane) ticks.unshift([LANE, values.some((value) => value === 0 && log) ? "0" : "none"]);
    return { place, invert, inLane, lane, ticks, bounds };
  }

  // ---- state ----------------------------------------------------------------------------------

  let run, columns, at, rows, order, ranks, selected, picked, hot, sort, scales, charts, chosen, across;
  let filters, words, top, all;
  const column = (key) => columns[at[key]];
  const value = (trial, key) => rows[trial][at[key]];
  const varies = (place) => new Set(rows.map((row) => row[place])).size > 1;
  const better = (a, b) => (run.maximised ? b - a : a - b);

  function open(index) {
    run = runs[index];
    columns = run.columns;
    at = Object.fromEntries(columns.map((each, place) => [each.key, place]));
    rows = run.rows;
    scales = columns.map((each, place) => scaleOf(each, rows.map((row) => row[place])));
    const sound = rows.map((_, trial) => trial).filter(
      (trial) => value(trial, "best") !== null && !run.failed.includes(value(trial, "state")));
    order = sound.sort((a, b) => better(value(a, "best"), value(b, "best")));
    ranks = new Map(order.map((trial, rank) => [trial, rank]));
    [filters, words, top, all, hot] = [new Map(), "", null, false, null];
    picked = order[0] ?? null;
    sort = { key: "best", down: run.maximised };
    const varied = columns.filter((each, place) => each.parameter && varies(place));
    chosen = new Set(["number", "state", "preset", "best", run.group, ...varied.slice(0, 6).map((each) => each.key), "epochs", "seconds"]);
    across = [column("best"), ...varied.filter((each) => each.key !== "probe")]; // the result first: the last axis may be out of sight
    if (across.length === 1) across.push(column("number"));
    build();
  }
  const shade = (trial) => (ranks.has(trial) ? Math.floor((ranks.get(trial) * SHADES) / order.length) : SHADES);
  const isShort = (trial) => value(trial, "state") !== "complete";

  function passes(trial) {
    for (const [key, filter] of filters) {
      const found = value(trial, key);
      if (filter.choices) { if (!filter.choices.has(found)) return false; }
      else if (scales[at[key]].inLane(found)) { if (!filter.lane) return false; }
      else if (found < filter.low || found > filter.high) return false;
    }
    if (top && !top.trials.has(trial)) return false;
    return !words || columns.some((each) => String(shown(value(trial, each.key))).toLowerCase().includes(words));
  }
  function takeTop(many, group) {
    const key = sizeKey();
    const of = order.filter((trial) => group === null || value(trial, key) === group).slice(0, many);
    top = { group, many, trials: new Set(of) };
    picked = of[0] ?? picked;
    change();
  }
  const sizeKey = () => (at.latent_size === undefined ? run.group : "latent_size");
  const setFilter = (key, filter) => { filter ? filters.set(key, filter) : filters.delete(key); change(); };

  // ---- the page -------------------------------------------------------------------------------

  const root = make("div", { class: "explore" });
  const hint = make("div", { class: "hint", hidden: true });
  note.after(root);
  const live = make("p", { class: "status", role: "status", "aria-live": "polite" });
  let head, body, headed, kept, keptKeys, more, card, carded, rangeBox, topBar, pending = 0;

  function build() {
    const old = document.activeElement && document.activeElement.id;
    root.replaceChildren();
    const pick = make("select", { id: "explore-run", onchange: (event) => open(Number(event.target.value)) });
    runs.forEach((each, index) => pick.append(make("option", { value: index, selected: each === run }, each.words)));
    const text = make("input", { type: "search", id: "explore-text", placeholder: "any word or number",
      oninput: (event) => { words = event.target.value.trim().toLowerCase(); change(); } });
    const many = make("input", { type: "number", class: "count", min: 1, max: 99, value: 5, id: "explore-top" });
    topBar = make("div", { class: "bar", role: "group", "aria-label": "The best trials" },
      make("label", {}, "The best", many), "of");
    const key = sizeKey();
    const sizes = [...new Set(rows.map((row) => row[at[key]]))].filter((each) => each !== null).sort(byValue).reverse();
    for (const size of [null, ...(sizes.length > 1 ? sizes : [])]) {
      topBar.append(make("button", { type: "button", "data-top": size === null ? "all" : size,
        onclick: (event) => top && top.group === size && top.many === Number(many.value)
          ? ((top = null), change()) : takeTop(Math.max(1, Number(many.value)), size) },
        size === null ? "all trials" : (typeof size === "number" ? "code " : "") + size));
    }
    rangeBox = make("div", { class: "ranges" });
    columns.forEach((each, place) => { if (each.key !== "number" && varies(place)) rangeBox.append(rangeField(each, place)); });
    [head, body, headed, keptKeys] = [make("thead"), make("tbody"), null, null];
    more = make("button", { type: "button", onclick: () => { all = true; fillTable(); } });
    const table = make("div", { class: "trials", tabindex: 0, role: "region", "aria-label": "Trials" }, make("table", {}, head, body), more);
    carded = undefined;
    card = make("section", { class: "trial", "aria-label": "The chosen trial" });
    charts = [parallel(), curves(), scatter()];
    root.append(
      make("div", { class: "bar" }, make("label", {}, "Search", pick), make("label", {}, "Filter", text),
        make("button", { type: "button", id: "explore-clear", onclick: clear }, "Show all trials")),
      topBar,
      make("details", { id: "explore-ranges" }, make("summary", {}, "Filter by range and choice"), rangeBox),
      live, make("h3", {}, "Parallel coordinates"),
      make("p", { class: "note" }, `Each line is a trial, dark where the ${run.goal} is good, dashed where it was not trained to the end. Drag along an axis to select a range; click the axis to drop it.`.replace("dark", matchMedia("(prefers-color-scheme: dark)").matches ? "bright" : "dark")),
      charts[0].box,
      make("div", { class: "pair" },
        make("div", {}, make("h3", {}, "Curves of the selected trials"), charts[1].box),
        make("div", {}, make("h3", {}, "A hyperparameter and the result"), charts[2].menu, charts[2].box)),
      card, make("h3", {}, "Trials"), columnMenu(), table,
      make("label", { class: "note" }, make("input", { type: "checkbox", id: "explore-pictures",
        onchange: (event) => document.documentElement.classList.toggle("pictures", event.target.checked) }),
        "Show the pictures of these trials in the part “The search” as well"),
      hint);
    charts.forEach((chart) => chart.layOut());
    update();
    if (old && document.getElementById(old)) document.getElementById(old).focus();
  }
  function clear() {
    [filters, words, top] = [new Map(), "", null];
    document.getElementById("explore-text").value = "";
    change();
  }
  function columnMenu() {
    const boxes = columns.map((each) => make("label", {}, make("input", { type: "checkbox", checked: chosen.has(each.key),
      disabled: each.key === "number",
      onchange: (event) => { chosen[event.target.checked ? "add" : "delete"](each.key); fillTable(); } }), each.words));
    return make("details", { id: "explore-columns" }, make("summary", {}, "Columns"), make("div", { class: "bar" }, ...boxes));
  }
  function rangeField(each, place) {
    const scale = scales[place], field = make("fieldset", { "data-key": each.key }, make("legend", {}, each.words));
    field.filter = null;
    if (scale.choices) {
      scale.choices.forEach((choice) => field.append(make("label", {}, make("input", { type: "checkbox", checked: true,
        onchange: () => {
          const boxes = [...field.querySelectorAll("input")];
          const kept = scale.choices.filter((_, turn) => boxes[turn].checked);
          setFilter(each.key, kept.length === scale.choices.length ? null : { choices: new Set(kept) });
        } }), choice === null ? "none" : shown(choice))));
      return field;
    }
    const read = () => {
      const [low, high] = [...field.querySelectorAll("input[type=number]")].map((box) => box.value);
      const lane = field.querySelector("input[type=checkbox]");
      const keep = lane ? lane.checked : true;
      setFilter(each.key, low === "" && high === "" && keep ? null
        : { low: low === "" ? -Infinity : Number(low), high: high === "" ? Infinity : Number(high), lane: lane ? lane.checked : false });
    };
    for (const [end, bound] of [["from", scale.bounds[0]], ["to", scale.bounds[1]]]) {
      field.append(make("label", {}, end, make("input", { type: "number", step: "any", placeholder: shown(bound), onchange: read })));
    }
    if (scale.lane) field.append(make("label", {}, make("input", { type: "checkbox", checked: true, onchange: read }), scale.ticks[0][1]));
    return field;
  }
  function showRanges() {
    for (const field of rangeBox.children) {
      const key = field.dataset.key, filter = filters.get(key) ?? null, scale = scales[at[key]];
      if (filter === field.filter) continue;
      field.filter = filter;
      const boxes = [...field.querySelectorAll("input[type=checkbox]")];
      if (scale.choices) boxes.forEach((box, turn) => { box.checked = !filter || filter.choices.has(scale.choices[turn]); });
      else {
        const numbers = field.querySelectorAll("input[type=number]");
        const ends = filter ? [filter.low, filter.high] : [-Infinity, Infinity];
        ends.forEach((end, turn) => {
          if (document.activeElement !== numbers[turn]) numbers[turn].value = Number.isFinite(end) ? Number(end.toPrecision(4)) : "";
        });
        boxes.forEach((box) => { box.checked = !filter || filter.lane; });
      }
    }
  }

  // ---- what changes ---------------------------------------------------------------------------

  const change = () => { if (!pending) pending = requestAnimationFrame(() => { pending = 0; update(); }); };
  function update() {
    selected = rows.map((_, trial) => passes(trial));
    const many = selected.filter(Boolean).length;
    live.textContent = `${many} of ${rows.length} trials selected` + (top ? `: the best ${top.trials.size}` + (top.group === null ? "" : ` of ${column(sizeKey()).words} ${top.group}`) : "")
      + (run.trials > rows.length ? `; these are the best of all ${run.trials} trials, trials.csv has the others` : "");
    for (const button of topBar.querySelectorAll("button")) {
      button.setAttribute("aria-pressed", Boolean(top) && String(top.group ?? "all") === button.dataset.top);
    }
    charts.forEach((chart) => { chart.update(); chart.raise(picked); });
    showRanges();
    fillTable();
    fillCard();
  }
  function point(trial) {
    if (trial === hot) return;
    for (const [name, was] of [[hot, false], [trial, true]]) {
      if (name !== null) root.querySelectorAll(`[data-trial="${name}"]`).forEach((each) => each.classList.toggle("hot", was));
    }
    hot = trial;
    charts.forEach((chart) => chart.raise(trial));
  }
  function tell(trial, event) {
    point(trial);
    hint.hidden = trial === null;
    if (trial === null) return;
    const parts = across.filter((each) => each.parameter && value(trial, each.key) !== null).map((each) => `${each.words} ${shown(value(trial, each.key))}`);
    hint.textContent = `Trial ${value(trial, "number")} (${value(trial, "preset")}, ${value(trial, "state")}): ${run.goal} ${shown(value(trial, "best"))}; ${parts.join(", ")}`;
    const wide = hint.offsetWidth, high = hint.offsetHeight;
    hint.style.left = `${Math.max(4, Math.min(event.clientX + 14, innerWidth - wide - 8))}px`;
    hint.style.top = `${event.clientY + 18 + high > innerHeight ? event.clientY - high - 12 : event.clientY + 18}px`;
  }
  function choose(trial) {
    if (trial === null) return;
    picked = trial;
    charts.forEach((chart) => { chart.update(); chart.raise(picked); });
    for (const row of body.rows) row.classList.toggle("picked", Number(row.dataset.trial) === picked);
    fillCard();
  }
  // Shows which of a chart's marks are selected and picked. To touch all of them takes longer than to draw the few that change.
  function look(marks, out) {
    marks.forEach((mark, trial) => {
      const now = !selected[trial] ? out : trial === picked ? "picked" : null;
      if (now === (mark.look ?? null)) return;
      if (mark.look) mark.classList.remove(mark.look);
      if (now) mark.classList.add(now);
      mark.look = now;
    });
  }
  const last = (layer, mark) => { if (mark && mark !== layer.lastChild) layer.append(mark); };

  // ---- the table and the card -----------------------------------------------------------------

  function rowOf(trial, shownColumns) {
    return make("tr", {
      "data-trial": trial, onmouseenter: () => point(trial), onmouseleave: () => point(null), onclick: () => choose(trial),
    }, ...shownColumns.map((each) => {
      const words = shown(value(trial, each.key));
      if (each.key !== "number") return make("td", { class: each.kind === "choice" ? null : "number" }, words);
      return make("td", { class: "number" }, make("button", { type: "button", "aria-label": `Trial ${words}`,
        onfocus: () => point(trial), onblur: () => point(null), onclick: () => choose(trial) }, words));
    }));
  }
  function titleOf(each) {
    const here = sort.key === each.key;
    return make("th", { scope: "col", "aria-sort": here ? (sort.down ? "descending" : "ascending") : "none", class: each.kind === "choice" ? null : "number" },
      make("button", { type: "button", "data-sort": each.key, onclick: () => {
        sort = { key: each.key, down: here && !sort.down };
        fillTable();
        head.querySelector(`[data-sort="${each.key}"]`).focus();
      } }, each.words + (here ? (sort.down ? " ↓" : " ↑") : "")));
  }
  function fillTable() {
    const shownColumns = columns.filter((each) => chosen.has(each.key));
    const place = at[sort.key];
    const listed = rows.map((_, trial) => trial).filter((trial) => selected[trial]).sort((a, b) => {
      const [x, y] = [rows[a][place], rows[b][place]];
      if (x === null || y === null) return (x === null) - (y === null) || a - b; // holes stay last
      return (sort.down ? -byValue(x, y) : byValue(x, y)) * (x !== y) || a - b;
    });
    const keys = shownColumns.map((each) => each.key).join(), kind = `${keys} ${sort.key} ${sort.down}`;
    if (kind !== headed) head.replaceChildren(make("tr", {}, ...shownColumns.map(titleOf)));
    if (keys !== keptKeys) { kept = new Map(); body.replaceChildren(); }
    [headed, keptKeys] = [kind, keys];
    // Rows are kept, and those that stay are not moved: to lay them out anew is most of what a brush costs.
    const wanted = listed.slice(0, all ? undefined : ROWS);
    wanted.forEach((trial) => { if (!kept.has(trial)) kept.set(trial, rowOf(trial, shownColumns)); });
    const found = wanted.map((trial) => kept.get(trial)), stay = new Set(found);
    for (const row of [...body.rows]) if (!stay.has(row)) row.remove();
    let next = body.firstChild;
    for (const row of found) {
      if (row === next) next = row.nextSibling;
      else body.insertBefore(row, next);
      row.classList.toggle("picked", Number(row.dataset.trial) === picked);
      row.classList.toggle("hot", Number(row.dataset.trial) === hot);
    }
    more.hidden = found.length === listed.length;
    more.textContent = `Show all ${listed.length} rows`;
  }
  const quoted = (text) => (/^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'"'"'`)}'`);
  function configuration(trial) {
    const found = columns.filter((each) => each.parameter && value(trial, each.key) !== null);
    return Object.fromEntries(found.map((each) => [each.key, value(trial, each.key)]));
  }
  function command(trial) {
    const size = value(trial, "latent_size"), probe = value(trial, "probe");
    const fixed = run.fixed.filter((key) => value(trial, key) !== null).map((key) => quoted(`${key}=${value(trial, key)}`));
    return [run.command, ...(probe ? ["--probes", quoted(probe)] : []), ...(typeof size === "number" ? ["--latent-sizes", size] : []),
      ...(fixed.length ? ["--set", ...fixed] : []), "--num-samples", 1].join(" ");
  }
  function fillCard() {
    if (picked === carded) return;
    carded = picked;
    card.replaceChildren();
    if (picked === null) return;
    const said = make("span", { role: "status" });
    const copy = (words, name) => make("button", { type: "button", "data-copy": name, onclick: async () => {
      said.textContent = (await copied(words)) ? `The ${name} is copied.` : "This browser does not let a page copy: select the text.";
    } }, `Copy ${name}`);
    const json = JSON.stringify(configuration(picked), null, 1), typed = command(picked);
    const state = value(picked, "reason") ? `${value(picked, "state")} (${value(picked, "reason")})` : value(picked, "state");
    card.append(
      make("h3", {}, `Trial ${value(picked, "number")}`),
      make("p", { class: "note" }, `${value(picked, "preset")}, ${state}: ${run.goal} ${shown(value(picked, "best"))} at best, ${shown(value(picked, "epochs"))} epochs in ${shown(value(picked, "seconds"))} s.`
        + (run.winners.includes(value(picked, "number")) ? " It is a winner of the search." : "")),
      make("div", { class: "bar" }, copy(json, "configuration"), copy(typed, "command"), said),
      make("pre", {}, make("code", {}, json.replace(/\n /g, " ").replace("\n", " "))),
      make("p", { class: "note" }, "The command that trains it alone:"), make("pre", {}, make("code", {}, typed)));
  }
  async function copied(words) {
    try {
      await navigator.clipboard.writeText(words);
      return true;
    } catch {
      const area = make("textarea", { "aria-hidden": "true" });
      area.value = words;
      root.append(area);
      area.select();
      const done = document.execCommand("copy");
      area.remove();
      return done;
    }
  }

  // ---- charts ---------------------------------------------------------------------------------

  // The nearest selected trial to the pointer, by `distance(trial, x, y)` in pixels.
  function follow(picture, distance) {
    const nearest = (event) => {
      const box = picture.getBoundingClientRect();
      const [x, y] = [event.clientX - box.left, event.clientY - box.top];
      let best = null, least = NEAR;
      rows.forEach((_, trial) => {
        if (!selected[trial]) return;
        const far = distance(trial, x, y);
        if (far < least) [best, least] = [trial, far];
      });
      return best;
    };
    picture.addEventListener("pointermove", (event) => { if (!event.buttons) tell(nearest(event), event); });
    picture.addEventListener("pointerleave", (event) => tell(null, event));
    picture.addEventListener("click", (event) => {
      if (performance.now() - lastDrag > 300 && !event.target.classList.contains("catch")) choose(nearest(event));
    });
    return nearest;
  }
  let lastDrag = 0;
  const path = (points) => points.map(([x, y], turn) => `${turn ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`).join("");
  // Calls `move` with the two ends of a drag, in pixels of the picture, or `end` after a mere click.
  function dragged(target, move, end) {
    target.addEventListener("pointerdown", (event) => {
      event.preventDefault();
      target.setPointerCapture(event.pointerId);
      hint.hidden = true;
      const box = target.ownerSVGElement.getBoundingClientRect();
      const here = (moved) => [moved.clientX - box.left, moved.clientY - box.top];
      const first = here(event);
      const far = (moved) => Math.hypot(here(moved)[0] - first[0], here(moved)[1] - first[1]) > 4;
      const moving = (moved) => { if (far(moved)) { lastDrag = performance.now(); move(first, here(moved)); } };
      target.addEventListener("pointermove", moving);
      target.addEventListener("pointerup", (up) => {
        target.removeEventListener("pointermove", moving);
        if (far(up)) lastDrag = performance.now();
        else end(up);
      }, { once: true });
    });
  }
  // A filter of the part of an axis between two shares of it.
  function between(each, low, high) {
    const scale = scales[at[each.key]];
    if (scale.choices) {
      const kept = scale.choices.filter((choice) => scale.place(choice) >= low && scale.place(choice) <= high);
      return { choices: new Set(kept) };
    }
    return { low: low <= 0 ? -Infinity : scale.invert(low), high: high >= 1 ? Infinity : scale.invert(high), lane: low <= LANE / 2 };
  }
  function extent(each) {
    const filter = filters.get(each.key), scale = scales[at[each.key]];
    if (!filter) return null;
    if (filter.choices) {
      const places = [...filter.choices].map(scale.place);
      return places.length ? [Math.min(...places) - 0.03, Math.max(...places) + 0.03] : [0, 0];
    }
    const low = Number.isFinite(filter.low) ? scale.place(filter.low) : filter.lane ? LANE - 0.03 : 0;
    return [low, Number.isFinite(filter.high) ? scale.place(filter.high) : 1];
  }

  function parallel() {
    const box = make("div", { class: "chart", id: "explore-parallel" });
    let lines, brushes, picture, places, height, top_, bottom, layer;
    const y = (share) => bottom - share * (bottom - top_);
    function layOut() {
      const width = Math.max(box.clientWidth || 800, across.length * 68 + 20);
      [height, top_, bottom] = [340, 46, 296];
      const gap = across.length > 1 ? (width - 100) / (across.length - 1) : 0;
      places = across.map((_, turn) => 44 + turn * gap);
      picture = draw("svg", { width, height, role: "img", "aria-label": "" });
      layer = draw("g", {});
      picture.append(layer);
      lines = rows.map((_, trial) => {
        const points = across.map((each, turn) => [places[turn], y(scales[at[each.key]].place(value(trial, each.key)))]);
        const line = draw("path", { d: path(points), class: `line l${shade(trial)}${isShort(trial) ? " short" : ""}`, "data-trial": trial });
        line.points = points;
        return line;
      });
      layer.append(...lines.map((_, trial) => trial).sort((a, b) => (ranks.get(b) ?? 1e9) - (ranks.get(a) ?? 1e9)).map((trial) => lines[trial]));
      brushes = across.map((each, turn) => axis(each, places[turn], gap));
      follow(picture, (trial, x, py) => {
        const points = lines[trial].points, turn = Math.min(points.length - 2, Math.max(0, Math.floor((x - places[0]) / gap)));
        const [[x0, y0], [x1, y1]] = [points[turn], points[turn + 1]];
        return Math.abs(y0 + ((y1 - y0) * (x - x0)) / (x1 - x0) - py);
      });
      box.replaceChildren(picture);
    }
    function axis(each, x, gap) {
      const scale = scales[at[each.key]];
      picture.append(draw("line", { x1: x, x2: x, y1: y(scale.lane ? LANE : 0), y2: y(1), class: "rule" }));
      const longest = scale.ticks.length > 12 ? scale.ticks.filter((_, turn) => turn % Math.ceil(scale.ticks.length / 12) === 0) : scale.ticks;
      const room = Math.max(4, Math.floor(gap / 6.5));
      for (const [where, said] of longest) {
        picture.append(draw("text", { x: x + 4, y: y(where) + 4, class: "tick" }, said.length > room ? `${said.slice(0, room - 1)}…` : said));
      }
      const parts = each.words.split(" ");
      const half = parts.length > 1 ? Math.ceil(parts.length / 2) : 1;
      [parts.slice(0, half), parts.slice(half)].forEach((line, turn) => {
        if (line.length) picture.append(draw("text", { x, y: 16 + 13 * turn, "text-anchor": "middle" }, line.join(" ")));
      });
      const brush = draw("rect", { class: "brush", x: x - 9, width: 18, visibility: "hidden" });
      const target = draw("rect", { class: "catch", x: x - 14, width: 28, y: top_ - 14, height: height - top_ + 8, "data-axis": each.key });
      const share = (py) => (bottom - py) / (bottom - top_);
      dragged(target,
        ([, from], [, to]) => setFilter(each.key, between(each, share(Math.max(from, to)), share(Math.min(from, to)))),
        () => setFilter(each.key, null));
      picture.append(brush, target);
      return brush;
    }
    function update_() {
      look(lines, "out");
      across.forEach((each, turn) => {
        const found = extent(each), brush = brushes[turn];
        brush.setAttribute("visibility", found ? "visible" : "hidden");
        if (!found) return;
        brush.setAttribute("y", y(Math.min(1.04, found[1])));
        brush.setAttribute("height", Math.max(3, y(found[0]) - y(Math.min(1.04, found[1]))));
      });
      picture.setAttribute("aria-label", `Parallel coordinates of ${rows.length} trials, ${live.textContent}. The table and the ranges hold the same.`);
    }
    return { box, layOut, update: update_, raise: (trial) => last(layer, lines[trial]) };
  }

  // A frame with axes; x and y are scales, drawn with a few ticks.
  function frame(box, xScale, yScale, xWords, yWords) {
    const width = Math.max(280, box.clientWidth || 400), height = 280;
    const edge = { left: 62, right: 26, top: 12, bottom: 44 };
    const lowX = xScale.lane ? 0.12 : 0.03, lowY = yScale.lane ? 0.12 : 0.03;
    const x = (share) => edge.left + (width - edge.left - edge.right) * (lowX + share * (0.97 - lowX));
    const y = (share) => height - edge.bottom - (height - edge.top - edge.bottom) * (lowY + share * (0.97 - lowY));
    const picture = draw("svg", { width, height, role: "img", "aria-label": "" });
    const many = Math.ceil(xScale.ticks.length / Math.max(2, Math.floor((width - 80) / 52)));
    xScale.ticks.forEach(([where, said], turn) => {
      if (turn % many) return;
      picture.append(draw("line", { x1: x(where), x2: x(where), y1: edge.top, y2: height - edge.bottom, class: "grid" }));
      picture.append(draw("text", { x: x(where), y: height - edge.bottom + 15, class: "tick", "text-anchor": "middle" }, said.length > 11 ? `${said.slice(0, 10)}…` : said));
    });
    for (const [where, said] of yScale.ticks) {
      picture.append(draw("line", { x1: edge.left, x2: width - edge.right, y1: y(where), y2: y(where), class: "grid" }));
      picture.append(draw("text", { x: edge.left - 6, y: y(where) + 4, class: "tick", "text-anchor": "end" }, said));
    }
    picture.append(draw("text", { x: (edge.left + width) / 2, y: height - 8, "text-anchor": "middle" }, xWords));
    picture.append(draw("text", { x: 12, y: height / 2 - 10, transform: `rotate(-90 12 ${height / 2 - 10})`, "text-anchor": "middle" }, yWords));
    const area = { x: edge.left, y: edge.top, width: width - edge.left - edge.right, height: height - edge.top - edge.bottom };
    const back = { x: (px) => ((px - edge.left) / area.width - lowX) / (0.97 - lowX), y: (py) => ((height - edge.bottom - py) / area.height - lowY) / (0.97 - lowY) };
    return { picture, x, y, area, back };
  }

  function curves() {
    const box = make("div", { class: "chart", id: "explore-curves" });
    let lines, picture, layer;
    const read = (curve) => {
      if (!curve) return [];
      const [epochs, values] = Array.isArray(curve[0]) ? curve : [curve.map((_, turn) => turn + 1), curve];
      return epochs.map((epoch, turn) => [epoch, values[turn]]).filter((pair) => pair[1] !== null);
    };
    function layOut() {
      const found = run.curves.map(read);
      const sound = found.flatMap((curve, trial) => (ranks.has(trial) ? curve.map((pair) => pair[1]) : []));
      const kind = run.maximised ? "number" : "log";
      const yScale = scaleOf({ kind }, sound.filter((each) => kind === "number" || each > 0));
      const epochs = found.flatMap((curve) => curve.map((pair) => pair[0]));
      const last = epochs.reduce((a, b) => Math.max(a, b), 2);
      const xScale = scaleOf({ kind: "log" }, [1, last]);
      xScale.ticks = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, last].filter((tick, turn, list) => tick <= last && list.indexOf(tick) === turn && (tick === last || last / tick > 1.3)).map((tick) => [xScale.place(tick), String(tick)]);
      const drawn = frame(box, xScale, yScale, "epoch", run.goal);
      picture = drawn.picture;
      layer = draw("g", {});
      picture.append(layer);
      lines = found.map((curve, trial) => {
        const points = curve.filter((pair) => !yScale.inLane(pair[1])).map(([epoch, each]) => [drawn.x(xScale.place(epoch)), drawn.y(Math.min(1, Math.max(0, yScale.place(each))))]);
        const one = points.length === 1 ? [points[0], [points[0][0] + 5, points[0][1]]] : points;
        const line = draw("path", { d: path(one), class: `line l${shade(trial)}${isShort(trial) ? " short" : ""}`, "data-trial": trial });
        line.points = points;
        layer.append(line);
        return line;
      });
      follow(picture, (trial, x, y) => {
        let least = Infinity;
        const points = lines[trial].points;
        points.forEach(([px, py], turn) => {
          const [qx, qy] = points[turn + 1] ?? [px, py];
          const share = qx > px ? Math.min(1, Math.max(0, (x - px) / (qx - px))) : 0;
          least = Math.min(least, Math.hypot(px + share * (qx - px) - x, py + share * (qy - py) - y));
        });
        return least;
      });
      box.replaceChildren(picture);
    }
    function update_() {
      look(lines, "gone");
      picture.setAttribute("aria-label", `${run.goal} against the epoch, both${run.maximised ? "" : " logarithmic"}: ${live.textContent}.`.replace("both:", "epochs logarithmic:"));
    }
    return { box, layOut, update: update_, raise: (trial) => last(layer, lines[trial]) };
  }

  function scatter() {
    const box = make("div", { class: "chart", id: "explore-scatter" });
    const choices = columns.filter((each) => each.parameter || each.key === "epochs" || each.key === "seconds" || each.key === "number");
    const first = across.find((each) => each.key === "learning_rate") ?? across.find((each) => each.parameter && each.key !== run.group) ?? column("number");
    let each = first, picture, dots, brush, drawn, layer;
    const menu = make("label", {}, "across", make("select", { id: "explore-across", onchange: (event) => { each = column(event.target.value); layOut(); update_(); } },
      ...choices.map((choice) => make("option", { value: choice.key, selected: choice === first }, choice.words))));
    function layOut() {
      const xScale = scales[at[each.key]], yScale = scales[at.best];
      drawn = frame(box, xScale, yScale, each.words, run.goal);
      picture = drawn.picture;
      layer = draw("g", {});
      brush = draw("rect", { class: "brush", visibility: "hidden" });
      const target = draw("rect", { ...drawn.area, class: "area" });
      dots = rows.map((_, trial) => draw("circle", { r: isShort(trial) ? 2.8 : 4.2, cx: drawn.x(xScale.place(value(trial, each.key))), cy: drawn.y(yScale.place(value(trial, "best"))),
        class: `dot d${shade(trial)}${isShort(trial) ? " short" : ""}`, "data-trial": trial }));
      layer.append(...dots);
      picture.append(layer, brush, target);
      dragged(target, ([x0, y0], [x1, y1]) => {
        const span = (a, b) => [Math.min(a, b), Math.max(a, b)];
        filters.set(each.key, between(each, ...span(drawn.back.x(x0), drawn.back.x(x1))));
        setFilter("best", between(column("best"), ...span(drawn.back.y(y0), drawn.back.y(y1))));
      }, (event) => {
        if (nearest(event) !== null) return;
        filters.delete(each.key);
        setFilter("best", null);
      });
      const nearest = follow(picture, (trial, x, y) => Math.hypot(Number(dots[trial].getAttribute("cx")) - x, Number(dots[trial].getAttribute("cy")) - y));
      box.replaceChildren(picture);
    }
    function update_() {
      look(dots, "out");
      const [wide, high] = [extent(each), extent(column("best"))];
      brush.setAttribute("visibility", wide || high ? "visible" : "hidden");
      if (wide || high) {
        const { area } = drawn;
        const [x0, x1] = wide ? wide.map(drawn.x) : [area.x, area.x + area.width];
        const [y1, y0] = high ? high.map(drawn.y) : [area.y + area.height, area.y];
        brush.setAttribute("x", x0); brush.setAttribute("width", Math.max(2, x1 - x0));
        brush.setAttribute("y", y0); brush.setAttribute("height", Math.max(2, y1 - y0));
      }
      picture.setAttribute("aria-label", `${run.goal} against ${each.words}: ${live.textContent}.`);
    }
    return { box, menu, layOut, update: update_, raise: (trial) => last(layer, dots[trial]) };
  }

  let wide = innerWidth, waiting = 0;
  addEventListener("resize", () => {
    if (innerWidth === wide) return;
    wide = innerWidth;
    clearTimeout(waiting);
    waiting = setTimeout(() => charts.forEach((chart) => { chart.layOut(); chart.update(); }), 150);
  });
  open(0);
})();
