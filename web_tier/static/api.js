import { sleep } from "./dom.js";

// Relative, so that the page also works behind a proxy that serves it under a path of its own.
const BASE = "v1/";
const KEY = "facefleet.key";
const POLL_SECONDS = 0.5;
const GIVE_UP_SECONDS = 600;

export const keyEvents = new EventTarget();
let waitingForKey = null;

/**
 * An answer that is not the one asked for; `message` is for people, `status` is 0 when there was no answer. A photo
 * refused that is `forcible` may be enrolled all the same.
 */
export class ApiError extends Error {
  constructor(message, { status = 0, code = "", forcible = false } = {}) {
    super(message);
    this.status = status;
    this.code = code;
    this.forcible = forcible;
  }
}

export const hasKey = () => sessionStorage.getItem(KEY) !== null;

export function useKey(key) {
  sessionStorage.setItem(KEY, key);
  waitingForKey?.resolve();
  waitingForKey = null;
  keyEvents.dispatchEvent(new Event("changed"));
}

// Many calls may be refused at once: the key is asked for once, and all of them go on with it.
function keyEntered(refused) {
  if (waitingForKey === null) {
    waitingForKey = {};
    waitingForKey.promise = new Promise((resolve) => { waitingForKey.resolve = resolve; });
    keyEvents.dispatchEvent(new CustomEvent("needed", { detail: { refused } }));
  }
  return waitingForKey.promise;
}

async function send(path, init) {
  for (;;) {
    const key = sessionStorage.getItem(KEY);
    const headers = { accept: "application/json", ...init.headers, ...(key === null ? {} : { "x-api-key": key }) };
    // Counted anew for each try: the time in which the user looks for the key is not the service's.
    const signal = init.timeout ? AbortSignal.timeout(init.timeout * 1000) : init.signal;
    const response = await fetch(path, { cache: "no-store", ...init, headers, signal });
    if (response.status !== 401) return response;
    // Another call may have brought a new key while this one was under way.
    if (sessionStorage.getItem(KEY) === key) await keyEntered(key !== null);
    init.signal?.throwIfAborted();
  }
}

async function request(path, init = {}) {
  const response = await send(path, init).catch((error) => {
    if (init.signal?.aborted) throw error;
    throw new ApiError("The service does not answer. Is it running, and is this device connected to it?");
  });
  const body = await response.json().catch(() => null);
  if (!response.ok) throw problem(response, body);
  return { status: response.status, location: response.headers.get("location"), body };
}

function problem(response, body) {
  const { status } = response;
  if (status === 403) keyEvents.dispatchEvent(new Event("forbidden"));
  const words = body?.detail || body?.title || `The service answered ${status} ${response.statusText}`.trim();
  return new ApiError(words, { status, code: body?.code ?? "", forcible: body?.forcible ?? false });
}

function multipart(file, name) {
  const form = new FormData();
  form.append("file", file, name);
  return form;
}

// Only the path of a Location counts: behind a proxy its host and scheme may be the inner ones.
function samePlace(location) {
  const url = new URL(location, document.baseURI);
  return url.pathname + url.search;
}

async function finished(answer, fallback, signal) {
  const place = answer.location ? samePlace(answer.location) : fallback(answer.body);
  const end = Date.now() + GIVE_UP_SECONDS * 1000;
  while (answer.status === 202) {
    if (Date.now() > end) throw new ApiError("No worker took this on within ten minutes. Look at the queue and fleet, then try again.");
    await sleep(POLL_SECONDS, signal);
    answer = await request(place, { signal });
  }
  if (answer.body?.status === "failed") throw new ApiError(answer.body.error?.detail ?? "The worker could not do this.", answer.body.error ?? {});
  return answer.body;
}

export async function recognise(file, name, { signal } = {}) {
  const answer = await request(`${BASE}recognitions?top_k=3`, { method: "POST", body: multipart(file, name), signal });
  return finished(answer, (body) => `${BASE}recognitions/${encodeURIComponent(body.id)}`, signal);
}

/** As `recognise`, of a clip: everybody in it, and when. */
export async function watchClip(file, name, { signal } = {}) {
  const answer = await request(`${BASE}videos?appearances=true&top_k=3`, { method: "POST", body: multipart(file, name), signal });
  return finished(answer, (body) => `${BASE}videos/${encodeURIComponent(body.id)}`, signal);
}

const jsonPost = (body) => ({ method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) });

/** Creates the person, or finds that there already is one with this id: false. */
export async function addPerson(id, name) {
  try {
    await request(`${BASE}people`, jsonPost({ id, name }));
    return true;
  } catch (error) {
    if (error.status === 409) return false;
    throw error;
  }
}

/** Resolves once a worker has enrolled the photo; with `force` also one that was refused and is forcible. */
export async function addPhoto(id, file, name, { force = false } = {}) {
  const path = `${BASE}people/${encodeURIComponent(id)}/photos${force ? "?force=true" : ""}`;
  const answer = await request(path, { method: "POST", body: multipart(file, name) });
  return finished(answer, (body) => `${BASE}recognitions/${encodeURIComponent(body.id)}`);
}

/** Says that a face of a result, by its place there, is not the person; resolves to where that is undone. */
export async function reject(jobId, face, person) {
  const answer = await request(`${BASE}recognitions/${encodeURIComponent(jobId)}/rejections`, jsonPost({ face, person }));
  return samePlace(answer.location);
}

export const undoRejection = (place) => request(place, { method: "DELETE" });

/** The fleet's state; `timeout` in seconds. */
export async function fleet({ timeout }) {
  const { body } = await request(`${BASE}fleet`, { timeout });
  if (body === null) throw new ApiError("This is not the service that answers here.");
  return body;
}
