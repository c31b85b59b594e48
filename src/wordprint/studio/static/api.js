// Requests to the server that this page came from, with the token that it was opened with.

const KEY = "wordprint-studio";
const PROTOCOL = "wordprint-studio"; // guard.py's

if (location.hash.length > 1) {
  sessionStorage.setItem(KEY, location.hash.slice(1));
  history.replaceState(null, "", location.pathname); // not to be seen, shared or kept as a bookmark
}
const token = () => sessionStorage.getItem(KEY) ?? "";

// An error whose message is for people; `gone`: nobody answers.
export class Refused extends Error {
  constructor(message, { gone = false, locked = false } = {}) {
    super(message);
    this.gone = gone;
    this.locked = locked;
  }
}

const address = (path, query) => `/api/${path}?${new URLSearchParams(query)}`;

export async function call(method, path, query = {}, body = undefined) {
  let answer;
  try {
    answer = await fetch(address(path, query), { method, body, headers: { Authorization: `Bearer ${token()}` } });
  } catch {
    throw new Refused("The studio doesn’t answer. Is ‘wordprint studio’ still running in its terminal?", { gone: true });
  }
  if (answer.ok) return answer;
  if (answer.status === 401) throw new Refused("This page has no key. Open the address that the terminal shows.", { locked: true });
  const told = await answer.json().catch(() => ({}));
  throw new Refused(told.error ?? `The studio answered ${answer.status}.`);
}

export const get = async (path, query) => (await call("GET", path, query)).json();
export const bytes = async (path, query) => (await call("GET", path, query)).arrayBuffer();
export const change = async (method, path, query, body) => (await call(method, path, query, body)).json();

export function socket(path, query) {
  return new WebSocket(`ws://${location.host}${address(path, query)}`, [PROTOCOL, token()]);
}
