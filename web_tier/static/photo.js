import { recognise, reject, undoRejection, watchClip } from "./api.js";
import { appearances, clipSummary, closeClip, drawAppearance, isClip, showFrame } from "./clip.js";
import { duration, el, plural } from "./dom.js";
import { enrol } from "./enrol.js";
import { drawBoxes, faceItem, nameOf, thinOut } from "./faces.js";
import { latest, onFleet } from "./fleet.js";

const MAX_CARDS = 20;
// More faces than this stand below the photo, side by side: beside it their list would be far longer than the photo.
const FEW = 2;
const cards = [];

/**
 * A photo or clip on the page: asked about at once; the promise resolves when the answer, or why there is none, is shown.
 * Of a clip that this browser cannot show there is neither `image` nor `video`.
 */
export function show(list, { file, image, video }) {
  const photo = { file, image, video, name: file.name, isClip: isClip(file), faceCount: 0, stop: new AbortController() };
  build(photo);
  list.prepend(photo.card);
  cards.unshift(photo);
  cards.slice(MAX_CARDS).forEach(remove);
  return ask(photo);
}

function build(photo) {
  const { image, name } = photo;
  photo.title = el("h3", { tabindex: -1, title: name }, name);
  photo.status = el("p", { class: "status", role: "status" });
  photo.again = el("button", { type: "button", hidden: true }, "Try again");
  photo.layer = el("div", { class: "layer", "aria-hidden": "true" });
  photo.list = el("ol", { class: "faces" });
  const close = el("button", { type: "button", class: "quiet", "aria-label": `Remove ${name}` }, "Remove");
  photo.when = el("div", {});
  const side = el("div", { class: "side" }, photo.status, photo.again, photo.list);
  photo.split = el("div", { class: "split" }, image && el("div", { class: "stage" }, frameOf(photo)), side);
  photo.split.classList.toggle("bare", !image);
  photo.card = el("article", { class: "panel card" }, el("div", { class: "row spread" }, photo.title, close), photo.split, photo.when);
  close.addEventListener("click", () => remove(photo));
  photo.again.addEventListener("click", () => ask(photo));
  for (const kind of ["pointerover", "pointerleave", "focusin", "focusout"]) photo.card.addEventListener(kind, (event) => highlight(photo, event));
}

function frameOf({ image, layer, name, isClip }) {
  const frame = el("div", { class: "frame" }, image, layer);
  frame.style.setProperty("--ratio", image.naturalWidth / image.naturalHeight);
  frame.style.setProperty("--natural", `${image.naturalWidth}px`);
  new ResizeObserver(() => thinOut(layer)).observe(frame);
  image.alt = isClip ? `A frame of the clip ${name}` : `The photo ${name}`;
  return frame;
}

function remove(photo) {
  photo.stop.abort();
  photo.card.remove();
  if (photo.image) URL.revokeObjectURL(photo.image.src);
  if (photo.video) closeClip(photo.video);
  cards.splice(cards.indexOf(photo), 1);
}

// A box and its entry in the list light up together.
function highlight(photo, event) {
  const leaving = event.type === "pointerleave" || event.type === "focusout";
  const face = leaving ? null : event.target.closest("[data-face]")?.dataset.face;
  for (const node of photo.card.querySelectorAll("[data-face]")) node.classList.toggle("hot", node.dataset.face === face);
}

function waitingWords(fleet) {
  const { running = 1, pending = 0 } = fleet?.instances ?? {};
  if (running > 0) return "Looking at the faces …";
  return `Waking a worker: none is running yet${pending > 0 ? `, ${pending} on the way` : ""}. This takes a moment …`;
}

async function ask(photo) {
  const wait = () => {
    const words = waitingWords(latest());
    // Said again only when it changes, or a screen reader would repeat it every second.
    if (photo.status.textContent !== words) photo.status.textContent = words;
  };
  say(photo, "", "waiting");
  const stopListening = onFleet(wait);
  wait();
  try {
    const result = await (photo.isClip ? watchClip : recognise)(photo.file, photo.name, { signal: photo.stop.signal });
    if (photo.isClip) await answeredClip(photo, result);
    answered(photo, result);
  } catch (error) {
    if (!photo.stop.signal.aborted) say(photo, error.message, "failed");
  } finally {
    stopListening();
  }
}

