// Which trace to look at: the run, a traced step, and the step's rollouts.
(function () {
  const el = sdlab.el;
  const SORTS = { divergence: "most divergent first", order: "as traced", length: "longest first" };
  const SOURCES = { student: "student", teacher: "teacher", demonstration: "demonstration" };

  function heading(run) {
    return [el("h1", {}, "Traces", run ? el("small", {}, " ", el("a", { href: sdlab.link("run", { id: run.id }) }, run.name), " · " + run.method) : ""),
      el("p", {}, "What ", sdlab.term("student"), " and ", sdlab.term("teacher"), " thought of every token of a ", sdlab.term("rollout"),
        ": where they disagree is where the student is corrected.")];
  }

  function chooser(runs) {
    if (!runs.length) {
      return el("div", { class: "sd-empty" }, el("p", {}, "No run has traces yet: the first come before a run's first step."),
        el("p", {}, el("a", { href: "launch" }, "Launch a run"), " to make some."));
    }
    return el("div", { class: "sd-choices", id: "trace-runs" }, el("p", {}, "Choose a run:"),
      runs.map((run) => el("a", { href: sdlab.link("traces", { run: run.id }), "data-key": "run-" + run.id }, el("span", {}, run.name),
        el("small", {}, run.method), el("small", {}, run.state + " · " + run.steps + (run.steps === 1 ? " traced step" : " traced steps")))));
  }

  const pick = (id, label, choices, chosen, onchange) => sdlab.pick(id, label, Object.entries(choices), chosen, onchange);

  function stepper(value, go) {
    const at = value.steps.indexOf(value.step), last = value.steps.length - 1;
    const told = el("output", { for: "trace-step", class: "sd-at-step" }, "step " + value.step + " of " + value.steps[last]);
    const named = (place) => "step " + value.steps[place];
    const slider = el("input", { type: "range", id: "trace-step", "data-key": "trace-step", min: 0, max: last, step: 1, value: at, disabled: last === 0,
      "aria-label": "Traced step", "aria-valuetext": named(at),
      oninput: (event) => { told.textContent = named(+event.target.value); event.target.setAttribute("aria-valuetext", named(+event.target.value)); },
      onchange: (event) => go(value.steps[+event.target.value]) });
    const button = (id, sign, label, place) => el("button", { type: "button", class: "sd-plain", id: id, "data-key": id, "aria-label": label,
      disabled: place < 0 || place > last, onclick: () => go(value.steps[place]) }, sign);
    return el("div", { class: "sd-stepper" }, button("trace-previous", "◂", "Previous traced step", at - 1), slider,
      button("trace-next", "▸", "Next traced step", at + 1), told);
  }

  function line(trace, chosen, most, choose) {
    const share = trace.divergence === null || !most ? 0 : trace.divergence / most;
    return el("li", {}, el("button", { type: "button", class: "sd-trace", "data-key": "trace-" + trace.id, "data-trace": trace.id,
      "aria-current": trace.id === chosen ? "true" : null, onclick: () => choose(trace.id) },
      el("span", { class: "sd-row-prompt" }, trace.prompt), el("span", { class: "sd-row-text" }, trace.completion || "(nothing)"),
      el("small", {}, trace.kind + (trace.source === "student" ? "" : " · " + (SOURCES[trace.source] || trace.source))),
      el("span", { class: "sd-row-number", title: "mean divergence, nats a token" },
        el("span", { class: "sd-share", style: { width: Math.round(48 * share) + "px" } }), trace.divergence === null ? "–" : trace.divergence.toFixed(3))));
  }

  function taskPick(value, ask) {
    const choices = [["", "all"], ...value.tasks.map((task) => [task, task])];
    return sdlab.pick("trace-task", "task", choices, value.task, (task) => ask({ task: task, run: "", step: "", trace: "" }));
  }

  const finder = (value, ask) => el("label", { class: "sd-pick" }, el("small", {}, "rows with"),
    el("input", { type: "search", id: "trace-find", "data-key": "trace-find", value: value.find, size: 14, maxlength: 200,
      onchange: (event) => ask({ find: event.target.value, trace: "" }) }));

  sdlab.views.traces = function (place, value, trigger) {
    const query = sdlab.query();
    const ask = function (changes) { sdlab.setQuery(changes); trigger("select"); };
    if (!value.steps) {
      place.replaceChildren(...heading(null), value.missing ? el("p", { class: "sd-error", role: "alert" }, value.missing) : "",
        value.tasks.length > 1 ? el("div", { class: "sd-controls" }, taskPick(value, ask)) : "", chooser(value.runs));
      return;
    }
    // An answer to an earlier question: the one to the present question follows.
    if (!value.run.id.startsWith(query.get("run")) || (query.get("step") && query.get("step") !== String(value.step))) return;
    if (query.get("run") !== value.run.id || query.get("step") !== String(value.step) || query.get("trace") !== value.chosen) sdlab.setQuery({ run: value.run.id, step: value.step, trace: value.chosen });
    const names = Object.fromEntries(value.runs.map((run) => [run.id, run.name + " · " + run.method]));
    const kinds = { all: "all", watched: "watched (" + value.kinds.watched + ")", sampled: "sampled (" + value.kinds.sampled + ")" };
    const most = Math.max(0, ...value.traces.map((trace) => trace.divergence || 0));
    const list = el("ul", { class: "sd-traces", id: "trace-list", "aria-label": "Rollouts of step " + value.step },
      value.traces.map((trace) => line(trace, value.chosen, most, (id) => ask({ trace: id, step: value.step }))));
    const before = place.querySelector(".sd-traces");
    const scrolled = before ? before.scrollTop : 0;
    place.replaceChildren(...heading(value.run),
      el("div", { class: "sd-controls" },
        value.tasks.length > 1 ? taskPick(value, ask) : "",
        pick("trace-run", "run", names, value.run.id, (run) => ask({ run: run, step: "", trace: "" })),
        stepper(value, (step) => ask({ step: step, trace: value.chosen })),
        pick("trace-show", "show", kinds, value.show, (show) => ask({ show: show === "all" ? "" : show })),
        pick("trace-sort", "sort", SORTS, value.sort, (sort) => ask({ sort: sort === "divergence" ? "" : sort })),
        finder(value, ask)),
      value.traces.length
        ? [el("div", { class: "sd-trace sd-trace-head", "aria-hidden": "true" }, el("small", {}, "prompt"), el("small", {}, "rollout"), el("small", {}, "kind"), el("small", {}, value.has_teacher ? "mean divergence" : "mean loss")), list].reduce((all, part) => (all.append(part), all), document.createDocumentFragment())
        : el("p", { class: "sd-empty" }, value.nothing));
    list.scrollTop = scrolled;
  };
})();
