// The list of runs: state, progress, scores and the loss as a line.
(function () {
  const el = sdlab.el;
  const SIGNS = { queued: "○", starting: "◐", running: "●", cancelling: "◑", cancelled: "–", failed: "✕", done: "✓", lost: "?" };

  sdlab.spark = function (values) {
    const known = values.filter((v) => v !== null);
    const ns = "http://www.w3.org/2000/svg";
    const svg = document.createElementNS(ns, "svg");
    svg.setAttribute("viewBox", "0 0 60 16");
    svg.setAttribute("class", "sd-spark");
    svg.setAttribute("aria-hidden", "true");
    if (known.length < 2) return svg;
    const low = Math.min(...known), range = Math.max(...known) - low || 1;
    const line = document.createElementNS(ns, "polyline");
    line.setAttribute("points", values
      .map((v, i) => (v === null ? null : (60 * i) / (values.length - 1) + "," + (15 - (14 * (v - low)) / range)))
      .filter((p) => p !== null).join(" "));
    svg.append(line);
    return svg;
  };

  sdlab.progress = function (progress) {
    const share = progress.total ? progress.step / progress.total : 0;
    return el("span", { class: "sd-progress", role: "progressbar", "aria-valuemin": 0, "aria-valuemax": progress.total, "aria-valuenow": progress.step, "aria-label": "step " + progress.step + " of " + progress.total },
      el("span", { style: { width: 100 * share + "%" } }));
  };

  function score(name, found) {
    if (!found) return el("span", { class: "sd-score" });
    const change = found.change === null ? "" : " (" + sdlab.points(found.change) + ")";
    return el("span", { class: "sd-score", title: "95 % interval " + sdlab.percent(found.low) + " to " + sdlab.percent(found.high) + ", " + found.n + " items; in brackets the change in points since before training" },
      el("small", {}, name + " "), sdlab.band(found), change);
  }

  function when(run) {
    const active = ["starting", "running", "cancelling"].includes(run.state);
    if (active && run.progress.phase && run.progress.phase !== "training") return run.state + ": " + run.progress.phase;
    if (active) return "step " + run.progress.step + "/" + run.progress.total + (run.progress.eta_s === null ? "" : ", " + sdlab.duration(run.progress.eta_s) + " left");
    if (run.state === "failed" || run.state === "lost") return run.state + ": " + (run.error || "see its log");
    return run.state;
  }

  function line(run) {
    const active = ["starting", "running", "cancelling"].includes(run.state);
    return el("a", { class: "sd-runline sd-is-" + run.state, href: sdlab.link("run", { id: run.id }), "data-key": run.id },
      el("span", { class: "sd-sign", "aria-hidden": "true" }, SIGNS[run.state] || "·"),
      el("span", { class: "sd-title" }, run.name, el("small", {}, run.kind === "train" ? run.method : run.kind)),
      el("span", { class: "sd-when" }, active && run.progress.total ? sdlab.progress(run.progress) : null, el("span", {}, when(run))),
      score("task", run.scores.task), score("prior", run.scores.prior),
      el("span", { class: "sd-loss", title: "loss over the run" }, sdlab.spark(run.losses)));
  }

  sdlab.views.runs = function (place, value) {
    const top = el("div", { class: "sd-top" },
      el("div", {}, el("h1", {}, "Runs"), el("p", {}, "A model learns a task from your demonstrations; you see what it learned and what it forgot.")),
      el("a", { class: "sd-button", href: "launch", "data-key": "launch" }, "Launch a run"));
    const body = value.runs.length
      ? el("div", { class: "sd-runs" }, value.runs.map(line))
      : el("div", { class: "sd-empty" }, el("p", {}, "No run yet in " + value.home + "."),
          el("p", {}, "Upload demonstrations under ", el("a", { href: "tasks" }, "Tasks"), ", then ", el("a", { href: "launch" }, "launch a run"),
            ". Or let a terminal show you one that is prepared: ", el("code", {}, "sdlab demo"), "."));
    place.replaceChildren(top, body, value.left_off ? el("p", {}, value.left_off + " older ones: sdlab runs") : "");
  };
})();
