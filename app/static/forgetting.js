// Runs side by side: which ones, their charts, the finding in words, the table, the items.
(function () {
  const el = sdlab.el;
  const dot = (colour) => el("span", { class: "sd-dot", style: { background: colour }, "aria-hidden": "true" });
  const whole = (value) => (value < 0 ? "−" : "+") + Math.abs(Math.round(100 * value));

  // Several charts, each of which keeps its zoom; a chart view draws each.
  sdlab.views.charts = function (place, value) {
    const known = new Map([...place.children].map((child) => [child.dataset.key, child]));
    const panels = value.charts.map((each) => known.get(each.key) || el("div", { class: "sd-chart-panel", "data-key": each.key }));
    if (panels.length !== place.children.length || panels.some((panel, i) => panel !== place.children[i])) place.replaceChildren(...panels);
    value.charts.forEach((each, i) => sdlab.views.chart(panels[i], each));
  };

  function boxes(id, title, choices, change) {
    const inputs = choices.map((choice) => el("label", { class: "sd-check" },
      el("input", { type: "checkbox", value: choice.value, checked: choice.chosen, "data-key": id + "-" + choice.value,
        onchange: () => change(inputs.map((label) => label.querySelector("input")).filter((input) => input.checked).map((input) => input.value)) }),
      choice.colour ? dot(choice.colour) : "", el("span", {}, choice.name, choice.note ? el("small", {}, " " + choice.note) : "")));
    return el("fieldset", { class: "sd-boxes", id: id }, el("legend", {}, title), inputs);
  }

  function groups(value, ask) {
    const chosen = (except) => value.groups.flatMap((group) => (group.id === except ? [] : group.runs.filter((run) => run.chosen).map((run) => run.id)));
    return value.groups.map(function (group, i) {
      const runs = group.runs.map((run) => ({ value: run.id, name: run.name, note: run.method + (run.state === "done" ? "" : " · " + run.state), chosen: run.chosen, colour: run.colour }));
      const row = boxes("forget-runs" + (i ? "-" + group.id : ""), "launched " + group.at.slice(0, 16).replace("T", " "), runs,
        (picked) => ask({ runs: [...chosen(group.id), ...picked].join(","), task: "" }));
      if (group.runs.some((run) => !run.chosen) || chosen(group.id).length) {
        row.append(el("button", { type: "button", class: "sd-plain", "data-key": "only-" + group.id, onclick: () => ask({ runs: group.runs.map((run) => run.id).join(","), task: "" }) }, "Show only these"));
      }
      return row;
    });
  }

  const pick = (id, label, names, chosen, onchange) => sdlab.pick(id, label, names.map((name) => [name, name]), chosen, onchange);

  sdlab.views["forgetting-head"] = function (place) {
    place.replaceChildren(el("h1", {}, "Forgetting"), el("p", {}, "What runs gained on their task, and what became of what the model knew before: ",
      sdlab.term("forgetting"), ", measured on ", sdlab.term("probe", "probes"), " with their ", sdlab.term("interval", "intervals"), "."));
  };

  sdlab.views.forgetting = function (place, value, trigger) {
    const ask = function (changes) { sdlab.setQuery(changes); trigger("select"); };
    const error = value.missing ? el("p", { class: "sd-error", role: "alert" }, value.missing) : "";
    if (value.apart) { place.replaceChildren(); return; }
    if (value.empty) {
      place.replaceChildren(error, el("div", { class: "sd-empty" }, el("p", {}, value.missing ? "Choose others: " : "No run has scores yet: the first come before a run's first step. ",
        value.missing ? el("a", { href: "forgetting" }, "the newest runs") : el("a", { href: "launch" }, "Launch a run"), ".")));
      return;
    }
    const every = value.probes.length;
    const older = value.groups.length > 2 ? el("details", { "data-fold": "older", open: place.querySelector("details[open]") !== null }, el("summary", {}, "older runs of this task (" + (value.groups.length - 2) + ")")) : "";
    const rows = groups(value, ask);
    if (older) older.append(...rows.splice(2));
    place.replaceChildren(error,
      el("div", { class: "sd-controls" }, pick("forget-task", "task", value.tasks, value.task, (task) => ask({ runs: "", task: task })),
        value.priors.length > 1 ? pick("forget-prior", "change of", value.priors, value.prior, (prior) => ask({ prior: prior })) : ""),
      ...rows, older,
      boxes("forget-probes", "probes", value.probes.map((probe) => ({ value: probe.name, name: probe.name, chosen: probe.chosen })),
        (picked) => ask({ probes: picked.length === every ? "" : picked.join(",") })));
  };

  sdlab.views.findings = function (place, value) {
    if (!value.found) { place.replaceChildren(); return; }
    place.replaceChildren(el("h2", {}, "In words"),
      value.found.length ? el("ul", { class: "sd-words-found" }, value.found.map((sentence) => el("li", {}, sentence))) : el("p", {}, "No run here has final scores yet."),
      value.cautions.length ? [el("h3", {}, "What the numbers cannot tell"), el("ul", { class: "sd-cautions" }, value.cautions.map((sentence) => el("li", {}, sentence)))].reduce((all, part) => (all.append(part), all), document.createDocumentFragment()) : "");
  };

  function change(each) {
    const bar = (v) => (each.is_share ? whole(v) : (v < 0 ? "−" : "+") + Math.abs(v).toFixed(3));
    const score = (v) => (each.is_share ? sdlab.percent(v) : v.toFixed(3) + " nats");
    const sure = each.low > 0 || each.high < 0;
    return [score(each.before), score(each.after), el(sure ? "strong" : "span", {}, bar(each.difference)), bar(each.low) + " to " + bar(each.high), each.n, each.step];
  }

  sdlab.views.changes = function (place, value) {
    if (!value.changes || !value.changes.length) { place.replaceChildren(); return; }
    const heads = ["run", "probe", "before", "after", "change", "95 % interval, paired", "items", "step"];
    place.replaceChildren(el("h2", {}, "Before and after"), el("table", { id: "forget-changes" },
      sdlab.head(heads),
      el("tbody", {}, value.changes.map((each) => el("tr", {},
        el("td", {}, dot(value.colours[each.run]), el("a", { href: sdlab.link("run", { id: each.run }) }, value.names[each.run])), el("td", {}, each.probe),
        change(each).map((cell) => el("td", { class: "sd-figures" }, cell)))))),
      el("p", {}, el("small", {}, "Change in points of 100 (nats for distances), on the items asked both times. Bold: its interval lies on one side of zero.")));
  };

  function item(each) {
    return el("tr", {}, el("td", {}, each.prompt), el("td", {}, each.expected || el("small", {}, "fails its check: ", each.reason)), el("td", {}, each.before), el("td", {}, each.after));
  }

  function folded(key, title, items, opened) {
    if (!items.length) return el("p", { class: "sd-none" }, title);
    return el("details", { "data-fold": key, open: opened.has(key) }, el("summary", { "data-key": "fold-" + key }, title),
      el("table", {}, sdlab.head(["prompt", "expected", "before", "now"]), el("tbody", {}, items.map(item))));
  }

  sdlab.views.forgotten = function (place, value) {
    if (!value.items) { place.replaceChildren(); return; }
    const opened = new Set([...place.querySelectorAll("details[open]")].map((d) => d.dataset.fold));
    const parts = [];
    for (const [probe, runs] of Object.entries(value.items)) {
      for (const found of runs) {
        const name = [probe, found.run].join(" ");
        parts.push(el("h3", {}, dot(value.colours[found.run]), value.names[found.run] + " · " + probe),
          folded("forgot " + name, "Known before, wrong now: " + found.forgot.length + " of " + found.n, found.forgot, opened),
          folded("learned " + name, "Wrong before, right now: " + found.learned.length + " of " + found.n, found.learned, opened));
      }
    }
    place.replaceChildren(parts.length ? el("h2", {}, "Known before, wrong now") : "", ...parts);
  };
})();
