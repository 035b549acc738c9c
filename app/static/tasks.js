// Tasks: the list, one version opened, its rows, what a file would become, and how many rows to give.
(function () {
  const el = sdlab.el;
  const link = (query) => sdlab.link("tasks", query);
  const many = (n, noun) => n.toLocaleString("en") + " " + noun + (n === 1 ? "" : "s");
  const day = (time) => time.slice(0, 16).replace("T", " ");

  // A file made of text that is here already: nothing is asked of the server.
  sdlab.textLink = function (name, type, text, ...children) {
    return el("a", { href: "#", download: name, onclick: (event) => {
      event.preventDefault();
      const url = URL.createObjectURL(new Blob([text()], { type: type }));
      const hidden = el("a", { href: url, download: name });
      document.body.append(hidden);
      hidden.click();
      hidden.remove();
      setTimeout(() => URL.revokeObjectURL(url), 10000);
    } }, children);
  };

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

  function problemTable(problems, most) {
    const shown = problems.slice(0, most);
    return el("table", { class: "sd-problems-table" },
      sdlab.head(["Row", "Field", "What is wrong", "What to do"]),
      el("tbody", {}, shown.map((p) => el("tr", {}, [p.row === null ? "file" : p.row, p.field, p.problem, p.remedy].map((cell) => el("td", {}, String(cell)))))));
  }

  function reportParts(report, name) {
    const counts = Object.entries(report.counts).map(([kind, n]) => kind.replaceAll("_", " ") + " " + n.toLocaleString("en"));
    const parts = [el("p", {}, many(report.rows_read, "row") + " read. " + (counts.length ? "Found: " + counts.join(", ") + "." : "Nothing to report."))];
    if (report.warnings.length) parts.push(el("ul", { class: "sd-warnings" }, report.warnings.map((w) => el("li", {}, w))));
    const problems = report.problems;
    if (problems.length) {
      parts.push(problemTable(problems, 50));
      parts.push(el("p", {}, problems.length > 50 ? (problems.length - 50).toLocaleString("en") + " more problems are not shown. " : "",
        problems.length >= 1000 ? "Only the first 1,000 are listed; all are counted. " : "",
        sdlab.textLink(name + ".problems.jsonl", "application/x-ndjson", () => problems.map((p) => JSON.stringify(p) + "\n").join(""), "Download the problems (JSONL)")));
    }
    return parts;
  }

  function mappingLine(mapping) {
    const used = Object.entries(mapping.columns).map(([role, c]) => el("li", {}, el("strong", {}, role), " from column ", el("code", {}, c.column), " (" + c.reason + ")"));
    return [el("ul", { class: "sd-mapping" }, used), mapping.unused.length ? el("p", {}, "Not used: ", mapping.unused.join(", ")) : ""];
  }

  function folded(key, title, open, ...children) {
    return el("details", { open: open, "data-fold": key }, el("summary", { "data-key": "fold-" + key }, title), children);
  }

  function splitWords(split) {
    const by = { share: "a share of " + split.value, count: many(Number(split.value), "row"), file: "the file " + split.value };
    return "Held out: " + (by[split.by] || split.by) + ", seed " + split.seed + ".";
  }

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

  sdlab.views.report = function (place, value) {
    if (!value || !value.report) { place.replaceChildren(); return; }
    if (!value.ok) {
      place.replaceChildren(el("div", {}, el("h3", { class: "sd-error" }, "Nothing can be added as it is"), reportParts(value.report, value.file)));
      return;
    }
    const what = value.is_new ? "would become " + value.name + "@" + value.version : "is in the lab already as " + value.name + "@" + value.version;
    place.replaceChildren(el("div", {},
      el("h3", {}, "This file " + what + ": " + many(value.rows.training, "training row") + ", " + value.rows.held_out.toLocaleString("en") + " held out"),
      mappingLine(value.mapping), reportParts(value.report, value.name),
      el("h3", {}, "The first rows as they are read"),
      el("table", {}, sdlab.head(["Row", "Prompt", "Demonstration"]),
        el("tbody", {}, value.examples.map((e) => el("tr", {}, el("td", { class: "sd-number" }, e.row),
          el("td", {}, e.turns.map((t) => el("div", { class: "sd-turn" }, e.turns.length > 1 ? el("small", {}, t.role + ": ") : "", t.content))), el("td", { class: "sd-turn" }, e.demonstration)))))));
  };

  sdlab.views["task-form-head"] = function (place) {
    place.replaceChildren(el("h2", {}, "Add a task"), el("p", {}, "A file with a row per example: JSONL, JSON, CSV, TSV, Parquet, Arrow, plain text, or a zip of these. It stays on this machine. Check it first: nothing is stored before you add it."));
  };

  sdlab.views.guide = function (place, value) {
    const half = (i) => "±" + Math.round(50 * (i.high - i.low));
    const at = (n) => half(value.intervals.find((i) => i.n === n));
    const rows = value.intervals.map((i) => el("tr", {}, el("td", { class: "sd-number" }, i.n.toLocaleString("en")), el("td", { class: "sd-number" }, half(i) + " points")));
    place.replaceChildren(
      el("p", {}, sdlab.textLink(value.sample.name, "application/x-ndjson", () => value.sample.text, "Download the sample file"), " (" + value.sample.rows + " rows). Files up to " + value.most_mib.toLocaleString("en") + " MiB are read."),
      folded("rows-needed", "How many rows do I need?", false,
        el("ul", {}, el("li", {}, "20 rows are enough to try the whole loop, not to measure anything."),
          el("li", {}, "100 to 300 training rows teach a small skill: one format, one kind of answer."),
          el("li", {}, "Hold out at least 30 rows, else the score says little; about 100 to know it within 10 points.")),
        el("p", {}, "Why: a score on held-out rows is a share of right answers, and chance alone moves it. Half of the width of its 95 % interval (Wilson's, at a score of 50 %, where it is widest):"),
        el("table", {}, sdlab.head(["Held-out rows", "95 % interval"]), el("tbody", {}, rows)),
        el("p", {}, "With 30 rows, 50 % may mean anything within " + at(30) + " points; with 100, within " + at(100) + ".")));
  };
})();
