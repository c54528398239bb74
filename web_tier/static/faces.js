import { decimals, el } from "./dom.js";
import { enrolForm, withMargin } from "./enrol.js";
import { rejecter } from "./rejecter.js";

const THUMB = 112;

export const nameOf = (face) => (face.match ? face.name || face.person : "unknown");
export const stateOf = (face) => (face.match ? "known" : "unknown");
const percent = (value) => `${(value * 100).toFixed(3)}%`;

/** The boxes over a photo. In percent of the upright image, so they follow it to any width. */
export function drawBoxes(layer, faces, width, height) {
  layer.replaceChildren(...faces.map((face, index) => boxOf(face, index, width, height)));
  thinOut(layer);
}

/** Where names would cover each other, the tags keep only their numbers: the list has the names. */
export function thinOut(layer) {
  layer.classList.remove("crowd");
  const tags = [...layer.querySelectorAll(".tag")].map((tag) => tag.getBoundingClientRect());
  const meet = (a, b) => a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom;
  layer.classList.toggle("crowd", tags.some((a, i) => tags.slice(i + 1).some((b) => meet(a, b))));
}

export function boxOf(face, index, width, height) {
  const { x_min, y_min, x_max, y_max } = face.box;
  const tag = el("span", { class: "tag" }, el("b", {}, `${index + 1}`), el("span", {}, nameOf(face)));
  const box = el("div", { class: "box", "data-state": stateOf(face), "data-face": index }, tag);
  Object.assign(box.style, {
    left: percent(x_min / width), top: percent(y_min / height),
    width: percent((x_max - x_min) / width), height: percent((y_max - y_min) / height),
  });
  // A tag grows towards the middle of the photo, so that the photo's edge does not cut the name.
  box.classList.toggle("from-right", x_min + x_max > width);
  box.classList.toggle("tag-below", y_min < 0.08 * height);
  return box;
}

/** One entry of the list; `submit(face, name, tell, { force })` enrols, `reject(face, index)` tells how to undo it. */
export function faceItem(face, index, { image, only, submit, reject }) {
  const item = el("li", { class: "face", "data-state": stateOf(face), "data-face": index });
  const badge = el("span", { class: "badge" }, face.match ? "✓ known" : "? unknown");
  const heading = el("h4", {}, el("span", { class: "count" }, `${index + 1}`), " ", el("span", { class: "name" }, nameOf(face)));
  const wrong = face.match ? rejecter(index + 1, nameOf(face), () => reject(face, index)) : null;
  const about = el("p", { class: "about" }, badge, wrong, ...attributes(face));
  const head = el("div", { class: "face-head" }, image && thumb(image, face.box), el("div", {}, heading, about));
  item.append(...[head, numbers(face), candidates(face, only)].filter(Boolean));
  if (!face.match && image) item.append(enrolForm(index + 1, (name, tell, options) => submit(face, name, tell, options)));
  return item;
}

/** What is known of a person beside the name. */
export function attributes(face) {
  const pairs = Object.entries(face.attributes ?? {});
  if (face.match && face.person !== nameOf(face)) pairs.unshift(["id", face.person]);
  return pairs.map(([key, value]) => el("span", { class: "attribute" }, `${key}: ${typeof value === "object" ? JSON.stringify(value) : value}`));
}

function thumb(image, box) {
  const canvas = el("canvas", { class: "thumb", width: THUMB, height: THUMB, "aria-hidden": "true" });
  const around = withMargin(box, image.naturalWidth, image.naturalHeight);
  const side = Math.min(around.width, around.height, 1.5 * (box.y_max - box.y_min));
  const x = Math.max(0, Math.min((box.x_min + box.x_max - side) / 2, image.naturalWidth - side));
  const y = Math.max(0, Math.min((box.y_min + box.y_max - side) / 2, image.naturalHeight - side));
  canvas.getContext("2d").drawImage(image, x, y, side, side, 0, 0, THUMB, THUMB);
  return canvas;
}

function numbers(face) {
  const pair = (term, value) => el("div", {}, el("dt", {}, term), el("dd", {}, decimals(value)));
  return el("div", { class: "measure" },
    el("dl", { class: "numbers" }, pair("distance", face.distance), pair("threshold", face.threshold), pair("similarity", face.similarity)),
    gauge(face));
}

// Left is nearer. The tick is the threshold: a dot left of it is somebody, right of it nobody.
function gauge(face) {
  if (!Number.isFinite(face.distance) || !Number.isFinite(face.threshold)) return null;
  const full = Math.max(1, face.distance, face.threshold);
  const limit = el("i", { class: "limit" });
  const dot = el("i", { class: "dot" });
  limit.style.left = percent(face.threshold / full);
  dot.style.left = percent(face.distance / full);
  return el("div", { class: "gauge", "aria-hidden": "true" }, limit, dot);
}

function candidates(face, open) {
  const rows = face.candidates ?? [];
  if (rows.length === 0) return face.match ? null : el("p", { class: "hint" }, "No candidates: nobody is enrolled yet.");
  const columns = ["Candidate", "Distance", "Similarity"].map((title, i) => el("th", { scope: "col", class: i ? "number" : null }, title));
  const body = rows.map((row) => el("tr", {}, el("td", {}, row.person),
    el("td", { class: "number" }, decimals(row.distance)), el("td", { class: "number" }, decimals(row.similarity))));
  const table = el("table", {}, el("thead", {}, el("tr", {}, ...columns)), el("tbody", {}, ...body));
  return el("details", { class: "candidates", open }, el("summary", {}, `Candidates (${rows.length})`), table);
}
