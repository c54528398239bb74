import { addPerson, addPhoto } from "./api.js";
import { el } from "./dom.js";

// The encoder wants hair, chin and ears around the face; the detector needs them to find it again.
const MARGIN = 0.6;
const JPEG_QUALITY = 0.95;
const ID_LENGTH = 64;

/** The id that a name becomes, as on the command line: `Ada Lovelace` → `Ada_Lovelace`; empty when nothing can be one. */
export function personId(name) {
  const kept = name.normalize("NFC").trim().replace(/[^\p{L}\p{N}_.@-]+/gu, "_");
  if (!/[\p{L}\p{N}]/u.test(kept)) return "";
  return [...kept.replace(/^[.@-]+/, "")].slice(0, ID_LENGTH).join("");
}

/** The box with its margin, inside a photo of this size. */
export function withMargin(box, width, height) {
  const dx = (box.x_max - box.x_min) * MARGIN;
  const dy = (box.y_max - box.y_min) * MARGIN;
  const x = Math.max(0, Math.floor(box.x_min - dx));
  const y = Math.max(0, Math.floor(box.y_min - dy));
  return { x, y, width: Math.min(width, Math.ceil(box.x_max + dx)) - x, height: Math.min(height, Math.ceil(box.y_max + dy)) - y };
}

function crop(image, box) {
  const { x, y, width, height } = withMargin(box, image.naturalWidth, image.naturalHeight);
  const canvas = el("canvas", { width, height });
  canvas.getContext("2d").drawImage(image, x, y, width, height, 0, 0, width, height);
  return new Promise((resolve, reject) => {
    canvas.toBlob((blob) => (blob ? resolve(blob) : reject(new Error("This browser could not cut the face out of the photo."))), "image/jpeg", JPEG_QUALITY);
  });
}

/** Enrols one face of a photo; says through `tell` how far it is. `force`: although it was refused. */
export async function enrol(photo, face, name, tell, { force }) {
  const id = personId(name);
  tell("Enrolling …");
  const isNew = await addPerson(id, name.trim());
  tell(isNew ? "Enrolling: a worker is looking at the face …" : `Adding this photo to ${id} …`);
  if (photo.faceCount === 1 && !photo.isClip) await addPhoto(id, photo.file, photo.name, { force });
  else await addPhoto(id, await crop(photo.image, face.box), "face.jpg", { force });
}

let forms = 0;

/** The form beside an unknown face. `submit(name, tell, { force })` does the work and may throw. */
export function enrolForm(number, submit) {
  const ids = `enrol-${++forms}`;
  const input = el("input", { id: ids, name: "name", required: true, maxlength: 120, autocomplete: "off", "aria-describedby": `${ids}-note` });
  const note = el("p", { class: "hint", id: `${ids}-note`, role: "status" });
  const button = el("button", { type: "submit", class: "primary" }, "Enrol");
  const label = el("label", { for: ids }, "Who is this?", el("span", { class: "unseen" }, ` Name of face ${number}`));
  const fields = el("fieldset", {}, label, el("div", { class: "row" }, input, button));
  const force = el("button", { type: "button" }, "Enrol anyway");
  const anyway = el("fieldset", { hidden: true }, force);
  const form = el("form", { class: "enrol" }, fields, note, anyway);
  const parts = { input, note, anyway };
  input.addEventListener("input", () => describe(parts));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    run(parts, submit, { force: false });
  });
  force.addEventListener("click", () => run(parts, submit, { force: true }));
  return form;
}

function describe({ input, note, anyway }) {
  const id = personId(input.value);
  const unusable = input.value.trim() !== "" && id === "";
  input.setCustomValidity(unusable ? "A name needs at least one letter or digit." : "");
  // What was refused was this photo as somebody else's.
  anyway.hidden = true;
  note.className = "hint";
  note.textContent = id === "" ? "" : `Their id will be ${id}`;
}

async function run({ input, note, anyway }, submit, { force }) {
  const tell = (words) => { note.className = "hint"; note.textContent = words; };
  if (personId(input.value) === "") {
    input.setCustomValidity("A name needs at least one letter or digit.");
    input.reportValidity();
    return;
  }
  anyway.hidden = true;
  try {
    await submit(input.value, tell, { force });
  } catch (error) {
    anyway.hidden = !error.forcible;
    note.className = "error";
    note.textContent = error.message;
    input.focus();
  }
}
