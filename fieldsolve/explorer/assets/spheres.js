"use strict";
/* Two spheres, a cell a pixel, that turn together. */

const Spheres = (() => {
  const { corners, size, labels } = Data;
  const DIV = "spheres";
  const RATIO = [[0, "#56B4E9"], [0.5, "#F7F7F7"], [1, "#D55E00"]];

  // Every pixel has corners of its own, so that its colour is its own: two triangles each.
  const x = new Float32Array(4 * size), y = new Float32Array(4 * size), z = new Float32Array(4 * size);
  for (let k = 0; k < 4 * size; k++) [x[k], y[k], z[k]] = [corners[3 * k], corners[3 * k + 1], corners[3 * k + 2]];
  const i = new Uint32Array(2 * size), j = new Uint32Array(2 * size), k = new Uint32Array(2 * size);
  for (let p = 0; p < size; p++) {
    i[2 * p] = i[2 * p + 1] = 4 * p;
    j[2 * p] = 4 * p + 1; k[2 * p] = j[2 * p + 1] = 4 * p + 2; k[2 * p + 1] = 4 * p + 3;
  }

  const short = (label) => (label.length > 24 ? `${label.slice(0, 22)}\u2026` : label);

  /** The value of every corner: that of its pixel. */
  function atCorners(values, kind) {
    const spread = new kind(4 * size);
    for (let p = 0; p < size; p++) spread.fill(values[p], 4 * p, 4 * p + 4);
    return spread;
  }

  function scene(domain) {
    const axis = { visible: false, range: [-1.05, 1.05] };
    return { xaxis: axis, yaxis: axis, zaxis: axis, aspectmode: "cube", domain, camera: { eye: { x: 1.2, y: -0.9, z: 0.5 } }, dragmode: "orbit" };
  }

  function layout() {
    const [first, second] = [{ x: [0, 0.49], y: [0.08, 0.92] }, { x: [0.51, 1], y: [0.08, 0.92] }];
    const title = (domain, a) => ({
      text: `modality ${a + 1}: ${short(labels[a])}`, showarrow: false, xref: "paper", yref: "paper", x: (domain.x[0] + domain.x[1]) / 2,
      y: domain.y[1] + 0.01, xanchor: "center", yanchor: "bottom", font: { size: 13 },
    });
    return {
      scene: scene(first), scene2: scene(second), annotations: [title(first, 0), title(second, 1)], paper_bgcolor: "#fff",
      margin: { l: 0, r: 0, t: 4, b: 4 }, font: { color: "#1b1b1b" }, uirevision: "kept",
    };
  }

  function bar(title) {
    return { title: { text: title, side: "bottom" }, orientation: "h", x: 0.5, y: 0, yanchor: "top", len: 0.6, thickness: 12 };
  }

  let isDrawn = false;

  /** Draw (2, N) values; how: title, range, colours, and the text of a pixel's hover. */
  function draw(values, how) {
    const intensity = values.map((one) => atCorners(one, Float32Array));
    const text = values.map((one, a) => atCorners(Array.from(one, (value, p) => how.text(value, a, p)), Array));
    const look = { cmin: how.range[0], cmax: how.range[1], colorscale: how.scale };
    if (isDrawn) {
      return Plotly.restyle(DIV, { intensity, text, cmin: look.cmin, cmax: look.cmax, colorscale: [how.scale], colorbar: [bar(how.title)] }, [0, 1]);
    }
    isDrawn = true;
    const traces = [0, 1].map((a) => ({
      type: "mesh3d", scene: a ? "scene2" : "scene", x, y, z, i, j, k, intensity: intensity[a], text: text[a], hoverinfo: "text",
      flatshading: true, showscale: a === 0, colorbar: bar(how.title), ...look,
      lighting: { ambient: 1, diffuse: 0, specular: 0, fresnel: 0 },
    }));
    return Plotly.newPlot(DIV, traces, layout(), { responsive: true, displaylogo: false, displayModeBar: false }).then((div) => {
      div.on("plotly_relayout", (change) => {
        const from = ["scene", "scene2"].find((name) => change[`${name}.camera`]);
        const other = from === "scene" ? "scene2" : "scene";
        if (from) Plotly.relayout(DIV, { [`${other}.camera`]: change[`${from}.camera`] });
      });
    });
  }

  return { draw, RATIO };
})();
