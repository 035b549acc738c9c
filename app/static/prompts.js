// One row as student and teacher read it: special tokens visible, what only the teacher sees marked.
(function () {
  const el = sdlab.el;

  function text(segments) {
    return el("pre", { class: "sd-prompt", tabindex: 0 }, segments.map(([content, isSpecial, isBeyond]) =>
      isSpecial || isBeyond ? el(isBeyond ? "mark" : "span", { class: (isSpecial ? "sd-special" : "") + (isBeyond ? " sd-beyond" : "") }, content) : content));
  }

  function tokens(count, limit) {
    if (count === null) return "";
    return el("small", {}, " " + count.toLocaleString("en") + " tokens" + (limit ? ", " + (100 * count / limit).toFixed(count < limit / 100 ? 1 : 0) + " % of the " + limit.toLocaleString("en") + " that the model reads" : ""));
  }

  function room(value) {
    if (value.limit === null || value.teacher.tokens === null) return "";
    const left = value.limit - Math.max(value.student.tokens, value.teacher.tokens);
    if (left >= value.demonstration.tokens) return "";
    return el("p", { class: "sd-alarm", role: "alert" }, left < 0
      ? "The teacher's prompt is " + (-left).toLocaleString("en") + " tokens longer than the model reads: this row is left out of training. Shorten it, or choose a model that reads more."
      : "Only " + left.toLocaleString("en") + " tokens are left for the answer, and the demonstration has " + value.demonstration.tokens.toLocaleString("en") + ".");
  }

  sdlab.promptPanel = function (value, ask) {
    const context = el("select", { id: "task-context", "data-key": "context", onchange: (e) => ask({ context: e.target.value }) },
      value.contexts.map((name) => el("option", { value: name, selected: name === value.context }, name)));
    const model = el("input", { id: "task-model", "data-key": "model", list: "task-models", value: value.model, spellcheck: "false", onchange: (e) => ask({ model: e.target.value.trim() }) });
    const bar = el("div", { class: "sd-tools" },
      el("label", {}, "The teacher sees the demonstration as ", context), el("label", {}, "Model ", model),
      el("datalist", { id: "task-models" }, value.models.map((name) => el("option", { value: name }))),
      el("button", { type: "button", class: "sd-quiet", "data-key": "close-row", onclick: () => ask({ row: "" }) }, "Close row"));
    if (value.problem) return el("section", { class: "sd-panel", id: "task-prompts" }, bar, el("p", { class: "sd-error", role: "alert" }, value.problem));
    return el("section", { class: "sd-panel", id: "task-prompts", "aria-label": "Prompts of row " + value.place },
      bar, value.unread ? el("p", { class: "sd-soft" }, value.unread) : "", room(value),
      el("div", { class: "sd-pair" },
        el("div", {}, el("h4", { class: "sd-role-student" }, "Student reads", tokens(value.student.tokens, value.limit)), text(value.student.segments)),
        el("div", {}, el("h4", { class: "sd-role-teacher" }, "Teacher reads", tokens(value.teacher.tokens, value.limit)), text(value.teacher.segments),
          el("p", {}, el("mark", { class: "sd-beyond" }, "Marked"), " is what the teacher sees beyond the student."))),
      el("h4", {}, "Demonstration", tokens(value.demonstration.tokens, null)), el("pre", { class: "sd-prompt", tabindex: 0 }, value.demonstration.text),
      value.reference.length ? [el("h4", {}, "The scorer compares with"), el("pre", { class: "sd-prompt" }, value.reference.join("\n"))] : "",
      el("p", { class: "sd-soft" }, "id " + value.id + ", row " + value.row + " of the file, " + (value.part === "training" ? "a training row" : "held out: never trained on"),
        value.tags.length ? ", tags " + value.tags.join(", ") : ""));
  };
})();
