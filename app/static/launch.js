// Launch: what it will take, what differs from the preset, the premise, and the same in a terminal.
(function () {
  const el = sdlab.el;

  sdlab.views["launch-head"] = function (place, value) {
    place.replaceChildren(el("h1", {}, "Launch"),
      el("p", {}, "A run teaches a model a task. Check the premise first: self-distillation works only where the model, shown an example, does better than without."),
      value.has_tasks ? "" : el("p", { class: "sd-empty" }, "There is no task yet in " + value.home + ". Add one under ", el("a", { href: "tasks" }, "Tasks"), " first; a sample file is there to start from."));
  };

  // Hides or shows what stands below it in its box.
  sdlab.views.fold = function (place, value) {
    const box = place.closest(".sd-foldable");
    const button = el("button", { type: "button", class: "sd-quiet", "data-key": "fold", "aria-expanded": "false",
      onclick: () => button.setAttribute("aria-expanded", String(box.classList.toggle("sd-unfolded"))) }, value.label);
    place.replaceChildren(button);
  };

  sdlab.views.plan = function (place, value) {
    if (value.stale) {
      place.replaceChildren(el("h3", {}, "What it will take"), el("p", { class: "sd-soft" }, "Put the marked fields right to see it."));
      return;
    }
    sdlab.setQuery(value.query);
    const was = place.querySelector("details");
    const choices = (value.choices || []).map((c) => el("tr", { class: c.changed ? "sd-soft" : null }, el("td", {}, el("code", {}, c.key)), el("td", {}, c.preset + (c.changed ? " (changed)" : "")), el("td", { class: "sd-soft" }, c.source)));
    const rows = value.differences.map((d) => el("tr", {}, el("td", {}, el("code", {}, d.key)), el("td", {}, d.run), el("td", { class: "sd-soft" }, d.preset)));
    place.replaceChildren(el("div", {},
      el("h3", {}, "What it will take"),
      (value.warnings || []).map((sentence) => el("p", { class: "sd-alarm" }, sentence)),
      value.estimates.length ? value.estimates.map((e) => el("p", {}, el("strong", {}, e.method), ": " + e.words)) : el("p", { class: "sd-alarm" }, "It cannot run here as it is: see the marked field."),
      el("h3", {}, "Changed from " + value.preset),
      el("p", { class: "sd-soft" }, value.summary[0].toUpperCase() + value.summary.slice(1) + "."),
      rows.length ? el("table", { class: "sd-differences" }, sdlab.head(["Setting", "This run", "Preset"]), el("tbody", {}, rows)) : el("p", { class: "sd-soft" }, "Nothing: all settings are the preset's."),
      choices.length ? el("details", { open: was ? was.open : false }, el("summary", { "data-key": "choices" }, "What " + value.preset + " chooses, and why"),
        el("table", { class: "sd-differences", id: "launch-choices" }, sdlab.head(["Setting", "Preset", "Source"]), el("tbody", {}, choices))) : ""));
  };

  function copier(text) {
    const button = el("button", { type: "button", class: "sd-quiet", onclick: () => navigator.clipboard.writeText(text).then(() => { button.textContent = "Copied"; }) }, "Copy");
    return button;
  }

  sdlab.views.command = function (place, value) {
    if (value.stale) { place.replaceChildren(); return; }
    const was = place.querySelector("details");
    place.replaceChildren(el("details", { open: was ? was.open : false }, el("summary", { "data-key": "command" }, "The same from a terminal"),
      el("p", {}, "One command ", copier(value.command)), el("pre", { id: "launch-command-line" }, value.command),
      el("p", {}, "Or as a file, with ", el("code", {}, value.file_command), " ", copier(value.yaml), " ", sdlab.textLink("run.yaml", "application/yaml", () => value.yaml, "Download run.yaml")),
      el("pre", { id: "launch-yaml" }, value.yaml)));
  };

  function pending(found) {
    const doing = found.state === "queued" ? "is queued" : found.phase || found.state;
    return el("p", { role: "status" }, "A check ", el("a", { href: sdlab.link("run", { id: found.run }) }, doing), found.eta_s ? ", " + sdlab.duration(found.eta_s) + " left" : "", ".",
      found.total > 1 ? sdlab.progress({ step: found.step, total: found.total }) : "");
  }

  const HELP = [
    ["Another context: ", "the form in which the teacher sees the demonstration. Set teacher.context under All other settings to the best of the table."],
    ["A larger model: ", "small ones often copy a demonstration without being led by it."],
    ["Shorter prompts: ", "a demonstration far away from the question is easily lost."],
  ];

  function figures(found) {
    const some = (number, digits) => number == null ? "–" : number.toFixed(digits);
    const row = (name, role, signs) => el("tr", {}, el("td", {}, name), [some(role.nats_per_token, 2), some(role.whole_probability, 3), ...signs].map((cell) => el("td", { class: "sd-number" }, cell)));
    const signs = (c) => [c.wins == null ? "–" : c.wins + " : " + c.losses, some(c.kl, 2), c.copied == null ? "–" : sdlab.percent(c.copied), String(c.too_long)];
    return [el("table", { class: "sd-contexts" }, sdlab.head(["Reader", ["Nats", true], ["P", true], ["Won : lost", true], ["KL", true], ["Copied", true], ["Too long", true]]),
      el("tbody", {}, row("student", found.student, ["", "", "", ""]), found.contexts.map((c) => row(c.context, c.teacher, signs(c))))),
      el("p", { class: "sd-soft" }, "Nats: −log p of a demonstration's token, P: probability of the whole demonstration, both means. Won : lost: rows on which the teacher scored higher or lower than the student. KL: KL(teacher ‖ student) in nats a token, how far training will move the student. Copied: answers that are the demonstration word for word. Too long: rows that do not fit the model in this form.")];
  }

  sdlab.views.premise = function (place, value) {
    const parts = [el("h3", {}, "Premise")];
    const found = value.found;
    if (value.has_teacher === false) parts.push(el("p", { class: "sd-soft" }, "This method has no teacher, so it does not rest on the premise."));
    if (value.pending) parts.push(pending(value.pending));
    if (!found) {
      if (!value.pending) parts.push(el("p", { class: "sd-soft" }, "Not checked yet for this task and model. It takes a few minutes and can spare a run that has nothing to learn from."));
      place.replaceChildren(...parts);
      return;
    }
    const label = { go: "go", weak: "weak", "no-go": "no-go" }[found.verdict];
    parts.push(el("p", {}, el("strong", { class: "sd-verdict-" + found.verdict }, label), found.is_own ? " for " + value.context : " at best, in form " + found.best + "; " + value.context + " was not checked", ". ",
      el("a", { href: sdlab.link("run", { id: found.run }) }, found.name)));
    parts.push(el("p", { class: "sd-soft" }, found.sentence + "."));
    if (found.contexts.length) {
      const row = (name, verdict, score, mark) => el("tr", { "aria-current": mark ? "true" : null }, el("td", {}, name), el("td", {}, score.n ? sdlab.percent(score.score) + " (" + sdlab.percent(score.low) + " to " + sdlab.percent(score.high) + ")" : "no row fits"), el("td", {}, verdict));
      parts.push(el("table", { class: "sd-contexts" }, sdlab.head(["Reader", "Score", "Verdict"]),
        el("tbody", {}, row("student, no demonstration", "", found.student, false), found.contexts.map((c) => row(c.context, c.verdict, c.teacher, c.context === value.context)))));
      const was = place.querySelector("details");
      parts.push(el("details", { open: was ? was.open : false }, el("summary", { "data-key": "premise-figures" }, "All figures"), figures(found)));
    }
    if (found.verdict !== "go") parts.push(el("p", {}, "What to try:"), el("ul", {}, HELP.map(([what, why]) => el("li", {}, el("strong", {}, what), why))));
    place.replaceChildren(...parts);
  };
})();
