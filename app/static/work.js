// A long action of the page: how far it is, and where it leads. Its name stands in the address.
(function () {
  const el = sdlab.el;
  const LOOK_MS = 400;

  let lookedAt = "";

  sdlab.views.work = function (place, value, trigger) {
    if (value.begun) {
      sdlab.setQuery({ work: value.begun });
      trigger("select");
      return;
    }
    if (value.go) {
      // Else the way back would lead here, and at once on again.
      sdlab.setQuery({ work: "" });
      location.assign(value.go);
      return;
    }
    if (value.look && lookedAt !== value.key) {
      lookedAt = value.key;
      trigger("input");
    }
    if (!value.words) { place.replaceChildren(); return; }
    place.replaceChildren(el("p", { role: "status", class: value.state === "failed" ? "sd-error" : null }, value.words),
      value.is_open && value.total ? sdlab.progress({ step: value.done, total: value.total }) : "",
      value.is_open ? el("p", {}, el("small", {}, "It goes on if this page is closed or loaded again.")) : "");
    if (value.is_open) setTimeout(() => trigger("select"), LOOK_MS);
  };
})();
