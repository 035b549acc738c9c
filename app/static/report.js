// A file's report and its columns, before a task is made of it and in the task afterwards.
(function () {
  const el = sdlab.el;

  sdlab.many = (n, noun) => n.toLocaleString("en") + " " + noun + (n === 1 ? "" : "s");

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

  const SHOWN = 50;

  function problemTable(problems) {
    return el("table", { class: "sd-problems-table" },
      sdlab.head(["Row", "Field", "What is wrong", "What to do"]),
      el("tbody", {}, problems.slice(0, SHOWN).map((p) => el("tr", {}, [p.row === null ? "file" : p.row, p.field, p.problem, p.remedy].map((cell) => el("td", {}, String(cell)))))));
  }

  // ``faulty`` are the rows themselves, where the server keeps them for a while.
  sdlab.reportParts = function (report, name, faulty) {
    const counts = Object.entries(report.counts).map(([kind, n]) => kind.replaceAll("_", " ") + " " + n.toLocaleString("en"));
    const parts = [el("p", {}, sdlab.many(report.rows_read, "row") + " read. " + (counts.length ? "Found: " + counts.join(", ") + "." : "Nothing to report."))];
    if (report.warnings.length) parts.push(el("ul", { class: "sd-warnings" }, report.warnings.map((w) => el("li", {}, w))));
    const problems = report.problems;
    if (problems.length) {
      parts.push(problemTable(problems));
      parts.push(el("p", {}, problems.length > SHOWN ? "The first " + SHOWN + " of " + (problems.length >= 1000 ? "1,000 or more problems; all are counted. " : problems.length + " problems. ") : "",
        faulty && faulty.rows ? "" : sdlab.textLink(name + ".problems.jsonl", "application/x-ndjson", () => problems.map((p) => JSON.stringify(p) + "\n").join(""), "Download the problems (JSONL)")));
    }
    if (faulty && faulty.rows) {
      parts.push(el("p", {}, el("a", { class: "sd-button", href: "lab/faulty/" + faulty.id, download: name.replace(/\.\w+$/, "") + ".faulty.jsonl", "data-key": "faulty-rows" },
        "Download " + sdlab.many(faulty.rows, "faulty row")), el("small", {}, " Each with what is wrong and what stands there, as JSONL.")));
    }
    return parts;
  };

  sdlab.mappingLine = function (mapping) {
    const used = Object.entries(mapping.columns).map(([role, c]) => el("li", {}, el("strong", {}, role), " from column ", el("code", {}, c.column), " (" + c.reason + ")"));
    return [el("ul", { class: "sd-mapping" }, used), mapping.unused.length ? el("p", {}, "Not used: ", mapping.unused.join(", ")) : ""];
  };

  // How the rows came to their sides.
  sdlab.splitWords = function (split) {
    const value = [].concat(split.value).join(", ");
    const by = { share: "a share of " + value, count: sdlab.many(Number(value), "row"), file: "the file " + value, column: "what column " + value + " says", tag: "rows with the tag " + value, group: "rows of the group " + value };
    const together = { group: "; rows of one group stay together", tag: "; rows of one first tag stay together" };
    return "Held out: " + (by[split.by] || split.by) + (["share", "count"].includes(split.by) ? ", seed " + split.seed : "") + (together[split.together] || "") + ".";
  };

  sdlab.folded = function (key, title, open, ...children) {
    return el("details", { open: open, "data-fold": key }, el("summary", { "data-key": "fold-" + key }, title), children);
  };
})();
