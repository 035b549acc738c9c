// A user's mistakes, each beside its field; then, once all is well, on to another page.
(function () {
  const el = sdlab.el;

  function clear(from) {
    for (const old of document.querySelectorAll('.sd-problem[data-from="' + from + '"]')) old.remove();
    for (const input of document.querySelectorAll('[data-problem-from="' + from + '"]')) {
      for (const name of ["aria-invalid", "aria-describedby", "data-problem-from"]) input.removeAttribute(name);
    }
  }

  sdlab.views.problems = function (place, value) {
    const own = place.closest("[id]"), from = own ? own.id : "problems";
    clear(from);
    place.replaceChildren();
    if (value.go) {
      location.assign(value.go);
      return;
    }
    let first = null;
    for (const [id, text] of Object.entries(value.problems)) {
      const field = id ? document.getElementById(id) : null;
      const line = el("p", { class: "sd-problem", role: "alert", id: (id || from) + "-problem", "data-from": from }, text);
      if (!field) {
        place.append(line);
        continue;
      }
      field.append(line);
      const input = field.querySelector("input:not([type=file]), textarea, select, button");
      if (!input) continue;
      input.setAttribute("aria-invalid", "true");
      input.setAttribute("aria-describedby", line.id);
      input.setAttribute("data-problem-from", from);
      first = first || input;
    }
    if (value.focus && first) first.focus();
  };
})();
