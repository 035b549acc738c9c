// A plotly figure that keeps its zoom: new points go into the chart that stands there already.
(function () {
  let loading = null;

  function plotly() {
    if (window.Plotly) return Promise.resolve(window.Plotly);
    loading = loading || new Promise(function (resolve, reject) {
      const script = document.createElement("script");
      script.src = "lab/plotly.js";
      script.onload = () => resolve(window.Plotly);
      script.onerror = () => reject(new Error("plotly.js did not load"));
      document.head.append(script);
    });
    return loading;
  }

  const colour = (name) => getComputedStyle(document.body).getPropertyValue(name).trim();

  // The figure in the page's colours; Python says roles, the page says light or dark.
  function dressed(figure) {
    const layout = structuredClone(figure.layout || {});
    const axis = { gridcolor: colour("--sd-line"), zerolinecolor: colour("--sd-line"), linecolor: colour("--sd-line") };
    for (const name of Object.keys(layout)) {
      if (/^[xy]axis\d*$/.test(name)) Object.assign(layout[name], axis);
    }
    layout.font = Object.assign({ color: colour("--sd-text"), family: getComputedStyle(document.body).fontFamily, size: 12 }, layout.font);
    layout.paper_bgcolor = "rgba(0,0,0,0)";
    layout.plot_bgcolor = "rgba(0,0,0,0)";
    layout.hoverlabel = { bgcolor: colour("--sd-raised"), font: { color: colour("--sd-text") } };
    layout.uirevision = "stays";
    layout.autosize = true;
    return { data: figure.data, layout: layout };
  }

  const drawn = new Map();

  function draw(place) {
    const known = drawn.get(place);
    plotly().then(function (Plotly) {
      const figure = dressed(known.figure);
      Plotly.react(known.element, figure.data, figure.layout, {
        displaylogo: false, responsive: true, showSendToCloud: false, showEditInChartStudio: false,
        modeBarButtonsToRemove: ["lasso2d", "select2d", "autoScale2d"],
      });
    });
  }

  sdlab.views.chart = function (place, value) {
    if (!value.figure) {
      drawn.delete(place);
      place.replaceChildren(value.empty ? sdlab.el("p", { class: "sd-empty" }, value.empty) : "");
      return;
    }
    if (!drawn.has(place)) {
      const element = sdlab.el("div", { class: "sd-plot", role: "img", "aria-label": value.label });
      const heading = sdlab.el("h3", {});
      place.replaceChildren(heading, element);
      drawn.set(place, { element: element, heading: heading });
    }
    const known = drawn.get(place);
    known.heading.textContent = value.title;
    known.element.setAttribute("aria-label", value.label);
    known.figure = value.figure;
    draw(place);
  };

  new MutationObserver(function () {
    for (const place of drawn.keys()) if (place.isConnected) draw(place);
  }).observe(document.body, { attributes: true, attributeFilter: ["class"] });
})();
