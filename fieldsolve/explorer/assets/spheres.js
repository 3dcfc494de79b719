"use strict";
/* Two spheres, a cell a pixel, that turn together. */

const Spheres = (() => {
  const { corners, size, labels, colours, CONFIG } = Data;
  const DIV = "spheres";
  const RATIO = [[0, colours.modalities[1]], [0.5, "#F7F7F7"], [1, colours.modalities[0]]];

  // Every pixel has corners of its own, so that its colour is its own: two triangles each.
  const x = new Float32Array(4 * size), y = new Float32Array(4 * size), z = new Float32Array(4 * size);
  for (let k = 0; k < 4 * size; k++) [x[k], y[k], z[k]] = [corners[3 * k], corners[3 * k + 1], corners[3 * k + 2]];
  const i = new Uint32Array(2 * size), j = new Uint32Array(2 * size), k = new Uint32Array(2 * size);
  for (let p = 0; p < size; p++) {
    i[2 * p] = i[2 * p + 1] = 4 * p;
    j[2 * p] = 4 * p + 1; k[2 * p] = j[2 * p + 1] = 4 * p + 2; k[2 * p + 1] = 4 * p + 3;
  }

  /** A label as plotly shows it to the letter, shortened. */
  function shown(label) {
    const letters = Array.from(label);
    const text = letters.length > 24 ? `${letters.slice(0, 22).join("")}\u2026` : label;
    return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;");
  }

  /** The value of every corner: that of its pixel. */
  function atCorners(values) {
    const spread = new Float32Array(4 * size);
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
      text: `modality ${a + 1}: ${shown(labels[a])}`, showarrow: false, xref: "paper", yref: "paper", x: (domain.x[0] + domain.x[1]) / 2,
      y: domain.y[1] + 0.01, xanchor: "center", yanchor: "bottom", font: { size: 13 },
    });
    return {
      scene: scene(first), scene2: scene(second), annotations: [title(first, 0), title(second, 1)], paper_bgcolor: "#fff",
      margin: { l: 0, r: 0, t: 4, b: 4 }, font: { color: colours.ink }, uirevision: "kept",
    };
  }

  function bar(title) {
    return { title: { text: title, side: "bottom" }, orientation: "h", x: 0.5, y: 0, yanchor: "top", len: 0.6, thickness: 12 };
  }

  const STEP = Math.PI / 18; // of a key
  let isDrawn = false, isFollowing = false, textOf = null;

  /** Both spheres as a camera sees them. */
  function turn(camera, name = null) {
    isFollowing = true; // their own change is told too
    const change = Object.fromEntries(["scene", "scene2"].filter((one) => one !== name).map((one) => [`${one}.camera`, camera]));
    return Plotly.relayout(DIV, change).finally(() => { isFollowing = false; });
  }

  function listen(div) {
    div.on("plotly_relayout", (change) => {
      const name = ["scene", "scene2"].find((one) => change[`${one}.camera`]);
      if (name && !isFollowing) turn(change[`${name}.camera`], name);
    });
    div.addEventListener("keydown", (event) => {
      const [around, up] = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[event.key] ?? [0, 0];
      if (!around && !up) return;
      event.preventDefault();
      const { x: ex, y: ey, z: ez } = div._fullLayout.scene.camera.eye;
      const far = Math.hypot(ex, ey, ez), azimuth = Math.atan2(ey, ex) + around * STEP;
      const height = Math.min(Math.max(Math.asin(ez / far) + up * STEP, -1.5), 1.5);
      turn({ eye: { x: far * Math.cos(height) * Math.cos(azimuth), y: far * Math.cos(height) * Math.sin(azimuth), z: far * Math.sin(height) } });
    });
    const tip = document.createElement("span");
    tip.className = "tip";
    tip.hidden = true;
    div.append(tip);
    div.addEventListener("mousemove", (event) => {
      const box = div.getBoundingClientRect();
      tip.style.left = `${event.clientX - box.left + 12}px`;
      tip.style.top = `${event.clientY - box.top + 12}px`;
    });
    div.on("plotly_hover", ({ points: [point] }) => {
      tip.textContent = textOf(point.curveNumber, Math.floor(point.pointNumber / 4));
      tip.hidden = false;
    });
    div.on("plotly_unhover", () => { tip.hidden = true; });
  }

  /** Draw (2, N) values; how: title, range, scale, and `text` of a modality's pixel for its hover. */
  function draw(values, how) {
    const intensity = values.map(atCorners);
    textOf = how.text;
    if (isDrawn) {
      const [cmin, cmax] = how.range;
      return Plotly.restyle(DIV, { intensity, cmin, cmax, colorscale: [how.scale], colorbar: [bar(how.title)] }, [0, 1]);
    }
    isDrawn = true;
    const traces = [0, 1].map((a) => ({
      type: "mesh3d", scene: a ? "scene2" : "scene", x, y, z, i, j, k, intensity: intensity[a], hoverinfo: "none", flatshading: true,
      showscale: a === 0, colorbar: bar(how.title), cmin: how.range[0], cmax: how.range[1], colorscale: how.scale,
      lighting: { ambient: 1, diffuse: 0, specular: 0, fresnel: 0 },
    }));
    return Plotly.newPlot(DIV, traces, layout(), CONFIG).then(listen);
  }

  return { draw, RATIO };
})();