function say(photo, words, state) {
  photo.card.dataset.state = state;
  photo.card.setAttribute("aria-busy", `${state === "waiting"}`);
  photo.again.hidden = state !== "failed";
  photo.status.textContent = words;
}

function answered(photo, result) {
  const { faces } = result;
  const typed = [...photo.list.querySelectorAll(".face")].map((item) => item.querySelector("input")?.value);
  photo.faceCount = faces.length;
  photo.split.classList.toggle("many", faces.length > FEW);
  if (photo.image) drawBoxes(photo.layer, faces, photo.image.naturalWidth, photo.image.naturalHeight);
  const ways = { submit: (face, name, tell, options) => enrolFace(photo, face, name, tell, options), reject: (face, i) => rejectFace(photo, result.id, face, i) };
  photo.list.replaceChildren(...faces.map((face, i) => faceItem(face, i, { image: photo.image, only: faces.length === 1, ...ways })));
  keepTyped(photo, typed);
  say(photo, photo.isClip ? clipSummary(result) : summary(result), "done");
}

async function answeredClip(photo, result) {
  // One after the other: two frames sought at once would be one.
  let last = Promise.resolve();
  const look = photo.video && ((one) => (last = last.then(() => lookAt(photo, result, one))));
  photo.when.replaceChildren(...[appearances(result, look)].filter(Boolean));
  if (photo.video && result.video.at !== null) await showFrame(photo.image, photo.video, result.video.at);
}

// Somebody's best frame, or the first with a face again, which is the one that the list is about.
async function lookAt(photo, result, one) {
  if (!(await showFrame(photo.image, photo.video, one ? one.best.at : result.video.at))) return;
  const { naturalWidth, naturalHeight } = photo.image;
  if (one) drawAppearance(photo.layer, one, naturalWidth, naturalHeight);
  else drawBoxes(photo.layer, result.faces, naturalWidth, naturalHeight);
}

// The list is drawn anew after an enrolment: names being typed for the other faces stay.
function keepTyped(photo, typed) {
  photo.list.querySelectorAll(".face").forEach((item, i) => {
    const input = item.querySelector("input");
    if (!input || !typed[i]) return;
    input.value = typed[i];
    input.dispatchEvent(new Event("input"));
  });
}

function summary({ faces, timings }) {
  const seconds = Number.isFinite(timings?.total) ? ` ${duration(timings.total)}.` : "";
  if (faces.length === 0) return `No face found.${seconds} Try a photo that shows the face larger or from the front.`;
  const names = faces.filter((face) => face.match).map(nameOf);
  const strangers = faces.length - names.length;
  if (strangers === faces.length && strangers > 1) return `${faces.length} faces, all unknown.${seconds}`;
  if (strangers > 0) names.push(strangers === 1 && names.length === 0 ? "unknown" : `${strangers} unknown`);
  return `${plural(faces.length, "face")}: ${names.join(", ")}.${seconds}`;
}

async function enrolFace(photo, face, name, tell, options) {
  const fieldsets = photo.list.querySelectorAll("fieldset");
  // One at a time: the answer to the first redraws the list under the second.
  fieldsets.forEach((fieldset) => { fieldset.disabled = true; });
  try {
    await enrol(photo, face, name, tell, options);
  } finally {
    fieldsets.forEach((fieldset) => { fieldset.disabled = false; });
  }
  await ask(photo);
  // The form that had the focus is gone; without this the keyboard would start again at the top of the page.
  photo.title.focus({ preventScroll: true });
}

// Shown on the box and in the list; resolves to what undoes it.
async function rejectFace(photo, jobId, face, index) {
  const place = await reject(jobId, index, face.person);
  const mark = (on) => photo.card.querySelectorAll(`[data-face="${index}"]`).forEach((node) => node.toggleAttribute("data-rejected", on));
  mark(true);
  return async () => {
    await undoRejection(place);
    mark(false);
  };
}
