// The trainer's studio, while somebody types: what is wrong is shown at its field, and what was
// typed is kept as a draft after a pause. All of it works without this script too, by the buttons.
// What people wrote is only ever put in as text.

const form = document.getElementById("edit");
const kept = document.getElementById("kept");
const trouble = document.getElementById("trouble");
const path = form.getAttribute("action");
const text = document.getElementById("text");

const CHECK_AFTER = 400;
const KEEP_AFTER = 2000;
const TRY_AGAIN_AFTER = 5000;

let editor = null;
let changed = 0; // counts what was typed
let keptUpTo = 0; // how much of it is kept
let taken = false; // somebody else saved: no more saving by itself
let followers = []; // the choices of a mood that go with it when it is renamed
let checkTimer, keepTimer, keeping, checking;

const hidden = (name) => form.elements[name];
const dirty = () => changed !== keptUpTo;

// -- What is sent ------------------------------------------------------------------------------

async function send(address, options = {}) {
  const answer = await fetch(address, {
    method: "POST",
    body: new URLSearchParams(new FormData(form)),
    headers: { Accept: "application/json" },
    ...options,
  });
  const found = await answer.json().catch(() => ({}));
  return { status: answer.status, ...found };
}

async function check() {
  checking?.abort();
  checking = new AbortController();
  // Overtaken by the next one, or without an answer: keeping it says so.
  const found = await send(`${path}/check`, { signal: checking.signal }).catch(() => null);
  if (found?.status === 200) show(found.problems);
  else if (found) tell(found.detail || "This could not be checked. Type on to try again.");
}

async function keep() {
  clearTimeout(keepTimer);
  // Several may wait: one after the other, each with what the one before was told.
  while (keeping) await keeping;
  if (!dirty() || taken) return !taken;
  const upTo = changed;
  say("Keeping…");
  keeping = send(path).catch(() => ({ status: 0 }));
  const found = await keeping;
  keeping = null;
  if (found.status === 200) {
    keptUpTo = upTo;
    hidden("_read").value = found.read;
    hidden("_started").value = found.started;
    for (const one of document.querySelectorAll("[data-read]")) one.value = found.read;
    for (const id of ["discard", "get-draft"])
      document.getElementById(id)?.removeAttribute("hidden");
    document.getElementById("state").textContent = found.state;
    say(`Kept ${found.at}`);
    trouble.hidden = true;
    if (dirty()) later();
    else show(found.problems);
    return true;
  }
  if (found.status === 409) {
    taken = true;
    say("Not kept");
    tell(found.detail, "See what is different, and choose");
  } else if (found.status === 0 || found.status >= 500) {
    say("Not kept yet");
    tell("The server does not answer. What you typed is still here; it is tried again.");
    keepTimer = setTimeout(keep, TRY_AGAIN_AFTER);
  } else if (found.status === 401) {
    say("Not kept yet");
    tell("You are signed out. Sign in again in another tab; then save here. Nothing is lost.");
  } else {
    say("Not kept");
    tell(found.detail || "This could not be kept. Nothing you typed is lost.");
  }
  return false;
}

function later() {
  clearTimeout(checkTimer);
  clearTimeout(keepTimer);
  checkTimer = setTimeout(check, CHECK_AFTER);
  if (!taken) keepTimer = setTimeout(keep, KEEP_AFTER);
}

function touched() {
  changed += 1;
  say("Not kept yet");
  later();
}

// -- What is said ------------------------------------------------------------------------------

function made(tag, words) {
  const element = document.createElement(tag);
  element.textContent = words;
  return element;
}

function say(words) {
  if (kept.textContent !== words) kept.textContent = words;
}

function tell(words, button = "") {
  trouble.replaceChildren(made("p", words));
  // An ordinary submit: the page that comes shows both, with what was typed here.
  if (button) trouble.append(made("button", button));
  trouble.hidden = false;
}

