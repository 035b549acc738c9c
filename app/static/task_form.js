// The form that makes a task of a file: what the file would become, and how many rows to give.
(function () {
  const { el, many, folded, reportParts, splitWords } = sdlab;

  const FORMATS = { jsonl: "JSON Lines", json: "JSON", csv: "CSV or TSV", parquet: "Parquet", arrow: "Arrow", text: "plain text", dataset: "a saved dataset", folder: "a folder of files", zip: "a zip" };
  // What a column can be, the usual ones first.
  const ROLES = [["prompt", "what is asked"], ["demonstration", "the answer that shows how it is done"],
    ["reference", "what a scorer compares with, else the demonstration"], ["tags", "words to tell rows apart"],
    ["group", "rows that are never parted"], ["split", "says train or test"], ["id", "a name of its own"],
    ["messages", "turns of a chat, in place of prompt and demonstration"], ["input", "joined to the prompt"],
    ["system", "a message before the prompt"], ["tools", "functions that can be called"]];
  const SHOWN_ROWS = 8, RAW_COLUMNS = 8;

  const cell = (text) => el("td", {}, el("div", { class: "sd-cell" }, text));
  const turns = (list) => list.map((t) => el("div", {}, list.length > 1 ? el("small", {}, t.role + ": ") : "", t.content));

  function columnsTable(value, trigger) {
    const columns = value.columns.map((c) => c.name).filter((name) => name !== "" && name !== "-");
    const line = ([role, meaning]) => {
      const taken = value.mapping.columns[role], found = taken && value.columns.find((c) => c.name === taken.column);
      const pick = el("select", { "aria-label": "Column for " + role, "data-key": "column-" + role, onchange: (e) => trigger("input", { role: role, column: e.target.value }) },
        el("option", { value: "-", selected: !taken }, "no column"),
        columns.map((name) => el("option", { value: name, selected: Boolean(taken) && taken.column === name }, name)));
      return el("tr", { class: taken ? null : "sd-soft" }, el("td", {}, el("strong", {}, role), el("small", {}, meaning)), el("td", {}, pick),
        el("td", {}, taken ? taken.reason : role in value.chosen ? "your choice" : ""),
        cell(found ? found.examples[0] || "" : ""));
    };
    return el("table", { class: "sd-columns" }, sdlab.head(["Role", "Column", "Why", "As it stands in the file"]), el("tbody", {}, ROLES.map(line)));
  }

  function columnNotes(value, trigger) {
    const notes = [];
    if (value.as_in) notes.push("The columns are those of " + value.as_in + ", so they are read as they were there. ");
    if (value.mapping.unused.length && !value.incomplete) notes.push("Not used: " + value.mapping.unused.join(", ") + ". ");
    if (value.offered) {
      const before = value.offered.columns, others = Object.keys(value.mapping.columns).filter((role) => !(role in before));
      const all = { ...before, ...Object.fromEntries(others.map((role) => [role, "-"])) };
      notes.push("Files of " + value.offered.as_in + " with these columns were read otherwise: " + Object.entries(before).map(([role, name]) => role + " from " + name).join(", ") + ". ",
        el("button", { type: "button", class: "sd-quiet", "data-key": "columns-offered", onclick: () => trigger("input", { columns: all }) }, "Read this one as " + value.offered.as_in));
    }
    if (Object.keys(value.chosen).length) notes.push(el("button", { type: "button", class: "sd-quiet", "data-key": "columns-guessed", onclick: () => trigger("input", { columns: {} }) }, "Undo your choices"));
    return notes.length ? el("p", {}, notes) : "";
  }

  function faults(row, span) {
    return el("tr", {}, el("td", { class: "sd-number" }, row.row === null ? "file" : row.row),
      el("td", { colspan: span, class: "sd-error" }, row.problems.map((p) => el("div", {}, (p.field ? p.field + ": " : "") + p.problem + "; " + p.remedy))));
  }

  // As they stand in the file, while it is not known which column holds what.
  function rawRows(value, rows) {
    const names = value.columns.slice(0, RAW_COLUMNS).map((c) => c.name);
    return el("table", { class: "sd-first-rows" }, sdlab.head(["Row", ...names]), el("tbody", {}, rows.map((row) =>
      row.problems.length ? faults(row, names.length) : el("tr", {}, el("td", { class: "sd-number" }, row.row), names.map((name) => cell(row.fields[name] || ""))))));
  }

  function readRows(rows) {
    const good = rows.filter((row) => !row.problems.length);
    const more = [["Reference", (row) => row.reference.join("\n")], ["Tags", (row) => row.tags.join(", ")], ["Group", (row) => row.group || ""],
      ["Side", (row) => ({ training: "training", held_out: "held out" })[row.side] || ""]].filter(([, read]) => good.some((row) => read(row)));
    return el("table", { class: "sd-first-rows" }, sdlab.head(["Row", "Prompt", "Demonstration", ...more.map(([name]) => name)]),
      el("tbody", {}, rows.map((row) => row.problems.length ? faults(row, 2 + more.length) : el("tr", {}, el("td", { class: "sd-number" }, row.row),
        cell(turns(row.turns)), cell(row.demonstration), more.map(([, read]) => cell(read(row)))))));
  }

  sdlab.views.preview = function (place, value, trigger) {
    if (!value.columns) { place.replaceChildren(); return; }
    const kind = [FORMATS[value.format] || value.format, value.encoding, sdlab.size(value.bytes)].filter(Boolean).join(", ");
    // A faulty row is shown even if it comes later.
    const faulty = value.rows.findIndex((row) => row.problems.length);
    const rows = value.rows.filter((row, i) => i < SHOWN_ROWS || i === faulty);
    place.replaceChildren(el("div", {},
      el("h3", {}, value.file, el("small", {}, " " + kind)),
      el("p", {}, "Shape: ", el("strong", {}, value.shape.name), " (" + value.shape.reason + "). First " + many(value.looked_at, "row") + " looked at: " + (value.faulty ? value.faulty.toLocaleString("en") + " faulty." : "none is faulty.")),
      value.columns.length ? [el("h3", {}, "Columns"), value.incomplete ? el("p", { class: "sd-error sd-incomplete", role: "status" }, value.incomplete.problem + "; " + value.incomplete.remedy) : "",
        columnsTable(value, trigger), columnNotes(value, trigger)] : "",
      el("h3", {}, value.incomplete ? "The first rows as they stand" : "The first rows as they will be read"),
      value.incomplete ? rawRows(value, rows) : readRows(rows)));
  };

  sdlab.views.report = function (place, value) {
    if (!value || !value.report) { place.replaceChildren(); return; }
    const parts = reportParts(value.report, value.file, value.faulty);
    if (!value.ok) {
      const asks = value.faulty.rows ? el("p", {}, "Put these rows right, or tick “Leave faulty rows out” above to keep the good ones.") : "";
      place.replaceChildren(el("div", {}, el("h3", { class: "sd-error" }, "Nothing can be added as it is"), asks, parts));
      return;
    }
    const what = value.is_new ? "would become " + value.name + "@" + value.version : "is in the lab already as " + value.name + "@" + value.version;
    place.replaceChildren(el("div", {},
      el("h3", {}, "This file " + what + ": " + many(value.rows.training, "training row") + ", " + value.rows.held_out.toLocaleString("en") + " held out"),
      el("p", {}, splitWords(value.split), value.left_out ? " " + many(value.left_out, "faulty row") + " left out." : ""), parts));
  };

  sdlab.views["task-form-head"] = function (place) {
    place.replaceChildren(el("h2", {}, "Add a task"), el("p", {}, "A file with a row per example: JSONL, JSON, CSV, TSV, Parquet, Arrow, plain text, or a zip of these. It stays on this machine, and nothing is stored before you add it."));
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
