import { URLExt } from '@jupyterlab/coreutils';
import { ServerConnection } from '@jupyterlab/services';

/** What the lab's server or the platform says went wrong: one sentence. */
export class Refusal extends Error {}

/** The answer of `<lab>/pachon/<path>`; `body` is sent as JSON. */
export async function ask<T>(path: string, method = 'GET', body?: object): Promise<T> {
  const response = await send(path, { method, body: body && JSON.stringify(body) });
  const document = await response.json().catch(() => ({}));
  if (!response.ok) {
    throw new Refusal(document.message || `The lab answered ${response.status} ${response.statusText}.`);
  }
  return document as T;
}

/**
 * Hears the platform's events until `signal` ends it; comes back by itself after an interruption.
 *
 * `changed` is called for each event and after each (re)connection, since events may have been missed.
 */
export async function listen(signal: AbortSignal, changed: () => void): Promise<void> {
  let lastId = '';
  let pauseMs = FIRST_PAUSE_MS;
  while (!signal.aborted) {
    try {
      const headers: Record<string, string> = lastId ? { 'Last-Event-ID': lastId } : {};
      const response = await send('queries/events', { headers, signal });
      if (response.ok && response.body) {
        pauseMs = FIRST_PAUSE_MS;
        changed();
        lastId = await read(response.body, lastId, changed);
      }
    } catch (error) {
      if (signal.aborted) {
        return;
      }
    }
    await new Promise(resolve => window.setTimeout(resolve, pauseMs));
    pauseMs = Math.min(LONGEST_PAUSE_MS, pauseMs * 2);
  }
}

const FIRST_PAUSE_MS = 1_000;
const LONGEST_PAUSE_MS = 30_000;

async function send(path: string, init: RequestInit): Promise<Response> {
  const settings = ServerConnection.makeSettings();
  return ServerConnection.makeRequest(URLExt.join(settings.baseUrl, 'pachon', path), init, settings);
}

/** Reads an event stream (WHATWG HTML, section 9.2) to its end, and answers the id of the last event. */
async function read(body: ReadableStream<Uint8Array>, lastId: string, changed: () => void): Promise<string> {
  const reader = body.pipeThrough(new TextDecoderStream() as ReadableWritablePair<string, Uint8Array>).getReader();
  let rest = '';
  for (;;) {
    const { done, value } = await reader.read();
    if (done) {
      return lastId;
    }
    const lines = (rest + value).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) {
      if (line.startsWith('id:')) {
        lastId = line.slice(3).trim();
      } else if (line.startsWith('data:')) {
        changed();
      }
    }
  }
}