function show(problems) {
  const slots = new Map();
  for (const slot of form.querySelectorAll("[data-at]")) slots.set(slot.dataset.at, slot);
  const wrong = new Map();
  for (const one of problems) {
    let at = one.at;
    while (at && !slots.has(at)) at = at.includes(".") ? at.slice(0, at.lastIndexOf(".")) : "";
    one.at = at;
    if (at) wrong.set(at, [...(wrong.get(at) || []), one.message]);
  }
  for (const [at, slot] of slots) {
    const messages = wrong.get(at) || [];
    slot.replaceChildren(...messages.map((message) => made("p", message)));
    for (const field of [document.getElementById(`f-${at}`), document.getElementById(`t-${at}`)]) {
      if (!field?.matches("input, select, textarea")) continue;
      if (messages.length) field.setAttribute("aria-invalid", "true");
      else field.removeAttribute("aria-invalid");
    }
    if (!messages.length) continue;
    for (let up = slot.closest("details"); up; up = up.parentElement.closest("details")) {
      up.open = true;
    }
  }
  const count = problems.length;
  document.getElementById("to-mend").textContent =
    count === 0 ? "Nothing to mend" : count === 1 ? "One thing to mend" : `${count} things to mend`;
  document.getElementById("problems").replaceChildren(
    ...problems.map((one) => {
      const item = made("li", one.words);
      const link = made("a", text ? `Line ${one.line}` : "Go there");
      link.href = text ? "#text" : `#f-${one.at}`;
      if (text) link.dataset.line = one.line;
      if (text ? one.line : one.at) item.prepend(link, " ");
      return item;
    }),
  );
  editor?.mark(problems);
}

// -- Lists -------------------------------------------------------------------------------------

let newest = 0;

function fresh(list, name) {
  const key = `n${(newest += 1)}`;
  const template = [...document.querySelectorAll("template")].find(
    (one) => one.dataset.for === name,
  );
  const item = template.content.firstElementChild.cloneNode(true);
  const here = `${list}.${key}`;
  for (const one of [item, ...item.querySelectorAll("*")]) {
    for (const { name: attribute, value } of [...one.attributes]) {
      if (!value.includes("@@")) continue;
      const filled = value
        .replaceAll("@@list", list)
        .replaceAll("@@key", key)
        .replaceAll("@@", here);
      one.setAttribute(attribute, filled);
    }
  }
  return item;
}

function renumber(list) {
  let number = 0;
  for (const item of list.children) {
    const own = item.querySelector("[data-number]");
    if (own && !item.hidden) own.textContent = number += 1;
  }
}

function inList(button) {
  const [what, name] = button.value.split(/:(.*)/);
  if (what === "add") {
    const list = button.parentElement.querySelector("ol[data-list]");
    const item = fresh(list.dataset.list, button.dataset.template);
    list.append(item);
    renumber(list);
    // A short name that is free, where one is asked for.
    const id = item.querySelector(`[name="${item.dataset.item}.id"]`);
    if (id)
      id.value = `${list.dataset.list.split(".").pop().replace(/s$/, "")}-${list.children.length}`;
    moods();
    [...item.querySelectorAll("input:not([type=hidden]), textarea, select")]
      .find((one) => one !== id)
      ?.focus();
    return;
  }
  const item = form.querySelector(`[data-item="${CSS.escape(name)}"]`);
  const list = item.parentElement;
  if (what === "remove") {
    const gone = made("li", "Removed. ");
    const back = made("button", "Put it back");
    Object.assign(back, { type: "button", className: "plain" });
    gone.append(back);
    // What was removed inside it before stays so.
    const fields = [...item.querySelectorAll("input, textarea, select")].filter(
      (one) => !one.disabled,
    );
    for (const one of fields) one.disabled = true;
    item.hidden = true;
    item.after(gone);
    back.addEventListener("click", () => {
      for (const one of fields) one.disabled = false;
      item.hidden = false;
      gone.remove();
      renumber(list);
      moods();
      touched();
      item.querySelector("textarea, input:not([type=hidden])")?.focus();
    });
    back.focus();
  } else {
    const step = what === "up" ? "previousElementSibling" : "nextElementSibling";
    let other = item[step];
    while (other && (other.hidden || !other.dataset.item)) other = other[step];
    if (other) what === "up" ? other.before(item) : other.after(item);
    button.focus();
  }
  renumber(list);
  moods();
}

