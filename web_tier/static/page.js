import { hasKey, keyEvents, useKey } from "./api.js";
import { listen as listenToCamera } from "./camera.js";
import { byId, plural } from "./dom.js";
import { watch } from "./fleet.js";
import { clearMessages, complain, listen, load } from "./intake.js";
import { show } from "./photo.js";

const waiting = [];
let busy = false;

function take(files) {
  clearMessages();
  waiting.push(...files);
  if (busy) tellQueue();
  else work();
}

// One after the other: a hundred photos dropped at once must not keep everybody else's waiting.
async function work() {
  busy = true;
  while (waiting.length > 0) {
    const file = waiting.shift();
    tellQueue();
    try {
      await show(byId("cards"), await load(file));
    } catch (error) {
      complain(error.message);
    }
  }
  busy = false;
}

function tellQueue() {
  byId("queue-note").textContent = waiting.length === 0 ? "" : `${plural(waiting.length, "more file waits", "more files wait")} for an answer.`;
}

function askForKey(refused) {
  byId("key-why").textContent = refused
    ? "The service did not accept that key. Check it and try again."
    : "This service asks for an API key. Its operator has one for you.";
  byId("key-form").hidden = false;
  byId("key-input").focus();
}

function listenToKeys() {
  keyEvents.addEventListener("needed", (event) => askForKey(event.detail.refused));
  keyEvents.addEventListener("forbidden", () => { byId("key-change").hidden = false; });
  byId("key-change").hidden = !hasKey();
  byId("key-change").addEventListener("click", () => {
    byId("key-form").hidden = false;
    byId("key-why").textContent = "Another key may have other rights.";
    byId("key-input").focus();
  });
  byId("key-form").addEventListener("submit", (event) => {
    event.preventDefault();
    const input = byId("key-input");
    useKey(input.value.trim());
    input.value = "";
    byId("key-form").hidden = byId("key-change").hidden = true;
    byId("key-change").hidden = false;
    byId("file-input").focus();
  });
}

listenToKeys();
listen(take);
listenToCamera(take);
watch();
