// One trace: both prompts, the rollout coloured token by token, and the answers beside it.
(function () {
  const el = sdlab.el;
  const ROLES = ["student", "teacher"];
  const SPECIAL = /(<\|[^|<>]{1,40}\|>|<\/?s>|<(?:bos|eos|pad|unk|start_of_turn|end_of_turn)>|\[\/?INST\])/;
  // Nine shades; the edges between them, from the lightest on.
  const SCALES = {
    divergence: { name: "divergence", unit: "nats", edges: [0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 4], of: (d, role, i) => d.divergences[i] },
    student: { name: "student probability", unit: "p", edges: [0.05, 0.15, 0.3, 0.45, 0.6, 0.75, 0.9, 0.98], of: (d, role, i) => chance(d.roles.student, i) },
    teacher: { name: "teacher probability", unit: "p", edges: [0.05, 0.15, 0.3, 0.45, 0.6, 0.75, 0.9, 0.98], of: (d, role, i) => chance(d.roles.teacher, i) },
    entropy: { name: "entropy (each role's own)", unit: "nats", edges: [0.1, 0.25, 0.5, 1, 1.5, 2, 3, 4], of: (d, role, i) => d.roles[role].entropy[i] },
    difference: { name: "difference of log-probabilities", unit: "nats", edges: [0.1, 0.25, 0.5, 1, 1.5, 2, 3, 5], of: (d, role, i) => d.roles.student.logprobs[i] - d.roles.teacher.logprobs[i] },
  };

  const chance = (role, i) => (role.logprobs[i] === null ? 0 : Math.exp(role.logprobs[i]));
  const shade = (value, edges) => edges.filter((edge) => Math.abs(value) >= edge).length;
  const percent = (p) => (100 * p < 0.05 && p > 0 ? "< 0.1" : (100 * p).toFixed(1)) + " %";
  const nats = (value) => (value === null || value === undefined ? "–" : value.toFixed(value > -10 && value < 10 ? 3 : 1));
  const visible = (text) => text.replace(/ /g, "·").replace(/\t/g, "⇥").replace(/\r/g, "␍").replace(/\n/g, "↵");

  function prompt(title, role, parts, note) {
    const body = el("pre", { class: "sd-prompt", id: "trace-" + role + "-prompt", tabindex: "0", "aria-label": title });
    for (const [text, own] of parts) {
      const place = own ? el("mark", { class: "sd-own-" + role }) : body;
      text.split(SPECIAL).forEach((piece, i) => piece && place.append(i % 2 ? el("span", { class: "sd-special" }, piece) : piece));
      if (own) body.append(place);
    }
    return el("div", {}, el("h3", { class: "sd-role-" + role }, title, note ? el("small", {}, " " + note) : ""), body);
  }

  function prompts(d) {
    const teacher = d.prompts.teacher
      ? prompt("Teacher reads", "teacher", d.prompts.teacher, "what it sees beyond the student is marked")
      : el("div", {}, el("h3", {}, "No teacher"), el("p", {}, "This method learns from the tokens alone: the loss of a token is −log of the student's probability."));
    return el("div", { class: "sd-pair" }, prompt("Student reads", "student", d.prompts.student), teacher);
  }

  // One row a role; each token's line below shows that role's own probability.
  function row(d, role) {
    const tokens = el("div", { class: "sd-tokrow sd-of-" + role, id: "trace-" + role + "-tokens", role: "listbox", "aria-label": "The rollout's tokens as the " + role + " sees them", "aria-orientation": "horizontal" });
    const shadesOf = SCALES.student.edges;
    d.tokens.forEach(function (at, i) {
      const token = document.createElement("span");
      const text = d.texts[at];
      token.textContent = visible(text) + (text.includes("\n") ? "\n" : "");
      token.dataset.i = i;
      token.dataset.own = "sd-u" + Math.floor(shade(chance(d.roles[role], i), shadesOf) / 2);
      token.setAttribute("role", "option");
      token.tabIndex = -1;
      tokens.append(token);
    });
    return tokens;
  }

  function paint(d, role, tokens, colour) {
    const scale = SCALES[colour];
    tokens.dataset.colour = colour;
    [...tokens.children].forEach(function (token, i) {
      const value = scale.of(d, role, i);
      const known = value !== null && !Number.isNaN(value);
      token.className = "sd-tok " + token.dataset.own + (known ? " sd-k" + shade(value, scale.edges) : "") +
        (known && value < 0 ? " sd-less" : "") + (d.weights[i] ? "" : " sd-uncounted") + (token.classList.contains("sd-at") ? " sd-at" : "");
    });
  }

  function legend(colour) {
    const scale = SCALES[colour];
    const sign = colour === "difference" ? "±" : "";
    const swatches = [0, ...scale.edges].map((edge, i) => el("span", { class: "sd-swatch" }, el("span", { class: "sd-tok sd-k" + i }), el("small", {}, sign + edge)));
    const notes = { difference: " blue: the student likes it more, orange: the teacher" };
    return el("div", { class: "sd-legend sd-tokrow", id: "trace-legend", "data-colour": colour, "aria-label": "Legend" },
      el("small", {}, scale.name + ", " + scale.unit + ", from"), swatches,
      el("small", {}, (notes[colour] ? notes[colour] + ". " : "") + "Line below a token: the row's own probability. Struck: not counted."));
  }

  function why(d, i) {
    if (d.weights[i]) return null;
    if (i < d.uncounted.skip_first) return "Not counted: the first " + d.uncounted.skip_first + " tokens are skipped (token_weights.skip_first).";
    if (d.uncounted.stop_below > 0) return "Not counted: an earlier token got less than " + d.uncounted.stop_below + " from the teacher (token_weights.stop_below); what follows a derailed beginning teaches nothing.";
    return "Not counted: its weight is 0.";
  }

  function top(d, role, name, i) {
    const width = role.width, own = d.tokens[i];
    const bars = [...Array(width).keys()].map(function (rank) {
      const at = role.top[i * width + rank], logprob = role.top_logprobs[i * width + rank];
      const p = logprob === null ? 0 : Math.exp(logprob);
      return el("tr", { class: at === own ? "sd-written" : "" }, el("td", { class: "sd-piece", title: visible(d.texts[at]) }, visible(d.texts[at])),
        el("td", { class: "sd-bar" }, el("span", { style: { width: 100 * p + "%" } })), el("td", {}, percent(p)));
    });
    return el("table", { class: "sd-top5 sd-of-" + name }, el("caption", {}, name === "student" ? "student prefers" : "teacher prefers"), el("tbody", {}, bars));
  }

  function panel(d, i) {
    const roles = ROLES.filter((name) => d.roles[name]);
    const reason = why(d, i);
    const facts = [["probability", (name) => percent(chance(d.roles[name], i))], ["log-probability", (name) => nats(d.roles[name].logprobs[i])], ["entropy", (name) => nats(d.roles[name].entropy[i])]];
    return [
      el("h3", {}, "Token " + (i + 1) + " of " + d.tokens.length + ": ", el("span", { class: "sd-piece" }, visible(d.texts[d.tokens[i]]))),
      el("div", { class: "sd-tops" }, roles.map((name) => top(d, d.roles[name], name, i))),
      el("table", { class: "sd-facts" }, el("thead", {}, el("tr", {}, el("th", {}, "this token"), roles.map((name) => el("th", { scope: "col", class: "sd-role-" + name }, name)))),
        el("tbody", {}, facts.map(([title, of]) => el("tr", {}, el("th", { scope: "row" }, title), roles.map((name) => el("td", {}, of(name))))))),
      el("p", {}, d.roles.teacher ? "divergence " : "loss ", el("strong", {}, nats(d.divergences[i])), " nats · weight in the loss ", el("strong", {}, d.weights[i] ? d.weights[i].toPrecision(2) : "0")),
      reason ? el("p", { class: "sd-alarm" }, reason) : ""];
  }

  function answers(d) {
    const one = (title, id, text, absent) => el("div", {}, el("h3", {}, title), text === null || text === undefined ? el("p", {}, el("small", {}, absent)) : el("pre", { id: id }, text || "(nothing)"));
    const only = "Kept for watched prompts only.";
    return el("div", { class: "sd-answers" }, one("Rollout", "trace-rollout", d.completion),
      one("Teacher's own answer", "trace-teacher-answer", d.teacher_answer, d.roles.teacher ? only : "This method has no teacher."),
      one("Base's answer", "trace-base-answer", d.base_answer, only), one("Demonstration", "trace-demonstration", d.demonstration));
  }

  const WRITERS = { student: "written by the student", teacher: "written by the teacher", demonstration: "the demonstration itself" };

  sdlab.views.tokens = function (place, value) {
    if (value.empty !== undefined) { place.replaceChildren(value.empty ? el("p", { class: "sd-empty" }, value.empty) : ""); return; }
    // A plain copy: reading through Gradio's proxies takes longer than drawing.
    const d = JSON.parse(JSON.stringify(value));
    const roles = ROLES.filter((name) => d.roles[name]);
    const choices = Object.keys(SCALES).filter((name) => d.roles.teacher || !["teacher", "difference"].includes(name));
    let colour = choices.includes(sdlab.query().get("color")) ? sdlab.query().get("color") : "divergence";
    const rows = Object.fromEntries(roles.map((name) => [name, row(d, name)]));
    const counted = d.tokens.map((_, i) => (d.weights[i] && d.divergences[i] !== null ? d.divergences[i] : -1));
    let selected = counted.length ? counted.indexOf(counted.reduce((a, b) => Math.max(a, b), -Infinity)) : -1;
    let shown = -1;
    const details = el("aside", { class: "sd-panel-token", id: "trace-panel", role: "region", "aria-live": "polite", "aria-label": "The token" });
    const key = el("div", {});

    function show(i) {
      if (i === shown || i < 0) return;
      for (const name of roles) {
        if (shown >= 0) rows[name].children[shown].classList.remove("sd-at");
        rows[name].children[i].classList.add("sd-at");
      }
      shown = i;
      details.replaceChildren(...panel(d, i));
    }
    function select(i) {
      for (const name of roles) {
        rows[name].children[selected].tabIndex = -1;
        rows[name].children[selected].removeAttribute("aria-selected");
        rows[name].children[i].tabIndex = 0;
        rows[name].children[i].setAttribute("aria-selected", "true");
      }
      selected = i;
      show(i);
    }
    function repaint() {
      for (const name of roles) paint(d, name, rows[name], colour);
      key.replaceChildren(legend(colour));
    }
    function moved(event) {
      const name = roles.find((each) => rows[each].contains(event.target)), last = d.tokens.length - 1;
      const to = { ArrowRight: selected + 1, ArrowLeft: selected - 1, Home: 0, End: last }[event.key];
      const other = { ArrowDown: "teacher", ArrowUp: "student" }[event.key];
      if (to === undefined && !rows[other]) return;
      event.preventDefault();
      if (to !== undefined && to >= 0 && to <= last) select(to);
      rows[to === undefined ? other : name].children[selected].focus();
    }
    // Both rows break their lines alike: what is beside each other stays so.
    const together = (event) => roles.forEach((name) => { if (rows[name] !== event.target) rows[name].scrollTop = event.target.scrollTop; });
    for (const name of roles) rows[name].addEventListener("scroll", together);
    const on = (event) => (event.target.dataset && event.target.dataset.i !== undefined ? +event.target.dataset.i : -1);
    const area = el("div", { class: "sd-rows", onkeydown: moved, onmouseover: (e) => show(on(e)), onmouseleave: () => show(selected),
      onclick: (e) => on(e) >= 0 && select(on(e)), onfocusin: (e) => on(e) >= 0 && select(on(e)) },
      roles.map((name) => el("div", {}, el("h3", { class: "sd-role-" + name }, name === "student" ? "Student" : "Teacher"), rows[name])));
    const chosen = el("select", { id: "trace-color", "data-key": "trace-color", onchange: function (event) { colour = event.target.value; sdlab.setQuery({ color: colour === "divergence" ? "" : colour }); repaint(); } },
      choices.map((name) => el("option", { value: name, selected: name === colour }, d.roles.teacher || name !== "divergence" ? SCALES[name].name : "loss")));
    repaint();
    if (selected >= 0) select(selected);
    place.replaceChildren(
      prompts(d), el("p", { class: "sd-finding", id: "trace-sentence" }, d.sentence),
      el("div", { class: "sd-top" }, el("h2", {}, sdlab.term("rollout", "Rollout"), el("small", {}, " " + (WRITERS[d.source] || d.source) + (d.kind === "watched" ? ", a held-out prompt that is never trained on" : ", trained on at this step"))),
        el("label", { class: "sd-pick sd-beside" }, el("small", {}, "colour"), chosen)),
      key, el("div", { class: "sd-rollout" }, area, details), answers(d));
    if (selected > 0) {
      const box = rows.student;
      box.scrollTop += box.children[selected].getBoundingClientRect().top - box.getBoundingClientRect().top - 36;
    }
  };
})();
