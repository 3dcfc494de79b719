"use strict";
/* What the controls mean: a setting, its state, and everything that shows it. */

const Explorer = (() => {
  const { stops, sweeps, size, levels } = Data;
  const AXES = Table.AXES, STEPS = 1000; // of a slider
  const input = Object.fromEntries(["coupling", "tau", "floor", "misalign", "show", "colour", "along", "snap"].map((name) => [name, document.getElementById(name)]));
  const setting = { ...Data.opening };
  const sweepOf = {}; // unpacked when they are first shown
  let energy = "intrinsic", drawn = {};

  // A slider's own scale: numbers of stops for misalignments and stored couplings, else a thousandth of its range.
  const ends = (axis) => [stops[axis][0], stops[axis].at(-1)].map((value) => Table.scale(axis, value));

  function toSlider(axis, value) {
    const [low, high] = ends(axis);
    return Math.round((STEPS * (Table.scale(axis, value) - low)) / (high - low));
  }

  /** The value of a slider: that of a stop that is within half a step. */
  function fromSlider(axis, at) {
    const stop = stops[axis].find((value) => toSlider(axis, value) === at);
    if (stop !== undefined) return stop;
    const [low, high] = ends(axis), value = low + ((high - low) * at) / STEPS;
    return Table.LOGARITHMIC[axis] ? Math.exp(value) : value;
  }

  const isSwept = () => energy !== "intrinsic";
  const sweptIndex = () => {
    const away = sweeps.couplings.map((value) => Math.abs(value - setting.coupling));
    return away.indexOf(Math.min(...away));
  };

  /** Put the setting into the sliders. */
  function show() {
    for (const axis of AXES) {
      const slider = input[axis];
      const numbered = axis === "misalign" || (axis === "coupling" && isSwept());
      slider.max = axis === "misalign" ? stops.misalign.length - 1 : numbered ? sweeps.couplings.length - 1 : STEPS;
      slider.min = 0;
      slider.step = 1;
      slider.disabled = (isSwept() && axis !== "coupling") || (axis === "misalign" && stops.misalign.length < 2);
      slider.value = axis === "misalign" ? stops.misalign.indexOf(setting.misalign) : numbered ? sweptIndex() : toSlider(axis, setting[axis]);
      const value = isSwept() ? { ...setting, ...sweeps, coupling: sweeps.couplings[sweptIndex()] }[axis] : setting[axis];
      const text = axis === "misalign" ? `${value}\u00b0` : Number(value.toPrecision(3)).toString();
      document.getElementById(`${axis}-value`).textContent = text;
      slider.setAttribute("aria-valuetext", text);
    }
    const effective = input.show.querySelector("[value=effective]");
    effective.disabled = isSwept(); // that of the smoothed energy has the smoothed density, which is not stored
    if (isSwept() && input.show.value === "effective") input.show.value = "density";
    input.snap.disabled = isSwept() || Table.entryOf(setting) !== null;
  }

  const centroidGap = (a, b) => Math.hypot(...[0, 1, 2].map((axis) => {
    let sum = 0;
    for (let p = 0; p < size; p++) sum += Data.centres[3 * p + axis] * (a[p] - b[p]);
    return sum / size;
  }));

  /** The state of the current setting: both densities and their figures. */
  function intrinsic() {
    const m = stops.misalign.indexOf(setting.misalign);
    const potentials = Data.potentialsAt(m);
    const problem = Minimiser.problemOf(potentials, setting.tau, setting.coupling, setting.floor);
    const { near, radius } = Table.multipliers(setting);
    const state = Minimiser.solve(problem, near, radius, Data.across);
    const level = (levels[m][0] + levels[m][1]) / (2 * setting.tau);
    const at = Table.entryOf(setting);
    const bound = at ? Table.entry(at).bound : state.dual + level;
    return {
      densities: [state.first, state.second], potentials, at, tau: setting.tau, bound, multipliers: state.multipliers,
      figures: { centroid_gap: centroidGap(state.first, state.second), symmetric_kl: state.symmetricKl, energy: state.energy + level },
    };
  }

  /** A stored state of the smoothed energy. */
  function swept() {
    const one = sweeps[energy], k = sweptIndex();
    sweepOf[energy] ??= Data.unpacked(one.steps);
    const densities = [0, 1].map((a) => Float64Array.from(
      sweepOf[energy].subarray((2 * k + a) * size, (2 * k + a + 1) * size), (step) => Math.exp(one.low + ((one.high - one.low) * step) / 65535),
    ));
    const figures = Object.fromEntries(["centroid_gap", "symmetric_kl", "energy"].map((name) => [name, one[name][k]]));
    return { densities, potentials: Data.potentialsAt(stops.misalign.indexOf(sweeps.misalign)), tau: sweeps.tau, figures, status: one.status[k] };
  }

  const range = (values) => {
    let low = Infinity, high = -Infinity;
    for (const one of values) for (const value of one) { low = Math.min(low, value); high = Math.max(high, value); }
    return high > low ? [low, high] : [low - 0.5, low + 0.5];
  };

  /** What the spheres are to show of a state. */
  function shown(state) {
    const logs = state.densities.map((one) => Float64Array.from(one, Math.log10));
    const density = (a, p) => `density ${state.densities[a][p].toPrecision(4)}`;
    if (input.show.value === "density") {
      const limits = range(logs);
      return [logs, { title: "log10 of the density (0: uniform)", range: limits, scale: "Cividis", text: (_, a, p) => density(a, p) }];
    }
    if (input.show.value === "potential") {
      return [state.potentials, {
        title: "potential U (low attracts)", range: range(state.potentials), scale: "Cividis",
        text: (value, a, p) => `U ${value.toPrecision(4)}<br>${density(a, p)}`,
      }];
    }
    if (input.show.value === "effective") {
      const values = state.potentials.map((one, a) => one.map((value, p) => value / state.tau + Math.log(state.densities[1 - a][p])));
      return [values, {
        title: "effective potential: U/tau + log of the other density", range: range(values), scale: "Cividis",
        text: (value, a, p) => `V ${value.toPrecision(4)}<br>${density(a, p)}`,
      }];
    }
    const ratio = logs[0].map((value, p) => value - logs[1][p]);
    const most = Math.max(1e-3, ...range([ratio]).map(Math.abs));
    return [[ratio, ratio], {
      title: "log10 of density 1 / density 2 (orange: modality 1)", range: [-most, most], scale: Spheres.RATIO,
      text: (value, a, p) => `ratio ${(10 ** value).toPrecision(3)}<br>${density(a, p)}`,
    }];
  }

  const nats = (value) => Math.max(value, 1e-16).toExponential(1);

  function say(state) {
    const line = document.getElementById("status");
    line.className = state.at ? "certified" : "";
    const gap = state.figures.energy - state.bound;
    if (isSwept()) {
      line.textContent = `A stored state of the smoothed energy, followed from the state before: ${state.status}. It carries no certificate.`;
    } else if (state.at) {
      line.textContent = `Certified: no state on this grid has an energy lower by more than ${nats(gap)} nats. (The bound is this table entry's.)`;
    } else {
      line.textContent = "Between certified entries: found by this page's own minimiser, no certificate. By its own arithmetic it is within " +
        `${nats(gap)} nats of the lowest.`;
    }
    const rows = [
      ["centroid gap (0 to 2)", state.figures.centroid_gap.toFixed(6)],
      ["symmetric KL (nats)", state.figures.symmetric_kl.toPrecision(6)],
      ["energy (nats)", state.figures.energy.toPrecision(9)],
      ...(isSwept() ? [] : [["bound (nats)", state.bound.toPrecision(9)], ["multipliers", state.multipliers.map((one) => one.toFixed(6)).join(", ")]]),
    ];
    document.querySelector("#figures tbody").replaceChildren(...rows.map(([name, value]) => {
      const row = document.createElement("tr"), head = document.createElement("th"), cell = document.createElement("td");
      head.scope = "row"; head.textContent = name; cell.textContent = value;
      row.append(head, cell);
      return row;
    }));
  }

  /** The curves' lines and the lines across, at the stops nearest to the setting. */
  function lines(at) {
    if (isSwept()) {
      const one = (name, way, colour) => ({ name, x: sweeps.couplings, figures: sweeps[way], colour });
      return [["up", "down"].filter((way) => !sweeps[way].reason).map((way) => one(way === "up" ? "rising" : "falling", way, way === "up" ? Plots.COOL : Plots.WARM)), []];
    }
    const along = input.along.value;
    const entries = stops[along].map((_, k) => Table.entry({ ...at, [along]: k }));
    const figures = Object.fromEntries(["centroid_gap", "symmetric_kl", "energy"].map((name) => [name, entries.map((one) => one[name])]));
    const [binodal, spinodal] = Table.transitions(at.misalign, at.tau, at.floor);
    const upright = along === "coupling" ? [[binodal, "binodal"], [spinodal, "spinodal"]] : [];
    return [[{ name: "table", x: stops[along], figures, colour: Plots.COOL }], upright];
  }

  function update() {
    show();
    const state = isSwept() ? swept() : intrinsic();
    say(state);
    Spheres.draw(...shown(state));
    const at = Table.nearestEntry(setting);
    const about = JSON.stringify([at.misalign, at.tau, input.colour.value]);
    if (drawn.diagram !== about) Plots.diagram(at, input.colour.value);
    const along = isSwept() ? "coupling" : input.along.value;
    const [curves, upright] = lines(at);
    const which = JSON.stringify([energy, along, { ...at, [along]: 0 }]);
    if (drawn.curves !== which) Plots.curves(along, curves, upright);
    drawn = { diagram: about, curves: which };
    Plots.place(isSwept() ? null : setting, isSwept() ? sweeps.couplings[sweptIndex()] : setting[along], state.figures, curves.length);
    document.body.dataset.updates = Number(document.body.dataset.updates || 0) + 1;
  }

  let waiting = false;
  function later() {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => { waiting = false; update(); });
  }

  /** Go to an entry, by numbers of stops. */
  function go(at) {
    for (const axis of AXES) setting[axis] = stops[axis][at[axis]];
    energy = "intrinsic";
    document.querySelector("input[name=energy][value=intrinsic]").checked = true;
    later();
  }

  function listen() {
    for (const axis of AXES) {
      input[axis].addEventListener("input", () => {
        const at = Number(input[axis].value);
        if (axis === "misalign") setting.misalign = stops.misalign[at];
        else setting[axis] = axis === "coupling" && isSwept() ? sweeps.couplings[at] : fromSlider(axis, at);
        later();
      });
    }
    for (const name of ["show", "colour", "along"]) input[name].addEventListener("change", later);
    input.snap.addEventListener("click", () => go(Table.nearestEntry(setting)));
    for (const radio of document.querySelectorAll("input[name=energy]")) {
      const reason = radio.value === "intrinsic" ? null : sweeps[radio.value].reason;
      radio.disabled = reason !== null;
      if (reason !== null) radio.parentElement.title = reason;
      radio.addEventListener("change", () => { energy = radio.value; later(); });
    }
    const diagram = document.getElementById("diagram");
    diagram.on("plotly_click", ({ points }) => {
      const { x, y } = points[0];
      go({ ...Table.nearestEntry(setting), coupling: Table.nearest("coupling", x), floor: Table.nearest("floor", y) });
    });
    const keys = { ArrowLeft: ["coupling", -1], ArrowRight: ["coupling", 1], ArrowDown: ["floor", -1], ArrowUp: ["floor", 1] };
    diagram.addEventListener("keydown", (event) => {
      if (!(event.key in keys)) return;
      event.preventDefault();
      const [axis, step] = keys[event.key], at = Table.nearestEntry(setting);
      go({ ...at, [axis]: Math.min(Math.max(at[axis] + step, 0), stops[axis].length - 1) });
    });
  }

  update();
  Encoders.start();
  listen();
  return { setting, state: () => (isSwept() ? swept() : intrinsic()) };
})();
