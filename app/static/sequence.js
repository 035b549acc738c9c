// Sequences of tasks: which one, how far it is, each arm's matrix, and the figures side by side.
(function () {
  const el = sdlab.el;
  const plain = (task) => task.split("@")[0];
  const points = (value) => (value === null ? "–" : sdlab.points(value));
  const FIGURES = [
    ["average score", "acc", (v) => (v === null ? "–" : sdlab.percent(v)), "Average over the tasks after the last stage."],
    ["backward transfer", "bwt", points, "Change of each earlier task from its own stage to the last, on average, in points."],
    ["forward transfer", "fwt", points, "How much higher a task is just before its own stage than on the base model, on average, in points."],
    ["forgetting", "forgetting", points, "How far each earlier task ended below its best, on average, in points."],
  ];

  function title(each) {
    return (each.name || each.tasks.map(plain).join(", then ")) + " · " + each.created_at.slice(0, 16).replace("T", " ");
  }

  function chooser(value, trigger) {
    const ask = (id) => { sdlab.setQuery({ sequence: id, runs: "", task: "", probes: "", prior: "" }); trigger("select"); };
    const known = value.listed.map((each) => [each.id, title(each)]);
    const chosen = value.sequence ? value.sequence.id : "";
    return el("div", { class: "sd-controls" },
      sdlab.pick("forget-sequence-choice", "show", [["", "runs on one task"], ...known], chosen, ask));
  }

  function empty() {
    return el("p", { class: "sd-none" }, "Tasks learned one after the other, and what becomes of the earlier ones, are shown here once there is such a sequence: ",
      el("code", {}, "sdlab sequence CONFIG.yaml"), ".");
  }

  // The darker, the better; the figure itself says it to those who do not see the shade.
  const shade = (score) => "color-mix(in srgb, var(--sd-student) " + Math.round(45 * score) + "%, transparent)";

  function cell(found, own) {
    if (!found) return el("td", { class: "sd-none" }, "–");
    return el("td", { class: own ? "sd-heat sd-own" : "sd-heat", style: { background: shade(found.score) },
      title: "95 % interval " + sdlab.percent(found.low) + " to " + sdlab.percent(found.high) + ", " + found.n + " items" }, sdlab.band(found));
  }

  function where(stage) {
    const p = stage.progress, active = ["starting", "running", "cancelling"].includes(stage.state);
    const doing = active && p.phase !== "training" && p.phase ? p.phase : "step " + p.step + "/" + p.total + (p.eta_s ? ", " + sdlab.duration(p.eta_s) + " left" : "");
    return [el("a", { href: sdlab.link("run", { id: stage.id }), "data-key": "stage-" + stage.id }, stage.state),
      active ? ": " + doing : "", stage.state === "failed" || stage.state === "lost" ? ": " + (stage.error || "see its log") : "", active ? sdlab.progress(p) : ""];
  }

  function matrix(arm, tasks) {
    const row = (name, cells, own, state) => el("tr", {}, el("th", { scope: "row" }, name, state ? el("small", {}, state) : ""), cells.map((each, i) => cell(each, i === own)));
    return el("section", { class: "sd-arm" }, el("h3", {}, arm.name, el("small", {}, " " + arm.method + ", seed " + arm.seed)),
      el("table", {}, sdlab.head(["", ...tasks.map((task) => "on " + plain(task))]),
        el("tbody", {}, row("before", arm.before, -1, ""), arm.after.map((cells, i) => row("after " + plain(tasks[i]), cells, i, where(arm.stages[i]))))));
  }

  function figures(arms) {
    return el("table", { id: "forget-figures" },
      el("thead", {}, el("tr", {}, el("th", { scope: "col" }, "arm"), FIGURES.map(([name, , , why]) => el("th", { scope: "col", class: "sd-number", title: why }, name)))),
      el("tbody", {}, arms.map((arm) => el("tr", {}, el("th", { scope: "row" }, arm.name), FIGURES.map(([, key, write]) => el("td", { class: "sd-number" }, write(arm[key])))))));
  }

  function progress(found) {
    if (found.done === found.stages) return "All " + found.stages + " stages are done.";
    return found.done + " of " + found.stages + " stages are done" + (found.now.length ? "; at work: " + found.now.map((stage) => stage.name).join(", ") : "") + " (" + found.state + ").";
  }

  sdlab.views.sequence = function (place, value, trigger) {
    if (!value.listed.length && !value.chosen) { place.replaceChildren(empty()); return; }
    if (!value.sequence) {
      place.replaceChildren(chooser(value, trigger), value.missing ? el("p", { class: "sd-error", role: "alert" }, value.missing) : "");
      return;
    }
    const found = value.sequence;
    place.replaceChildren(chooser(value, trigger),
      el("h2", {}, found.name || "Sequence", el("small", {}, " " + found.tasks.join(", then "))),
      el("p", { role: "status" }, progress(found)),
      found.done < found.stages ? sdlab.progress({ step: found.done, total: found.stages }) : "",
      found.found.length ? el("ul", { class: "sd-words-found" }, found.found.map((sentence) => el("li", {}, sentence))) : el("p", { class: "sd-none" }, "The finding comes with an arm's last scores."),
      figures(found.arms),
      el("p", {}, el("small", {}, "In points of 100, but for the average. A cell below is a task's score on its held-out rows with half of its 95 % interval; the outlined one was learned in that stage.")),
      el("div", { class: "sd-arms" }, found.arms.map((arm) => matrix(arm, found.tasks))),
      found.cautions.length ? el("h3", {}, "What the numbers cannot tell") : "",
      found.cautions.length ? el("ul", { class: "sd-cautions" }, found.cautions.map((sentence) => el("li", {}, sentence))) : "");
  };
})();
