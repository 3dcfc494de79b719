"use strict";
/* Encoders that move: the centroid gap against temperature, with the window that the loss leaves and a penalty's weight. */

const Encoders = (() => {
  const found = Data.encoders;
  const INK = "#1b1b1b", COOL = "#0072B2", WARM = "#D55E00";
  const TICKS = [-2, -1, 0, 1].flatMap((power) => [1, 2, 5].map((digit) => Number(`${digit}e${power}`)));
  const DETERMINED = 1e-7; // nats: a gap that costs less is not determined
  const weight = document.getElementById("weight"), warmth = document.getElementById("warmth");
  const told = (name, text) => { document.getElementById(name).textContent = text; };

  function draw() {
    const w = Number(weight.value), t = Number(warmth.value), tau = found.tau[t];
    const inside = found.tau.map((_, k) => k).filter((k) => found.low[k] !== null);
    const xs = inside.map((k) => found.tau[k]);
    const free = (k) => found.weights[w] === 0 && found.low[k] !== null;
    const traces = [
      { type: "scatter", mode: "lines", x: xs, y: inside.map((k) => found.low[k]), line: { color: "#777777" }, showlegend: false, hoverinfo: "skip" },
      {
        type: "scatter", mode: "lines", x: xs, y: inside.map((k) => found.high[k]), line: { color: "#777777" }, fill: "tonexty",
        fillcolor: "rgba(0,114,178,0.18)", name: "window: every gap has the same loss", hovertemplate: "up to %{y:.4f}<extra></extra>",
      },
      {
        type: "scatter", mode: "lines+markers", x: found.tau, y: found.tau.map((_, k) => (free(k) ? null : found.centroid_gap[k][w])),
        name: found.weights[w] ? `optimum at weight ${found.weights[w]}` : "gap that the optimum has", line: { color: WARM, width: 3 },
        hovertemplate: "tau %{x:.4g}: gap %{y:.4f}<extra></extra>",
      },
    ];
    const upright = (x, name) => ({
      type: "line", x0: x, x1: x, yref: "paper", y0: 0, y1: 1, line: { color: INK, dash: "dash", width: 1 },
      label: { text: name, textposition: "end", textangle: 0, yanchor: "top", xanchor: "left", font: { color: INK } },
    });
    const layout = {
      margin: { l: 52, r: 8, t: 30, b: 42 }, font: { color: INK }, dragmode: false, legend: { orientation: "h", x: 0, y: 1.14 },
      xaxis: { title: { text: "temperature" }, type: "log", tickvals: TICKS }, yaxis: { title: { text: "centroid gap" }, range: [-0.05, 2.05] },
      shapes: [
        ...(found.tau_zero > 0 ? [upright(found.tau_zero, "tau_0")] : []), ...(found.tau_star > 0 ? [upright(found.tau_star, "tau*")] : []),
        { type: "line", x0: tau, x1: tau, yref: "paper", y0: 0, y1: 1, line: { color: COOL, width: 3 } },
      ],
    };
    told("weight-value", String(found.weights[w]));
    told("warmth-value", tau.toPrecision(3));
    const cost = found.loss[t][w] - found.loss[t][0];
    const what = free(t)
      ? `At temperature ${tau.toPrecision(3)} the loss is the same for every centroid gap from ${found.low[t].toFixed(3)} to ${found.high[t].toFixed(3)}: training ends where it began.`
      : `At temperature ${tau.toPrecision(3)} and weight ${found.weights[w]} the optimum has a centroid gap of ${found.centroid_gap[t][w].toFixed(3)}` +
        (cost > DETERMINED ? `, and costs ${cost.toExponential(1)} nats of InfoNCE.` : ", at no cost.");
    told("free-status", `${what} Certified: no encoders in any dimension have an objective lower by more than ${Math.max(found.gap[t][w], 1e-16).toExponential(1)} nats (${found.law}).`);
    return Plotly.react("window", traces, layout, { responsive: true, displaylogo: false, displayModeBar: false });
  }

  function start() {
    weight.max = found.weights.length - 1; weight.value = 0;
    warmth.max = found.tau.length - 1; warmth.value = Math.floor(found.tau.length / 3);
    for (const one of [weight, warmth]) one.addEventListener("input", draw);
    return draw();
  }

  return { start };
})();
