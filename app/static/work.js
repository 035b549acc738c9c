// A long action of the page: how far it is, and where it leads. Its name stands in the address.
(function () {
  const el = sdlab.el;
  const LOOK_MS = 400;

  // How far something is that a view waits for, with a way to end it. The view asks again for as
  // long as this is on the page; ``clear`` is the event that ends it, or has it begin anew.
  sdlab.doing = function (doing, trigger, clear) {
    const ask = (id, name, sent) => el("button", { type: "button", class: "sd-button", id: id, "data-key": id, onclick: (e) => {
      e.target.disabled = true;
      sdlab.answers.cleared = () => trigger("select", {});
      trigger(clear, { key: doing.key, ...sent });
    } }, name);
    const words = el("p", { role: "status", class: doing.state === "failed" ? "sd-error" : null }), bar = el("div", {});
    const box = el("div", { class: "sd-doing" }, words, bar,
      doing.can_cancel ? ask("doing-cancel", "Cancel", {}) : "", doing.again ? ask("doing-again", "Begin again", { again: true }) : "");
    box.tell = function (now) {
      words.textContent = now.words;
      bar.replaceChildren(now.is_open && now.total ? sdlab.progress({ step: now.done, total: now.total }) : "");
    };
    box.isOf = (now) => now.is_open && now.key === doing.key && now.can_cancel === doing.can_cancel;
    box.tell(doing);
    if (doing.is_open) {
      const timer = setInterval(() => { if (box.isConnected) trigger("select", {}); else clearInterval(timer); }, LOOK_MS);
    }
    return box;
  };

  // Whether nothing but the progress under ``name`` has changed, which is then told in place: what
  // a person is about to click must not be drawn anew under the pointer.
  sdlab.goesOn = function (place, value, name) {
    const rest = JSON.stringify({ ...value, [name]: null }), was = place.rest, box = place.querySelector(".sd-doing");
    place.rest = rest;
    if (was !== rest || !box || !value[name] || !box.isOf(value[name])) return false;
    box.tell(value[name]);
    return true;
  };

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
