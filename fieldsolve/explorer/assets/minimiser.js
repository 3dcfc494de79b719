"use strict";
/* Two coupled densities at given multipliers, and the multipliers at which both have mass 1.

   The arithmetic is that of fieldsolve.equilibrium.local_problem, which says why the list of local minima at a point is complete:
   minimise over floor <= a, b <= peak
       f(a, b) = c1 a + c2 b + (1 - coupling)(a log a + b log b) + coupling (a log b + b log a).
   Nothing here draws; it runs in Node as in a browser. */

const Minimiser = (() => {
  const MATCHED = 0, FIRST = 1, SECOND = 2; // sheets of local minima
  const LEAST_COUPLING = 1e-9; // stands for none
  const LAST_CHANGE = 1e-8, MOST_ITERATIONS = 60; // of Newton's method
  const SETTLING = 6; // evaluations before a window is left

  function box(coupling, floor, peak) {
    const lambda = Math.max(coupling, LEAST_COUPLING);
    const fold = lambda < 0.25 ? Math.acosh((1 - 2 * lambda) / (2 * lambda)) : 0;
    const turn = lambda < 1 ? Math.log(lambda / (1 - lambda)) : Infinity;
    return {
      coupling: lambda, floor, peak, low: Math.log(floor), high: Math.log(peak), fold,
      foldSlope: (2 * lambda - 1) * fold + 2 * lambda * Math.sinh(fold),
      turn, turnValue: lambda < 1 ? (1 - lambda) * (1 + turn) : Infinity,
    };
  }

  /** log(a/b) of the matched pair, the root of psi(t) = difference with |t| < fold, or NaN. */
  function matchedRatio(difference, b) {
    const depth = -Math.abs(difference);
    if (b.fold === 0 || !(depth > b.foldSlope)) return NaN;
    const least = -depth / (1 - 4 * b.coupling);
    let t = least;
    if (depth < b.foldSlope / 2) {
      t = Math.max(least, b.fold - Math.sqrt((depth - b.foldSlope) / (b.coupling * Math.sinh(b.fold))));
    }
    for (let k = 0; k < MOST_ITERATIONS; k++) {
      const ratio = Math.exp(t);
      const excess = (2 * b.coupling - 1) * t + b.coupling * (ratio - 1 / ratio) - depth;
      const change = excess / (2 * b.coupling - 1 + b.coupling * (ratio + 1 / ratio));
      t = Math.max(t - change, least);
      if (!(Math.abs(change) > LAST_CHANGE * (1 + t))) break;
    }
    return difference < 0 ? t : -t;
  }

  /** The root s > turn of (1 - coupling) s + coupling exp(-s) = kappa with least <= s <= most, or NaN. */
  function sideRatio(kappa, least, most, b) {
    if (!(b.turn < most) || !(kappa > b.turnValue)) return NaN;
    const own = 1 - b.coupling;
    const lowest = least > b.turn ? own * least + b.coupling * Math.exp(-least) : b.turnValue;
    if (!(kappa >= lowest && kappa <= own * most + b.coupling * Math.exp(-most))) return NaN;
    let s = b.turn + Math.sqrt(2 * (kappa - b.turnValue) / own);
    s += (kappa - own * s - b.coupling * Math.exp(-s)) / (own - b.coupling * Math.exp(-s));
    s = Math.min(s, kappa / own);
    for (let k = 0; k < MOST_ITERATIONS; k++) {
      const pull = b.coupling * Math.exp(-s);
      const change = (own * s + pull - kappa) / (own - pull);
      s -= change;
      if (!(Math.abs(change) > LAST_CHANGE * (1 + Math.abs(s)))) break;
    }
    return Math.min(Math.max(s, least), most);
  }

  /** Room for the least value of each sheet at n points and its pair; sheet k of point i is at 3 i + k. */
  function room(n) {
    return { values: new Float64Array(3 * n), first: new Float64Array(3 * n), second: new Float64Array(3 * n) };
  }

  /** Write the least value of each sheet and its pair at costs c1 and c2, from place `at` on. */
  function minima(c1, c2, b, found, at) {
    const { values, first, second } = found, own = 1 - b.coupling;
    const put = (sheet, value, a, other) => {
      values[at + sheet] = value; first[at + sheet] = a; second[at + sheet] = other;
    };
    const mixed = own * (b.floor * b.low + b.peak * b.high) + b.coupling * (b.floor * b.high + b.peak * b.low);
    put(FIRST, c1 * b.peak + c2 * b.floor + mixed, b.peak, b.floor);
    put(SECOND, c1 * b.floor + c2 * b.peak + mixed, b.floor, b.peak);
    const atFloor = (c1 + c2 + 2 * b.low) * b.floor, atPeak = (c1 + c2 + 2 * b.high) * b.peak;
    const both = atPeak < atFloor ? b.peak : b.floor;
    put(MATCHED, Math.min(atFloor, atPeak), both, both);

    const t = matchedRatio(c1 - c2, b);
    if (t === t) {
      const logSecond = -(c2 + own + b.coupling * (t + Math.exp(t))), logFirst = logSecond + t;
      const inside = b.low <= Math.min(logFirst, logSecond) && Math.max(logFirst, logSecond) <= b.high;
      const value = -(Math.exp(logFirst) + Math.exp(logSecond));
      if (inside && value < values[at + MATCHED]) put(MATCHED, value, Math.exp(logFirst), Math.exp(logSecond));
    }
    // One density at an end of the box, the other one free; `swap` where it is the second that is free.
    const side = (free, held, fixed, logFixed, sheet, swap) => {
      const s = sideRatio(-(free + own + logFixed), b.low - logFixed, b.high - logFixed, b);
      if (s !== s) return;
      const log = s + logFixed, density = Math.exp(log);
      const value = fixed * (held + own * logFixed + b.coupling * (log - 1)) - own * density;
      if (value < values[at + sheet]) put(sheet, value, swap ? fixed : density, swap ? density : fixed);
    };
    side(c1, c2, b.floor, b.low, FIRST, false);
    side(c2, c1, b.floor, b.low, SECOND, true);
    side(c1, c2, b.peak, b.high, SECOND, false);
    side(c2, c1, b.peak, b.high, FIRST, true);
  }

  function leastSheet(values, at) {
    let sheet = values[at + FIRST] < values[at] ? FIRST : MATCHED;
    if (values[at + SECOND] < values[at + sheet]) sheet = SECOND;
    return sheet;
  }

  /** The minima at all points, and the dual of 2F there with the masses of its minimisers. */
  function evaluate(problem, nu, found) {
    const { linear, box: b, size } = problem;
    let value = 0, mass1 = 0, mass2 = 0;
    for (let i = 0; i < size; i++) {
      minima(linear[0][i] - nu[0], linear[1][i] - nu[1], b, found, 3 * i);
      const at = 3 * i + leastSheet(found.values, 3 * i);
      value += found.values[at]; mass1 += found.first[at]; mass2 += found.second[at];
    }
    return { value: nu[0] + nu[1] + value / size, slope: [1 - mass1 / size, 1 - mass2 / size], at: nu };
  }

  const height = (cut, x, y) => cut.value + cut.slope[0] * (x - cut.at[0]) + cut.slope[1] * (y - cut.at[1]);

  /** The part of a convex polygon where a cut allows the dual to be at least so high. */
  function clip(region, cut, least) {
    const kept = [];
    for (let k = 0; k < region.length; k++) {
      const [x, y] = region[k], [u, v] = region[(k + region.length - 1) % region.length];
      const here = height(cut, x, y) - least, before = height(cut, u, v) - least;
      if ((here < 0 && before > 0) || (before < 0 && here > 0)) {
        const share = before / (before - here);
        kept.push([u + share * (x - u), v + share * (y - v)]);
      }
      if (here >= 0) kept.push([x, y]);
    }
    return kept;
  }

  function centroid(region) {
    const [x0, y0] = region[0];
    let area = 0, x = 0, y = 0;
    for (let k = 1; k + 1 < region.length; k++) {
      const [ax, ay] = region[k], [bx, by] = region[k + 1];
      const part = (ax - x0) * (by - y0) - (ay - y0) * (bx - x0);
      area += part; x += part * (ax + bx - 2 * x0); y += part * (ay + by - 2 * y0);
    }
    if (area > 0) return [x0 + x / (3 * area), y0 + y / (3 * area)];
    return [0, 1].map((axis) => region.reduce((sum, point) => sum + point[axis], 0) / region.length);
  }

  const rectangle = ([x, y], r) => [[x - r, y - r], [x + r, y - r], [x + r, y + r], [x - r, y + r]];
  const diameter = (region) => Math.max(0, ...[0, 1].map((axis) => {
    const along = region.map((point) => point[axis]);
    return Math.max(...along) - Math.min(...along);
  }));

  /** The highest dual that cutting planes find from `start`, first within `radius`: the multipliers and how far off they may be. */
  function maximise(problem, start, radius, accuracy, most, found) {
    const cuts = [];
    let reach = radius, best = null, region = [], upper = Infinity, outside = true;
    const search = () => {
      region = rectangle(start, reach);
      for (const cut of cuts) region = clip(region, cut, best.value);
    };
    for (let k = 0; k < most; k++) {
      const cut = evaluate(problem, k === 0 ? start : centroid(region), found);
      const better = best === null || cut.value > best.value;
      cuts.push(cut);
      if (better) best = cut;
      if (k === 0) search();
      for (const one of better ? cuts : [cut]) region = clip(region, one, best.value);
      outside = region.length < 3 || region.some((p) => Math.max(...p.map((x, a) => Math.abs(x - start[a]))) >= reach * (1 - 1e-9));
      if (outside && (region.length < 3 || k >= SETTLING)) {
        reach *= 16; // all cuts hold there as well
        search();
        if (region.length < 3) break;
        continue;
      }
      upper = Math.min(...cuts.map((one) => Math.max(...region.map(([x, y]) => height(one, x, y)))));
      if (!outside && upper - best.value <= accuracy * (1 + Math.abs(best.value))) break;
    }
    return { multipliers: best.at, dual: best.value, radius: region.length < 3 ? 0 : diameter(region) };
  }

  /** A sheet for every point, the cheapest, with ties shared out so that masses fit: mirrored ones across `across`, then singly. */
  function deal(problem, found, across, tied) {
    const { size } = problem, { values, first, second } = found;
    const sheets = new Uint8Array(size), mirrored = [], open = [];
    let missing1 = size, missing2 = size;
    const gain = (i, to, from) => [first[3 * i + to] - first[3 * i + from], second[3 * i + to] - second[3 * i + from]];
    const ties = (i, to, from) => {
      const [da, db] = gain(i, to, from);
      return to !== from && Math.abs(values[3 * i + to] - values[3 * i + from]) <= tied * (Math.abs(da) + Math.abs(db));
    };
    for (const i of across) {
      let sheet = leastSheet(values, 3 * i);
      if (sheet !== MATCHED && ties(i, FIRST, SECOND)) {
        sheet = SECOND;
        mirrored.push(i);
      } else if ([MATCHED, FIRST, SECOND].some((other) => ties(i, other, sheet))) {
        open.push(i);
      }
      sheets[i] = sheet;
      missing1 -= first[3 * i + sheet]; missing2 -= second[3 * i + sheet];
    }
    let count = 0, least = missing1 ** 2 + missing2 ** 2, m1 = missing1, m2 = missing2;
    mirrored.forEach((i, k) => {
      const [da, db] = gain(i, FIRST, SECOND);
      m1 -= da; m2 -= db;
      if (m1 ** 2 + m2 ** 2 < least) { least = m1 ** 2 + m2 ** 2; count = k + 1; }
    });
    for (const i of mirrored.slice(0, count)) {
      const [da, db] = gain(i, FIRST, SECOND);
      sheets[i] = FIRST;
      missing1 -= da; missing2 -= db;
    }
    const near = mirrored.map((i, k) => [Math.abs(k - count), i]).sort((p, q) => p[0] - q[0]).map((p) => p[1]);
    for (const i of [...near, ...open]) {
      for (const other of [MATCHED, FIRST, SECOND]) {
        if (!ties(i, other, sheets[i])) continue;
        const [da, db] = gain(i, other, sheets[i]);
        if ((missing1 - da) ** 2 + (missing2 - db) ** 2 < missing1 ** 2 + missing2 ** 2) {
          sheets[i] = other;
          missing1 -= da; missing2 -= db;
        }
      }
    }
    return sheets;
  }

  /** Scale what a density has above the floor so that its mass is 1. */
  function scaled(density, floor) {
    const size = density.length, excess = density.reduce((sum, one) => sum + one - floor, 0);
    const factor = excess > 0 ? (size * (1 - floor)) / excess : 0;
    return density.map((one) => (factor ? floor + (one - floor) * factor : 1));
  }

  /** F = (F_1 + F_2 - coupling D)/2 of densities that need not be minimisers, and D, the symmetric KL; in nats. */
  function energyOf(problem, a, b) {
    const { linear, coupling, size } = problem;
    let own = 0, kl = 0;
    for (let i = 0; i < size; i++) {
      const logA = Math.log(a[i]), logB = Math.log(b[i]);
      own += linear[0][i] * a[i] + linear[1][i] * b[i] + a[i] * logA + b[i] * logB;
      kl += (a[i] - b[i]) * (logA - logB);
    }
    return { energy: (own - coupling * kl) / (2 * size), symmetricKl: kl / size };
  }

  /** The problem of two potentials (N,) at a temperature. */
  function problemOf(potentials, tau, coupling, floor) {
    const size = potentials[0].length;
    const linear = potentials.map((one) => Float64Array.from(one, (value) => value / tau));
    return { linear, size, coupling, box: box(coupling, floor, floor + (1 - floor) * size) };
  }

  /** Both densities of the lowest state, from multipliers close by; `dual` is the bound of F that its own arithmetic finds. */
  function solve(problem, near, radius, across, accuracy = 1e-7, most = 80) {
    const found = room(problem.size);
    const top = maximise(problem, near, radius, accuracy, most, found);
    evaluate(problem, top.multipliers, found);
    let best = null;
    for (const tied of [1e-6, Math.max(1e-6, 2 * top.radius)]) {
      const sheets = deal(problem, found, across, tied);
      const pick = (from) => scaled(Float64Array.from(sheets, (sheet, i) => from[3 * i + sheet]), problem.box.floor);
      const first = pick(found.first), second = pick(found.second);
      const state = { first, second, ...energyOf(problem, first, second) };
      if (best === null || state.energy < best.energy) best = state;
    }
    return { ...best, multipliers: top.multipliers, dual: top.dual / 2 };
  }

  return { box, room, minima, problemOf, solve };
})();

if (typeof module !== "undefined") module.exports = Minimiser;
