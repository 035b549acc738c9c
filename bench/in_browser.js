// Runs in each page before its own scripts, and notes by the page's clock when what was painted.
(function () {
  const bench = (window.bench = { ready: null, painted: null });

  // A frame's callback runs before it is painted; a task that it queues runs after.
  const afterPaint = (act) => requestAnimationFrame(() => setTimeout(() => act(performance.now())));

  bench.watch = function (marks) {
    const observer = new MutationObserver(function () {
      if (!marks.every((mark) => document.querySelector(mark))) return;
      observer.disconnect();
      afterPaint((at) => { bench.ready = at; });
    });
    observer.observe(document, { attributes: true, childList: true, subtree: true });
  };

  // When the page was ready, and what it had to wait for until then.
  bench.details = function () {
    const page = performance.getEntriesByType("navigation")[0];
    const paint = performance.getEntriesByName("first-contentful-paint")[0];
    const fetched = performance.getEntriesByType("resource").filter((each) => each.responseEnd <= bench.ready);
    const bytes = fetched.reduce((sum, each) => sum + each.encodedBodySize, page.encodedBodySize);
    return { ready_ms: bench.ready, first_byte_ms: page.responseStart, first_paint_ms: paint ? paint.startTime : null,
      requests: fetched.length + 1, kib: bytes / 1024 };
  };

  // Times the next drawing of tokens: from their value, and from the click, to the frame that shows them.
  bench.timeTokens = function () {
    const draw = sdlab.views.tokens;
    let clicked = null;
    addEventListener("click", () => { clicked = performance.now(); }, { capture: true });
    sdlab.views.tokens = function (...given) {
      const began = performance.now();
      draw(...given);
      afterPaint((at) => { bench.painted = { from_value_ms: at - began, from_click_ms: at - clicked }; });
    };
  };
})();
