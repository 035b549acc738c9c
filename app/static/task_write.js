// A task written from nothing: its name, its scorer, and rows that are typed in.
(function () {
  const el = sdlab.el;
  const KEY = "written task";
  const row = () => ({ prompt: "", demonstration: "" });
  const FIELDS = { name: "write-name", scorer: "write-scorer", held_out: "write-held-out" };

  sdlab.views.write = function (place, value, trigger) {
    const now = sdlab.kept(KEY, () => ({ name: "", scorer: "exact", held_out: "0.2", rows: [row(), row(), row()] }));
    const keep = () => sdlab.keep(KEY, now);
    const put = (name) => (text) => { now[name] = text; keep(); };
    const redraw = () => sdlab.views.write(place, value, trigger);
    const filled = now.rows.some((each) => each.prompt || each.demonstration) || sdlab.query().get("write");
    const told = el("div", { id: "write-told" });
    const line = (each, i) => el("div", { class: "sd-new-row", id: "write-row-" + (i + 1) }, el("h4", {}, "Row " + (i + 1)),
      sdlab.field("write-prompt-" + (i + 1), "Prompt", each.prompt, (text) => { each.prompt = text; keep(); }, 2),
      sdlab.field("write-demonstration-" + (i + 1), "Demonstration", each.demonstration, (text) => { each.demonstration = text; keep(); }, 2));
    const scorer = sdlab.field("write-scorer", "Scorer", now.scorer, put("scorer"));
    scorer.querySelector("input").setAttribute("list", "write-scorers");
    const store = el("button", { type: "button", class: "sd-button", id: "write-go", "data-key": "write-go", onclick: () => {
      now.rows = now.rows.filter((each) => each.prompt.trim() || each.demonstration.trim());
      keep();
      redraw();
      document.getElementById("write-go").disabled = true;
      trigger("submit", now);
      if (!now.rows.length) now.rows.push(row());
    } }, "Store the task");
    sdlab.answers.written = function (answer) {
      if (answer.go) {
        sdlab.forget(KEY);
        location.assign(answer.go);
        return;
      }
      redraw();
      tell(answer);
    };
    const was = place.querySelector("details");
    place.replaceChildren(el("details", { id: "write-task", class: "sd-act", open: was ? was.open : Boolean(filled) },
      el("summary", { id: "write-open", "data-key": "write-open" }, "Write a task here, row by row"),
      el("div", { class: "sd-tools" }, sdlab.field("write-name", "Name (one that exists gets a new version)", now.name, put("name")), scorer,
        sdlab.field("write-held-out", "Held out: a share or a number of rows", now.held_out, put("held_out")),
        el("datalist", { id: "write-scorers" }, value.scorers.map((name) => el("option", { value: name })))),
      now.rows.map(line),
      el("div", { class: "sd-tools" }, el("button", { type: "button", class: "sd-quiet", id: "write-more", "data-key": "write-more", onclick: () => {
        now.rows.push(row());
        keep();
        redraw();
        document.getElementById("write-prompt-" + now.rows.length).focus();
      } }, "Another row"), store), told));
  };

  // Each message beside its field or row, the rest beneath the button.
  function tell(answer) {
    const beside = (id, text) => {
      const field = document.getElementById(id), line = el("p", { class: "sd-problem", role: "alert" }, text);
      (field ? field.closest("label, .sd-new-row") : document.getElementById("write-told")).append(line);
    };
    if (FIELDS[answer.where]) beside(FIELDS[answer.where], answer.sentence);
    else if (!answer.problems.length) beside("write-told", answer.sentence);
    for (const problem of answer.problems) {
      const id = "write-" + (problem.field || "row") + "-" + problem.row;
      beside(document.getElementById(id) ? id : problem.row === null ? "" : "write-row-" + problem.row, problem.problem + "; " + problem.remedy);
    }
  }
})();
