"use strict";
/* The phase diagram, and curves of the state's figures, with the current place marked in both. */

const Plots = (() => {
  const { stops } = Data;
  const { ink, cool, warm } = Data.colours;
  const NAMES = { centroid_gap: "centroid gap", symmetric_kl: "symmetric KL (nats)", energy: "energy (nats)" };
  const TITLES = { coupling: "coupling", floor: "floor", tau: "temperature" };

  /** A ring over a place of a plot: moving it draws nothing anew. */
  function ring(div, index, xaxis, yaxis, x, y) {
    const rings = div.getElementsByClassName("mark");
    while (rings.length <= index) div.append(Object.assign(document.createElement("span"), { className: "mark" }));
    const { [xaxis]: across, [yaxis]: up } = div._fullLayout;
    const at = { left: across._offset + across.d2p(x), top: up._offset + up.d2p(y) };
    rings[index].hidden = !(Number.isFinite(at.left) && Number.isFinite(at.top));
    for (const [side, pixels] of Object.entries(at)) rings[index].style[side] = `${pixels}px`;
  }

  /** The heat map of a figure over coupling and floor, with binodal and spinodal. */
  function diagram(at, colour) {
    const z = stops.floor.map((_, floor) => stops.coupling.map((__, coupling) => Table.entry({ ...at, floor, coupling })[colour]));
    const ends = stops.floor.map((_, floor) => Table.transitions(at.misalign, at.tau, floor));
    // White on a dark edge: seen on both ends of the colours.
    const line = (k, name, dash) => [[ink, 6, false], ["#ffffff", 3, true]].map(([color, width, showlegend]) => ({
      type: "scatter", mode: "lines", x: ends.map((one) => one[k]), y: stops.floor, name, showlegend, line: { color, dash, width }, hoverinfo: "name",
    }));
    const traces = [
      {
        type: "heatmap", x: stops.coupling, y: stops.floor, z, colorscale: "Cividis", colorbar: { title: { text: NAMES[colour], side: "right" }, thickness: 12 },
        hovertemplate: `coupling %{x}<br>floor %{y}<br>${NAMES[colour]} %{z:.4g}<extra></extra>`,
      },
      ...line(0, "binodal", "solid"), ...line(1, "spinodal", "dot"),
    ];
    const layout = {
      margin: { l: 52, r: 8, t: 26, b: 42 }, font: { color: ink }, xaxis: { title: { text: "coupling" }, range: [0, 1], constrain: "domain" },
      yaxis: { title: { text: "floor" }, type: "log", exponentformat: "power", dtick: 1 }, dragmode: false,
      legend: { orientation: "h", x: 0, y: 1.13, bgcolor: "#555555", font: { color: "#ffffff" } },
    };
    return Plotly.react("diagram", traces, layout, Data.CONFIG);
  }

  const ROWS = ["centroid_gap", "symmetric_kl", "energy"];

  /** Three curves over x; lines: {name, x, figures by name, colour}; upright: [x, name] of lines across. */
  function curves(along, lines, upright) {
    const traces = ROWS.flatMap((name, row) => lines.map((one, k) => ({
      type: "scatter", mode: "lines+markers", x: one.x, y: one.figures[name], name: one.name, showlegend: row === 0 && lines.length > 1,
      yaxis: `y${row ? row + 1 : ""}`, line: { color: one.colour, dash: k ? "dash" : "solid" }, marker: { size: 4 },
      hovertemplate: `%{x:.4g}: %{y:.6g}<extra>${NAMES[name]}</extra>`,
    })));
    const logarithmic = along !== "coupling";
    const axis = (row) => ({ title: { text: NAMES[ROWS[row]].replace(" (", "<br>("), font: { size: 12 } }, domain: [[0.71, 1], [0.36, 0.64], [0, 0.29]][row] });
    const layout = {
      margin: { l: 64, r: 8, t: 22, b: 42 }, font: { color: ink }, hovermode: "x", dragmode: false,
      xaxis: { title: { text: TITLES[along] }, type: logarithmic ? "log" : "linear", anchor: "y3" },
      yaxis: axis(0), yaxis2: axis(1), yaxis3: axis(2), legend: { orientation: "h", x: 0, y: 1.1 },
      shapes: upright.map(([x], k) => ({
        type: "line", xref: "x", yref: "paper", x0: x, x1: x, y0: 0, y1: 1, line: { color: [cool, warm][k], dash: ["solid", "dot"][k] },
      })),
    };
    const hint = upright.map(([x, name], k) => `${name} ${x.toPrecision(4)} (${["solid", "dotted"][k]} line)`).join(", ");
    document.getElementById("curves-hint").textContent = hint;
    document.getElementById("along-name").textContent = TITLES[along];
    return Plotly.react("curves", traces, layout, Data.CONFIG);
  }

  /** Mark the current place: in the diagram, where it is one of its places, and on the curves. */
  function place(inDiagram, x, figures) {
    ring(document.getElementById("diagram"), 0, "xaxis", "yaxis", inDiagram ? inDiagram.coupling : NaN, inDiagram ? inDiagram.floor : NaN);
    ROWS.forEach((name, row) => ring(document.getElementById("curves"), row, "xaxis", `yaxis${row ? row + 1 : ""}`, x, figures[name]));
  }

  return { diagram, curves, place };
})();
