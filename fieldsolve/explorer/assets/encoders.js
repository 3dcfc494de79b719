"use strict";
/* Encoders that move: the centroid gap against temperature, with the window that the loss leaves and a penalty's weight. */

const Encoders = (() => {
  const found = Data.encoders;
  const { ink, cool, warm } = Data.colours;
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
        name: found.weights[w] ? `optimum at weight ${found.weights[w]}` : "gap that the optimum has", line: { color: warm, width: 3 },
        hovertemplate: "tau %{x:.4g}: gap %{y:.4f}<extra></extra>",
      },
    ];
    const upright = (x, name) => ({
      type: "line", x0: x, x1: x, yref: "paper", y0: 0, y1: 1, line: { color: ink, dash: "dash", width: 1 },
      label: { text: name, textposition: "end", textangle: 0, yanchor: "top", xanchor: "left", font: { color: ink } },
    });
    const layout = {
      margin: { l: 52, r: 8, t: 30, b: 42 }, font: { color: ink }, dragmode: false, legend: { orientation: "h", x: 0, y: 1.14 },
      xaxis: { title: { text: "temperature" }, type: "log", tickvals: TICKS }, yaxis: { title: { text: "centroid gap" }, range: [-0.05, 2.05] },
      shapes: [
        ...(found.tau_zero > 0 ? [upright(found.tau_zero, "tau_0")] : []), ...(found.tau_star > 0 ? [upright(found.tau_star, "tau*")] : []),
        { type: "line", x0: tau, x1: tau, yref: "paper", y0: 0, y1: 1, line: { color: cool, width: 3 } },
      ],
    };
    told("weight-value", String(found.weights[w]));
    told("warmth-value", tau.toPrecision(3));
    const cost = found.loss[t][w] - found.loss[t][0];
    const what = free(t)
      ? `At temperature ${tau.toPrecision(3)} the loss is the same${found.routes[t] === "descents" ? ", to 1e-6 nats," : ""} for every centroid gap from ${found.low[t].toFixed(3)} to ${found.high[t].toFixed(3)}: training ends where it began.`
      : `At temperature ${tau.toPrecision(3)} and weight ${found.weights[w]} the optimum has a centroid gap of ${found.centroid_gap[t][w].toFixed(3)}` +
        (cost > DETERMINED ? `, and costs ${cost.toExponential(1)} nats of InfoNCE.` : ", at no cost.");
    const gap = Data.nats(found.gap[t][w], found.loss[t][w]);
    const sure = found.gap[t][w] <= Data.certified
      ? `Certified: no encoders in any dimension have an objective lower by more than ${gap}`
      : `Not certified: the objective may be ${gap} above the lowest`;
    told("free-status", `${what} ${sure} (${found.law}).`);
    return Plotly.react("window", traces, layout, Data.CONFIG);
  }

  function start() {
    weight.max = found.weights.length - 1; weight.value = 0;
    warmth.max = found.tau.length - 1; warmth.value = Math.floor(found.tau.length / 3);
    for (const one of [weight, warmth]) one.addEventListener("input", draw);
    return draw();
  }

  return { start };
})();
