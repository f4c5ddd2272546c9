// FlowAuth's pages are whole without this file; it makes them quicker to use.
"use strict";

for (const button of document.querySelectorAll("[data-copy]")) {
  button.hidden = false;
  const said = button.textContent;
  button.addEventListener("click", async () => {
    const from = document.getElementById(button.dataset.copy);
    const text = from.value ?? [...from.querySelectorAll("li")].map((each) => each.textContent.trim()).join("\n");
    try {
      await navigator.clipboard.writeText(text || from.textContent);
      button.textContent = "Copied";
    } catch {
      getSelection().selectAllChildren(from);
      button.textContent = "Selected: press Ctrl+C";
    }
    setTimeout(() => (button.textContent = said), 4000);
  });
}

for (const button of document.querySelectorAll("[data-print]")) {
  button.hidden = false;
  button.addEventListener("click", () => {
    document.body.classList.add("printing");
    window.print();
    document.body.classList.remove("printing");
  });
}

for (const input of document.querySelectorAll("[data-judge]")) {
  const told = document.querySelector(`[data-judged="${input.id}"]`);
  const name = document.querySelector("[data-names-user]");
  let waiting;
  input.addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(async () => {
      if (!input.value) return (told.textContent = "");
      const body = new URLSearchParams({
        csrf: input.form.elements.csrf.value,
        username: input.dataset.user || (name ? name.value : ""),
        password: input.value,
      });
      const answer = await fetch("/account/judge-password", { method: "POST", body });
      if (!answer.ok) return;
      const judged = await answer.json();
      told.textContent = judged.message;
      told.className = "judged " + (judged.good ? "good" : "bad");
    }, 350);
  });
}

// In the tree, the buttons «All» become boxes that show when only some of a branch are ticked.
for (const tree of document.querySelectorAll("[data-tree]")) {
  tree.classList.add("live");
  // A long name is broken after an underscore.
  for (const text of [...tree.querySelectorAll("label")].map((label) => label.childNodes[1])) {
    text?.replaceWith(...text.data.split(/(?<=_)/).flatMap((part) => [document.createElement("wbr"), part]).slice(1));
  }
  const branches = [...tree.querySelectorAll(".branch")].map((branch) => {
    const button = branch.querySelector(":scope > button");
    const box = document.createElement("input");
    box.type = "checkbox";
    box.setAttribute("aria-label", "All of " + button.getAttribute("aria-label").replace("All or nothing of ", ""));
    button.replaceWith(box);
    const boxes = [...branch.querySelectorAll("input[name=s]")];
    const count = branch.querySelector("summary small");
    box.addEventListener("change", () => {
      for (const each of boxes) each.checked = box.checked;
      show();
    });
    return { box, boxes, count };
  });
  const all = [...tree.querySelectorAll("input[name=s]")];
  const total = tree.querySelector(":scope > .hint");
  const now = () => all.filter((each) => each.checked).length;
  const unseen = parseInt(total.textContent.replaceAll(",", "")) - now();
  const show = () => {
    total.textContent = total.textContent.replace(/^[\d,]+/, (unseen + now()).toLocaleString("en-GB"));
    for (const { box, boxes, count } of branches) {
      const ticked = boxes.filter((each) => each.checked).length;
      box.checked = ticked === boxes.length;
      box.indeterminate = ticked > 0 && ticked < boxes.length;
      count.textContent = `${ticked} of ${boxes.length}`;
    }
  };
  tree.addEventListener("change", show);
  show();
}

// The longest life follows the roles that are ticked.
const longest = document.querySelector("[data-longest]");
if (longest) {
  const boxes = [...document.querySelectorAll("[data-end]")];
  const show = () => {
    const ticked = boxes.filter((each) => each.checked).sort((a, b) => (a.dataset.end < b.dataset.end ? -1 : 1));
    if (!ticked.length) return (longest.textContent = "Choose a role to see how long the token can live.");
    const end = new Date(ticked[0].dataset.end);
    const said = end.toLocaleString("en-GB", {
      day: "numeric", month: "short", year: "numeric", hour: "2-digit", minute: "2-digit", timeZone: "UTC",
    });
    const life = document.getElementById("life").value;
    const short = /^\d+$/.test(life) && Date.now() + life * 60000 > end.getTime();
    longest.textContent =
      `A token made now ends on ${said} UTC at the latest: ${ticked[0].dataset.whose}.` +
      (short ? " That is sooner than you ask for: it will be shortened." : "");
  };
  for (const each of [...boxes, document.getElementById("life")]) each.addEventListener("change", show);
  show();
}

const life = document.getElementById("life");
if (life) {
  const other = document.querySelector("[data-other]");
  const show = () => (other.hidden = life.value !== "other");
  life.addEventListener("change", show);
  show();
}

for (const field of document.querySelectorAll(".when-admin")) {
  const admin = document.getElementById("is_admin");
  const show = () => (field.hidden = !admin.checked);
  admin.addEventListener("change", show);
  show();
}

// A password that FlowAuth makes is not typed.
for (const field of document.querySelectorAll(".when-typed")) {
  const generate = document.getElementById("generate");
  const show = () => {
    field.hidden = generate.checked;
    field.querySelector("input").required = !generate.checked;
  };
  generate.addEventListener("change", show);
  show();
}

const wrong = document.querySelector("[aria-invalid]");
if (wrong) wrong.focus();
