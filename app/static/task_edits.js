// Changes to a version's rows that are not saved yet: kept by this tab, for the version they are of.
(function () {
  const el = sdlab.el;
  const kept = new Map();

  const empty = () => ({ change: {}, exclude: [], add: [] });

  // What was typed under a name in this tab; it outlives a reload where the browser allows it.
  sdlab.kept = function (name, otherwise) {
    if (!kept.has(name)) {
      let found = null;
      try { found = JSON.parse(sessionStorage.getItem("sdlab " + name)); } catch (blocked) { /* private window */ }
      kept.set(name, found || otherwise());
    }
    return kept.get(name);
  };
  sdlab.keep = function (name, value) {
    kept.set(name, value);
    try { sessionStorage.setItem("sdlab " + name, JSON.stringify(value)); } catch (full) { /* this tab still has it */ }
  };
  sdlab.forget = function (name) {
    kept.delete(name);
    try { sessionStorage.removeItem("sdlab " + name); } catch (blocked) { /* private window */ }
  };

  sdlab.draft = (version) => sdlab.kept("edits of " + version, empty);
  sdlab.keepDraft = (version, draft) => sdlab.keep("edits of " + version, draft);

  function words(draft) {
    const changed = Object.keys(draft.change), parts = [];
    if (changed.length) parts.push("row " + changed.join(", ") + " changed");
    if (draft.exclude.length) parts.push("row " + draft.exclude.join(", ") + " left out");
    if (draft.add.length) parts.push(sdlab.many(draft.add.length, "row") + " added");
    return parts.join("; ");
  }

  // Faulty rows as the server counts them: added rows come after all that the version has.
  function faults(answer, count) {
    return el("ul", {}, answer.problems.slice(0, 20).map((p) => el("li", {},
      (p.row === null ? "" : p.row > count ? "new row " + (p.row - count) : "row " + p.row) + (p.field ? ", " + p.field : "") + ": " + p.problem + "; " + p.remedy)));
  }

  // The line that tells of changes, saves them as a new version, or drops them.
  // ``saving`` is how far that is, or what it came to, where the address names one.
  sdlab.editBar = function (version, count, saving, trigger, redraw) {
    const bar = el("div", { class: "sd-edit-bar sd-act", role: "status" });
    let asked = false;
    bar.refresh = function (answer) {
      const draft = sdlab.draft(version), told = words(draft);
      bar.hidden = !told && !saving;
      if (saving && saving.is_open) {
        bar.replaceChildren(sdlab.doing(saving, trigger, "stop"));
        return;
      }
      if (answer) asked = false;
      if (!told) {
        bar.replaceChildren(saving ? saving.words || (answer && answer.sentence) || "" : "");
        return;
      }
      bar.replaceChildren(
        el("span", {}, "Not saved yet, to " + version + ": " + told + "."),
        el("button", { type: "button", class: "sd-button", id: "edits-save", "data-key": "edits-save", disabled: asked, onclick: () => {
          asked = true;
          bar.refresh();
          const filled = draft.add.filter((row) => row.prompt.trim() || row.demonstration.trim());
          trigger("submit", { task: version, changes: { ...draft, add: filled } });
        } }, asked ? "Saving …" : "Save as a new version"),
        el("button", { type: "button", class: "sd-quiet", id: "edits-drop", "data-key": "edits-drop", disabled: asked, onclick: () => { sdlab.keepDraft(version, empty()); redraw(); } }, "Drop the changes"),
        saving && saving.words ? el("div", {}, saving.words) : "",
        answer && answer.sentence ? el("div", { class: "sd-error", role: "alert" }, answer.problems.length > 1 ? faults(answer, count) : answer.sentence) : "");
    };
    sdlab.answers.saved = function (answer) {
      if (answer.begun) {
        sdlab.setQuery({ saving: answer.begun });
        trigger("select", {});
        return;
      }
      sdlab.setQuery({ saving: "" });
      if (answer.go) {
        sdlab.forget("edits of " + version);
        location.assign(answer.go);
      } else bar.refresh(answer);
    };
    bar.refresh(saving && saving.answer);
    if (saving && saving.answer) sdlab.answers.saved(saving.answer);
    else if (saving && !saving.is_open) sdlab.setQuery({ saving: "" });
    return bar;
  };

  // What the server answered goes to whoever asked; the view itself shows nothing.
  sdlab.answers = {};
  sdlab.views.answers = function (place, value) {
    const told = sdlab.answers[value.kind];
    if (told) told(value);
  };

  // A field with its label; what is typed goes to ``onchange``.
  sdlab.field = function (key, label, text, onchange, rows) {
    const control = rows ? el("textarea", { "data-key": key, id: key, rows: rows, oninput: (e) => onchange(e.target.value) }, text)
      : el("input", { "data-key": key, id: key, value: text, spellcheck: "false", oninput: (e) => onchange(e.target.value) });
    return el("label", { class: "sd-field" }, el("small", {}, label), control);
  };
})();
