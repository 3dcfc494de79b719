"use strict";
/* The data of the page, its table of certified entries, and what lies between them. */

const Data = (() => {
  const raw = JSON.parse(document.getElementById("data").textContent);
  const KINDS = { "<f4": Float32Array, "<f8": Float64Array, "<u4": Uint32Array, "<u2": Uint16Array };

  function unpacked({ type, bytes }) {
    const text = atob(bytes), buffer = new Uint8Array(text.length);
    for (let i = 0; i < text.length; i++) buffer[i] = text.charCodeAt(i);
    return new KINDS[type](buffer.buffer);
  }

  const size = 12 * raw.nside ** 2;
  const potentials = unpacked(raw.potentials);
  return {
    ...raw, size, CONFIG: { responsive: true, displaylogo: false, displayModeBar: false },
    corners: unpacked(raw.corners), centres: unpacked(raw.centres), across: Array.from(unpacked(raw.across)),
    table: unpacked(raw.table), transitions: unpacked(raw.transitions), unpacked,
    /** A gap in nats as words, not below what the sums behind it are rounded by. */
    nats: (gap, size) => {
      const rounding = 1e-12 * (1 + Math.abs(size));
      return gap > rounding ? `${gap.toExponential(1)} nats` : `${rounding.toExponential(0)} nats (rounding)`;
    },
    potentialsAt: (m) => [0, 1].map((a) => potentials.subarray((2 * m + a) * size, (2 * m + a + 1) * size)),
  };
})();

const Table = (() => {
  const { stops, figures, table } = Data;
  const AXES = ["misalign", "tau", "floor", "coupling"];
  const LOGARITHMIC = { tau: true, floor: true };

  const scale = (axis, value) => (LOGARITHMIC[axis] ? Math.log(value) : value);

  /** The nearest stop of an axis, by number. */
  function nearest(axis, value) {
    const away = stops[axis].map((stop) => Math.abs(scale(axis, stop) - scale(axis, value)));
    return away.indexOf(Math.min(...away));
  }

  /** The stops on either side of a value, with their weights. */
  function around(axis, value) {
    const all = stops[axis];
    if (axis === "misalign") return [[nearest(axis, value), 1]];
    let high = all.findIndex((stop) => stop >= value);
    if (high < 0) high = all.length - 1;
    if (all[high] <= value || high === 0) return [[high, 1]];
    const share = (scale(axis, value) - scale(axis, all[high - 1])) / (scale(axis, all[high]) - scale(axis, all[high - 1]));
    return [[high - 1, 1 - share], [high, share]];
  }

  function place(at) {
    return AXES.reduce((index, axis) => index * stops[axis].length + at[axis], 0);
  }

  /** The figures of an entry, by name. */
  function entry(at) {
    const from = place(at) * figures.length;
    return Object.fromEntries(figures.map((name, k) => [name, table[from + k]]));
  }

  /** The stops of a setting where it is an entry, else null. */
  function entryOf(setting) {
    const at = {};
    for (const axis of AXES) {
      at[axis] = stops[axis].indexOf(setting[axis]);
      if (at[axis] < 0) return null;
    }
    return at;
  }

  const nearestEntry = (setting) => Object.fromEntries(AXES.map((axis) => [axis, nearest(axis, setting[axis])]));

  /** Multipliers between entries, and how far those around differ. */
  function multipliers(setting) {
    let corners = [[{}, 1]];
    for (const axis of AXES) {
      corners = corners.flatMap(([at, share]) => around(axis, setting[axis]).map(([k, s]) => [{ ...at, [axis]: k }, share * s]));
    }
    const found = corners.map(([at, share]) => ({ share, ...entry(at) }));
    const mean = [1, 2].map((a) => found.reduce((sum, one) => sum + one.share * one[`multiplier_${a}`], 0));
    const apart = [1, 2].map((a) => Math.max(...found.map((one) => Math.abs(one[`multiplier_${a}`] - mean[a - 1]))));
    return { near: mean, radius: Math.max(1e-3, ...apart) };
  }

  /** Binodal and spinodal at a misalignment, a temperature and a floor. */
  function transitions(misalign, tau, floor) {
    const from = 2 * ((misalign * stops.tau.length + tau) * stops.floor.length + floor);
    return [Data.transitions[from], Data.transitions[from + 1]];
  }

  return { AXES, LOGARITHMIC, scale, nearest, entry, entryOf, nearestEntry, multipliers, transitions };
})();
