"use strict";
/* What the controls mean: a setting, its state, and everything that shows it. */

const Explorer = (() => {
  const { stops, sweeps, size, levels } = Data;
  const AXES = Table.AXES, STEPS = 1000; // of a slider
  const input = Object.fromEntries(["coupling", "tau", "floor", "misalign", "show", "colour", "along", "snap"].map((name) => [name, document.getElementById(name)]));
  const setting = { ...Data.opening };
  const sweepOf = {}; // unpacked when they are first shown
  let energy = "intrinsic", drawn = {}, sweptAt = 0;

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
  const nearestSwept = (coupling) => {
    const away = sweeps.couplings.map((value) => Math.abs(value - coupling));
    return away.indexOf(Math.min(...away));
  };
  /** What is shown: the setting, or that of a stored state. */
  const place = () => (isSwept() ? { tau: sweeps.tau, floor: sweeps.floor, misalign: sweeps.misalign, coupling: sweeps.couplings[sweptAt] } : setting);

  /** Put the setting into the sliders. */
  function show() {
    for (const axis of AXES) {
      const slider = input[axis];
      const numbered = axis === "misalign" || (axis === "coupling" && isSwept());
      slider.max = axis === "misalign" ? stops.misalign.length - 1 : numbered ? sweeps.couplings.length - 1 : STEPS;
      slider.min = 0;
      slider.step = 1;
      slider.disabled = (isSwept() && axis !== "coupling") || (axis === "misalign" && stops.misalign.length < 2);
      const value = place()[axis];
      slider.value = axis === "misalign" ? stops.misalign.indexOf(value) : numbered ? sweptAt : toSlider(axis, value);
      const text = axis === "misalign" ? `${value}\u00b0` : Number(value.toPrecision(3)).toString();
      document.getElementById(`${axis}-value`).textContent = text;
      slider.setAttribute("aria-valuetext", text);
    }
    const effective = input.show.querySelector("[value=effective]");
    effective.disabled = isSwept(); // that of the smoothed energy has the smoothed density, which is not stored
    if (isSwept() && input.show.value === "effective") input.show.value = "density";
    input.snap.setAttribute("aria-disabled", isSwept() || Table.entryOf(setting) !== null);
  }

  const centroidGap = (a, b) => Math.hypot(...[0, 1, 2].map((axis) => {
    let sum = 0;
    for (let p = 0; p < size; p++) sum += Data.centres[3 * p + axis] * (a[p] - b[p]);
    return sum / size;
  }));

  /** The potentials at a misalignment, with what the table has taken off them. */
  const whole = (m) => Data.potentialsAt(m).map((one, a) => one.map((value) => value + levels[m][a]));

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
    const multipliers = state.multipliers.map((one, a) => one + levels[m][a] / setting.tau);
    return {
      densities: [state.first, state.second], potentials: whole(m), at, tau: setting.tau, bound, multipliers,
      figures: { centroid_gap: centroidGap(state.first, state.second), symmetric_kl: state.symmetricKl, energy: state.energy + level },
    };
  }

  /** A stored state of the smoothed energy. */
  function swept() {
    const one = sweeps[energy], k = sweptAt;
    sweepOf[energy] ??= Data.unpacked(one.steps);
    const densities = [0, 1].map((a) => Float64Array.from(
      sweepOf[energy].subarray((2 * k + a) * size, (2 * k + a + 1) * size), (step) => Math.exp(one.low + ((one.high - one.low) * step) / 65535),
    ));
    const figures = Object.fromEntries(["centroid_gap", "symmetric_kl", "energy"].map((name) => [name, one[name][k]]));
    return { densities, potentials: whole(stops.misalign.indexOf(sweeps.misalign)), tau: sweeps.tau, figures, status: one.status[k] };
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
      return [logs, { title: "log10 of the density (0: uniform)", range: limits, scale: "Cividis", text: density }];
    }
    if (input.show.value === "potential") {
      return [state.potentials, {
        title: "potential U (low attracts)", range: range(state.potentials), scale: "Cividis",
        text: (a, p) => `U ${state.potentials[a][p].toPrecision(4)}\n${density(a, p)}`,
      }];
    }
    if (input.show.value === "effective") {
      const values = state.potentials.map((one, a) => one.map((value, p) => value / state.tau + Math.log(state.densities[1 - a][p])));
      return [values, {
        title: "effective potential: U/tau + log of the other density", range: range(values), scale: "Cividis",
        text: (a, p) => `V ${values[a][p].toPrecision(4)}\n${density(a, p)}`,
      }];
    }
    const ratio = logs[0].map((value, p) => value - logs[1][p]);
    const most = Math.max(1e-3, ...range([ratio]).map(Math.abs));
    return [[ratio, ratio], {
      title: "log10 of density 1 / density 2 (orange: modality 1)", range: [-most, most], scale: Spheres.RATIO,
      text: (a, p) => `ratio ${(10 ** ratio[p]).toPrecision(3)}\n${density(a, p)}`,
    }];
  }

  /** What is certified of the state, in a sentence. */
  function sentence(state) {
    if (isSwept()) {
      return `A stored state of the smoothed energy, followed from the state before: ${state.status}. It carries no certificate.`;
    }
    const gap = state.figures.energy - state.bound, words = Data.nats(gap, state.figures.energy);
    if (!state.at) {
      return `Between certified entries: found by this page's own minimiser, no certificate. By its own arithmetic it is within ${words} of the lowest.`;
    }
    if (gap > Data.certified) return `Not certified: an entry of the table, and yet a state may be lower by ${words}.`;
    return `Certified: no state on this grid has an energy lower by more than ${words}. (The bound is this table entry's.)`;
  }

  let saying = 0;

  function say(state) {
    const line = document.getElementById("status"), text = sentence(state);
    line.className = text.startsWith("Certified") ? "certified" : "";
    line.textContent = text;
    clearTimeout(saying); // who listens hears where the slider stops
    saying = setTimeout(() => { document.getElementById("said").textContent = text; }, 700);
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
      return [["up", "down"].filter((way) => !sweeps[way].reason).map((way) => one(way === "up" ? "rising" : "falling", way, way === "up" ? Data.colours.cool : Data.colours.warm)), []];
    }
    const along = input.along.value;
    const entries = stops[along].map((_, k) => Table.entry({ ...at, [along]: k }));
    const figures = Object.fromEntries(["centroid_gap", "symmetric_kl", "energy"].map((name) => [name, entries.map((one) => one[name])]));
    const [binodal, spinodal] = Table.transitions(at.misalign, at.tau, at.floor);
    const upright = along === "coupling" ? [[binodal, "binodal"], [spinodal, "spinodal"]] : [];
    return [[{ name: "table", x: stops[along], figures, colour: Data.colours.cool }], upright];
  }

  function update() {
    show();
    const state = isSwept() ? swept() : intrinsic();
    say(state);
    Spheres.draw(...shown(state));
    const at = Table.nearestEntry(setting);
    const about = JSON.stringify([at.misalign, at.tau, input.colour.value]);
    if (drawn.diagram !== about) {
      Plots.diagram(at, input.colour.value);
      const where = `temperature ${stops.tau[at.tau]} and misalignment ${stops.misalign[at.misalign]}\u00b0`;
      document.getElementById("diagram-of").textContent = `Lowest states of the intrinsic energy at ${where}, the nearest of the table.`;
    }
    const along = isSwept() ? "coupling" : input.along.value;
    const which = JSON.stringify([energy, along, { ...at, [along]: 0 }]);
    if (drawn.curves !== which) Plots.curves(along, ...lines(at));
    drawn = { diagram: about, curves: which };
    mark(state, along);
    document.body.dataset.updates = Number(document.body.dataset.updates || 0) + 1;
  }

  const mark = (state, along) => Plots.place(isSwept() ? null : setting, place()[along], state.figures);

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
        else if (axis === "coupling" && isSwept()) sweptAt = at;
        else setting[axis] = fromSlider(axis, at);
        later();
      });
    }
    for (const name of ["show", "colour", "along"]) input[name].addEventListener("change", later);
    input.snap.addEventListener("click", () => { if (!isSwept()) go(Table.nearestEntry(setting)); });
    window.addEventListener("resize", () => setTimeout(() => { drawn = {}; later(); }, 200));
    for (const radio of document.querySelectorAll("input[name=energy]")) {
      const reason = radio.value === "intrinsic" ? null : sweeps[radio.value].reason;
      radio.disabled = reason !== null;
      if (reason !== null) Object.assign(document.getElementById("no-sweep"), { hidden: false, textContent: `No stored states: ${reason}` });
      radio.addEventListener("change", () => {
        if (!isSwept()) sweptAt = nearestSwept(setting.coupling);
        energy = radio.value;
        later();
      });
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
