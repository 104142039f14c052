// The front page works without this. With it, addresses get a Copy button, and the page says who is logged in and shows
// what they may see: the login cookie belongs to /api/, so only a page from there knows.

const api = new URL("../", document.currentScript?.src ?? location.href);
const personal = ["releases", "tools"];

// Somebody whom the hub knows already is logged in here without a question: the hub answers in a few redirects.
async function pageOfPerson() {
  const ask = (path) => fetch(new URL(path, api), { cache: "no-store" });
  const named = (response) => response.ok && response.headers.has("X-VO-Authenticated");
  const page = await ask("front");
  if (named(page) || !("hubKnows" in document.body.dataset)) return named(page) && page;
  await ask(`login?next=${encodeURIComponent(new URL("status", api).pathname)}`);
  const again = await ask("front");
  return named(again) && again;
}

async function showPerson() {
  const page = await pageOfPerson();
  if (!page) return;
  document.getElementById("person-name").textContent = decodeURIComponent(page.headers.get("X-VO-Authenticated"));
  document.getElementById("person").hidden = false;
  document.getElementById("login")?.remove();
  const theirs = new DOMParser().parseFromString(await page.text(), "text/html");
  for (const id of personal) {
    const section = document.importNode(theirs.getElementById(id), true);
    document.getElementById(id).replaceWith(section);
    addCopyButtons(section);
  }
}

function addCopyButtons(within) {
  if (navigator.clipboard) within.querySelectorAll(".copy").forEach(addCopyButton);
}

function addCopyButton(text) {
  const frame = document.createElement("div");
  frame.className = "copy-frame";
  text.replaceWith(frame);
  const button = document.createElement("button");
  button.className = "copy-button";
  button.type = "button";
  button.textContent = "Copy";
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(text.textContent.trim());
    button.textContent = "Copied";
    setTimeout(() => (button.textContent = "Copy"), 1500);
  });
  frame.append(text, button);
}

addCopyButtons(document);
showPerson().catch(() => undefined);
