// The form that makes a task of a file: what the file would become, and how many rows to give.
(function () {
  const { el, many, folded, reportParts, mappingLine } = sdlab;

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
