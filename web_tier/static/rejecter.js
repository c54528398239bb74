import { el } from "./dom.js";

/** Beside a name: the button that says it is wrong and, once it was used, undoes that. `reject()` resolves to what undoes it. */
export function rejecter(number, name, reject) {
  const note = el("span", { class: "hint", role: "status" });
  // One button for both, so that the keyboard's focus stays where it is.
  const button = el("button", { type: "button", class: "small" });
  const state = { number, name, reject, note, button, undo: null };
  button.addEventListener("click", () => turn(state));
  draw(state);
  return el("span", { class: "rejecter" }, note, button);
}

function draw({ number, name, note, button, undo }) {
  const [words, whom] = undo === null ? ["Not this person", ` Face ${number} is not ${name}`] : ["undo", ` Face ${number} may be ${name}`];
  note.className = "hint";
  note.textContent = undo === null ? "" : "rejected ·";
  button.replaceChildren(words, el("span", { class: "unseen" }, whom));
}

async function turn(state) {
  const { reject, undo, note, button } = state;
  // Not `disabled`, which would take the focus away.
  if (button.ariaBusy === "true") return;
  button.ariaBusy = "true";
  try {
    state.undo = undo === null ? await reject() : (await undo(), null);
    draw(state);
  } catch (error) {
    note.className = "error";
    note.textContent = error.message;
  } finally {
    button.ariaBusy = "false";
  }
}
