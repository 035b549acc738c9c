// The lab's words: a word with its plain sentence at hand, and the glossary with its pictures.
(function () {
  const el = sdlab.el;
  let count = 0;

  // A word of app/glossary.py with its plain sentence beside it: sdlab.term("rollout"), or with
  // other words for it, sdlab.term("rollout", "The rollout"). An unknown word stays plain text.
  sdlab.term = function (name, text) {
    const known = (sdlab.words || {})[name.toLowerCase()];
    if (!known) return el("span", {}, text || name);
    const id = "sd-term-" + ++count;
    const popover = el("span", { class: "sd-popover", role: "tooltip", id: id },
      el("strong", {}, known.name), " ", known.plain, " ",
      el("a", { href: "glossary#" + known.anchor }, "Glossary"));
    const word = el("button", { type: "button", class: "sd-word", "aria-describedby": id, onclick: place }, text || name);
    const whole = el("span", { class: "sd-term", onmouseenter: place, onfocusin: place, onkeydown: close }, word, popover);
    // The sentence stays within the window, whatever place the word has.
    function place() {
      popover.style.left = "0px";
      const box = popover.getBoundingClientRect();
      const over = box.right - document.documentElement.clientWidth + 12;
      popover.style.left = -Math.max(0, Math.min(over, box.left - 12)) + "px";
    }
    function close(event) {
      if (event.key === "Escape" && whole.contains(document.activeElement)) document.activeElement.blur();
    }
    return whole;
  };

  // Shapes of the pictures, on a field of 180 by 72: [what, numbers, class, text].
  const box = (x, y, w, h, c) => ["rect", { x: x, y: y, width: w, height: h, rx: 3 }, c];
  const word = (x, y, text, c) => ["text", { x: x, y: y }, c || "", text];
  const line = (d, c) => ["path", { d: d }, "sd-stroke " + (c || "")];
  const bars = (x, heights, c) => heights.map((h, i) => box(x + 11 * i, 56 - h, 8, h, c));
  const PICTURES = {
    policy: [word(4, 38, "the cat"), line("M50 34 H72"), word(124, 18, "sat"), word(124, 38, "ran"), word(124, 58, "is"),
      box(78, 8, 40, 12, "sd-student"), box(78, 28, 22, 12, "sd-student"), box(78, 48, 8, 12, "sd-student")],
    rollout: [word(4, 40, "prompt"), line("M50 36 H62"), ...[0, 1, 2, 3].map((i) => box(66 + 23 * i, 26, 18, 20, "sd-student sd-step-" + i)),
      line("M75 24 C80 12 92 12 97 24"), line("M98 24 C103 12 115 12 120 24"), line("M121 24 C126 12 138 12 143 24")],
    "on-policy": [line("M8 58 C50 54 90 40 152 14", "sd-base"), line("M8 58 C50 58 100 56 152 50", "sd-student"),
      line("M60 57 L64 51", "sd-teacher"), line("M100 55 L106 39", "sd-teacher"), line("M136 52 L142 24", "sd-teacher"), word(4, 14, "corrected on its way")],
    student: [box(8, 22, 56, 28, "sd-outline"), word(36, 40, "prompt", "sd-mid"), line("M66 36 H86"), box(90, 18, 60, 36, "sd-student"), word(120, 40, "student", "sd-on sd-mid")],
    teacher: [box(4, 6, 60, 24, "sd-outline"), word(34, 22, "prompt", "sd-mid"), box(4, 38, 60, 24, "sd-outline sd-teacher-line"), word(34, 54, "example", "sd-mid"),
      line("M66 20 L86 32"), line("M66 50 L86 40"), box(90, 18, 60, 36, "sd-teacher"), word(120, 40, "teacher", "sd-on sd-mid")],
    divergence: [...bars(14, [44, 16, 6, 4], "sd-student"), ...bars(98, [8, 12, 46, 4], "sd-teacher"), line("M66 36 H90"), line("M70 32 L64 36 L70 40"), line("M86 32 L92 36 L86 40")],
    "forward-kl": [line("M6 58 C24 58 28 16 42 16 C56 16 60 48 74 48 C88 48 92 30 104 30 C118 30 124 58 154 58", "sd-teacher"), line("M6 58 C30 58 46 30 74 30 C104 30 124 58 154 58", "sd-student")],
    "reverse-kl": [line("M6 58 C24 58 28 16 42 16 C56 16 60 48 74 48 C88 48 92 30 104 30 C118 30 124 58 154 58", "sd-teacher"), line("M6 58 C22 58 28 12 42 12 C56 12 62 58 78 58 H154", "sd-student")],
    lora: [box(8, 10, 52, 52, "sd-base"), word(34, 41, "W", "sd-on sd-mid"), word(68, 41, "+"), box(84, 10, 10, 52, "sd-student"), box(100, 31, 52, 10, "sd-student"), word(89, 71, "B", "sd-mid"), word(126, 55, "A", "sd-mid")],
    premise: [box(24, 46, 28, 12, "sd-student"), box(92, 14, 28, 44, "sd-teacher"), line("M12 58 H148", "sd-base"), word(58, 40, "<?")],
    forgetting: [line("M10 56 C50 54 70 18 150 12", "sd-student"), line("M10 20 C60 20 90 30 150 52", "sd-base"), word(100, 12, "task"), word(98, 66, "prior")],
    "ema-teacher": [line("M8 56 L24 30 L40 48 L58 20 L76 40 L94 14 L112 32 L132 10 L152 20", "sd-student"), line("M8 56 C50 46 90 34 152 24", "sd-teacher")],
    interval: [line("M20 20 H140"), line("M20 14 V26"), line("M140 14 V26"), ["circle", { cx: 80, cy: 20, r: 5 }, "sd-student"], line("M62 52 H98"), line("M62 46 V58"), line("M98 46 V58"), ["circle", { cx: 80, cy: 52, r: 5 }, "sd-student"], word(104, 56, "more items")],
  };

  function picture(anchor, name) {
    const ns = "http://www.w3.org/2000/svg";
    const svg = document.createElementNS(ns, "svg");
    svg.setAttribute("viewBox", "0 0 180 72");
    svg.setAttribute("class", "sd-picture");
    svg.setAttribute("role", "img");
    svg.setAttribute("aria-label", "picture of " + name);
    for (const [tag, numbers, kind, text] of PICTURES[anchor]) {
      const shape = document.createElementNS(ns, tag);
      for (const [key, value] of Object.entries(numbers)) shape.setAttribute(key, value);
      if (kind) shape.setAttribute("class", kind);
      if (text) shape.textContent = text;
      svg.append(shape);
    }
    return svg;
  }

  sdlab.views.glossary = function (place, value) {
    const entries = value.terms.map((term) =>
      el("section", { class: "sd-entry", id: term.anchor, tabindex: "-1", "aria-labelledby": "name-" + term.anchor },
        el("div", {},
          el("h2", { id: "name-" + term.anchor }, term.name, term.also.length ? el("small", {}, " also: " + term.also.join(", ")) : "",
            el("a", { class: "sd-anchor", href: "#" + term.anchor, "aria-label": "Link to " + term.name }, "#")),
          el("p", {}, term.plain), el("p", { class: "sd-expert" }, el("small", {}, "Exactly: "), term.expert)),
        PICTURES[term.anchor] ? picture(term.anchor, term.name) : ""));
    const index = el("nav", { class: "sd-words", "aria-label": "Words" },
      value.terms.map((term) => el("a", { href: "#" + term.anchor }, term.name)));
    place.replaceChildren(el("h1", {}, "Glossary"),
      el("p", {}, "What the words of this lab mean: a plain sentence first, what an expert would say below."), index, ...entries);
    const wanted = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (wanted) wanted.scrollIntoView();
  };
})();
