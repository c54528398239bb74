import { isClip, openClip, showFrame } from "./clip.js";
import { byId, el } from "./dom.js";

/** Beyond this the service refuses the upload; said here before it travels. */
const maxMegabytes = (file) => Number(byId("intake-note").dataset[isClip(file) ? "maxClipMb" : "maxMb"]);

export function clearMessages() {
  byId("messages").replaceChildren();
}

export function complain(words) {
  const close = el("button", { type: "button", class: "quiet" }, "Dismiss");
  const message = el("p", { class: "message" }, el("span", {}, words), close);
  close.addEventListener("click", () => message.remove());
  byId("messages").append(message);
}

/** The file as an image or clip ready to draw, or an error whose words are for the user. */
export async function load(file) {
  if (file.size > maxMegabytes(file) * 1e6) {
    const size = (file.size / 1e6).toFixed(1);
    throw new Error(`“${file.name}” has ${size} MB, and ${maxMegabytes(file)} MB is the limit. Save a smaller copy and send that.`);
  }
  if (isClip(file)) return loadClip(file);
  if (file.type !== "" && !file.type.startsWith("image/")) throw notAnImage(file);
  const image = new Image();
  image.src = URL.createObjectURL(file);
  try {
    await image.decode();
  } catch {
    URL.revokeObjectURL(image.src);
    throw notAnImage(file);
  }
  return { file, image };
}

async function loadClip(file) {
  const video = await openClip(file);
  if (video === null) return { file, image: null, video: null };
  const image = new Image();
  return (await showFrame(image, video, 0)) ? { file, image, video } : { file, image: null, video: null };
}

function notAnImage(file) {
  const words = /^image\//.test(file.type) ? "is damaged, or of a kind that this browser cannot show" : "is not an image";
  return new Error(`“${file.name}” ${words}. Choose a JPEG, PNG or WebP photo, or a clip.`);
}

/** Calls `take(files)` for photos chosen, dropped anywhere on the page, or pasted. */
export function listen(take) {
  for (const input of [byId("file-input"), byId("capture-input")]) {
    input.addEventListener("change", () => {
      take([...input.files]);
      // Emptied, so that choosing the same photo again is a change again.
      input.value = "";
    });
  }
  document.addEventListener("paste", (event) => {
    const files = [...event.clipboardData.files];
    if (files.length > 0) take(files);
  });
  listenForDrops(take);
}

function listenForDrops(take) {
  const over = (on) => document.body.classList.toggle("dragging", on);
  document.addEventListener("dragover", (event) => {
    // Without this the browser would leave the page and open the photo instead.
    event.preventDefault();
    over(true);
  });
  document.addEventListener("dragleave", (event) => { if (event.relatedTarget === null) over(false); });
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    over(false);
    const files = [...event.dataTransfer.files];
    if (files.length > 0) take(files);
    else complain("There was no photo in what you dropped. Drop an image or a clip, or copy the picture and paste it here.");
  });
}
