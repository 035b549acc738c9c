// One row of a version: its fields to change, and an answer to try on its scorer.
(function () {
  const el = sdlab.el;
  const open = new Set();

  // A part that is folded until it is asked for, and stays as it was when the page is drawn anew.
  function folding(key, title, ...children) {
    return el("details", { open: open.has(key), ontoggle: (e) => (e.target.open ? open.add(key) : open.delete(key)) },
      el("summary", { "data-key": "fold-" + key, id: "fold-" + key }, title), children);
  }

  const listed = (reference) => Array.isArray(reference);
  const asText = (reference) => (listed(reference) ? reference.join("\n") : reference || "");
  const tagsOf = (text) => text.split(",").map((tag) => tag.trim()).filter(Boolean);

  // The row as it stands with its changes, by the names that the form has for its fields.
  function values(fields, change) {
    const turns = fields.messages.map((turn) => turn.content);
    const found = { turns: turns, demonstration: fields.demonstration, reference: asText(fields.reference), tags: fields.tags.join(", "), group: fields.group, split: fields.split };
    if (!change) return found;
    if (change.messages) {
      found.turns = change.messages.slice(0, -1).map((turn) => turn.content);
      found.demonstration = change.messages[change.messages.length - 1].content;
    }
    if ("prompt" in change) found.turns = [change.prompt];
    if ("demonstration" in change) found.demonstration = change.demonstration;
    if ("reference" in change) found.reference = asText(change.reference);
    if ("tags" in change) found.tags = change.tags.join(", ");
    for (const name of ["group", "split"]) if (name in change) found[name] = change[name];
    return found;
  }

  // Only what differs from the row: that is what is sent.
  function changeOf(fields, now) {
    const was = values(fields), change = {};
    const spoken = JSON.stringify(now.turns) !== JSON.stringify(was.turns) || now.demonstration !== was.demonstration;
    if (spoken && fields.messages.length > 1) {
      change.messages = [...fields.messages.map((turn, i) => ({ role: turn.role, content: now.turns[i] })), { role: "assistant", content: now.demonstration }];
    } else if (spoken) {
      if (now.turns[0] !== was.turns[0]) change.prompt = now.turns[0];
      if (now.demonstration !== was.demonstration) change.demonstration = now.demonstration;
    }
    if (now.reference !== was.reference) change.reference = listed(fields.reference) ? now.reference.split("\n").filter(Boolean) : now.reference;
    if (now.tags !== was.tags) change.tags = tagsOf(now.tags);
    for (const name of ["group", "split"]) if (now[name] !== was[name]) change[name] = now[name];
    return Object.keys(change).length ? change : null;
  }

  sdlab.rowForm = function (fields, version, changed) {
    const draft = sdlab.draft(version), now = values(fields, draft.change[fields.place]);
    const put = (name, at) => (text) => {
      if (name === "turns") now.turns[at] = text; else now[name] = text;
      const change = changeOf(fields, now);
      if (change) draft.change[fields.place] = change; else delete draft.change[fields.place];
      sdlab.keepDraft(version, draft);
      changed();
    };
    const high = (text) => Math.min(12, Math.max(2, Math.ceil(text.length / 80) + text.split("\n").length - 1));
    const turns = now.turns.map((text, i) => sdlab.field("edit-turn-" + (i + 1), fields.messages.length > 1 ? fields.messages[i].role : "Prompt", text, put("turns", i), high(text)));
    return folding("edit", "Edit this row", turns,
      sdlab.field("edit-demonstration", "Demonstration", now.demonstration, put("demonstration"), high(now.demonstration)),
      sdlab.field("edit-reference", listed(fields.reference) ? "The scorer compares with (one part a line)" : "The scorer compares with (empty: the demonstration)", now.reference, put("reference"), listed(fields.reference) ? 3 : 1),
      el("div", { class: "sd-tools" }, sdlab.field("edit-tags", "Tags", now.tags, put("tags")), sdlab.field("edit-group", "Group", now.group, put("group")),
        sdlab.pick("edit-split", "Side", [["training", "training"], ["held_out", "held out"]], now.split, put("split"))));
  };

  function verdict(answer) {
    if (answer.sentence) return el("p", { class: "sd-error", role: "alert" }, answer.sentence);
    const tried = answer.tried, expected = Array.isArray(tried.expected) ? tried.expected.join("\n") : tried.expected;
    return [el("p", { role: "status" }, el("strong", {}, tried.score.toFixed(2)), " by " + tried.scorer + ": " + tried.reason),
      el("h4", {}, "It was compared with"), el("pre", { class: "sd-prompt" }, expected),
      Object.keys(tried.record).length ? [el("h4", {}, "What the judge was asked and said"), el("pre", { class: "sd-prompt" }, JSON.stringify(tried.record, null, 1))] : ""];
  }

  let last = null;

  sdlab.trial = function (fields, version, scorers, trigger) {
    const key = "trial on " + version, now = sdlab.kept(key, () => ({ answer: "", scorer: "", options: "" }));
    const put = (name) => (text) => { now[name] = text; sdlab.keep(key, now); };
    const result = el("div", { id: "trial-result" }, last && last.row === fields.place && last.version === version ? verdict(last.answer) : "");
    const button = el("button", { type: "button", class: "sd-button", id: "trial-go", "data-key": "trial-go", onclick: () => {
      button.disabled = true;
      result.replaceChildren(el("p", { class: "sd-soft" }, "Scoring …"));
      last = { row: fields.place, version: version, answer: null };
      trigger("apply", { task: version, row: fields.place, ...now });
    } }, "Score this answer");
    sdlab.answers.tried = function (answer) {
      button.disabled = false;
      last = { row: fields.place, version: version, answer: answer };
      result.replaceChildren(...[verdict(answer)].flat(Infinity).filter((part) => part !== ""));
    };
    const scorer = sdlab.field("trial-scorer", "Another scorer, as in regex:PATTERN", now.scorer, put("scorer"));
    scorer.querySelector("input").setAttribute("list", "trial-scorers");
    return folding("trial", "Try an answer on the scorer", sdlab.field("trial-answer", "An answer, as a model might write it", now.answer, put("answer"), 3),
      el("div", { class: "sd-tools" }, scorer, sdlab.field("trial-options", "Its parameters as JSON", now.options, put("options")),
        el("datalist", { id: "trial-scorers" }, scorers.map((name) => el("option", { value: name }))), button), result);
  };
})();
