// The front page works without this. With it, addresses get a Copy button, and the page says who is logged in:
// the login cookie belongs to /api/, so only a request there can tell.

const api = new URL("../", document.currentScript?.src ?? location.href);

// Somebody whom the hub knows already is logged in here without a question: the hub answers in a few redirects.
async function nameOfPerson() {
  const ask = (path) => fetch(new URL(path, api), { cache: "no-store" });
  const named = (response) => response.headers.get("X-VO-Authenticated");
  const name = named(await ask("releases"));
  if (name || !("hubKnows" in document.body.dataset)) return name;
  await ask(`login?next=${encodeURIComponent(new URL("status", api).pathname)}`);
  return named(await ask("releases"));
}

async function showPerson() {
  const name = await nameOfPerson();
  if (!name) return;
  document.getElementById("person-name").textContent = decodeURIComponent(name);
  document.getElementById("person").hidden = false;
  document.getElementById("login")?.remove();
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

if (navigator.clipboard) document.querySelectorAll(".copy").forEach(addCopyButton);
showPerson().catch(() => undefined);
