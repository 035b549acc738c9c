// A version's rows: to search, order, page through, change, leave out and add to.
(function () {
  const el = sdlab.el;
  const { many } = sdlab;
  const PARTS = [["", "all rows"], ["training", "training rows"], ["held_out", "held-out rows"]];
  const ORDER = { row: "their number", "longest-prompt": "longest prompt first", "shortest-prompt": "shortest prompt first",
    "longest-demonstration": "longest demonstration first", "shortest-demonstration": "shortest demonstration first", tag: "tag" };

  function tools(value, ask) {
    const pick = el("select", { "aria-label": "Which rows", "data-key": "rows-part", id: "task-part", onchange: (e) => ask({ part: e.target.value, page: "", row: "" }) },
      PARTS.map(([part, name]) => el("option", { value: part, selected: part === value.part }, name)));
    const order = el("select", { id: "rows-sort", "data-key": "rows-sort", onchange: (e) => ask({ sort: e.target.value === "row" ? "" : e.target.value, page: "", row: "" }) },
      value.sorts.map((name) => el("option", { value: name, selected: name === value.sort }, ORDER[name] || name)));
    const find = el("input", { type: "search", id: "rows-find", "data-key": "rows-find", value: value.find, placeholder: "text in a row, tag or id", onchange: (e) => ask({ find: e.target.value, page: "", row: "" }) });
    const step = (to, name) => el("button", { type: "button", class: "sd-quiet", "data-key": "page-" + name, disabled: to < 1 || to > value.pages, onclick: () => ask({ page: to, row: "" }) }, name);
    const count = many(value.count, "row") + (value.find ? " of " + value.of.toLocaleString("en") : "");
    return el("div", { class: "sd-tools" }, pick, el("label", {}, "with ", find), el("label", {}, "by ", order),
      value.reading ? "" : el("span", { class: "sd-pages" }, step(value.page - 1, "Previous"), " page " + value.page + " of " + value.pages + ", " + count + " ", step(value.page + 1, "Next")));
  }

  // Rows that are written here and not saved yet.
  function added(version, bar, redraw) {
    const draft = sdlab.draft(version);
    const keep = () => { sdlab.keepDraft(version, draft); bar.refresh(); };
    const row = (each, i) => el("div", { class: "sd-new-row" }, el("h4", {}, "New row " + (i + 1)),
      sdlab.field("new-prompt-" + (i + 1), "Prompt", each.prompt, (text) => { each.prompt = text; keep(); }, 2),
      sdlab.field("new-demonstration-" + (i + 1), "Demonstration", each.demonstration, (text) => { each.demonstration = text; keep(); }, 2),
      el("div", { class: "sd-tools" }, sdlab.pick("new-split-" + (i + 1), "Side", [["training", "training"], ["held_out", "held out"]], each.split, (side) => { each.split = side; keep(); }),
        el("button", { type: "button", class: "sd-quiet", "data-key": "new-drop-" + i, onclick: () => { draft.add.splice(i, 1); sdlab.keepDraft(version, draft); redraw(); } }, "Remove")));
    return el("div", { class: "sd-act" }, draft.add.map(row),
      el("button", { type: "button", class: "sd-quiet", id: "rows-add", "data-key": "rows-add", onclick: () => {
        draft.add.push({ prompt: "", demonstration: "", split: "training" });
        sdlab.keepDraft(version, draft);
        redraw();
        document.getElementById("new-prompt-" + draft.add.length).focus();
      } }, "Add a row"));
  }

  sdlab.views.rows = function (place, value, trigger) {
    if (!value.rows) { place.replaceChildren(); return; }
    if (sdlab.goesOn(place, value, value.reading ? "reading" : "saving")) return;
    const version = value.task + "@" + value.version;
    const ask = sdlab.asker(value.version, trigger);
    const redraw = () => { place.rest = ""; sdlab.views.rows(place, value, trigger); };
    if (value.reading) {
      const waits = sdlab.editBar(version, value.total, value.saving, trigger, redraw);
      place.replaceChildren(tools(value, ask), waits, sdlab.doing(value.reading, trigger, "clear"));
      return;
    }
    const draft = sdlab.draft(version);
    const bar = sdlab.editBar(version, value.total, value.saving, trigger, redraw);
    const buttons = new Map();
    const mark = function () {
      bar.refresh();
      for (const [number, button] of buttons) {
        const state = draft.exclude.includes(number) ? "out" : draft.change[number] ? "changed" : "";
        if (state) button.setAttribute("data-edit", state); else button.removeAttribute("data-edit");
      }
    };
    const leaveOut = (number) => el("button", { type: "button", class: "sd-quiet", id: "row-exclude", "data-key": "row-exclude", onclick: () => {
      if (draft.exclude.includes(number)) draft.exclude.splice(draft.exclude.indexOf(number), 1); else draft.exclude.push(number);
      sdlab.keepDraft(version, draft);
      redraw();
    } }, draft.exclude.includes(number) ? "Take this row in again" : "Leave this row out");
    const opened = value.opened;
    let panel = opened ? el("div", {}, opened.fields ? el("div", { class: "sd-row-tools sd-act" }, el("div", { class: "sd-tools" }, leaveOut(opened.place)),
      sdlab.rowForm(opened.fields, version, mark), sdlab.trial(opened.fields, version, value.scorers, trigger)) : "", sdlab.promptPanel(opened, ask)) : null;
    const list = el("div", { class: "sd-rows-list", role: "list" });
    for (const row of value.rows) {
      const isOpen = opened && row.place === opened.place;
      const button = el("button", { type: "button", class: "sd-row", "data-key": "row-" + row.place, "aria-expanded": String(Boolean(isOpen)), onclick: () => ask({ row: isOpen ? "" : row.place }) },
        el("span", { class: "sd-number" }, row.place), el("span", { class: "sd-part" }, row.part === "training" ? "training" : "held out"),
        el("span", { class: "sd-clip" }, row.tags.length ? el("small", {}, row.tags.join(", ") + " · ") : "", row.turns > 1 ? el("small", {}, row.turns + " turns … ") : "", row.prompt), el("span", { class: "sd-clip" }, row.demonstration),
        el("small", { class: "sd-chars", title: "characters of prompt and demonstration" }, row.lengths.map((n) => n.toLocaleString("en")).join(" + ")));
      buttons.set(row.place, button);
      list.append(el("div", { role: "listitem" }, button, isOpen ? panel : ""));
      if (isOpen) panel = null;
    }
    const none = value.count ? "" : el("p", { class: "sd-empty" }, "No row holds \"" + value.find + "\".");
    place.replaceChildren(tools(value, ask), bar, panel || "", none, list, added(version, bar, redraw));
    mark();
  };
})();
