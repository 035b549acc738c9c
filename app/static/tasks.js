// Tasks: the list, one version opened, and its rows.
(function () {
  const el = sdlab.el;
  const link = (query) => sdlab.link("tasks", query);
  const { many, folded, reportParts, mappingLine, splitWords } = sdlab;
  const day = (time) => time.slice(0, 16).replace("T", " ");

  function runs(task) {
    if (!task.runs.length) return el("span", { class: "sd-soft" }, "none yet");
    const links = task.runs.map((run, i) => [i ? ", " : "",
      el("a", { href: sdlab.link("run", { id: run.id }), title: run.state }, run.name)]);
    return el("span", {}, links, task.runs_left_off ? " and " + task.runs_left_off + " more" : "");
  }

  sdlab.views.tasks = function (place, value) {
    const top = el("div", { class: "sd-top" }, el("div", {}, el("h1", {}, "Tasks"),
      el("p", {}, "A task is a file of examples: a prompt and the answer that shows how it is done. Part of them is held out to measure what was learned.")));
    if (!value.tasks.length) {
      place.replaceChildren(top, el("div", { class: "sd-empty" },
        el("p", {}, "No task yet in " + value.home + "."),
        el("p", {}, "Add one below: choose a file of your own, or load the sample file to see what one looks like. Then check the premise and launch a run.")));
      return;
    }
    const line = (task) => el("tr", { "aria-current": task.name === value.task ? "true" : null },
      el("td", {}, el("a", { href: link({ task: task.name }), "data-key": "task-" + task.name }, task.name)),
      el("td", { class: "sd-number" }, task.version),
      el("td", { class: "sd-number" }, task.rows.training.toLocaleString("en")),
      el("td", { class: "sd-number" }, task.rows.held_out.toLocaleString("en")),
      el("td", {}, task.scorer), el("td", {}, runs(task)),
      el("td", {}, el("a", { href: sdlab.link("launch", { task: task.name }), "data-key": "launch-" + task.name, "aria-label": "Launch a run on " + task.name }, "Launch")));
    const heads = [["Task"], ["Version", 1], ["Training rows", 1], ["Held out", 1], ["Scorer"], ["Runs"], [""]];
    place.replaceChildren(top, el("table", { class: "sd-tasks-table" },
      el("thead", {}, el("tr", {}, heads.map(([name, number]) => el("th", { scope: "col", class: number ? "sd-number" : null }, name)))),
      el("tbody", {}, value.tasks.map(line))));
  };

  sdlab.views.task = function (place, value) {
    if (value.missing) {
      place.replaceChildren(el("p", { class: "sd-error", role: "alert" }, value.missing), el("p", {}, el("a", { href: "tasks" }, "See all tasks")));
      return;
    }
    if (!value.name) { place.replaceChildren(); return; }
    const told = { new: "Added as version " + value.version + ".", known: "These rows were in the lab already, as version " + value.version + ": nothing was added." }[value.added];
    const versions = value.versions.length > 1 ? el("p", {}, "Versions: ", value.versions.map((v, i) => [i ? ", " : "",
      v.version === value.version ? el("strong", {}, "@" + v.version) : el("a", { href: link({ task: value.name, version: v.version }) }, "@" + v.version)]),
      value.is_newest ? "" : ". A newer one exists.") : "";
    place.replaceChildren(
      el("div", { class: "sd-top" },
        el("div", {}, el("h2", {}, value.name, el("small", {}, " @" + value.version + ", added " + day(value.created_at))),
          el("p", {}, many(value.rows.training, "training row") + ", " + value.rows.held_out.toLocaleString("en") + " held out, scorer " + value.scorer + ". Runs: ", runs(value))),
        el("a", { class: "sd-button", href: sdlab.link("launch", { task: value.name + "@" + value.version }), "data-key": "launch-open" }, "Launch a run")),
      told ? el("p", { class: "sd-told", role: "status" }, told) : "", versions,
      folded("report", "Report and columns", value.report.warnings.length + value.report.problems.length > 0, reportParts(value.report, value.name), mappingLine(value.mapping), el("p", {}, splitWords(value.split))));
  };

  sdlab.views.rows = function (place, value, trigger) {
    if (!value.rows) { place.replaceChildren(); return; }
    const ask = (changes) => { sdlab.setQuery({ ...changes, added: "" }); trigger("select", {}); };
    const pick = el("select", { "aria-label": "Which rows", "data-key": "rows-part", id: "task-part", onchange: (e) => ask({ part: e.target.value, page: "", row: "" }) },
      [["", "all rows"], ["training", "training rows"], ["held_out", "held-out rows"]].map(([part, name]) => el("option", { value: part, selected: part === value.part }, name)));
    const step = (to, name) => el("button", { type: "button", class: "sd-quiet", "data-key": "page-" + name, disabled: to < 1 || to > value.pages, onclick: () => ask({ page: to, row: "" }) }, name);
    const bar = el("div", { class: "sd-tools" }, el("h3", {}, "Rows"), pick,
      el("span", { class: "sd-pages" }, step(value.page - 1, "Previous"), " page " + value.page + " of " + value.pages + ", " + many(value.count, "row") + " ", step(value.page + 1, "Next")));
    const open = value.opened ? value.opened.place : null;
    let panel = value.opened ? sdlab.promptPanel(value.opened, ask) : null;
    const list = el("div", { class: "sd-rows-list", role: "list" });
    for (const row of value.rows) {
      const isOpen = row.place === open;
      list.append(el("div", { role: "listitem" }, el("button", { type: "button", class: "sd-row", "data-key": "row-" + row.place, "aria-expanded": String(isOpen), onclick: () => ask({ row: isOpen ? "" : row.place }) },
        el("span", { class: "sd-number" }, row.place), el("span", { class: "sd-part" }, row.part === "training" ? "training" : "held out"),
        el("span", { class: "sd-clip" }, row.turns > 1 ? el("small", {}, row.turns + " turns … ") : "", row.prompt), el("span", { class: "sd-clip" }, row.demonstration)),
        isOpen ? panel : ""));
      if (isOpen) panel = null;
    }
    place.replaceChildren(bar, panel || "", list);
  };
})();
