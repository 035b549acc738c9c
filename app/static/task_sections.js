// What a version is besides its rows: lengths in tokens, changes to another version, near-duplicates.
(function () {
  const el = sdlab.el;
  const { many } = sdlab;
  const number = (n) => n.toLocaleString("en");
  const side = (part) => (part === "training" ? "training" : "held out");

  sdlab.views.lengths = function (place, value, trigger) {
    if (!value.task) { place.replaceChildren(); return; }
    const ask = sdlab.asker(value.version, trigger);
    const bar = el("div", { class: "sd-tools" },
      el("label", {}, "The teacher sees the demonstration as ", el("select", { id: "lengths-context", "data-key": "lengths-context", onchange: (e) => ask({ context: e.target.value }) },
        value.contexts.map((name) => el("option", { value: name, selected: name === value.context }, name)))),
      el("label", {}, "Model ", el("input", { id: "lengths-model", "data-key": "lengths-model", list: "lengths-models", value: value.model, spellcheck: "false", onchange: (e) => ask({ model: e.target.value.trim() }) })),
      el("datalist", { id: "lengths-models" }, value.models.map((name) => el("option", { value: name }))),
      el("label", {}, "New tokens ", el("input", { id: "lengths-new", class: "sd-short", "data-key": "lengths-new", inputmode: "numeric", value: value.new_tokens, onchange: (e) => ask({ new_tokens: e.target.value.trim() }) })));
    if (value.problem || value.unread) {
      place.replaceChildren(bar, el("p", value.problem ? { class: "sd-error", role: "alert" } : { class: "sd-soft" }, value.problem || value.unread));
      return;
    }
    const all = value.sampled === value.rows;
    const share = (n) => sdlab.percent(n / value.sampled);
    const line = (each) => el("tr", { "aria-current": each.is_model ? "true" : null },
      el("td", { class: "sd-number" }, number(each.limit)), el("td", { class: "sd-number" }, number(each.rows)), el("td", { class: "sd-number" }, share(each.rows)),
      el("td", {}, each.is_model ? "what the model reads" : ""));
    const heads = [["Limit in tokens", 1], ["Rows left out", 1], [all ? "Share" : "Share of the sample", 1], [""]];
    place.replaceChildren(bar,
      el("p", {}, all ? "All " + many(value.rows, "row") + " were counted." : "Counted in a sample of " + number(value.sampled) + " rows, drawn at random from " + number(value.rows) + "."),
      el("table", { class: "sd-tasks-table" }, sdlab.head(heads), el("tbody", {}, value.skipped.map(line))),
      el("p", { class: "sd-soft" }, "A row is left out where the longer prompt, with the longer of its demonstration and " + many(value.new_tokens, "new token") + ", is beyond the limit."));
  };

  const text = (parts) => parts.map(([content, differs]) => (differs ? el("mark", { class: "sd-differs" }, content) : content));

  function changedRow(row) {
    return el("div", { class: "sd-diff", role: "listitem" }, el("h4", {}, row.id, el("small", {}, " " + side(row.part))),
      row.fields.map((field) => el("div", { class: "sd-pair" },
        el("div", {}, el("small", {}, field.field + " before"), el("pre", { class: "sd-prompt sd-removed" }, text(field.before))),
        el("div", {}, el("small", {}, field.field + " after"), el("pre", { class: "sd-prompt sd-added" }, text(field.after))))));
  }

  function wholeRow(kind) {
    const words = (row) => (kind === "moved" ? "from " + side(row.from) + " to " + side(row.to) : side(row.part));
    const look = kind === "moved" ? "" : kind === "added" ? " sd-added" : " sd-removed";
    return (row) => el("div", { class: "sd-diff", role: "listitem" }, el("h4", {}, row.id, el("small", {}, " " + words(row))),
      el("div", { class: "sd-pair" }, el("pre", { class: "sd-prompt" + look }, row.prompt), el("pre", { class: "sd-prompt" + look }, row.demonstration)));
  }

  const KINDS = [["changed", "changed"], ["added", "added"], ["removed", "removed"], ["moved", "on the other side"]];

  sdlab.views["task-changes"] = function (place, value, trigger) {
    if (!value.task) { place.replaceChildren(); return; }
    if (sdlab.goesOn(place, value, "reading")) return;
    const others = value.versions.filter((each) => each !== value.version);
    if (!others.length) {
      place.replaceChildren(el("p", { class: "sd-empty" }, "This is the only version. Edit a row, or add a file under the same name, and the two can be compared here."));
      return;
    }
    const ask = sdlab.asker(value.version, trigger);
    if (!sdlab.query().get("against")) sdlab.setQuery({ version: value.version, against: value.against });
    const bar = el("div", { class: "sd-tools" }, el("label", {}, "What made ", el("strong", {}, value.task + "@" + value.version), " of ",
      el("select", { id: "changes-against", "data-key": "changes-against", onchange: (e) => ask({ against: e.target.value }) },
        value.versions.map((each) => el("option", { value: each, selected: each === value.against }, "@" + each)))));
    if (value.reading) {
      place.replaceChildren(bar, sdlab.doing(value.reading, trigger, "clear"));
      return;
    }
    if (!value.found) {
      place.replaceChildren(bar, el("p", { class: "sd-error", role: "alert" }, value.problem));
      return;
    }
    const found = value.found, counted = KINDS.filter(([kind]) => found.counts[kind]);
    const words = counted.map(([kind, name]) => many(found.counts[kind], "row") + " " + name).join(", ");
    const scorer = found.scorer[0] === found.scorer[1] ? "" : " The scorer was " + found.scorer[0] + " and is " + found.scorer[1] + ".";
    place.replaceChildren(bar, el("p", { id: "changes-words" }, (words ? words + "." : "Both have the same rows.") + scorer),
      el("div", {}, counted.map(([kind, name]) => [el("h3", {}, many(found.counts[kind], "row") + " " + name),
        found.counts[kind] > found.shown[kind] ? el("p", { class: "sd-soft" }, "The first " + found.shown[kind] + " are shown.") : "",
        el("div", { role: "list" }, found[kind].map(kind === "changed" ? changedRow : wholeRow(kind)))])));
  };

  sdlab.views.leaks = function (place, value, trigger) {
    sdlab.lookForLeaks = () => trigger("select", {});
    if (!value.task) { place.replaceChildren(); return; }
    const version = value.task + "@" + value.version, search = value.search, told = el("p", { class: "sd-error", role: "alert" });
    sdlab.answers.searched = (answer) => { told.textContent = answer.sentence || ""; trigger("select", {}); };
    const button = (id, name, act) => el("button", { type: "button", class: "sd-button sd-act", id: id, "data-key": id, onclick: (e) => { e.target.disabled = true; trigger(act, { task: version }); } }, name);
    const about = el("p", {}, "A held-out row that is nearly a training row measures memory, not skill. The search compares the words of all prompts, as a job of its own.");
    const parts = [about];
    if (!search || !search.is_open) parts.push(button("leaks-start", search ? "Search again" : "Search for near-duplicates", "submit"));
    if (search && search.is_open) {
      parts.push(el("p", { role: "status" }, search.state === "queued" ? "Waiting for its turn." : search.state + ": " + number(search.step) + " of " + many(search.total, "training row") + "."),
        sdlab.progress({ step: search.step, total: search.total }), search.state === "cancelling" ? "" : button("leaks-stop", "Cancel the search", "stop"));
    } else if (search && search.found) {
      parts.push(el("p", { id: "leaks-words", role: "status" }, search.found.sentence + "."), pairs(search.found, value));
    } else if (search) {
      parts.push(el("p", { class: search.state === "failed" ? "sd-error" : "sd-soft", role: "status" }, search.state === "cancelled" ? "The last search was cancelled: it tells nothing." : search.state + (search.error ? ": " + search.error : "")));
    }
    if (search) parts.push(el("p", {}, el("a", { href: sdlab.link("run", { id: search.id }), "data-key": "leaks-run" }, "See the job")));
    place.replaceChildren(...parts.filter(Boolean), told);
  };

  function pairs(found, value) {
    if (!found.pairs.length) return "";
    const row = (at, name) => el("a", { href: sdlab.link("tasks", { task: value.task, version: value.version, row: at, page: Math.ceil(at / value.rows_a_page) }) }, name + " " + at);
    return el("table", { class: "sd-tasks-table" }, sdlab.head(["Alike", "Held out", "Training"]), el("tbody", {}, found.pairs.map((pair) => el("tr", {},
      el("td", { class: "sd-number" }, sdlab.percent(pair.likeness)),
      el("td", {}, pair.places ? row(pair.places.held_out, "row") : "", el("div", { class: "sd-turn" }, pair.held_out_text)),
      el("td", {}, pair.places ? row(pair.places.training, "row") : "", el("div", { class: "sd-turn" }, pair.training_text))))));
  }
})();
