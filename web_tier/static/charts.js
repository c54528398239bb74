import { el } from "./dom.js";

const SVG = "http://www.w3.org/2000/svg";
const WIDTH = 600;
const HEIGHT = 120;
export const WINDOW_SECONDS = 300;
// Longer silence than this is shown as a gap: the page was hidden, or the service did not answer.
const GAP_SECONDS = 5;

function svg(tag, attributes) {
  const node = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  return node;
}

/**
 * A chart of the last five minutes in a figure. `areas` are stacked from the ground up, `lines` lie over them;
 * both are names of numbers in a sample. Returns `draw(samples, now)`.
 */
export function chart(figure, { areas, lines = [] }) {
  const root = svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none" });
  root.append(svg("line", { class: "grid", x1: 0, x2: WIDTH, y1: HEIGHT / 2, y2: HEIGHT / 2 }));
  const path = (kind) => (name) => root.appendChild(svg("path", { class: `${kind} ${kind}-${name.replace("_", "-")}`, d: "" }));
  const areaPaths = areas.map(path("area"));
  const linePaths = lines.map(path("line"));
  const top = el("span", { class: "high" });
  figure.append(top, root, el("div", { class: "axis" }, el("span", {}, "5 min ago"), el("span", {}, "now")));
  return (samples, now) => {
    const high = niceCeiling(Math.max(1, ...samples.map((sample) => Math.max(sum(sample, areas), ...lines.map((name) => sample[name])))));
    const scale = { x: (time) => WIDTH * (1 - (now - time) / WINDOW_SECONDS), y: (value) => HEIGHT - (HEIGHT - 4) * (value / high) };
    const runs = withoutGaps(samples);
    areaPaths.forEach((node, i) => node.setAttribute("d", runs.map((run) => area(run, areas.slice(0, i), areas.slice(0, i + 1), scale)).join("")));
    linePaths.forEach((node, i) => node.setAttribute("d", runs.map((run) => `M${steps(run, [lines[i]], scale).join("L")}`).join("")));
    top.textContent = `${high}`;
  };
}

const sum = (sample, names) => names.reduce((total, name) => total + sample[name], 0);

/** The next 1, 2 or 5 times a power of ten, so that the scale seldom jumps. */
export function niceCeiling(value) {
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 5, 10].map((step) => step * power).find((step) => step >= value);
}

export function withoutGaps(samples) {
  const runs = [];
  for (const sample of samples) {
    const run = runs.at(-1);
    if (run && sample.time - run.at(-1).time <= GAP_SECONDS) run.push(sample);
    else runs.push([sample]);
  }
  return runs;
}

// Counts jump, they do not glide: each holds until the next sample.
function steps(run, names, { x, y }) {
  const points = [];
  run.forEach((sample, i) => {
    const height = y(sum(sample, names)).toFixed(1);
    points.push(`${x(sample.time).toFixed(1)} ${height}`);
    const until = run[i + 1]?.time ?? sample.time + 1;
    points.push(`${x(until).toFixed(1)} ${height}`);
  });
  return points;
}

function area(run, below, upTo, scale) {
  return `M${[...steps(run, upTo, scale), ...steps(run, below, scale).reverse()].join("L")}Z`;
}