// The moods there are, in every list to choose one from; one that is renamed is renamed there too.
function moods(renamed = null) {
  const names = [...form.querySelectorAll("input[data-mood]:not(:disabled)")]
    .map((one) => one.value)
    .filter(Boolean);
  for (const select of form.querySelectorAll("select[data-moods]")) {
    const value = renamed && followers.includes(select) ? renamed.value : select.value;
    const wanted = [...new Set([...names, value])].filter(Boolean);
    const first =
      [...select.options].find((one) => !one.value) ||
      new Option(select.value ? "left open" : "choose", "");
    select.replaceChildren(
      first,
      ...wanted.map((one) => new Option(names.includes(one) ? one : `${one} (not known)`, one)),
    );
    select.value = value;
  }
}

// -- The file ----------------------------------------------------------------------------------

async function openEditor() {
  const { mount } = await import("/public/studio-editor.js");
  editor = mount(document.getElementById("editor"), text, touched);
  text.hidden = true;
  editor.mark(
    [...document.querySelectorAll("#problems [data-line]")].map((link) => ({
      line: Number(link.dataset.line),
      words: link.parentElement.textContent,
    })),
  );
}

// -- What happens ------------------------------------------------------------------------------

// Who named this mood before it is renamed: on the way its name may be another one's.
form.addEventListener("focusin", (event) => {
  if (!event.target.matches("[data-mood]")) return;
  const name = event.target.value;
  const same = [...form.querySelectorAll("input[data-mood]:not(:disabled)")].filter(
    (one) => one.value === name,
  );
  const all = [...form.querySelectorAll("select[data-moods]")];
  followers = name && same.length === 1 ? all.filter((one) => one.value === name) : [];
});

form.addEventListener("input", (event) => {
  // While it is empty, it is on its way from one name to another.
  if (event.target.matches("[data-mood]") && event.target.value) {
    moods(event.target);
  }
  if (event.target.name) touched();
});

form.addEventListener("click", (event) => {
  const button = event.target.closest("button[name=_do]");
  if (!button) return;
  event.preventDefault();
  inList(button);
  touched();
});

document.addEventListener("click", async (event) => {
  const line = event.target.closest("[data-line]");
  if (line && editor) {
    event.preventDefault();
    editor.goTo(Number(line.dataset.line));
  }
  const there = event.target.closest('a[href^="#f-"]')?.getAttribute("href").slice(3);
  if (there) {
    // The field itself, so that one can write at once.
    const field = document.getElementById(`t-${there}`) || document.getElementById(`f-${there}`);
    setTimeout(() => field?.focus());
  }
  const link = event.target.closest("a[data-go]");
  if (link && dirty() && !taken) {
    event.preventDefault();
    if (await keep()) window.location.assign(link.href);
  }
});

for (const other of document.querySelectorAll("form[data-go]")) {
  other.addEventListener("submit", async (event) => {
    if (!dirty() || taken) return;
    event.preventDefault();
    if (await keep()) other.submit();
  });
}

// The buttons of the form: what was typed is kept first, and only then another page is opened.
form.addEventListener("submit", async (event) => {
  const button = event.submitter;
  if (taken) {
    keptUpTo = changed; // it is on its way, and the page that comes has it
  } else if (dirty() || keeping || !button?.name) {
    event.preventDefault();
    const is = await keep();
    if (is && button?.name) form.requestSubmit(button);
  }
});

document.addEventListener("visibilitychange", () => {
  if (document.visibilityState === "hidden") keep();
});
window.addEventListener("beforeunload", (event) => {
  if (dirty()) event.preventDefault();
});

if (text) openEditor();
