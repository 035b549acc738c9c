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

  function problemTable(problems, most) {
    const shown = problems.slice(0, most);
    return el("table", { class: "sd-problems-table" },
      sdlab.head(["Row", "Field", "What is wrong", "What to do"]),
      el("tbody", {}, shown.map((p) => el("tr", {}, [p.row === null ? "file" : p.row, p.field, p.problem, p.remedy].map((cell) => el("td", {}, String(cell)))))));
  }

  sdlab.reportParts = function (report, name) {
    const counts = Object.entries(report.counts).map(([kind, n]) => kind.replaceAll("_", " ") + " " + n.toLocaleString("en"));
    const parts = [el("p", {}, sdlab.many(report.rows_read, "row") + " read. " + (counts.length ? "Found: " + counts.join(", ") + "." : "Nothing to report."))];
    if (report.warnings.length) parts.push(el("ul", { class: "sd-warnings" }, report.warnings.map((w) => el("li", {}, w))));
    const problems = report.problems;
    if (problems.length) {
      parts.push(problemTable(problems, 50));
      parts.push(el("p", {}, problems.length > 50 ? (problems.length - 50).toLocaleString("en") + " more problems are not shown. " : "",
        problems.length >= 1000 ? "Only the first 1,000 are listed; all are counted. " : "",
        sdlab.textLink(name + ".problems.jsonl", "application/x-ndjson", () => problems.map((p) => JSON.stringify(p) + "\n").join(""), "Download the problems (JSONL)")));
    }
    return parts;
  };

  sdlab.mappingLine = function (mapping) {
    const used = Object.entries(mapping.columns).map(([role, c]) => el("li", {}, el("strong", {}, role), " from column ", el("code", {}, c.column), " (" + c.reason + ")"));
    return [el("ul", { class: "sd-mapping" }, used), mapping.unused.length ? el("p", {}, "Not used: ", mapping.unused.join(", ")) : ""];
  };

  sdlab.folded = function (key, title, open, ...children) {
    return el("details", { open: open, "data-fold": key }, el("summary", { "data-key": "fold-" + key }, title), children);
  };
})();
