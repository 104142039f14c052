// The list of saved queries reads itself again when the platform says that something changed; what has the focus keeps it.

// The hub lets a script ask in somebody's name only with the token that stands in their page (XSRF).
const { root, token } = document.currentScript.dataset;
const GATHERS_MS = 100;
let waiting = 0;
let asked = 0;

async function readAgain() {
  const number = ++asked;
  const answer = await fetch(window.location.href, { headers: { Accept: 'text/html', 'X-XSRFToken': token } }).catch(() => null);
  if (!answer?.ok || number !== asked) return;
  const page = new DOMParser().parseFromString(await answer.text(), 'text/html');
  const [old, fresh] = [document, page].map((each) => each.getElementById('query-lists'));
  if (!fresh || old.innerHTML === fresh.innerHTML) return;
  const focused = old.contains(document.activeElement) ? document.activeElement.getAttribute('href') : null;
  old.replaceWith(fresh);
  if (focused) fresh.querySelector(`a[href="${CSS.escape(focused)}"]`)?.focus();
}

const events = new EventSource(`${root}/portal/queries/events?_xsrf=${encodeURIComponent(token)}`);
events.addEventListener('message', () => {
  clearTimeout(waiting);
  waiting = setTimeout(readAgain, GATHERS_MS);
});
