// Tasks: the list, and the head of one version that is opened.
(function () {
  const el = sdlab.el;
  const link = (query) => sdlab.link("tasks", query);
  const { many, folded, reportParts, mappingLine, splitWords } = sdlab;
  const day = (time) => time.slice(0, 16).replace("T", " ");

  function runs(task, version) {
    if (!task.runs.length) return el("span", { class: "sd-soft" }, "none yet");
    const links = task.runs.map((run, i) => [i ? ", " : "",
      el("a", { href: sdlab.link("run", { id: run.id }), title: run.state }, run.name), version || run.version === task.version ? "" : " (@" + run.version + ")"]);
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
      el("td", { class: "sd-number" }, "@" + task.version),
      el("td", { class: "sd-number" }, task.rows.training.toLocaleString("en")),
      el("td", { class: "sd-number" }, task.rows.held_out.toLocaleString("en")),
      el("td", { class: "sd-number" }, sdlab.size(task.bytes)),
      el("td", {}, task.scorer), el("td", {}, runs(task)),
      el("td", {}, el("a", { href: sdlab.link("launch", { task: task.name }), "data-key": "launch-" + task.name, "aria-label": "Launch a run on " + task.name }, "Launch")));
    const heads = [["Task"], ["Version", 1], ["Training rows", 1], ["Held out", 1], ["Size", 1], ["Scorer"], ["Runs"], [""]];
    place.replaceChildren(top, el("table", { class: "sd-tasks-table sd-tasks-list" },
      sdlab.head(heads),
      el("tbody", {}, value.tasks.map(line))));
  };

  const BY_HAND = [["changed", "changed"], ["excluded", "left out"], ["added", "added"]];

  // How a version came to be, in words.
  function made(origin) {
    if (origin.edited_from) {
      const done = BY_HAND.filter(([key]) => origin[key]).map(([key, word]) => many(origin[key], "row") + " " + word);
      return "by hand from @" + origin.edited_from + (done.length ? ": " + done.join(", ") : "");
    }
    if (!origin.file) return "";
    return "from " + origin.file + (origin.left_out ? ", " + many(origin.left_out, "faulty row") + " left out" : "");
  }

  function versionTable(value) {
    const line = (v) => el("tr", { "aria-current": v.version === value.version ? "true" : null },
      el("td", {}, v.version === value.version ? el("strong", {}, "@" + v.version)
        : el("a", { href: link({ task: value.name, version: v.version }), "data-key": "version-" + v.version }, "@" + v.version)),
      el("td", { class: "sd-number" }, v.rows.training.toLocaleString("en")), el("td", { class: "sd-number" }, v.rows.held_out.toLocaleString("en")),
      el("td", { class: "sd-number" }, sdlab.size(v.bytes)), el("td", {}, day(v.created_at)), el("td", {}, made(v.origin)), el("td", {}, runs(v, true)));
    const heads = [["Version"], ["Training rows", 1], ["Held out", 1], ["Size", 1], ["Added"], ["Made"], ["Runs"]];
    return el("table", { class: "sd-tasks-table" },
      sdlab.head(heads),
      el("tbody", {}, [...value.versions].reverse().map(line)));
  }

  function toldOf(value) {
    const from = value.origin.edited_from;
    const between = from && value.version - from > 1 ? " It holds nothing of what came between." : "";
    return { new: "Added as version " + value.version + ".", known: "These rows were in the lab already, as version " + value.version + ": nothing was added.",
      edited: "Version " + value.version + " was made " + made(value.origin) + "." + between }[value.added];
  }

  const SECTIONS = [["rows", "Rows"], ["lengths", "Lengths"], ["changes", "Changes"], ["leaks", "Near-duplicates"]];

  sdlab.views.task = function (place, value, trigger) {
    if (value.missing) {
      place.replaceChildren(el("p", { class: "sd-error", role: "alert" }, value.missing), el("p", {}, el("a", { href: "tasks" }, "See all tasks")));
      return;
    }
    if (!value.name) { place.replaceChildren(); return; }
    const told = toldOf(value);
    const go = (show) => {
      sdlab.setQuery({ version: value.version, show: show === "rows" ? "" : show, added: "" });
      trigger("select", {});
      if (sdlab.lookForLeaks) sdlab.lookForLeaks();
    };
    const newest = value.versions[value.versions.length - 1].version;
    place.replaceChildren(
      el("div", { class: "sd-top" },
        el("div", {}, el("h2", {}, value.name, el("small", {}, " @" + value.version + ", added " + day(value.created_at))),
          el("p", {}, many(value.rows.training, "training row") + ", " + value.rows.held_out.toLocaleString("en") + " held out, " + sdlab.size(value.bytes) + ", scorer " + value.scorer + ". Runs: ", runs(value, true))),
        el("span", { class: "sd-links" }, el("a", { href: "lab/rows/" + value.id, download: true, id: "task-export", "data-key": "export" }, "Download the rows (JSONL)"),
          el("a", { class: "sd-button", href: sdlab.link("launch", { task: value.name + "@" + value.version }), "data-key": "launch-open" }, "Launch a run"))),
      told ? el("p", { class: "sd-told", role: "status" }, told) : "",
      value.is_newest ? "" : el("p", {}, "A newer version exists: ", el("a", { href: link({ task: value.name, version: newest }), "data-key": "newest" }, "@" + newest), "."),
      folded("versions", many(value.versions.length, "version"), false, versionTable(value)),
      folded("report", "Report and columns", value.report.warnings.length + value.report.problems.length > 0, reportParts(value.report, value.name), mappingLine(value.mapping), el("p", {}, splitWords(value.split))),
      el("nav", { class: "sd-sections", "aria-label": "Parts of " + value.name }, SECTIONS.map(([show, name]) =>
        el("button", { type: "button", class: "sd-quiet", "data-key": "show-" + show, "aria-current": show === value.show ? "true" : null, onclick: () => go(show) }, name))));
  };
})();
