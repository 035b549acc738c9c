// One run: what it is doing, what it found, and everything needed to do it again.
(function () {
  const el = sdlab.el;

  function facts(value) {
    const run = value.run, p = run.progress;
    const parts = ["step " + p.step + "/" + p.total];
    if (value.active && p.phase) parts.push(p.phase);
    if (value.active && p.eta_s !== null) parts.push(sdlab.duration(p.eta_s) + " left");
    if (value.step_s !== null) parts.push(value.step_s.toFixed(1) + " s a step");
    if (value.active && value.beat_age_s !== null) parts.push("worker alive " + Math.round(value.beat_age_s) + " s ago");
    parts.push(...uses(value.use));
    if (run.attempt > 1) parts.push("attempt " + run.attempt);
    return parts.join(" · ");
  }

  // What the worker takes of its machine: now, and at most so far.
  function uses(use) {
    const gib = (mib) => (mib / 1024).toFixed(1) + " GiB";
    const parts = [];
    const memory = function (name, now, most) {
      if (now !== null) parts.push(name + " " + gib(now) + " (most " + gib(most) + ")");
      else if (most !== null) parts.push("at most " + gib(most) + " of " + name);
    };
    memory("memory", use.memory_mib, use.memory_most_mib);
    if (use.cpu_percent !== null) parts.push("CPU " + Math.round(use.cpu_percent) + " %");
    memory("GPU memory", use.gpu_memory_mib, use.gpu_memory_most_mib);
    if (use.gpu_percent !== null) parts.push("GPU " + Math.round(use.gpu_percent) + " %");
    if (use.gpu_celsius !== null) parts.push(Math.round(use.gpu_celsius) + " °C");
    return parts;
  }

  sdlab.views.run = function (place, value) {
    if (value.missing) {
      place.replaceChildren(el("h1", {}, "Run"), el("p", { class: "sd-error" }, value.missing), el("p", {}, el("a", { href: "./" }, "See all runs")));
      return;
    }
    const run = value.run;
    const error = run.error
      ? el("p", { class: "sd-error", role: "alert" }, run.error.message, run.error.where ? " (" + run.error.where + ")" : "", run.error.remedy ? ". To do: " + run.error.remedy : "")
      : null;
    place.replaceChildren(
      el("h1", {}, run.name, el("small", {}, " " + (run.kind === "train" ? run.method : run.kind))),
      el("p", { class: "sd-facts" }, el("strong", { class: "sd-is-" + run.state }, run.state), " · ", facts(value)),
      run.progress.total ? sdlab.progress(run.progress) : "",
      error || "",
      value.premise ? el("p", {}, value.premise) : "",
      value.overruled ? el("p", { id: "run-overruled" }, value.overruled + ".") : "",
      value.alarms.length ? el("ul", { class: "sd-alarm" }, value.alarms.map((sentence) => el("li", {}, sentence))) : el("p", {}, "Alarms: none."),
      el("p", { class: "sd-links" },
        value.adapter ? el("a", { class: "sd-button", id: "download-adapter", href: "lab/download/" + value.adapter.id, download: true }, "Download adapter (" + sdlab.size(value.adapter.bytes) + ")") : "",
        run.kind === "train" ? [el("a", { href: sdlab.link("traces", { run: run.id }) }, "Traces"), el("a", { href: sdlab.link("forgetting", { runs: (value.group || [run.id]).join(",") }) }, "Forgetting")] : ""));
  };

  function folded(key, title, ...children) {
    const open = sdlab.query().get("open") === key;
    return el("details", { open: open, "data-fold": key, ontoggle: (e) => { if (e.target.open) sdlab.setQuery({ open: key }); else if (sdlab.query().get("open") === key) sdlab.setQuery({ open: "" }); } },
      el("summary", { "data-key": "fold-" + key }, title), children);
  }

  function table(headings, rows) {
    return el("table", {}, sdlab.head(headings),
      el("tbody", {}, rows.map((row) => el("tr", {}, row.map((cell) => el("td", {}, cell === null ? "" : String(cell)))))));
  }

  // Where one searches the log; the same elements for good, as somebody may be writing in them.
  function search(place, value, trigger) {
    const found = place.querySelector(".sd-log-search");
    if (found) return found;
    const ask = function (changes) { sdlab.setQuery(changes); trigger("select"); };
    return el("p", { class: "sd-log-search" },
      sdlab.labelled("Find in the log", el("input", { type: "search", id: "log-find", "data-key": "log-find", value: value.find, onchange: (event) => ask({ log_find: event.target.value }) })), " ",
      sdlab.pick("log-level", "Level", [["", "all"], ["warning", "warnings and errors"], ["error", "errors"]], value.level, (level) => ask({ log_level: level })));
  }

  sdlab.views.details = function (place, value, trigger) {
    if (value.missing) { place.replaceChildren(); return; }
    const run = value.run;
    const opened = new Set([...place.querySelectorAll("details[open]")].map((d) => d.getAttribute("data-fold")));
    const score = (e) => [e.step, e.probe, e.metric, e.metric === "kl_nats" ? e.score.toFixed(3) + " nats" : sdlab.percent(e.score), e.metric === "kl_nats" ? "" : sdlab.percent(e.low) + " to " + sdlab.percent(e.high), e.n, e.subset ? "subset" : "all"];
    place.replaceChildren(
      folded("settings", "Settings and command", el("p", {}, "The same from a terminal: ", el("code", {}, value.command)), el("pre", {}, value.yaml)),
      folded("scores", "Scores (" + run.evaluations.length + ")", table(["step", "probe", "metric", "score", "95 % interval", "items", "of"], run.evaluations.map(score))),
      folded("checkpoints", "Checkpoints (" + run.checkpoints.length + ")", table(["step", "size", "sha256"], run.checkpoints.map((c) => [c.step, sdlab.size(c.bytes), c.sha256.slice(0, 16)]))),
      folded("events", "What happened (" + run.events.length + ")", table(["when", "", "what"], run.events.slice().reverse().map((e) => [e.at.slice(0, 19).replace("T", " "), e.level === "info" ? "" : e.level, e.message]))),
      folded("log", "Log", search(place, value, trigger), el("pre", { class: "sd-log" }, value.log || (value.find || value.level ? "The log says no such thing." : "The log is empty."))));
    for (const d of place.querySelectorAll("details")) if (opened.has(d.getAttribute("data-fold"))) d.open = true;
  };
})();
