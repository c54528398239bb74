import { byId, el } from "./dom.js";

const JPEG_QUALITY = 0.95;
const WHY = {
  NotAllowedError: "The browser was not allowed to use the camera. Allow it in the address bar, then try again.",
  NotFoundError: "No camera was found. Connect one, or choose a photo.",
  NotReadableError: "The camera is in use by another program. Close that, then try again.",
};

let stream = null;

/** The ways to a camera: the phone's own where `capture` is understood, a webcam in a dialog elsewhere. */
export function listen(take) {
  if ("capture" in HTMLInputElement.prototype) {
    byId("capture-input").hidden = byId("capture-label").hidden = false;
    byId("camera-open").hidden = true;
  }
  const dialog = byId("camera");
  byId("camera-open").addEventListener("click", () => open(dialog));
  byId("camera-cancel").addEventListener("click", () => dialog.close());
  // Also fired by Escape: however the dialog ends, the camera's light goes off.
  dialog.addEventListener("close", stop);
  byId("camera-video").addEventListener("playing", ready);
  byId("camera-take").addEventListener("click", async () => {
    const file = await grab(byId("camera-video"));
    dialog.close();
    take([file]);
  });
}

async function open(dialog) {
  byId("camera-status").textContent = "Starting the camera …";
  dialog.showModal();
  try {
    const started = await start();
    // The dialog may have been closed while the browser was asking for permission.
    if (!dialog.open || stream !== null) return end(started);
    stream = started;
    byId("camera-video").srcObject = stream;
  } catch (error) {
    byId("camera-status").textContent = WHY[error.name] ?? error.message;
  }
}

async function start() {
  // Browsers hide the camera from pages that came neither over https nor from this machine.
  if (!navigator.mediaDevices) throw new Error("Browsers give a page the camera only over https or on localhost. Choose a photo instead.");
  return navigator.mediaDevices.getUserMedia({ video: { width: { ideal: 1280 }, height: { ideal: 720 } } });
}

function ready() {
  byId("camera-status").textContent = "";
  byId("camera-take").disabled = false;
  byId("camera-take").focus();
}

function end(someStream) {
  someStream.getTracks().forEach((track) => track.stop());
}

function stop() {
  if (stream !== null) end(stream);
  stream = null;
  byId("camera-video").srcObject = null;
  byId("camera-take").disabled = true;
}

function grab(video) {
  const canvas = el("canvas", { width: video.videoWidth, height: video.videoHeight });
  canvas.getContext("2d").drawImage(video, 0, 0);
  const time = new Date().toTimeString().slice(0, 8).replaceAll(":", "-");
  return new Promise((resolve) => {
    canvas.toBlob((blob) => resolve(new File([blob], `webcam ${time}.jpg`, { type: "image/jpeg" })), "image/jpeg", JPEG_QUALITY);
  });
}
