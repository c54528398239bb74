import { decimals, duration, el, plural } from "./dom.js";
import { attributes, boxOf, nameOf, stateOf } from "./faces.js";

// Some of these the browser has no type for, and some it cannot show.
const NAMES = /\.(mp4|m4v|mov|mkv|webm|h264|264)$/i;
const OPEN_SECONDS = 15;
// Into the frame: at its very start a browser may still show the one before.
const INTO_FRAME = 0.002;

export const isClip = (file) => file.type.startsWith("video/") || NAMES.test(file.name);

/** Ready to show frames of the clip; null if this browser cannot. */
export async function openClip(file) {
  const video = document.createElement("video");
  Object.assign(video, { muted: true, playsInline: true, preload: "auto", src: URL.createObjectURL(file) });
  // Sound alone can be played as well, and has no frame.
  if ((await happens(video, "loadeddata")) && video.videoWidth > 0) return video;
  closeClip(video);
  return null;
}

export const closeClip = (video) => URL.revokeObjectURL(video.src);

/** Resolves to whether that event comes, rather than an error or nothing. */
function happens(video, event) {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, OPEN_SECONDS * 1000, false);
    const end = (came) => { clearTimeout(timer); resolve(came); };
    video.addEventListener(event, () => end(true), { once: true });
    video.addEventListener("error", () => end(false), { once: true });
  });
}

/** Has the image show the clip's frame at that second; false if the browser cannot. */
export async function showFrame(image, video, at) {
  const seeked = happens(video, "seeked");
  video.currentTime = at + INTO_FRAME;
  if (!(await seeked)) return false;
  const canvas = el("canvas", { width: video.videoWidth, height: video.videoHeight });
  canvas.getContext("2d").drawImage(video, 0, 0);
  const blob = await new Promise((resolve) => { canvas.toBlob(resolve, "image/jpeg", 0.95); });
  // Larger than this browser can draw.
  if (blob === null) return false;
  URL.revokeObjectURL(image.src);
  image.src = URL.createObjectURL(blob);
  await image.decode();
  return true;
}

/** `3 people: Obama, Biden, 1 unknown. 40 frames of 4.00 s. 1.20 s.` */
export function clipSummary({ video, timings }) {
  const known = [...new Set(video.appearances.filter((one) => one.person !== null).map((one) => nameOf(faceOf(one))))];
  const strangers = video.appearances.filter((one) => one.person === null).length;
  const looked = `${plural(video.frames, "frame")} of ${video.seconds === null ? "the clip" : seconds(video.seconds)} looked at`;
  const end = video.cut ? `, as far as ${seconds(video.until)}` : "";
  const took = Number.isFinite(timings?.total) ? ` ${duration(timings.total)}.` : "";
  const who = [...known, ...(strangers > 0 ? [`${strangers} unknown`] : [])];
  const found = who.length === 0 ? "No face found" : `${plural(known.length + strangers, "person", "people")}: ${who.join(", ")}`;
  return `${found}. ${looked}${end}.${took}`;
}

const seconds = (value) => `${decimals(value, value < 100 ? 1 : 0)} s`;

/** An appearance's best face, as a face of a photo. */
export const faceOf = (one) => ({ ...one.best, person: one.person, name: one.name, attributes: one.attributes, match: one.person !== null });

/** Who appears when; `look(appearance)` shows their best frame, and null the first frame again. */
export function appearances({ video }, look) {
  if (video.appearances.length === 0) return null;
  const length = Math.max(video.seconds ?? 0, video.until, ...video.appearances.map((one) => one.to));
  const titles = ["Who", "When", "Similarity"].map((title, i) => el("th", { scope: "col", class: i === 2 ? "number" : null }, title));
  const rows = video.appearances.map((one) => row(one, length, look));
  return el("section", { class: "appearances" }, el("h4", {}, "Appearances"),
    el("table", {}, el("thead", {}, el("tr", {}, ...titles)), el("tbody", {}, ...rows)));
}

function row(one, length, look) {
  const face = faceOf(one);
  const button = look && el("button", { type: "button", class: "small", "aria-pressed": "false" }, "Show", el("span", { class: "unseen" }, ` ${nameOf(face)} at ${seconds(one.best.at)}`));
  button?.addEventListener("click", () => toggle(button, one, look));
  const who = el("td", {}, el("div", { class: "about" }, el("span", { class: "name" }, nameOf(face)), ...attributes(face), button));
  const when = el("td", {}, `${seconds(one.from)} – ${seconds(one.to)}, ${plural(one.frames, "frame")}`, timeline(one, length));
  return el("tr", { "data-state": stateOf(face) }, who, when, el("td", { class: "number" }, decimals(one.best.similarity)));
}

async function toggle(button, one, look) {
  const on = button.ariaPressed !== "true";
  for (const other of button.closest("table").querySelectorAll("button")) other.ariaPressed = "false";
  button.ariaPressed = `${on}`;
  await look(on ? one : null);
}

function timeline(one, length) {
  const bar = el("i", {});
  const share = (value) => `${length > 0 ? (100 * value) / length : 0}%`;
  Object.assign(bar.style, { left: share(one.from), width: `max(.25rem, ${share(one.to - one.from)})` });
  return el("div", { class: "timeline", "aria-hidden": "true" }, bar);
}

/** The box of an appearance's best face, over its frame. */
export function drawAppearance(layer, one, width, height) {
  const box = boxOf(faceOf(one), 0, width, height);
  // It stands in the table, not in the list of faces.
  box.removeAttribute("data-face");
  box.querySelector("b").remove();
  layer.replaceChildren(box);
}
