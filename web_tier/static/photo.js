import { recognise, reject, undoRejection } from "./api.js";
import { duration, el, plural } from "./dom.js";
import { enrol } from "./enrol.js";
import { drawBoxes, faceItem, nameOf, thinOut } from "./faces.js";
import { latest, onFleet } from "./fleet.js";

const MAX_CARDS = 20;
// More faces than this stand below the photo, side by side: beside it their list would be far longer than the photo.
const FEW = 2;
const cards = [];

/** A photo on the page: asked about at once; the promise resolves when the answer, or why there is none, is shown. */
export function show(list, { file, image }) {
  const photo = { file, image, name: file.name, faceCount: 0, stop: new AbortController() };
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
  const frame = el("div", { class: "frame" }, image, photo.layer);
  frame.style.setProperty("--ratio", image.naturalWidth / image.naturalHeight);
  frame.style.setProperty("--natural", `${image.naturalWidth}px`);
  new ResizeObserver(() => thinOut(photo.layer)).observe(frame);
  image.alt = `The photo ${name}`;
  const side = el("div", { class: "side" }, photo.status, photo.again, photo.list);
  photo.split = el("div", { class: "split" }, el("div", { class: "stage" }, frame), side);
  photo.card = el("article", { class: "panel card" }, el("div", { class: "row spread" }, photo.title, close), photo.split);
  close.addEventListener("click", () => remove(photo));
  photo.again.addEventListener("click", () => ask(photo));
  for (const kind of ["pointerover", "pointerleave", "focusin", "focusout"]) photo.card.addEventListener(kind, (event) => highlight(photo, event));
}

function remove(photo) {
  photo.stop.abort();
  photo.card.remove();
  URL.revokeObjectURL(photo.image.src);
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
    answered(photo, await recognise(photo.file, photo.name, { signal: photo.stop.signal }));
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
  drawBoxes(photo.layer, faces, photo.image.naturalWidth, photo.image.naturalHeight);
  const ways = { submit: (face, name, tell, options) => enrolFace(photo, face, name, tell, options), reject: (face, i) => rejectFace(photo, result.id, face, i) };
  photo.list.replaceChildren(...faces.map((face, i) => faceItem(face, i, { image: photo.image, only: faces.length === 1, ...ways })));
  keepTyped(photo, typed);
  say(photo, summary(result), "done");
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
